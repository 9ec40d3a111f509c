"""A family so small that a whole training takes a moment."""
from __future__ import annotations

import copy
import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn

from mmpose_ext.registry import DATASETS, HOOKS, METRICS, MODELS

_counter = itertools.count()


@DATASETS.register_module(force=True)
class ToyDataset:
    """Noise from the three global generators, as MMPose's transforms draw."""

    metainfo = dict(name='toy')

    def __init__(self, size: int = 24) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict:
        inputs = torch.linspace(-1, 1, 6) * (index % 7 - 3)
        inputs = inputs + .1 * torch.rand(6) + .1 * random.random()
        inputs = inputs + .1 * float(np.random.randn())
        return dict(inputs=inputs, target=torch.tensor(float(index % 5)))


@MODELS.register_module(force=True)
class ToyModel(BaseModel):
    """Batch normalisation and dropout between two linear layers."""

    def __init__(self, dropout: float = .5) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(8, 1))

    def forward(self, inputs: Tensor, target: Tensor, mode: str):
        error = self.layers(torch.stack(list(inputs)))[:, 0] - torch.stack(
            list(target))
        if mode == 'loss':
            return dict(loss=error.square().mean())
        return list(error.square())


@METRICS.register_module(force=True)
class ToyMetric(BaseMetric):
    """Mean of the squared errors; every result is noted."""

    seen: list[float] = []

    def process(self, data_batch, data_samples) -> None:
        self.results.extend(float(value) for value in data_samples)

    def compute_metrics(self, results: list) -> dict:
        self.seen.append(float(np.mean(results)))
        return dict(error=self.seen[-1])


class Killed(BaseException):
    """What a kill would be, if this process could survive it."""


@HOOKS.register_module(force=True)
class KillHook(Hook):
    """Ends the run at one moment."""

    priority = 'LOWEST'

    def __init__(self, stage: str, at: int) -> None:
        self.at = at
        setattr(self, stage, self._kill)

    def _kill(self, runner: Runner, *args, **kwargs) -> None:
        if runner.iter + 1 == self.at:
            raise Killed


def toy_config(work_dir: Path, **changes) -> Config:
    """A config whose dotted keys can be changed."""
    config = Config(
        dict(
            model=dict(type='mmpose_ext.ToyModel'),
            train_dataloader=_loader(
                24, dict(type='mmpose_ext.DrawSampler'), 4),
            val_dataloader=_loader(
                7, dict(type='DefaultSampler', shuffle=False), 4),
            train_cfg=dict(by_epoch=True, max_epochs=4, val_interval=1),
            val_cfg=dict(),
            val_evaluator=dict(type='mmpose_ext.ToyMetric'),
            optim_wrapper=dict(
                optimizer=dict(type='SGD', lr=.05, momentum=.9)),
            param_scheduler=dict(
                type='CosineAnnealingLR', T_max=24, by_epoch=False),
            default_hooks=dict(
                timer=dict(type='IterTimerHook'),
                logger=dict(type='LoggerHook', interval=100),
                param_scheduler=dict(type='ParamSchedulerHook'),
                sampler_seed=dict(type='DistSamplerSeedHook'),
                determinism=dict(type='mmpose_ext.DeterminismHook'),
                checkpoint=dict(
                    type='mmpose_ext.ResumableCheckpointHook',
                    interval=1,
                    save_best='error',
                    rule='less',
                    max_keep_ckpts=2)),
            custom_hooks=[dict(type='EMAHook', momentum=.1)],
            randomness=dict(seed=5),
            env_cfg=dict(mp_cfg=dict(mp_start_method='fork')),
            visualizer=dict(type='Visualizer', vis_backends=[]),
            log_level='WARNING',
            default_scope='mmengine',
            work_dir=str(work_dir)))
    config.merge_from_dict(copy.deepcopy(changes))
    config.experiment_name = f'toy{next(_counter)}'
    return config


def _loader(size: int, sampler: dict, batch_size: int) -> dict:
    return dict(
        batch_size=batch_size,
        num_workers=0,
        sampler=sampler,
        collate_fn=dict(type='default_collate'),
        dataset=dict(
            type='mmpose_ext.SeededDataset',
            dataset=dict(type='mmpose_ext.ToyDataset', size=size)))


@pytest.fixture(autouse=True, scope='session')
def quick():
    """Leave out what takes most of a toy's time: pretty configs, threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmengine.config.config.FormatCode',
                      lambda text, **_: (text, True))
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope='session')
def undisturbed(quick, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted; ``errors.json`` holds its metrics."""
    folder = tmp_path_factory.mktemp('undisturbed')
    ToyMetric.seen.clear()
    Runner.from_cfg(toy_config(folder)).train()
    (folder / 'errors.json').write_text(json.dumps(ToyMetric.seen))
    return folder


@pytest.fixture
def toy_runner(tmp_path: Path) -> Callable[..., Runner]:
    """Build a runner in `tmp_path`, or in the folder given."""

    def build(folder: str | Path = 'run', **changes) -> Runner:
        return Runner.from_cfg(toy_config(tmp_path / folder, **changes))

    return build


@pytest.fixture
def train_killed(toy_runner) -> Callable[..., None]:
    """Train until the process is "killed" at a stage of an iteration."""

    def train(folder: str, stage: str, at: int, **changes) -> None:
        runner = toy_runner(folder, **changes)
        runner.register_hook(KillHook(stage, at))
        with pytest.raises(Killed):
            runner.train()

    return train
