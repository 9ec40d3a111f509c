"""Each stage learns at the rate that the config gives it."""
from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from torch import Tensor, nn

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError


class ScaleNorm(nn.Module):
    """A norm that is none of torch's."""

    def __init__(self) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1))


class Network(nn.Module):
    """Two stages after a stem, a head with a norm of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict(dict(
            stem=nn.Linear(2, 2), stage1=nn.BatchNorm1d(2),
            stage2=nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))))
        self.head = nn.Sequential(ScaleNorm(), nn.Linear(2, 1))


@MODELS.register_module(force=True)
class StagewiseToy(BaseModel):
    """What the toy data set can train, in stages."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict(dict(
            stem=nn.Linear(6, 8), stage1=nn.Linear(8, 8)))
        self.head = nn.Linear(8, 1)

    def forward(self, inputs: Tensor, target: Tensor, mode: str):
        x = torch.stack(list(inputs))
        for stage in self.backbone.values():
            x = stage(x)
        error = (self.head(x)[:, 0] - torch.stack(list(target))).square()
        return dict(loss=error.mean()) if mode == 'loss' else list(error)


def built(model: nn.Module, optimizer: dict | None = None,
          wrapper: dict | None = None, **paramwise_cfg):
    return build_optim_wrapper(model, dict(
        type='OptimWrapper',
        constructor='mmpose_ext.StageWiseOptimWrapperConstructor',
        optimizer=optimizer or dict(type='AdamW', lr=1., weight_decay=.5),
        paramwise_cfg=paramwise_cfg, **(wrapper or {})))


def groups_of(model: nn.Module, **paramwise_cfg) -> dict[str, tuple]:
    """Names of the parameters, rate and decay of each group."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        group['name']: ([names[id(p)] for p in group['params']],
                        group['lr'], group['weight_decay'])
        for group in built(model, **paramwise_cfg).optimizer.param_groups}


def test_groups_are_those_worked_out_by_hand() -> None:
    assert groups_of(Network(), stage_lrs=dict(stem=.05, stage2=.5)) == {
        'head.weight': (['head.1.weight'], 1., .5),
        'head.bias+norm': (['head.0.g', 'head.1.bias'], 1., 0.),
        'stage2.weight': (['backbone.stage2.0.weight'], .5, .5),
        'stage2.bias+norm': (['backbone.stage2.0.bias',
                              'backbone.stage2.1.weight',
                              'backbone.stage2.1.bias'], .5, 0.),
        'stage1.norm': (['backbone.stage1.weight', 'backbone.stage1.bias'],
                        1., 0.),
        'stem.weight': (['backbone.stem.weight'], .05, .5),
        'stem.bias': (['backbone.stem.bias'], .05, 0.),
    }


def rates(model: nn.Module, **paramwise_cfg) -> dict[str, float]:
    return {group['stage']: group['lr'] for group in built(
        model, **paramwise_cfg).optimizer.param_groups}


def test_layer_decay_falls_towards_the_stem() -> None:
    found = rates(Network(), layer_decay=.7, head_lr_mult=2.)
    assert found == pytest.approx(
        dict(head=2., stage2=.7, stage1=.49, stem=.343))


def test_without_settings_every_stage_has_the_base_rate() -> None:
    assert rates(Network()) == dict(head=1., stage2=1., stage1=1., stem=1.)


def test_decay_of_norms_and_biases_can_be_kept() -> None:
    found = groups_of(Network(), norm_decay_mult=1., bias_decay_mult=1.)
    assert {decay for _, _, decay in found.values()} == {.5}
    assert len(found) == 4


def test_frozen_parameters_can_thaw_later() -> None:
    model = Network()
    model.backbone.stem.requires_grad_(False)
    before = model.backbone.stem.weight.clone()
    wrapper = built(model)
    count = sum(len(g['params']) for g in wrapper.optimizer.param_groups)
    assert count == len(list(model.parameters()))
    model.backbone.stem.requires_grad_(True)
    wrapper.update_params(
        model.backbone.stem(torch.ones(1, 2)).square().sum())
    assert not torch.equal(model.backbone.stem.weight, before)


def test_shared_parameter_is_in_one_group() -> None:
    model = Network()
    model.head[1].weight = nn.Parameter(torch.zeros(2, 2))
    model.backbone.stem.weight = model.head[1].weight
    groups = groups_of(model)
    everything = [name for names, _, _ in groups.values() for name in names]
    assert everything.count('backbone.stem.weight') == 1
    assert 'head.1.weight' not in everything


def test_wrapped_model_has_the_same_groups() -> None:
    model = Network()
    wrapped = built(nn.DataParallel(model), layer_decay=.5).optimizer
    bare = built(model, layer_decay=.5).optimizer
    assert [(g['name'], g['lr'], g['params'][0] is h['params'][0])
            for g, h in zip(wrapped.param_groups, bare.param_groups,
                            strict=True)] == [
        (g['name'], g['lr'], True) for g in bare.param_groups]


def test_optimiser_without_decay() -> None:
    wrapper = built(Network(), dict(type='SGD', lr=2.), layer_decay=.5)
    assert wrapper.optimizer.param_groups[-1]['lr'] == .25


def test_fused_optimiser_under_amp_steps_and_reloads() -> None:
    model = Network()
    optimizer = dict(type='AdamW', lr=.1, weight_decay=.5, fused=True)
    wrapper = built(model, optimizer, layer_decay=.5)
    amp = build_optim_wrapper(model, dict(
        type='AmpOptimWrapper', dtype='bfloat16',
        constructor='mmpose_ext.StageWiseOptimWrapperConstructor',
        optimizer=optimizer, paramwise_cfg=dict(layer_decay=.5)))
    before = model.head[1].weight.clone()
    with amp.optim_context(model):
        loss = model.head[1](torch.ones(3, 2)).square().sum()
    amp.update_params(loss)
    assert not torch.equal(model.head[1].weight, before)
    wrapper.load_state_dict(copy.deepcopy(amp.state_dict()))
    assert wrapper.optimizer.param_groups[0]['name'] == 'head.weight'


@pytest.mark.parametrize('settings, where, found, hint', [
    (dict(stage_lrs=dict(stage3=.1)), 'stage_lrs', 'stage3', 'stage2'),
    (dict(stage_lrs=dict(stem=0.)), 'stage_lrs.stem', '0.0', 'FreezeHook'),
    (dict(stage_lrs=dict(stem=-1)), 'stage_lrs.stem', '-1', 'FreezeHook'),
    (dict(head_lr_mult=0), 'head_lr_mult', '0', 'FreezeHook'),
    (dict(layer_decay=0.), 'layer_decay', '0.0', 'FreezeHook'),
    (dict(layer_decay=.7, stage_lrs=dict(stem=.1)), 'layer_decay', 'both', ''),
    (dict(head_lr_mult=2, stage_lrs=dict(head=.1)), 'head_lr_mult', 'both',
     ''),
    (dict(stage_lr=dict(stem=.1)), 'stage_lr', 'stage_lr', 'stage_lrs'),
    (dict(custom_keys=dict()), 'custom_keys', 'custom_keys', ''),
])
def test_settings_that_would_do_something_else_are_refused(
        settings, where, found, hint) -> None:
    with pytest.raises(DataError) as caught:
        built(Network(), **settings)
    error = caught.value
    assert error.where == f'optim_wrapper.paramwise_cfg.{where}'
    assert found in error.found and hint in error.hint


def test_optimiser_without_a_rate_is_refused() -> None:
    with pytest.raises(DataError, match='lr'):
        built(Network(), dict(type='SGD', momentum=.9))


def test_rates_of_the_stages_are_logged_beside_the_first_groups(
        toy_runner) -> None:
    runner = toy_runner(**{
        'model': dict(_delete_=True, type='mmpose_ext.StagewiseToy'),
        'optim_wrapper': dict(
            constructor='mmpose_ext.StageWiseOptimWrapperConstructor',
            paramwise_cfg=dict(stage_lrs=dict(stem=.1, stage1=.5)),
            optimizer=dict(lr=.01)),
        'param_scheduler': dict(
            _delete_=True, type='MultiStepLR', milestones=[2], gamma=.1),
        'train_cfg.max_epochs': 3,
        'default_hooks.logger.interval': 6,
        'default_hooks.checkpoint.save_optimizer': True,
        'custom_hooks': [dict(type='mmpose_ext.StageLRHook')],
        'visualizer.vis_backends': [dict(type='LocalVisBackend')]})
    messages: list[str] = []
    runner.logger.info = messages.append
    runner.train()
    file, = Path(runner.work_dir).glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    train = [line for line in lines if 'lr/stem' in line]
    names = ('lr', 'lr/stem', 'lr/stage1', 'lr/head')
    np.testing.assert_allclose(
        [[line[name] for name in names] for line in train],
        [[.01, .001, .005, .01], [.01, .001, .005, .01],
         [.001, .0001, .0005, .001]])
    table = next(text for text in messages if 'What trains' in text)
    assert 'stage1' in table and '0.005' in table


def test_table_is_logged_once_beside_a_hook_that_freezes(toy_runner) -> None:
    messages: list[str] = []
    runner = toy_runner(**{
        'model': dict(_delete_=True, type='mmpose_ext.StagewiseToy'),
        'train_cfg.max_epochs': 1,
        'custom_hooks': [
            dict(type='mmpose_ext.StageLRHook'),
            dict(type='mmpose_ext.FreezeHook', patterns=['stem'])]})
    runner.logger.info = messages.append
    runner.train()
    table, = (text for text in messages if 'tensors' in text)
    rows = [line.split()[:4] for line in table.splitlines()]
    assert ['stem', '2', '56', '0'] in rows
