"""A checkpoint that does not reach the network stops the run."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModel, BaseModule
from torch import Tensor, nn

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.training import CheckpointSanityHook, naming_hint, origin_table

HOOK = dict(type='mmpose_ext.CheckpointSanityHook')


@MODELS.register_module(force=True)
class OriginBackbone(BaseModule):
    """Ten tensors in three stages."""

    def __init__(self, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.stem = nn.Linear(6, 8)
        self.stage1 = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
        self.stage2 = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.stage2(self.stage1(self.stem(x)))


@MODELS.register_module(force=True)
class OriginModel(BaseModel):
    """A backbone and a head of two tensors."""

    def __init__(self, init_cfg: dict | None = None, outputs: int = 1) -> None:
        super().__init__()
        self.backbone = OriginBackbone(init_cfg)
        self.head = nn.Linear(8, outputs)

    def forward(self, inputs: Tensor, target: Tensor, mode: str):
        x = self.head(self.backbone(torch.stack(list(inputs))))[:, 0]
        error = (x - torch.stack(list(target))).square()
        return dict(loss=error.mean()) if mode == 'loss' else list(error)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A checkpoint of the whole model, all values 0.125."""
    return write(tmp_path / 'start.pth', {
        name: torch.full_like(value, .125)
        for name, value in OriginModel().state_dict().items()})


def write(path: Path, state: dict) -> str:
    torch.save(dict(state_dict=state, meta=dict()), path)
    return str(path)


def prepared(toy_runner, messages: list | None = None,
             model: dict | None = None, **changes):
    """A runner trained for one epoch with the hook."""
    runner = toy_runner(**{
        'model': dict(_delete_=True, type='mmpose_ext.OriginModel',
                      **(model or {})),
        'train_cfg.max_epochs': 1, 'custom_hooks': [HOOK], **changes})
    runner.logger.info = (messages if messages is not None else []).append
    return runner


def report(messages: list) -> list[list[str]]:
    text = next(text for text in messages if text.startswith('Weights from'))
    return [line.split() for line in text.splitlines()[3:]]


def init_cfg(file: str, **settings) -> dict:
    return dict(init_cfg=dict(type='Pretrained', checkpoint=file, **settings))


def test_load_from_is_counted_by_stage(toy_runner, file) -> None:
    messages: list[str] = []
    prepared(toy_runner, messages, load_from=file).train()
    assert report(messages) == [
        ['stem', '2', 'of', '2', '100%'], ['stage1', '4', 'of', '4', '100%'],
        ['stage2', '4', 'of', '4', '100%'], ['head', '2', 'of', '2', '100%']]


def test_head_of_another_size_is_no_error(toy_runner, file) -> None:
    messages: list[str] = []
    prepared(toy_runner, messages, dict(outputs=3), load_from=file).train()
    assert report(messages)[-1] == ['head', '0', 'of', '2', '0%']


def test_initialised_backbone_is_compared_after_the_fact(
        toy_runner, file) -> None:
    messages: list[str] = []
    prepared(toy_runner, messages,
             init_cfg(file, prefix='backbone.')).train()
    assert report(messages) == [
        ['stem', '2', 'of', '2', '100%'], ['stage1', '4', 'of', '4', '100%'],
        ['stage2', '4', 'of', '4', '100%']]


def test_forgotten_prefix_is_an_error_that_names_it(toy_runner, file) -> None:
    with pytest.raises(DataError) as caught:
        prepared(toy_runner, model=init_cfg(file)).train()
    error = caught.value
    assert error.file == file and error.found == '0 of 10'
    assert error.hint == "with prefix='backbone.' 10 of 10 names would match"


def test_values_that_came_from_elsewhere_do_not_count(
        toy_runner, file) -> None:
    runner = prepared(toy_runner, model=init_cfg(file, prefix='backbone.'))
    runner.model.backbone._is_init = True  # so that nothing is loaded
    with pytest.raises(DataError, match='found 0 of 10'):
        runner.train()


def test_backbone_alone_as_load_from_is_an_error_that_says_where_to(
        toy_runner, tmp_path) -> None:
    file = write(tmp_path / 'b.pth', OriginBackbone().state_dict())
    with pytest.raises(DataError) as caught:
        prepared(toy_runner, load_from=file).train()
    assert 'give it to model.backbone.init_cfg' in caught.value.hint


def test_stage_without_any_tensor_is_an_error(toy_runner, tmp_path) -> None:
    hook = CheckpointSanityHook()
    runner = prepared(toy_runner, load_from=str(tmp_path / 'x.pth'))
    for _ in range(18):
        runner.model.backbone.stage2.append(nn.Linear(8, 8))
    tensors = {name: value for name, value in runner.model.state_dict().items()
               if 'stem' not in name}
    with pytest.raises(DataError) as caught:
        hook.after_load_checkpoint(runner, dict(state_dict=tensors))
    assert caught.value.where == 'stage stem'
    assert caught.value.found == '0 of 2'


def test_less_than_nine_tenths_is_an_error(toy_runner, tmp_path) -> None:
    state = OriginModel().state_dict()
    del state['backbone.stem.weight'], state['backbone.stage1.0.weight']
    file = write(tmp_path / 'x.pth', state)
    with pytest.raises(DataError, match='found 8 of 10'):
        prepared(toy_runner, load_from=file).train()


def test_resumed_run_is_not_examined(toy_runner, tmp_path) -> None:
    prepared(toy_runner).train()
    messages: list[str] = []
    # the file named here would be refused at a start
    prepared(toy_runner, messages, init_cfg(write(
        tmp_path / 'other.pth', dict(x=torch.zeros(1)))), resume=True,
        **{'train_cfg.max_epochs': 2}).train()
    assert (tmp_path / 'run' / 'epoch_2.pth').is_file()
    assert not any(text.startswith('Weights from') for text in messages)


def test_names_of_a_wrapped_model_are_the_bare_ones(
        toy_runner, tmp_path) -> None:
    file = write(tmp_path / 'ddp.pth', {
        f'module.{name}': value
        for name, value in OriginModel().state_dict().items()})
    messages: list[str] = []
    prepared(toy_runner, messages, load_from=file).train()
    assert all(row[1] == row[3] for row in report(messages))


def test_hint_is_silent_where_no_prefix_helps() -> None:
    assert naming_hint(['a.b', 'a.c'], ['a.b', 'x.y']) == ''
    assert 'net.a.' not in naming_hint(['a.b'], ['net.a.b'])
    assert "prefix='net.'" in naming_hint(['a.b'], ['net.a.b'])


def test_table_counts_only_what_was_meant() -> None:
    model = OriginModel()
    table = origin_table(model, ['head.weight'], ['head.weight', 'head.bias'])
    assert [line.split() for line in table.splitlines()[2:]] == [
        ['head', '1', 'of', '2', '50%']]
