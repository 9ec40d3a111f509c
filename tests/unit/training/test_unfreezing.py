from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from mmpose_ext.storage.errors import DataError

from .conftest import toy_config
from .staged_toy import WatchHook
from .test_checkpoint import assert_same, final_states

HEAD_FIRST = [
    dict(begin=0., trainable=['head', 'stage3']),
    dict(begin=1 / 3, trainable=['+stage2', '+stage1'], step=1 / 6),
    dict(begin=2 / 3, lr_scale=.1, norm_eval=True),
]
DEEP, MIDDLE = {'head', 'stage3'}, {'head', 'stage3', 'stage2'}
ALL = MIDDLE | {'stage1'}


def gradual(phases=HEAD_FIRST, **settings) -> dict:
    settings.setdefault('always_frozen', ['stem'])
    return dict(type='mmpose_ext.GradualUnfreezeHook', phases=phases,
                **settings)


def changes(hook: dict, epochs: int = 6, **more) -> dict:
    return {
        'model': dict(_delete_=True, type='mmpose_ext.StagedToy'),
        'optim_wrapper.optimizer':
        dict(_delete_=True, type='AdamW', lr=.01, weight_decay=.1),
        'param_scheduler': dict(
            _delete_=True, type='CosineAnnealingLR', T_max=6 * epochs,
            by_epoch=False, eta_min_ratio=.05),
        'train_cfg.max_epochs': epochs,
        'custom_hooks': [hook, dict(type='EMAHook', momentum=.1,
                                    update_buffers=True)],
        **more,
    }


@pytest.fixture
def train(toy_runner):

    def run(hook: dict, epochs: int = 6, **more):
        runner = toy_runner(**changes(hook, epochs, **more))
        warnings: list[str] = []
        runner.logger.warning = warnings.append
        runner.watch, runner.warnings = WatchHook(), warnings
        runner.register_hook(runner.watch, 'LOWEST')
        runner.train()
        return runner

    return run


def by_epoch(values: list, epochs: int) -> list:
    """The value of each epoch, in all of whose iterations it is the same."""
    length = len(values) // epochs
    for start in range(0, len(values), length):
        assert values[start:start + length] == [values[start]] * length
    return values[::length]


class TestPhases:

    @pytest.mark.parametrize(('epochs', 'moved'), [
        (12, [DEEP] * 4 + [MIDDLE] * 2 + [ALL] * 6),
        (6, [DEEP] * 2 + [MIDDLE] + [ALL] * 3), (3, [DEEP, MIDDLE, ALL])])
    def test_stages_thaw_the_deepest_first(self, train, epochs, moved):
        runner = train(gradual(), epochs)
        assert by_epoch(runner.watch.moved, epochs) == moved
        last = 2 * epochs // 3
        assert by_epoch(runner.watch.gathered, epochs) == [
            parts - {'head'} for parts in moved[:last]] + [set()] * (
                epochs - last)
        skipped = [text for text in runner.warnings if 'skipped' in text]
        assert skipped == ([] if epochs > 3 else [
            'GradualUnfreezeHook: phase 2 of 3, step 2 of 2 is skipped in a '
            'run of 3'])

    def test_one_epoch_is_trained_too(self, train):
        runner = train(gradual(), 1)
        assert by_epoch(runner.watch.moved, 1) == [MIDDLE]
        assert len(runner.warnings) == 3

    def test_epochs_may_be_counted(self, train):
        phases = [dict(begin=0, trainable=['head']),
                  dict(begin=1, trainable=['+backbone.stage?'],
                       step_epochs=2),
                  dict(begin=4, trainable=['stage2'])]
        runner = train(gradual(phases))
        assert by_epoch(runner.watch.moved, 6) == [
            {'head'}] + [ALL] * 3 + [{'stage2'}] * 2

    def test_all_but_the_always_frozen_trains_by_default(self, train):
        runner = train(gradual([dict(begin=0)], always_frozen=['stage2']), 1)
        assert by_epoch(runner.watch.moved, 1) == [
            {'stem', 'stage1', 'stage3', 'head'}]

    def test_frozen_again_is_still_in_spite_of_momentum(self, train):
        phases = [dict(begin=0), dict(begin=.5, trainable=['head'])]
        runner = train(gradual(phases), 2)
        assert by_epoch(runner.watch.moved, 2) == [ALL, {'head'}]
        states = runner.optim_wrapper.optimizer.state
        steps = {name: int(states[parameter]['step']) for name, parameter in
                 runner.model.named_parameters() if parameter in states}
        assert {n: s for n, s in steps.items() if s != 6} == {
            'head.weight': 12, 'head.bias': 12}
        assert not any('stem' in name for name in steps)

    def test_affine_policy_spares_what_is_always_frozen(self, train):
        phases = [dict(begin=0, trainable=['head'])]
        runner = train(gradual(phases, bn_policy='affine'), 1)
        assert by_epoch(runner.watch.moved, 1) == [ALL]
        assert by_epoch(runner.watch.gathered, 1) == [set()]
        assert not runner.model.backbone.stage1[0].weight.requires_grad

    def test_loops_without_epochs_count_iterations(self, train):
        runner = train(gradual(), train_cfg=dict(
            _delete_=True, by_epoch=False, max_iters=12, val_interval=5))
        assert runner.watch.moved == (
            [DEEP] * 4 + [MIDDLE] * 2 + [ALL] * 6)
        assert [len(names) for names in runner.watch.gathered] == (
            [1] * 4 + [2] * 2 + [3] * 2 + [0] * 4)

    def test_curves_follow_the_phase(self, train):
        runner = train(gradual(), 3)
        history = runner.message_hub.get_scalar('train/phase').data
        assert history[0].tolist() == [1, 2, 3]
        sizes = runner.message_hub.get_scalar(
            'train/trainable_params_M').data[0]
        stage, head = 8 * 8 + 8 + 16, 9
        assert (sizes * 1e6).round().tolist() == [
            stage + head, 2 * stage + head, 3 * stage + head]


class TestRates:

    def test_the_rest_of_the_curve_is_scaled(self, train):
        runner = train(gradual())
        expected = [
            .01 * (.05 + .95 * (1 + math.cos(math.pi * step / 36)) / 2) *
            (.1 if step >= 24 else 1) for step in range(36)]
        assert runner.watch.rates == pytest.approx(expected, rel=1e-9)
        group, = runner.optim_wrapper.optimizer.param_groups
        assert group['phase_scale'] == .1
        assert group['initial_lr'] == pytest.approx(.001)
        assert not any('absolute' in text for text in runner.warnings)

    def test_every_group_is_scaled(self, train):
        runner = train(gradual(), **{
            'optim_wrapper.constructor':
            'mmpose_ext.StageWiseOptimWrapperConstructor',
            'optim_wrapper.paramwise_cfg': dict(stage_lrs=dict(stem=.5))})
        groups = runner.optim_wrapper.param_groups
        rates = {group.get('stage'): group['initial_lr'] for group in groups}
        assert rates == pytest.approx(
            {'head': .001, 'stage3': .001, 'stage2': .001, 'stage1': .001,
             'stem': .0005, None: .001})

    def test_warns_of_an_absolute_minimum(self, train):
        scheduler = dict(_delete_=True, type='CosineAnnealingLR', T_max=6,
                         by_epoch=True, eta_min=1e-4)
        warnings = train(gradual(), 1, param_scheduler=scheduler).warnings
        assert any('eta_min_ratio' in text for text in warnings)
        unscaled = gradual([dict(begin=0, trainable=['head'])])
        assert not train(unscaled, 1, param_scheduler=scheduler).warnings


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory, quick) -> Path:
    folder = tmp_path_factory.mktemp('gradual')
    Runner.from_cfg(toy_config(folder, **changes(gradual()))).train()
    return folder


class TestResume:

    # in each phase, at its borders, and between an epoch and its validation
    @pytest.mark.parametrize(('stage', 'at'), [
        ('before_train_iter', 9), ('before_train_iter', 13),
        ('before_train_iter', 19), ('before_val_epoch', 25),
        ('before_train_iter', 25), ('before_train_iter', 34)])
    @pytest.mark.parametrize('saving', [
        dict(interval=1), dict(interval=2, by_epoch=False)])
    def test_any_phase_goes_on_as_if_undisturbed(
            self, undisturbed, toy_runner, train_killed, tmp_path, stage, at,
            saving):
        more = {f'default_hooks.checkpoint.{key}': value
                for key, value in saving.items()}
        settings = changes(gradual(), **more)
        train_killed('run', stage, at, **settings)
        runner = toy_runner('run', resume=True, **settings)
        runner.train()
        name = 'epoch_6.pth' if saving.get('by_epoch', True) else (
            'iter_36.pth')
        assert_same(final_states(tmp_path / 'run', name),
                    final_states(undisturbed, 'epoch_6.pth'))

    def test_a_scaled_rate_is_not_scaled_again(self, train, toy_runner):
        train(gradual())
        settings = changes(gradual(), 9)  # epoch 6 starts its last phase
        runner = toy_runner('run', resume=True, **settings)
        runner.train()
        group, = runner.optim_wrapper.optimizer.param_groups
        assert group['initial_lr'] == pytest.approx(.001)


class TestErrors:

    @pytest.mark.parametrize(('phases', 'message'), [
        ([], 'phases: expected at least one'),
        ([dict(trainable=['head'])], r'phases\[0\].begin'),
        ([dict(begin=0, trainabel=['head'])], r'phases\[0\].trainabel'),
        ([dict(begin=0, trainable=['stage4'])],
         r'phases\[0\].trainable.*stage4.*did you mean'),
        ([dict(begin=0, trainable=['head', '+stage1'])], 'all patterns or'),
        ([dict(begin=0, trainable=['stem', 'head'])], 'always frozen'),
        ([dict(begin=0, trainable=[])], 'a parameter that trains'),
        ([dict(begin=0, lr_scale=0)], 'lr_scale.*above 0'),
        ([dict(begin=0, lr_scale='.1')], 'lr_scale.*above 0'),
        ([dict(begin=0, step=.1)], 'beside trainable'),
        ([dict(begin=0, trainable=['head'], step=.1, step_epochs=1)],
         'one of step and step_epochs'),
        ([dict(begin=0, trainable=['head'], step_epochs=.5)],
         'whole number of epochs'),
        ([dict(begin=0, trainable=['head'], step=0)], 'above 0'),
        ([dict(begin=0, trainable=['head'], norm_eval=['heat'])],
         r'phases\[0\].norm_eval')])
    def test_settings_that_do_not_fit(self, train, phases, message):
        with pytest.raises(DataError, match=message):
            train(gradual(phases), 1)

    def test_always_frozen_that_matches_nothing(self, train):
        with pytest.raises(DataError, match='always_frozen.*stage9'):
            train(gradual(always_frozen=['stem', 'stage9']), 1)

    def test_a_later_phase_is_checked_at_the_start(self, train):
        phases = [*HEAD_FIRST, dict(begin=.9, trainable=['nowhere'])]
        with pytest.raises(DataError, match=r'phases\[3\].trainable'):
            train(gradual(phases), 1)

    def test_what_the_optimizer_does_not_know_cannot_thaw(self, train):
        frozen = {
            'model': dict(_delete_=True, type='mmpose_ext.StagedToy',
                          frozen=['backbone.stage2']),
            'optim_wrapper.paramwise_cfg': dict(norm_decay_mult=0.)}
        with pytest.raises(DataError, match='stage2.*in the optimizer'):
            train(gradual(), 1, **frozen)
        train(gradual(always_frozen=['stem', 'stage2'],
                      phases=[dict(begin=0)]), 1, **frozen)


def test_compiled_models_thaw(train):
    runner = train(gradual(), 3, compile=dict(backend='aot_eager'))
    assert by_epoch(runner.watch.moved, 3) == [DEEP, MIDDLE, ALL]
    assert sum('compiled anew' in text for text in runner.warnings) == 1
    torch.compiler.reset()
