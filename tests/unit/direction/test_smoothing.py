"""Filters against closed forms and independent implementations."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import median_filter
from scipy.signal import savgol_filter

from mmpose_ext.direction.angles import direction_angles, wrap
from mmpose_ext.direction.smoothing import parse_smoother, repair_reversals

FPS = 30.
METHODS = ('median', 'savgol', 'one_euro', 'rts')


def smooth(text: str, points: np.ndarray, scores: np.ndarray | None = None,
           frames: np.ndarray | None = None) -> np.ndarray:
    """Apply a smoother to points (T, K, 2)."""
    if scores is None:
        scores = np.ones(points.shape[:2])
    if frames is None:
        frames = np.arange(len(points))
    return parse_smoother(text)(points, scores, frames, FPS)


def rat(axis: np.ndarray, centre: np.ndarray | float = 25.) -> np.ndarray:
    """Straight animals (T, 3, 2) that look along an axis (T,)."""
    unit = np.stack([np.cos(axis), np.sin(axis)], -1)[:, None]
    return centre + unit * np.array([-16., 0., 7.5])[:, None]


def noise(count: int, sigma: float = 1., seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, (count, 3, 2))


def line(count: int) -> np.ndarray:
    """Points (T, 3, 2) of constant velocity."""
    start = np.array([[3., 4.], [10., 12.], [20., 21.]])
    velocity = np.array([[.3, -.2], [.1, .4], [-.2, .05]])
    return start + np.arange(count)[:, None, None] * velocity


@pytest.mark.parametrize('text', ['median:5', 'savgol:7,2', 'rts:0.5,1.5'])
def test_constant_velocity_is_kept(text: str) -> None:
    points = line(60)
    inner = slice(2, -2) if text.startswith('median') else slice(None)
    np.testing.assert_allclose(smooth(text, points)[inner], points[inner],
                               atol=1e-9)


def test_constant_velocity_bridges_gaps_of_frames() -> None:
    frames = np.delete(np.arange(80), [10, 11, 12, 40, 41])
    points = line(80)[frames]
    np.testing.assert_allclose(
        smooth('rts:0.5,1.5', points, frames=frames), points, atol=1e-9)


def kalman_rts(values: np.ndarray, variances: np.ndarray,
               acceleration: float) -> np.ndarray:
    """The textbook filter and smoother, one coordinate; NaN missing."""
    transition = np.array([[1., 1.], [0., 1.]])
    process = np.diag([0., acceleration**2])
    state, cov = np.zeros(2), np.eye(2) * 1e8
    filtered, predicted = [], []
    for t, value in enumerate(values):
        if t:
            state = transition @ state
            cov = transition @ cov @ transition.T + process
        predicted.append((state, cov))
        if np.isfinite(value):
            gain = cov[:, 0] / (cov[0, 0] + variances[t])
            state = state + gain * (value - state[0])
            cov = cov - np.outer(gain, cov[0])
        filtered.append((state, cov))
    smoothed = [filtered[-1][0]]
    for t in range(len(values) - 2, -1, -1):
        state, cov = filtered[t]
        ahead, ahead_cov = predicted[t + 1]
        back = cov @ transition.T @ np.linalg.inv(ahead_cov)
        smoothed.append(state + back @ (smoothed[-1] - ahead))
    return np.array(smoothed[::-1])[:, 0]


def test_rts_equals_kalman_filter_and_backward_pass() -> None:
    points = line(80) + noise(80, 2.)
    scores = np.random.default_rng(1).uniform(.2, 1, (80, 3))
    points[30:34, 1] = np.nan
    found = smooth('rts:0.3,1.2', points, scores)
    for k in range(3):
        for axis in range(2):
            wanted = kalman_rts(points[:, k, axis],
                                np.square(1.2 / scores[:, k]), .3)
            known = np.isfinite(points[:, k, axis])
            np.testing.assert_allclose(found[known, k, axis], wanted[known],
                                       atol=1e-4)


def test_rts_follows_confident_points() -> None:
    points = line(61)
    points[30] += 10.
    scores = np.ones((61, 3))
    believed = smooth('rts:0.1,1', points, scores)
    scores[30] = .1
    doubted = smooth('rts:0.1,1', points, scores)
    assert np.abs(doubted[30] - line(61)[30]).max() < .2
    assert np.abs(believed[30] - line(61)[30]).min() > 1.


def test_savgol_is_scipys_where_there_is_no_gap() -> None:
    points = noise(50)
    np.testing.assert_allclose(
        smooth('savgol:9,3', points), savgol_filter(points, 9, 3, axis=0))


def test_savgol_does_not_reach_across_a_gap() -> None:
    points = noise(40)
    points[20] = np.nan
    found = smooth('savgol:5,2', points)
    for part in (slice(0, 20), slice(21, 40)):
        np.testing.assert_allclose(
            found[part], savgol_filter(points[part], 5, 2, axis=0))
    # frame numbers that jump are a gap as well
    frames = np.r_[np.arange(20), np.arange(21, 40)]
    rows = np.delete(np.arange(40), 20)
    np.testing.assert_allclose(
        smooth('savgol:5,2', points[rows], frames=frames), found[rows])


def test_savgol_shrinks_in_a_short_run() -> None:
    points = noise(4)
    np.testing.assert_allclose(smooth('savgol:9,1', points),
                               savgol_filter(points, 3, 1, axis=0))
    np.testing.assert_array_equal(smooth('savgol:9,3', points), points)


def test_median_is_scipys_inside() -> None:
    points = noise(50)
    wanted = median_filter(points, (5, 1, 1))
    np.testing.assert_allclose(smooth('median:5', points)[2:-2],
                               wanted[2:-2])


def test_median_removes_a_single_outlier_and_ignores_missing() -> None:
    points = np.full((9, 3, 2), 5.)
    points[4] = 100.
    points[5] = np.nan
    found = smooth('median:3', points)
    np.testing.assert_array_equal(found[[0, 1, 2, 3, 6, 7, 8]], 5.)
    np.testing.assert_array_equal(found[4], 52.5)  # of 5 and 100
    assert np.isnan(found[5]).all()


def one_euro_by_hand(values: np.ndarray, min_cutoff: float,
                     beta: float) -> np.ndarray:
    """The published algorithm for one coordinate."""

    def alpha(cutoff: float) -> float:
        tau = 1 / (2 * np.pi * cutoff)
        return 1 / (1 + tau * FPS)

    found, speed = [values[0]], 0.
    for value in values[1:]:
        speed = alpha(1.) * (value - found[-1]) * FPS + (
            1 - alpha(1.)) * speed
        share = alpha(min_cutoff + beta * abs(speed))
        found.append(share * value + (1 - share) * found[-1])
    return np.array(found)


def test_one_euro_is_the_published_one_along_an_axis() -> None:
    points = np.zeros((100, 3, 2))
    points[..., 0] = np.cumsum(noise(100)[..., 0], 0)
    found = smooth('one_euro:0.8,0.1', points)
    for k in range(3):
        np.testing.assert_allclose(
            found[:, k, 0], one_euro_by_hand(points[:, k, 0], .8, .1))
    np.testing.assert_array_equal(found[..., 1], 0.)


def test_one_euro_is_causal_and_the_same_in_all_directions() -> None:
    points = line(60) + noise(60)
    whole = smooth('one_euro', points)
    np.testing.assert_array_equal(smooth('one_euro', points[:31]),
                                  whole[:31])
    cos, sin = np.cos(.7), np.sin(.7)
    turn = np.array([[cos, -sin], [sin, cos]])
    np.testing.assert_allclose(smooth('one_euro', points @ turn),
                               whole @ turn, atol=1e-9)


@pytest.mark.parametrize('text', METHODS)
def test_angle_track_through_180_degrees_is_not_torn(text: str) -> None:
    """Averaging +179 and -179 as numbers would give 0."""
    axis = np.linspace(np.pi - .3, np.pi + .3, 121)
    found = direction_angles(smooth(text, rat(axis)))['head']
    assert np.abs(wrap(found - axis)).max() < .1
    assert (np.abs(found) > 2.5).all()


@pytest.mark.parametrize('text', METHODS)
def test_noise_falls_and_missing_points_stay_missing(text: str) -> None:
    truth = rat(np.cumsum(np.full(400, .01)))
    points = truth + noise(400)
    points[100:103, 1] = np.nan
    points[:2] = points[-1] = np.nan
    found = smooth(text, points)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(points))
    assert np.nanstd(found - truth) < .8 * np.nanstd(points - truth)


@pytest.mark.parametrize('text', METHODS)
@pytest.mark.parametrize('known', [0, 1, 2])
def test_almost_nothing_known(text: str, known: int) -> None:
    points = np.full((30, 3, 2), np.nan)
    points[10:10 + known] = 7.
    np.testing.assert_allclose(smooth(text, points), points)


@pytest.mark.parametrize('text', [
    'mean:3', 'median:4', 'median:x', 'median:3,4', 'savgol:3,3',
    'one_euro:0', 'rts:-1,1'])
def test_wrong_smoother_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match='found|invalid'):
        parse_smoother(text)


def test_numbers_may_be_left_out() -> None:
    points = noise(20)
    for text in ('savgol', 'savgol:', 'savgol:7'):
        np.testing.assert_array_equal(smooth(text, points),
                                      smooth('savgol:7,2', points))


def test_reversals_are_repaired_exactly() -> None:
    truth = rat(np.cumsum(noise(500, .05)[:, 0, 0]))
    wrong = np.zeros(500, bool)
    wrong[:7] = wrong[60] = wrong[100:140] = wrong[300:303] = True
    wrong[-12:] = True
    points = truth.copy()
    points[wrong] = points[wrong][:, ::-1]
    repaired, swapped = repair_reversals(points, np.arange(500),
                                         np.ones(500))
    np.testing.assert_array_equal(swapped, wrong)
    np.testing.assert_array_equal(repaired, truth)


def test_reversal_is_repaired_across_missing_frames() -> None:
    truth = rat(np.full(50, 3.1))
    points = truth.copy()
    points[20:30] = points[20:30][:, ::-1]
    points[18:21] = np.nan
    repaired, swapped = repair_reversals(points, np.arange(50), np.ones(50))
    np.testing.assert_array_equal(np.flatnonzero(swapped), np.arange(21, 30))
    np.testing.assert_array_equal(repaired[21:], truth[21:])


def test_a_turn_in_steps_is_no_reversal() -> None:
    points = rat(np.radians(80.) * np.arange(40))
    repaired, swapped = repair_reversals(points, np.arange(40), np.ones(40))
    assert not swapped.any()
    np.testing.assert_array_equal(repaired, points)


def test_what_lasts_is_believed() -> None:
    """An animal that was picked up and turned round stays turned."""
    axis = np.where(np.arange(600) < 300, 0., np.pi)
    _, swapped = repair_reversals(rat(axis), np.arange(600), np.ones(600))
    assert not swapped.any()


@pytest.mark.parametrize('count', [0, 1])
def test_nothing_to_repair(count: int) -> None:
    points = rat(np.zeros(count))
    repaired, swapped = repair_reversals(points, np.arange(count),
                                         np.ones(count))
    assert len(repaired) == len(swapped) == count
