"""Weights come whole, a split in order, and faults as one error."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS
from torch import nn
from torch.utils.data import Dataset

from mmpose_ext.storage import DataError
from mmpose_ext.training import (
    build_serial_loader,
    choose_device,
    keypoint_names,
    load_whole,
    telling_of_picture,
)


def test_a_device_that_is_not_there_is_one_error() -> None:
    assert choose_device('cpu') == torch.device('cpu')
    assert choose_device('auto').type in ('cpu', 'cuda')
    with pytest.raises(DataError, match='device'):
        choose_device('toaster')


def test_all_weights_are_loaded_and_the_output_stays_clean(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(dict(state_dict=nn.Linear(2, 3).state_dict(),
                    meta=dict(epoch=5)), tmp_path / 'a.pth')
    model = nn.Linear(2, 3)
    loaded = load_whole(model, tmp_path / 'a.pth', Config())
    assert torch.equal(model.weight, loaded['state_dict']['weight'])
    assert loaded['meta']['epoch'] == 5
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize('state', [
    nn.Linear(2, 3, bias=False).state_dict(), nn.Linear(2, 4).state_dict()])
def test_weights_that_do_not_fit_are_refused(tmp_path: Path,
                                             state: dict) -> None:
    torch.save(state, tmp_path / 'a.pth')
    with pytest.raises(DataError, match='weights'):
        load_whole(nn.Linear(2, 3), tmp_path / 'a.pth', Config())


@pytest.mark.parametrize('content', [None, b'', b'PK\3\4', b'text'])
def test_damaged_files_are_refused(tmp_path: Path,
                                   content: bytes | None) -> None:
    if content is not None:
        (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(DataError, match=r'a\.pth'):
        load_whole(nn.Linear(2, 3), tmp_path / 'a.pth', Config())


@DATASETS.register_module()
class _Numbers(Dataset):

    def __init__(self, count: int, cache: bool = False) -> None:
        self.count, self.cache = count, cache

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return index


def config(seed: int) -> Config:
    return Config(dict(
        train_dataloader=dict(
            batch_size=2, num_workers=3, persistent_workers=True,
            prefetch_factor=4, sampler=dict(type='DefaultSampler',
                                            shuffle=True),
            dataset=dict(type='_Numbers', count=9, cache=True)),
        randomness=dict(seed=seed)))


def test_a_split_is_read_in_this_process_in_the_order_of_a_training() -> None:
    loader = build_serial_loader(config(3), 'train', ['cache'])
    assert loader.num_workers == 0 and not loader.dataset.cache
    order = list(loader.sampler)
    assert sorted(order) == list(range(9))
    assert list(build_serial_loader(config(3), 'train').sampler) == order
    assert list(build_serial_loader(config(4), 'train').sampler) != order


def test_a_split_that_the_config_has_not_is_named() -> None:
    with pytest.raises(DataError, match='val_dataloader'):
        build_serial_loader(config(0), 'val')


def test_names_come_in_the_order_of_their_numbers() -> None:
    assert keypoint_names({'keypoint_id2name': {10: 'c', 2: 'b', 0: 'a'}}) == (
        'a', 'b', 'c')
    assert keypoint_names({'keypoint_id2name': {'10': 'b', '9': 'a'}}) == (
        'a', 'b')
    assert keypoint_names(None) == keypoint_names({}) == ()


def test_meta_data_of_another_kind_are_refused(tmp_path: Path) -> None:
    model, path = nn.Linear(2, 1), tmp_path / 'a.pth'
    torch.save(dict(state_dict=model.state_dict(), meta='text'), path)
    with pytest.raises(DataError, match="key 'meta': expected a dict, found "):
        load_whole(model, path, Config())


@pytest.mark.parametrize('content', [
    dict(state_dict=[1, 2]), dict(state_dict={'weight': 'text'}), [1], 5.])
def test_weights_of_another_kind_are_refused(tmp_path: Path,
                                             content: object) -> None:
    path = tmp_path / 'a.pth'
    torch.save(content, path)
    with pytest.raises(DataError, match='weights|file'):
        load_whole(nn.Linear(2, 1), path, Config())


def test_a_damaged_picture_is_one_error(tmp_path: Path) -> None:
    from mmpose.datasets.transforms import LoadImage
    path = tmp_path / 'a.jpg'
    path.write_bytes(b'no picture')
    with pytest.raises(DataError, match='a.jpg: file'), (
            telling_of_picture(path)):
        LoadImage()(dict(img_path=str(path)))
    with pytest.raises(AssertionError, match='another'), (
            telling_of_picture(path)):
        raise AssertionError('another')
