from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.storage import DataError
from mmpose_ext.training import ResumableEarlyStoppingHook

from .conftest import ToyMetric

# the metric's value after each of the epochs
VALUES = [5., 4., 4.5, 4.4, 3., 3.3, 3.2, 3.1, 2.]
STOPPING = dict(
    type='mmpose_ext.ResumableEarlyStoppingHook',
    monitor='error', rule='less', min_delta=0., patience=3)


@pytest.fixture
def changes(monkeypatch) -> dict:
    """A run of nine epochs with the values above; it stops after eight."""
    monkeypatch.setattr(
        ToyMetric, 'compute_metrics',
        lambda self, results: dict(error=np.float64(VALUES[self.epoch()])))
    return {
        'train_cfg.max_epochs': len(VALUES),
        'custom_hooks': [dict(STOPPING)],
    }


@pytest.fixture
def follow(monkeypatch):
    """Tell the metric which epoch it is."""

    def tell(runner):
        monkeypatch.setattr(ToyMetric, 'epoch',
                            lambda self: runner.epoch - 1, raising=False)
        return runner

    return tell


def hook_of(runner) -> ResumableEarlyStoppingHook:
    return next(hook for hook in runner.hooks
                if isinstance(hook, ResumableEarlyStoppingHook))


@pytest.mark.parametrize('epochs', [2, 3, 4, 6, 7])
def test_counts_on_after_a_resume(toy_runner, changes, follow, epochs):
    first = follow(toy_runner(**{**changes, 'train_cfg.max_epochs': epochs}))
    first.train()
    assert first.epoch == epochs
    resumed = follow(toy_runner(resume=True, **changes))
    resumed.train()
    assert resumed.epoch == 8
    assert hook_of(resumed).best_score == 3.
    assert hook_of(resumed).wait_count == 3


def test_stopped_run_stays_stopped_until_settings_change(
        toy_runner, changes, follow):
    follow(toy_runner(**changes)).train()
    again = follow(toy_runner(resume=True, **changes))
    again.train()
    assert again.epoch == 8
    changes['custom_hooks'] = [dict(STOPPING, patience=4)]
    longer = follow(toy_runner(resume=True, **changes))
    longer.train()
    assert longer.epoch == 9 and hook_of(longer).best_score == 2.


def test_threshold_reached_is_remembered(toy_runner, changes, follow):
    changes['custom_hooks'] = [dict(STOPPING, stopping_threshold=4.2)]
    follow(toy_runner(**changes)).train()
    again = follow(toy_runner(resume=True, **changes))
    again.train()
    assert again.epoch == 2


def test_loading_weights_is_no_resume(toy_runner, changes, follow, tmp_path):
    follow(toy_runner(**{**changes, 'train_cfg.max_epochs': 3})).train()
    fresh = toy_runner(
        'other', load_from=str(tmp_path / 'run' / 'epoch_3.pth'), **changes)
    fresh.call_hook('before_run')
    fresh.load_or_resume()
    assert hook_of(fresh).wait_count == 0
    assert hook_of(fresh).best_score == float('inf')


@pytest.mark.parametrize('begin, epochs', [(0, 8), (6, 9), (2 / 3, 9)])
def test_validations_before_the_beginning_do_not_count(
        toy_runner, changes, follow, begin, epochs):
    changes['custom_hooks'][0]['begin'] = begin
    runner = follow(toy_runner(**changes))
    runner.train()
    assert runner.epoch == epochs


def test_beginning_before_the_run_is_an_error(toy_runner, changes):
    changes['custom_hooks'][0]['begin'] = -1
    with pytest.raises(DataError, match='EarlyStoppingHook.begin'):
        toy_runner(**changes).train()
