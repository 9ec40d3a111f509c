"""Missing points: which they are, and gaps that are closed."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.behavior.gaps import (
    default_max_gap,
    drop_uncertain,
    fill_gaps,
    longest_gaps,
    missing_points,
)


def gappy(frames: int = 400, seed: int = 0) -> np.ndarray:
    """Tracks (T, 2, 3, 2) with gaps of all lengths, at the ends too."""
    rng = np.random.default_rng(seed)
    position = rng.normal(100, 30, (frames, 2, 3, 2)).astype(np.float32)
    for _ in range(60):
        start = rng.integers(0, frames)
        position[start:start + rng.integers(1, 12), rng.integers(2),
                 rng.integers(3)] = np.nan
    position[:4, 0, 0] = position[-3:, 1, 2] = np.nan
    return position


def filled_one_by_one(position: np.ndarray, limit: int) -> np.ndarray:
    """The same by numpy's interpolation, track by track."""
    result = position.copy()
    rows = np.arange(len(position))
    for n, k in np.ndindex(position.shape[1:3]):
        missing = np.isnan(position[:, n, k, 0])
        known = ~missing
        runs = np.split(rows, np.flatnonzero(np.diff(missing)) + 1)
        for run in runs:
            if missing[run[0]] and len(run) <= limit:
                for axis in range(position.shape[-1]):
                    result[run, n, k, axis] = np.interp(
                        run, rows[known], position[known, n, k, axis])
    return result


@pytest.mark.parametrize('limit', [1, 3, 5, 400])
def test_gaps_are_closed_as_numpy_interpolates(limit):
    position = gappy()
    expected = filled_one_by_one(position, limit)
    before = np.isnan(position[..., 0]).sum()
    count = fill_gaps(position, limit)
    np.testing.assert_allclose(position, expected, rtol=1e-6)
    assert count == before - np.isnan(position[..., 0]).sum() > 0


def test_a_limit_of_zero_changes_nothing():
    position = gappy()
    before = position.copy()
    assert fill_gaps(position, 0) == 0
    np.testing.assert_array_equal(position, before)


def test_a_point_that_is_never_there_stays_away():
    position = gappy()
    position[:, 1, 1] = np.nan
    fill_gaps(position, len(position))
    assert np.isnan(position[:, 1, 1]).all()
    assert np.isfinite(position[:, 0]).all()


def test_an_array_that_would_be_copied_is_refused():
    position = gappy().transpose(1, 0, 2, 3)
    with pytest.raises(ValueError, match='C-ordered'):
        fill_gaps(position, 3)


def test_points_below_the_threshold_go_and_unknown_ones_stay():
    position = np.ones((3, 1, 1, 2), np.float32)
    confidence = np.array([.4, .5, np.nan], np.float32).reshape(3, 1, 1)
    drop_uncertain(position, confidence, .5)
    np.testing.assert_array_equal(
        missing_points(position).ravel(), [True, False, False])


def test_the_longest_gap_of_each_point_is_found():
    missing = np.zeros((20, 2, 2), bool)
    missing[3:7, 0, 1] = missing[10:12, 0, 1] = True
    missing[:, 1, 0] = True
    missing[15:, 1, 1] = True
    np.testing.assert_array_equal(longest_gaps(missing), [[0, 4], [20, 5]])


@pytest.mark.parametrize(('fps', 'frames'),
                         [(30, 6), (100, 20), (2, 1), (None, 5)])
def test_a_fifth_of_a_second_is_closed_by_default(fps, frames):
    assert default_max_gap(fps) == frames
