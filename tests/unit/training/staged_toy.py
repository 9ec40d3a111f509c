"""A toy with a stem, three stages and a head, for what freezes."""
from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmpose_ext.registry import MODELS
from mmpose_ext.training import bare_model

NAMES = ('stem', 'stage1', 'stage2', 'stage3')


class StagedBackbone(nn.Module):

    def __init__(self, norm: type[nn.Module] = nn.BatchNorm1d) -> None:
        super().__init__()
        for number, name in enumerate(NAMES):
            self.add_module(name, nn.Sequential(
                nn.Linear(8 if number else 6, 8), norm(8), nn.ReLU()))

    def forward(self, features: Tensor) -> Tensor:
        for name in NAMES:
            features = getattr(self, name)(features)
        return features


@MODELS.register_module(force=True)
class StagedToy(BaseModel):
    """``frozen`` lists parts that the model itself freezes when built."""

    def __init__(self, norm: str = 'BatchNorm1d', frozen: tuple = ()) -> None:
        super().__init__()
        self.backbone = StagedBackbone(getattr(nn, norm))
        self.head = nn.Linear(8, 1)
        for part in frozen:
            self.get_submodule(part).requires_grad_(False)

    def forward(self, inputs: Tensor, target: Tensor, mode: str) -> Any:
        features = self.backbone(torch.stack(list(inputs)))
        error = self.head(features)[:, 0] - torch.stack(list(target))
        if mode == 'loss':
            return dict(loss=error.square().mean())
        return list(error.square())


class WatchHook(Hook):
    """Notes which stages differ from what they were an iteration before."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.moved: list[set[str]] = []     # parameters
        self.gathered: list[set[str]] = []  # running statistics
        self.rates: list[float] = []

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.before = _copy(runner)
        self.start = getattr(self, 'start', self.before)
        self.rates.append(runner.optim_wrapper.optimizer.param_groups[0]['lr'])

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None) -> None:
        after = _copy(runner)
        changed = {key for key, value in after.items()
                   if not torch.equal(value, self.before[key])}
        statistics = {key for key in changed
                      if 'running' in key or 'tracked' in key}
        self.moved.append({part_of(key) for key in changed - statistics})
        self.gathered.append({part_of(key) for key in statistics})


def part_of(key: str) -> str:
    return next((name for name in NAMES if f'.{name}.' in key), 'head')


def _copy(runner) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in
            bare_model(runner.model).state_dict().items()}
