from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.model import MMSeparateDistributedDataParallel
from torch import nn

from mmpose_ext.compat.distributed import CpuSyncBatchNorm
from mmpose_ext.storage.errors import DataError
from mmpose_ext.training import FreezeHook
from mmpose_ext.training.freezing import (
    names_of_part,
    set_trainable,
    still_layers,
)
from mmpose_ext.training.stages import find_stages, select_parameters
from tests.front_door.client import as_torchrun, shared_server

from .staged_toy import NAMES, StagedToy, WatchHook, part_of

ADAMW = dict(_delete_=True, type='AdamW', lr=.01, weight_decay=.1)


@pytest.fixture
def train(toy_runner):
    """Train the toy under one hook; its watcher and the runner."""

    def run(hook: dict, norm: str = 'BatchNorm1d', **changes):
        runner = toy_runner(**{
            'model': dict(_delete_=True, type='mmpose_ext.StagedToy',
                          norm=norm),
            'optim_wrapper.optimizer': ADAMW, 'train_cfg.max_epochs': 2,
            'custom_hooks': [hook, dict(type='EMAHook', momentum=.1,
                                        update_buffers=True)], **changes})
        watch = WatchHook()
        runner.register_hook(watch, 'LOWEST')
        runner.train()
        return watch, runner

    return run


def freeze(*patterns: str, **settings) -> dict:
    return dict(type='mmpose_ext.FreezeHook', patterns=patterns, **settings)


class TestFreezeHook:

    @pytest.mark.parametrize('fused', [False, True])
    def test_what_is_frozen_stays_as_it_was(self, train, fused):
        # decay, momentum, statistics and average included
        watch, runner = train(freeze('backbone.stem', 'stage1'), **{
            'optim_wrapper.optimizer': dict(ADAMW, fused=fused)})
        others = {'stage2', 'stage3', 'head'}
        assert watch.moved == [others] * 12
        assert watch.gathered == [others - {'head'}] * 12
        ema = next(hook for hook in runner.hooks
                   if hasattr(hook, 'ema_model')).ema_model.module
        for key, value in runner.model.state_dict().items():
            is_frozen = part_of(key) in ('stem', 'stage1')
            assert torch.equal(value, watch.start[key]) == is_frozen, key
            assert torch.equal(ema.state_dict()[key],
                               watch.start[key]) == is_frozen, key
        frozen = [parameter for name, parameter in
                  runner.model.named_parameters() if 'stem' in name]
        assert all(p.grad is None for p in frozen)
        assert not any(p in runner.optim_wrapper.optimizer.state
                       for p in frozen)
        assert sum(len(group['params']) for group in
                   runner.optim_wrapper.optimizer.param_groups) == len(
                       list(runner.model.parameters()))

    @pytest.mark.parametrize('norm', ['BatchNorm1d', 'InstanceNorm1d'])
    @pytest.mark.parametrize(('policy', 'moved', 'gathered'), [
        ('eval', False, False), ('train', False, True),
        ('affine', True, False)])
    def test_policies(self, train, norm, policy, moved, gathered):
        if norm == 'InstanceNorm1d':
            nn.TrackedNorm = lambda size: _Tracked(size)
            norm = 'TrackedNorm'
        watch, runner = train(freeze('stem', bn_policy=policy), norm)
        assert all(('stem' in step) == moved for step in watch.moved)
        assert all(('stem' in step) == gathered for step in watch.gathered)
        training = {name for name, parameter in
                    runner.model.named_parameters() if parameter.requires_grad
                    and '.stem' in name}
        assert len(training) == (2 if moved else 0)

    def test_statistics_can_be_kept_where_weights_train(self, train):
        watch, _ = train(freeze('stem', norm_eval=['stage2']))
        assert watch.moved == [{'stage1', 'stage2', 'stage3', 'head'}] * 12
        assert watch.gathered == [{'stage1', 'stage3'}] * 12
        watch, _ = train(freeze('stem', norm_eval=True))
        assert watch.gathered == [set()] * 12

    def test_gradient_clipping_and_accumulation_pass_it_over(self, train):
        watch, _ = train(freeze('stem'), **{
            'optim_wrapper.clip_grad': dict(max_norm=1.),
            'optim_wrapper.accumulative_counts': 2})
        assert all('stem' not in step for step in watch.moved)
        assert watch.moved[1::2] == [{*NAMES[1:], 'head'}] * 6

    def test_what_the_model_froze_stays_frozen(self, train):
        model = dict(type='mmpose_ext.StagedToy', frozen=['backbone.stage2'])
        watch, _ = train(freeze('stem', bn_policy='affine'), model=model)
        assert all('stage2' not in step for step in watch.moved)

    def test_curves_and_log_say_what_trains(self, train, monkeypatch):
        tables = []
        monkeypatch.setattr(
            'mmpose_ext.training.freezing.log_parameter_table',
            lambda runner, title: tables.append(title))
        _, runner = train(freeze('stem', 'stage1'))
        total = sum(p.numel() for p in runner.model.parameters())
        trained = total - (6 * 8 + 8 + 16) - (8 * 8 + 8 + 16)
        assert tables == [
            f'the whole run: frozen stem, stage1; {trained / 1e6:.3f} M of '
            f'{total / 1e6:.3f} M parameters train']
        scalars = runner.log_processor.get_log_after_iter(
            runner, 0, 'train')[0]
        assert scalars['phase'] == 1
        assert scalars['trainable_params_M'] == trained / 1e6

    @pytest.mark.parametrize(('changed', 'names'), [
        ({'stem', 'stage1'}, ['stem', 'stage1']),
        ({'stem', 'backbone.stage1.0'}, ['stem', 'backbone.stage1.0']),
        ({'backbone.stage2.1.bias'}, ['backbone.stage2.1.bias'])])
    def test_the_log_names_no_more_than_has_changed(self, changed, names):
        model = StagedToy()
        parameters = select_parameters(model, [*changed], 'patterns')
        assert [name for stage in find_stages(model) for name in
                names_of_part(model, stage, {*parameters})] == names

    @pytest.mark.parametrize(('hook', 'message'), [
        (freeze('backbone.stage9'), r'FreezeHook.patterns.*stage9.*mean'),
        (freeze('backbone', 'head'), 'a parameter that trains'),
        (freeze('stem', norm_eval=['nowhere']), 'norm_eval.*nowhere')])
    def test_refuses_what_does_not_fit(self, train, hook, message):
        with pytest.raises(DataError, match=message):
            train(hook)

    def test_refuses_unknown_policies_and_a_second_hook(self, train):
        with pytest.raises(DataError, match='bn_policy.*eval, train, affine'):
            FreezeHook(['stem'], bn_policy='frozen')
        with pytest.raises(DataError, match='one hook that freezes'):
            train(freeze('stem'), custom_hooks=[freeze('stem')] * 2)

    def test_refuses_other_wrappers(self, toy_runner):
        runner = toy_runner()
        runner.model = object.__new__(MMSeparateDistributedDataParallel)
        nn.Module.__init__(runner.model)
        with pytest.raises(DataError, match='SeparateDistributed'):
            FreezeHook(['stem']).before_train(runner)


class _Tracked(nn.Module):
    """Instance normalisation of a vector cut into channels of four."""

    def __new__(cls, size: int):
        return nn.Sequential(
            nn.Unflatten(1, (size // 4, 4)),
            nn.InstanceNorm1d(size // 4, affine=True,
                              track_running_stats=True), nn.Flatten())


class TestParts:

    def test_freezing_drops_gradients_and_names_changes(self):
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        model(torch.ones(1, 2)).sum().backward()
        assert set_trainable(model, {'1.weight', '1.bias'}) == {
            '0.weight', '0.bias'}
        assert model[0].weight.grad is None and model[1].weight.grad is not (
            None)
        assert set_trainable(model, {'0.weight', '1.bias'}) == {
            '0.weight', '1.weight'}
        assert model[0].weight.requires_grad and not (
            model[0].bias.requires_grad or model[1].weight.requires_grad)

    @pytest.mark.parametrize('layer', [
        nn.BatchNorm1d(3), nn.BatchNorm2d(3), nn.SyncBatchNorm(3),
        CpuSyncBatchNorm(3), nn.BatchNorm2d(3, affine=False),
        nn.InstanceNorm2d(3, track_running_stats=True)])
    def test_layers_with_statistics_are_still(self, layer):
        model = nn.Module()
        model.backbone = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 3, 1), layer), nn.Conv2d(3, 3, 1))
        assert still_layers(model, {'backbone.1.weight'}, 'eval', False,
                            '') == (layer, )
        assert still_layers(model, {'backbone.1.weight'}, 'train', False,
                            '') == ()
        for policy in ('eval', 'train'):
            assert still_layers(model, dict(model.named_parameters()), policy,
                                ['backbone.0'], '') == (layer, )
            assert still_layers(model, dict(model.named_parameters()), policy,
                                ['backbone.1'], '') == ()

    @pytest.mark.parametrize('layer', [
        nn.LayerNorm(3), nn.GroupNorm(1, 3), nn.InstanceNorm2d(3),
        nn.BatchNorm2d(3, track_running_stats=False)])
    def test_layers_without_statistics_do_not_matter(self, layer):
        model = nn.Sequential(nn.Linear(3, 3), layer)
        assert still_layers(model, (), 'eval', True, '') == ()


def launch(script: Path, folder: Path, processes: int) -> None:
    """Run a script, as torchrun does in so many processes."""
    argv = [str(script), str(folder)]
    if processes > 1:
        argv += ['--launcher', 'pytorch']
    log = folder / f'{processes}.txt'
    codes = shared_server().run(argv, log, as_torchrun(processes), 240)
    assert codes == [0] * processes, log.read_text()


@pytest.mark.dist
def test_two_processes_thaw_as_one(tmp_path: Path):
    script = Path(__file__).with_name('thaw_rtmpose.py')
    launch(script, tmp_path, 1)
    launch(script, tmp_path, 2)
    one, first, second = (torch.load(tmp_path / name, weights_only=True)
                          for name in ('1_0.pth', '2_0.pth', '2_1.pth'))
    expected = [{'stage4', 'head'}, {'stage3', 'stage4', 'head'},
                {'stage2', 'stage3', 'stage4', 'head'}, {'head'}]
    for run in (one, first, second):
        assert [set(parts) for parts in run['moved']] == expected
        assert [set(parts) for parts in run['gathered']] == [
            parts - {'head'} for parts in expected]
    assert first['rebuilt'] == 4
    for key, value in one['state'].items():
        assert torch.equal(first['state'][key], second['state'][key]), key
        torch.testing.assert_close(first['state'][key], value, rtol=1e-3,
                                   atol=1e-5, msg=lambda t, k=key: f'{k}: {t}')
