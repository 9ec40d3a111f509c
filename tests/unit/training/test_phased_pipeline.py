from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import (
    BaseDataset,
    ClassBalancedDataset,
    Compose,
    RepeatDataset,
)
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpose.datasets import CombinedDataset
from torch.utils.data import ConcatDataset, Dataset, Subset

from mmpose_ext.registry import DATASETS, TRANSFORMS
from mmpose_ext.storage.errors import DataError
from mmpose_ext.training import PhasedPipelineHook, SeededDataset
from mmpose_ext.training.phased_pipeline import _find_datasets, _stop_workers

from .conftest import Killed, KillHook, toy_config
from .test_checkpoint import assert_same, final_states


@TRANSFORMS.register_module(force=True)
class ToyNoise:
    """Adds noise; the level is told by the batch."""

    def __init__(self, level: float) -> None:
        if level < 0:
            raise ValueError('level below 0')
        self.level = level

    def __call__(self, sample: dict) -> dict:
        noise = torch.as_tensor(np.random.randn(6), dtype=torch.float32)
        inputs = torch.arange(6.) / 6 + .01 * noise
        inputs[5] = self.level
        return dict(inputs=inputs, target=torch.tensor(float(sample['id'])))


@DATASETS.register_module(force=True)
class PipelineToy(Dataset):
    metainfo = dict(name='pipeline')

    def __init__(self, pipeline: list, size: int = 24) -> None:
        self.pipeline, self.size = Compose(pipeline), size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict:
        if index >= self.size:
            raise IndexError
        return self.pipeline(dict(id=index % 5))


def noise(level: float) -> list[dict]:
    return [dict(type='mmpose_ext.ToyNoise', level=level)]


def phased(*begins: float) -> dict:
    return dict(type='mmpose_ext.PhasedPipelineHook', switches=[
        dict(begin=begin, pipeline=noise(number + 1))
        for number, begin in enumerate(begins)])


def changes(hook: dict, workers: int = 0, persistent: bool = False,
            **more) -> dict:
    return {
        'train_dataloader.dataset': dict(
            _delete_=True, type='mmpose_ext.SeededDataset',
            dataset=dict(type='mmpose_ext.PipelineToy', pipeline=noise(0))),
        'train_dataloader.num_workers': workers,
        'train_dataloader.persistent_workers': persistent,
        'custom_hooks': [hook], **more}


class InputsHook(Hook):
    """Keeps what the model is given."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.seen.append(torch.as_tensor(data_batch['inputs']))


@pytest.fixture
def train(toy_runner):
    """Inputs (iterations, batch, 6) of a run."""

    def run(hook: dict, workers: int = 0, persistent: bool = False, **more):
        runner = toy_runner(**changes(hook, workers, persistent, **more))
        inputs = InputsHook()
        runner.register_hook(inputs)
        runner.train()
        # left to the garbage collector they take seconds
        _stop_workers(runner.train_loop.dataloader)
        return torch.stack(inputs.seen)

    return run


class TestRuns:

    @pytest.fixture(autouse=True)
    def _levels(self) -> None:
        # 4 epochs of 6 iterations; boundaries at a quarter and at 3 epochs
        self.expected = torch.tensor([1.] * 6 + [2.] * 12 + [3.] * 6)

    def test_workers_change_nothing(self, train):
        inputs = [train(phased(0, .25, 3), *loading) for loading in [
            (0, False), (2, False), (2, True)]]
        assert torch.equal(inputs[0][:, :, 5],
                           self.expected[:, None].expand(24, 4))
        assert torch.equal(inputs[0], inputs[1])
        assert torch.equal(inputs[0], inputs[2])

    def test_the_first_pipeline_replaces_that_of_the_data(self, train):
        inputs = train(phased(0.), **{'train_cfg.max_epochs': 1})
        assert (inputs[:, :, 5] == 1).all()

    def test_skipped_phases_are_named(self, toy_runner):
        runner = toy_runner(**changes(phased(0, .5, .6, .7)))
        warnings: list[str] = []
        runner.logger.warning = warnings.append
        runner.train()
        assert [text[:37] for text in warnings if 'skipped' in text] == [
            'PhasedPipelineHook: pipeline 2 of 4 i']


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory, quick) -> Path:
    folder = tmp_path_factory.mktemp('pipelines')
    Runner.from_cfg(toy_config(folder, **changes(
        phased(0, .25, 3), custom_hooks=[
            phased(0, .25, 3), dict(type='EMAHook', momentum=.1)]))).train()
    return folder


@pytest.mark.parametrize(('at', 'loading'), [
    (7, (0, False)), (10, (2, True)), (19, (2, True)), (22, (0, False))])
def test_resumes_in_the_right_pipeline(
        undisturbed, toy_runner, tmp_path, at, loading):
    settings = changes(phased(0, .25, 3), *loading, custom_hooks=[
        phased(0, .25, 3), dict(type='EMAHook', momentum=.1)], **{
            'default_hooks.checkpoint.interval': 1,
            'default_hooks.checkpoint.by_epoch': False})
    runner = toy_runner('run', **settings)
    runner.register_hook(KillHook('before_train_iter', at))
    with pytest.raises(Killed):
        runner.train()
    _stop_workers(runner.train_loop.dataloader)
    runner = toy_runner('run', resume=True, **settings)
    runner.train()
    _stop_workers(runner.train_loop.dataloader)
    assert_same(final_states(tmp_path / 'run', 'iter_24.pth'),
                final_states(undisturbed))


class Listed(BaseDataset):
    """A data set of MMEngine's with three annotations in memory."""

    def load_data_list(self) -> list[dict]:
        return [dict(id=number) for number in range(3)]

    def get_cat_ids(self, index: int) -> list[int]:
        return [0]


class TestFinding:

    def test_looks_into_wrappers(self):
        first, second = Listed(pipeline=[]), Listed(pipeline=[])
        wrapped = SeededDataset(Subset(ConcatDataset([
            RepeatDataset(first, 2), ClassBalancedDataset(second, .5)]),
            [0, 2]))
        assert list(_find_datasets(wrapped)) == [first, second]

    def test_takes_the_outermost_pipeline(self):
        combined = object.__new__(CombinedDataset)
        combined.datasets = [Listed(pipeline=[]), Listed(pipeline=[])]
        combined.pipeline = Compose([])
        assert list(_find_datasets(combined)) == combined.datasets
        combined.pipeline = Compose(noise(1))
        assert list(_find_datasets(combined)) == [combined]

    def test_each_data_set_gets_its_own(self):
        parts = [PipelineToy(noise(0)), PipelineToy(noise(0))]
        hook = PhasedPipelineHook([dict(begin=0, pipeline=noise(4))])
        loop = object.__new__(EpochBasedTrainLoop)
        loop.dataloader = SimpleNamespace(
            dataset=SimpleNamespace(datasets=parts), _iterator=None)
        loop._epoch, loop._max_epochs = 0, 2
        infos: list[str] = []
        runner = SimpleNamespace(
            train_loop=loop, _train_loop=loop,
            cfg=SimpleNamespace(filename=None),
            logger=SimpleNamespace(info=infos.append))
        hook.before_run(runner)
        assert [part.pipeline.transforms[0].level for part in parts] == [0, 0]
        hook.before_train_epoch(runner)
        assert [part.pipeline.transforms[0].level for part in parts] == [4, 4]
        assert parts[0].pipeline.transforms[0] is not (
            parts[1].pipeline.transforms[0])
        assert infos == ['pipeline 1 of 1: ToyNoise']

    def test_a_test_reads_no_training_data(self):
        hook = PhasedPipelineHook([dict(begin=0, pipeline=noise(4))])
        # the Runner would build the loop when asked for `train_loop`
        hook.before_run(SimpleNamespace(_train_loop=dict(by_epoch=True)))


class TestErrors:

    @pytest.mark.parametrize(('switches', 'message'), [
        ([], 'at least one'),
        ([dict(begin=0)], r'switches\[0\]: expected begin and pipeline'),
        ([dict(begin=0, pipeline=noise(1), preset='light')], 'preset'),
        ([dict(begin=1, pipeline=noise(1))], '0, the start of the run'),
        ([dict(begin=0, pipeline=noise(1)),
          dict(begin=.5, pipeline=[dict(type='NoSuchTransform')])],
         r'switches\[1\].pipeline.*NoSuchTransform'),
        ([dict(begin=0, pipeline=noise(-1))], 'level below 0')])
    def test_come_before_the_training(self, train, switches, message):
        hook = dict(type='mmpose_ext.PhasedPipelineHook', switches=switches)
        with pytest.raises(DataError, match=message):
            train(hook)

    def test_data_without_a_pipeline(self, train):
        with pytest.raises(DataError, match='a data set with a pipeline'):
            train(phased(0.), **{'train_dataloader.dataset': dict(
                _delete_=True, type='mmpose_ext.ToyDataset')})

    def test_loops_that_fetch_in_advance(self, train):
        with pytest.raises(DataError, match='IterBasedTrainLoop'):
            train(phased(0.), train_cfg=dict(
                _delete_=True, by_epoch=False, max_iters=4))
