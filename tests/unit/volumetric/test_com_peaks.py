"""One map for several animals."""
from __future__ import annotations

import numpy as np
import pytest
from mmpose.codecs import UDPHeatmap

from mmpose_ext.registry import KEYPOINT_CODECS
from mmpose_ext.volumetric.com_peaks import ComSharedHeatmap, find_peaks

SIZE = (80, 64)
SETTINGS = dict(input_size=SIZE, heatmap_size=SIZE, sigma=2.,
                blur_kernel_size=11)
PLACES = np.array([[[20.3, 30.8], [50.6, 12.1], [33., 41.5]]], np.float32)


def codec(animals: int = 3) -> ComSharedHeatmap:
    return KEYPOINT_CODECS.build(dict(
        type='mmpose_ext.ComSharedHeatmap', num_individuals=animals,
        **SETTINGS))


def test_the_map_is_the_highest_of_the_animals_own() -> None:
    encoded = codec().encode(PLACES, np.ones((1, 3), np.float32))
    own = UDPHeatmap(**SETTINGS).encode(PLACES, np.ones((1, 3), np.float32))
    np.testing.assert_array_equal(encoded['heatmaps'][0],
                                  own['heatmaps'].max(0))
    assert encoded['heatmaps'].shape == (1, 64, 80)
    assert encoded['keypoint_weights'].tolist() == [[1]]


def test_animals_outside_leave_no_trace_and_none_is_a_lesson() -> None:
    seen = np.array([[1, 0, 1]], np.float32)
    encoded = codec().encode(PLACES, seen)
    np.testing.assert_array_equal(
        encoded['heatmaps'],
        codec(2).encode(PLACES[:, [0, 2]])['heatmaps'])
    empty = codec().encode(PLACES, 0 * seen)
    assert not empty['heatmaps'].any()
    assert empty['keypoint_weights'].tolist() == [[1]]


def test_peaks_are_read_between_the_pixels() -> None:
    """As well as from maps of their own."""
    encoded = codec().encode(PLACES)['heatmaps']
    encoded[0, 12 - 6:12 + 7] *= .9  # the second is lower
    encoded[0, 36:] *= .8
    found, scores = codec().decode(encoded)
    own, _ = UDPHeatmap(**SETTINGS).decode(
        UDPHeatmap(**SETTINGS).encode(PLACES)['heatmaps'])
    assert found.shape == (1, 3, 2) and scores.shape == (1, 3)
    np.testing.assert_allclose(found[0, :2], own[0, :2], atol=.3)
    assert scores[0, 0] > scores[0, 1] > scores[0, 2] > .6
    still, _ = codec().decode(codec().encode(PLACES)['heatmaps'])
    distance = np.linalg.norm(still[0][:, None] - own[0], axis=-1)
    assert distance.min(0).max() < .05


def test_noise_makes_no_second_animal_of_one() -> None:
    generator = np.random.default_rng(0)
    heatmap = codec().encode(PLACES[:, :1])['heatmaps'][0]
    heatmap = heatmap + generator.normal(0, .03, heatmap.shape)
    places, scores = find_peaks(heatmap, 2, 2.)
    np.testing.assert_allclose(places[0], PLACES[0, 0], atol=1.)
    assert scores[0] > .8 and scores[1] < .2


def test_fewer_peaks_than_animals_have_no_score() -> None:
    found, scores = codec().decode(
        codec().encode(PLACES[:, :1])['heatmaps'])
    assert scores[0, 1:].tolist() == [0, 0]
    assert (found[0, 1:] == found[0, 0]).all()
    found, scores = codec().decode(np.zeros((1, 64, 80), np.float32))
    assert np.isfinite(found).all() and not scores.any()


@pytest.mark.parametrize('apart', [7, 9, 12])
def test_two_animals_side_by_side_are_two(apart: int) -> None:
    places = np.array([[[30., 30], [30 + apart, 30]]], np.float32)
    found, scores = codec(2).decode(codec(2).encode(places)['heatmaps'])
    assert scores.min() > .9
    own, _ = UDPHeatmap(**SETTINGS).decode(
        UDPHeatmap(**SETTINGS).encode(places)['heatmaps'])
    np.testing.assert_allclose(
        found[0][np.argsort(found[0, :, 0])], own[0], atol=.5)


def test_at_the_border_and_with_no_animal_to_find() -> None:
    places = np.array([[[0., 0], [79, 63]]], np.float32)
    found, scores = codec(2).decode(codec(2).encode(places)['heatmaps'])
    assert np.isfinite(found).all() and scores.min() > .9
    with pytest.raises(ValueError, match='num_individuals'):
        codec(0)
