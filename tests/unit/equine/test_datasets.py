from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmpose_ext.equine import HorsePoseDataset
from mmpose_ext.equine.horse26 import METAINFO_FILE
from mmpose_ext.layout import project_root
from mmpose_ext.registry import DATASETS
from mmpose_ext.storage import DataError
from mmpose_ext.training import Draw

from .labelled_horses import coco_content, write_split

CONFIG = project_root() / 'configs/equine/rtmpose-m_tiny_synthetic.py'


@pytest.fixture(scope='module', autouse=True)
def scope() -> None:
    init_default_scope('mmpose')


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('horses')
    write_split(folder, count=5, width=640, height=480)
    return folder


@pytest.fixture(scope='module')
def pipeline() -> list:
    config = Config.fromfile(CONFIG, import_custom_modules=False)
    return config.train_dataloader.dataset.pipeline


def build(root: Path, **changes: Any) -> HorsePoseDataset:
    return HorsePoseDataset(**{
        'data_root': str(root), 'ann_file': 'annotations/horse_train.json',
        'data_prefix': dict(img='train/'), **changes})


def pixels(sample: dict) -> torch.Tensor:
    return sample['inputs']


def test_samples_are_those_of_stock_mmpose(root: Path) -> None:
    """The same annotations reach a pipeline that does nothing."""
    ours = build(root)
    theirs = DATASETS.build(dict(
        type='mmpose.CocoDataset', data_root=str(root),
        ann_file='annotations/horse_train.json',
        data_prefix=dict(img='train/'),
        metainfo=dict(from_file=METAINFO_FILE)))
    assert len(ours) == len(theirs) == 5
    for i in range(5):
        one, other = ours.get_data_info(i), theirs.get_data_info(i)
        assert one.pop('img_size') == (640, 480)
        assert one.keys() == other.keys()
        for key, value in one.items():
            np.testing.assert_equal(value, other[key], err_msg=key)


def test_sample_is_a_function_of_its_draw(root: Path, pipeline: list) -> None:
    dataset = build(root, pipeline=pipeline)
    first, other = (pixels(dataset[Draw(2, seed)]) for seed in (11, 12))
    assert not torch.equal(first, other)
    np.random.rand(7)
    assert torch.equal(pixels(dataset[Draw(2, 11)]), first)
    clone = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(pixels(clone[Draw(2, 11)]), first)


def test_stock_samplers_get_another_sample_each_time(
        root: Path, pipeline: list) -> None:
    dataset = build(root, pipeline=pipeline)
    assert not torch.equal(pixels(dataset[2]), pixels(dataset[2]))


def test_cache_keeps_a_part_and_shows_the_same_each_time(
        root: Path, pipeline: list) -> None:
    dataset = build(root, pipeline=pipeline, cache=dict(side=128))
    assert str(dataset.cache).startswith('5 of 5 crops kept')
    fresh = pixels(dataset[Draw(3, 5)])
    (root / 'train' / 'horse_004.jpg').rename(root / 'gone.jpg')
    try:
        assert torch.equal(pixels(dataset[Draw(3, 5)]), fresh)
    finally:
        (root / 'gone.jpg').rename(root / 'train' / 'horse_004.jpg')
    unkept = build(root, pipeline=pipeline,
                   cache=dict(side=128, megabytes=0))
    assert torch.equal(pixels(unkept[Draw(3, 5)]), fresh)


def test_cache_is_for_training_alone(root: Path) -> None:
    with pytest.raises(ValueError, match='whole photograph'):
        build(root, cache=dict(), test_mode=True)


def test_missing_photographs_stop_the_run_at_its_start(
        tmp_path: Path) -> None:
    write_split(tmp_path, count=3)
    (tmp_path / 'train' / 'horse_002.jpg').unlink()
    with pytest.raises(DataError, match='horse_002.jpg, 1 missing'):
        build(tmp_path)


def test_other_keypoints_stop_the_run_at_its_start(tmp_path: Path) -> None:
    content = coco_content(count=2)
    content['categories'][0]['keypoints'][0] = 'muzzle'
    (tmp_path / 'annotations').mkdir()
    path = tmp_path / 'annotations' / 'horse_train.json'
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match='nose not among them'):
        build(tmp_path)


def test_a_file_without_usable_horses_is_an_error(tmp_path: Path) -> None:
    content = coco_content(count=2)
    for annotation in content['annotations']:
        annotation['iscrowd'] = 1
    write_split(tmp_path, content=content)
    with pytest.raises(DataError, match='a labelled horse'):
        build(tmp_path)
