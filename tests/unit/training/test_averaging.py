"""The average spans ten epochs of a long run, and survives a kill."""
from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from mmpose_ext.compat.checkpoints import load_checkpoint
from mmpose_ext.training import AutoEMAHook
from mmpose_ext.training.averaging import LerpExpMomentumEMA

HOOK = [dict(type='mmpose_ext.AutoEMAHook')]


def average(toy_runner, samples: int, hook: dict | None = None,
            epochs: int = 300):
    """The averaged model of a run that is about to begin."""
    runner = toy_runner(custom_hooks=[{**HOOK[0], **(hook or {})}], **{
        'train_dataloader.dataset.dataset.size': samples,
        'train_cfg.max_epochs': epochs})
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.call_hook('before_run')
    return next(hook for hook in runner.hooks
                if isinstance(hook, AutoEMAHook)).ema_model


@pytest.mark.parametrize('samples, momentum, gamma', [
    (4 * 35, 1 / 350, 350), (4 * 500, 2e-4, 2000), (4 * 1000, 2e-4, 2000),
    (4 * 450, 1 / 4500, 2000), (4, .1, 10)])
def test_momentum_follows_the_length_of_an_epoch(
        toy_runner, samples, momentum, gamma) -> None:
    found = average(toy_runner, samples)
    assert type(found).__name__ == 'LerpExpMomentumEMA'
    assert found.update_buffers
    assert found.momentum == pytest.approx(momentum)
    assert found.gamma == gamma


def test_average_of_a_short_run_is_a_twentieth_of_it(toy_runner) -> None:
    found = average(toy_runner, 4 * 15, epochs=40)
    assert found.momentum == pytest.approx(1 / 30)
    assert average(toy_runner, 4 * 15, epochs=1).momentum == .5


def test_other_settings_are_passed_on(toy_runner) -> None:
    found = average(toy_runner, 140, dict(
        ema_type='ExponentialMovingAverage', update_buffers=False,
        interval=3))
    assert type(found).__name__ == 'ExponentialMovingAverage'
    assert not found.update_buffers and found.interval == 3
    assert AutoEMAHook(begin_iter=4).begin_iter == 4


def test_momentum_is_not_an_option() -> None:
    with pytest.raises(TypeError, match='computes the momentum'):
        AutoEMAHook(momentum=.1)


class Recorder:
    """Notes a weight after every iteration."""

    def __init__(self, runner: Runner) -> None:
        self.values: list[float] = []
        loop = runner.call_hook

        def call(name: str, **arguments) -> None:
            if name == 'after_train_iter':
                self.values.append(runner.model.layers[4].bias[0].item())
            loop(name, **arguments)

        runner.call_hook = call


def test_average_is_the_one_worked_out_from_the_weights(toy_runner) -> None:
    runner = toy_runner(custom_hooks=HOOK, **{'train_cfg.max_epochs': 40})
    noted = Recorder(runner)
    runner.train()
    # 240 iterations: momentum 1/12, gamma 12; the first is a copy
    expected = noted.values[0]
    for step, value in enumerate(noted.values[1:], 1):
        momentum = (1 - 1 / 12) * math.exp(-(1 + step) / 12) + 1 / 12
        expected += momentum * (value - expected)
    hook = next(h for h in runner.hooks if isinstance(h, AutoEMAHook))
    found = hook.ema_model.module.layers[4].bias[0].item()
    assert found == pytest.approx(expected, rel=1e-5)
    assert abs(found - noted.values[-1]) > 1e-4


def test_resumed_average_is_exact(
        toy_runner, train_killed, tmp_path: Path) -> None:
    toy_runner('whole', custom_hooks=HOOK).train()
    train_killed('cut', 'after_train_iter', 15, custom_hooks=HOOK)
    toy_runner('cut', custom_hooks=HOOK, resume=True).train()
    whole, cut = (load_checkpoint(tmp_path / name / 'epoch_4.pth')
                  for name in ('whole', 'cut'))
    for part in ('state_dict', 'ema_state_dict'):
        assert whole[part].keys() == cut[part].keys()
        for name, value in whole[part].items():
            assert torch.equal(value, cut[part][name]), name
    assert int(whole['ema_state_dict']['steps']) == 24


def test_average_of_what_does_not_change_keeps_its_bits() -> None:
    source = torch.randn(10_000)
    averaged = source.clone()
    for momentum in (2e-4, .3, .5, .7):
        average = LerpExpMomentumEMA(torch.nn.Linear(1, 1), momentum, gamma=9)
        for step in range(40):
            average.avg_func(averaged, source, step)
    assert torch.equal(averaged, source)
