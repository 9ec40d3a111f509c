"""Figures of tracks whose motion is known."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.direction.sequence import sequence_figures


def rat(heading_deg: np.ndarray, drift: np.ndarray | float = 0.) -> np.ndarray:
    """Straight animals (T, 3, 2) with a heading and a shift along x."""
    axis = np.radians(heading_deg)
    unit = np.stack([np.cos(axis), np.sin(axis)], -1)[:, None]
    points = 25 + unit * np.array([-16., 0., 8.])[:, None]
    points[..., 0] += np.asarray(drift)[..., None]
    return points


def figures(points: np.ndarray, **changes: object) -> dict[str, float]:
    count = len(points)
    arguments = dict(frames=np.arange(count), angle_conf=np.ones(count),
                     threshold=.5)
    return sequence_figures(points, **{**arguments, **changes})


def test_steady_turning_through_180_degrees_has_no_jitter() -> None:
    found = figures(rat(np.arange(150, 210, 3.)))
    for name in ('body', 'head', 'overall'):
        assert found[f'{name}_jitter_deg'] == pytest.approx(0, abs=1e-9)
        assert found[f'{name}_jumps'] == 0


def test_alternation_is_four_times_its_amplitude() -> None:
    """a, -a, a ... has second differences of 4 a."""
    heading = 180 + 2.5 * (-1.)**np.arange(40)
    assert figures(rat(heading))['head_jitter_deg'] == pytest.approx(10)
    drift = .3 * (-1.)**np.arange(40)
    still = figures(rat(np.zeros(40), drift))
    assert still['jitter_px'] == pytest.approx(1.2)


def test_jumps_are_counted_between_neighbours_only() -> None:
    heading = np.zeros(11)
    heading[4] = 61.
    heading[8:] = 59.
    assert figures(rat(heading))['head_jumps'] == pytest.approx(.2)
    frames = np.r_[np.arange(4), np.arange(10, 17)]
    assert figures(rat(heading), frames=frames)['head_jumps'] == (
        pytest.approx(1 / 9))
    points = rat(heading)
    points[4] = np.nan
    assert figures(points)['head_jumps'] == 0


def test_low_confidence_is_below_the_threshold() -> None:
    found = figures(rat(np.zeros(4)), angle_conf=np.array([.1, .5, .4, 1.]))
    assert found['low_conf'] == .5


@pytest.mark.parametrize('count', [0, 1, 2])
def test_too_short_for_figures(count: int) -> None:
    found = figures(rat(np.zeros(count)))
    assert np.isnan(found['head_jitter_deg'])
    assert np.isnan(found['jitter_px'])
