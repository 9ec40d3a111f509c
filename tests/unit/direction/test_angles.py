"""Directions and the statistics of the circle."""
import numpy as np
import pytest
from scipy import stats

from mmpose_ext.direction.angles import (
    angular_velocity,
    circular_mean,
    circular_std,
    direction_angles,
    resultant_length,
    to_convention,
    unwrap_track,
    vector_angle,
    wrap,
)


def test_image_convention_is_clockwise_on_the_screen():
    """x right, y down: a vector pointing down has +90 degrees."""
    vectors = [[2, 0], [0, 2], [-2, 0], [0, -2]]
    np.testing.assert_allclose(
        np.degrees(vector_angle(vectors)), [0, 90, 180, -90])


@pytest.mark.parametrize('convention, expected', [
    ('image', [0, 90, 180, -90]), ('math', [0, -90, 180, 90]),
    ('compass', [90, 180, -90, 0])])
def test_conventions(convention, expected):
    angle = np.radians([0, 90, 180, -90])
    np.testing.assert_allclose(
        np.degrees(to_convention(angle, convention)), expected, atol=1e-9)


def test_unknown_convention():
    with pytest.raises(ValueError, match="'nautical'"):
        to_convention(0., 'nautical')


def test_wrap_keeps_the_short_way():
    np.testing.assert_allclose(
        np.degrees(wrap(np.radians([358, -358, 180, -180, 540]))),
        [-2, 2, 180, 180, 180])


def test_short_vectors_have_no_direction():
    assert np.isnan(vector_angle([.5, .5]))
    assert np.isfinite(vector_angle([.5, .5], min_length=.5))


def test_turn_is_head_relative_to_body():
    points = [[0, 0], [10, 0], [10, 10]]  # walks right, looks down
    angles = direction_angles(points)
    assert np.degrees(angles['body']) == pytest.approx(0)
    assert np.degrees(angles['head']) == pytest.approx(90)
    assert np.degrees(angles['overall']) == pytest.approx(45)
    assert np.degrees(angles['turn']) == pytest.approx(90)


def test_statistics_agree_with_scipy():
    angle = np.random.default_rng(0).vonmises(3., 4., 500)
    assert circular_mean(angle) == pytest.approx(
        wrap(stats.circmean(angle)))
    assert circular_std(angle) == pytest.approx(stats.circstd(angle))
    assert resultant_length(angle) == pytest.approx(
        1 - stats.circvar(angle))


def test_mean_over_the_seam_and_without_direction():
    assert abs(np.degrees(circular_mean(
        np.radians([179, -179])))) == pytest.approx(180)
    assert np.isnan(circular_mean(np.radians([0, 180])))
    assert np.isnan(circular_mean([np.nan]))


def test_track_over_the_seam_with_a_gap():
    true = np.radians(np.arange(0, 720, 30.))
    seen = wrap(true)
    seen[5] = np.nan
    track = unwrap_track(seen)
    assert np.isnan(track[5])
    keep = np.arange(len(true)) != 5
    np.testing.assert_allclose(track[keep], true[keep], atol=1e-9)
    np.testing.assert_allclose(
        np.degrees(angular_velocity(seen[6:], 25.)), 30 * 25.)
