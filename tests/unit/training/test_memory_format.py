from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn

from mmpose_ext.registry import MODELS

from .conftest import Killed, toy_config


@MODELS.register_module(force=True)
class ToyConvolution(BaseModel):
    """The toy's six numbers as an image of two channels."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 4, 3, padding=1), nn.Flatten(), nn.Linear(12, 1))

    def forward(self, inputs: Tensor, target: Tensor, mode: str):
        images = torch.stack(list(inputs)).reshape(-1, 2, 1, 3)
        error = self.layers(images)[:, 0] - torch.stack(list(target))
        if mode == 'loss':
            return dict(loss=error.square().mean())
        return list(error.square())


def train(folder: Path, *hooks: dict, **changes) -> Runner:
    config = toy_config(
        folder, model=dict(type='mmpose_ext.ToyConvolution', _delete_=True),
        **changes)
    config.model.pop('_delete_', None)
    config.custom_hooks = [*hooks, dict(type='EMAHook', momentum=.1)]
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


HOOK = dict(type='mmpose_ext.ChannelsLastHook')


def test_training_is_the_same_to_rounding(tmp_path: Path) -> None:
    ours = train(tmp_path / 'ours', HOOK).model
    plain = train(tmp_path / 'plain').model
    weight = ours.layers[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value,
                                   rtol=1e-4, atol=1e-5)


def test_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = train(tmp_path / 'whole', HOOK).model.state_dict()
    kill = dict(type='mmpose_ext.KillHook', stage='after_train_iter', at=15)
    with pytest.raises(Killed):
        train(tmp_path / 'part', HOOK, kill)
    resumed = train(tmp_path / 'part', HOOK, resume=True).model.state_dict()
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name


def test_resumed_state_of_the_optimizer_takes_over_the_order(
        tmp_path: Path) -> None:
    """A run that began without the hook goes on as it would have."""
    kill = dict(type='mmpose_ext.KillHook', stage='after_train_iter', at=15)
    with pytest.raises(Killed):
        train(tmp_path / 'part', kill)
    resumed = train(tmp_path / 'part', HOOK, resume=True)
    plain = train(tmp_path / 'plain').model.state_dict()
    for name, value in resumed.model.state_dict().items():
        torch.testing.assert_close(value, plain[name], rtol=1e-4, atol=1e-5)
    weight = resumed.model.layers[0].weight
    momentum = resumed.optim_wrapper.optimizer.state[weight]['momentum_buffer']
    assert momentum.stride() == weight.stride()
