"""Tasks that ask for tracks keep the answers they hide."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.behavior.ground import WindowGround
from mmpose_ext.behavior.predictive import (
    LisbetContrastTask,
    LisbetForecastTask,
    LisbetMaskedTask,
)
from mmpose_ext.behavior.windows import WindowShape

from .test_pretext import W, numbered_store


def ask(task, count=400, **kwargs):
    ground = WindowGround(numbered_store(), WindowShape(W))
    task.prepare(ground)
    rng = np.random.default_rng(0)
    anchors = ground.locate(rng.integers(0, ground.count, count))
    return task.ask(anchors, rng.random((count, task.draws)), **kwargs)


def test_some_points_are_hidden_for_stretches_and_never_all():
    hidden = ask(LisbetMaskedTask(.5, .3)).labels['hidden']
    assert hidden.shape == (400, W, 2, 1)
    points = hidden.any(1).reshape(400, -1)
    assert .25 < points.mean() < .75 and points.any(1).mean() > .9
    starts = (np.diff(hidden.astype(int), axis=1) == 1).sum(1)
    assert starts.max() <= 1  # one stretch each


def test_the_future_follows_the_window():
    part = ask(LisbetForecastTask(10))
    last = part.inputs[:, -1, 0, 0, 0]
    future = part.labels['future'][:, :, 0, 0, 0]
    np.testing.assert_array_equal(future, last[:, None] + np.arange(1, 11))


def test_the_future_shows_whom_the_window_shows():
    swapped = np.broadcast_to([1, 0], (400, 1, 2))
    store_of = ask(LisbetForecastTask(3), sources=swapped)
    plain = ask(LisbetForecastTask(3))
    np.testing.assert_array_equal(store_of.labels['future'],
                                  plain.labels['future'][:, :, ::-1])


def test_pairs_of_windows_lie_close():
    part = ask(LisbetContrastTask(15))
    early, late = part.inputs[:, 0, 0, 0, 0].reshape(2, 400)
    assert set((late - early).astype(int)) == set(range(1, 16))


@pytest.mark.parametrize('make', [
    lambda: LisbetMaskedTask(0), lambda: LisbetMaskedTask(share=1.5),
    lambda: LisbetForecastTask(0), lambda: LisbetContrastTask(0)])
def test_impossible_settings_are_refused(make):
    with pytest.raises(ValueError, match='expected'):
        make()
