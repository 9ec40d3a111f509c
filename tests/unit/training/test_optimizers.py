"""Joined groups train as single ones do."""
from __future__ import annotations

import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

SETTINGS = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=.1, weight_decay=.5),
    paramwise_cfg=dict(
        norm_decay_mult=0, bias_decay_mult=0,
        custom_keys={'3': dict(lr_mult=.1)}))


def trained(**settings: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(),
        nn.Linear(4 * 16, 3))
    wrapper = build_optim_wrapper(model, dict(SETTINGS, **settings))
    images = torch.randn(5, 1, 6, 6)
    for _ in range(3):
        wrapper.update_params(model(images).square().mean())
    return model, wrapper.optimizer


def test_fewer_groups_same_weights() -> None:
    single, many = trained()
    joined, few = trained(
        constructor='mmpose_ext.GroupedOptimWrapperConstructor')
    assert len(many.param_groups) == 6
    # with decay, without, and the custom key with each of the two
    assert len(few.param_groups) <= 4
    for name, value in single.state_dict().items():
        torch.testing.assert_close(
            joined.state_dict()[name], value, rtol=0, atol=1e-6)


def test_every_parameter_keeps_its_settings() -> None:
    _, many = trained()
    _, few = trained(constructor='mmpose_ext.GroupedOptimWrapperConstructor')

    def settings(optimizer: torch.optim.Optimizer) -> list:
        return sorted((tuple(p.shape), group['lr'], group['weight_decay'])
                      for group in optimizer.param_groups
                      for p in group['params'])

    assert settings(many) == settings(few)
