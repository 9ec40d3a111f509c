"""Peaks of several views that are the same animal."""
from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.volumetric.com_matching import MatchedViews, match_views
from tests.unit.geometry.camera_rigs import ring

Array = np.ndarray
TRIALS = 8


def scatter(count: int, seed: int, apart: float = 60.) -> Array:
    """Animals (I, 3) that are not in one another, mm."""
    generator = np.random.default_rng(seed)
    places: list[Array] = []
    while len(places) < count:
        place = generator.uniform((-150, -150, 0), (150, 150, 60))
        if all(np.linalg.norm(place - other) > apart for other in places):
            places.append(place)
    return np.stack(places)


def see(cameras: Cameras, points: Array, seed: int,
        noise_px: float = 0.) -> tuple[Array, Array]:
    """Peaks (V, I, 2) in any order, and the peak (V, I) of each animal."""
    generator = np.random.default_rng(seed)
    pixels, _ = cameras.project(points)
    pixels = pixels + generator.normal(0, noise_px, pixels.shape)
    orders = np.stack([generator.permutation(len(points)) for _ in pixels])
    return (np.take_along_axis(pixels, orders[..., None], 1),
            np.argsort(orders, 1))


def by_truth(matched: MatchedViews, points: Array) -> tuple[Array, Array]:
    """Errors (I,) mm and peaks (V, I), by the animals that fit best."""
    apart = np.linalg.norm(points[:, None] - matched.found.points, axis=-1)
    order = linear_sum_assignment(np.nan_to_num(apart, nan=1e6))[1]
    return apart[range(len(points)), order], matched.peaks[:, order]


@pytest.mark.parametrize('views', [2, 3, 4, 6])
@pytest.mark.parametrize('animals', [1, 2, 3])
def test_exact_peaks_give_exact_animals(animals: int, views: int) -> None:
    cameras = ring(views)
    for seed in range(TRIALS):
        points = scatter(animals, seed)
        pixels, peaks = see(cameras, points, seed)
        matched = match_views(cameras, pixels, np.ones((views, animals)),
                              animals, 12.)
        errors, taken = by_truth(matched, points)
        assert errors.max() < 1e-6
        np.testing.assert_array_equal(taken, peaks)
        assert matched.found.used.all()
        assert matched.found.errors_px.max() < 1e-6


@pytest.mark.parametrize('animals', [1, 2, 3])
def test_noise_moves_animals_by_little(animals: int) -> None:
    cameras = ring(4)
    for seed in range(TRIALS):
        points = scatter(animals, seed)
        pixels, peaks = see(cameras, points, seed, noise_px=2.)
        matched = match_views(cameras, pixels, np.ones((4, animals)),
                              animals, 15.)
        errors, taken = by_truth(matched, points)
        assert errors.max() < 6
        np.testing.assert_array_equal(taken, peaks)


@pytest.mark.parametrize('animals', [2, 3])
def test_it_is_the_best_of_all_ways_to_match(animals: int) -> None:
    """Every order of the peaks in every view, tried one by one."""
    from mmpose_ext.geometry.triangulation import triangulate
    cameras = ring(3)
    orders = list(permutations(range(animals)))
    for seed in range(TRIALS):
        pixels, _ = see(cameras, scatter(animals, seed), seed, 1.5)
        least, best = np.inf, None
        for second in orders:
            for third in orders:
                own = np.stack([pixels[0], pixels[1][list(second)],
                                pixels[2][list(third)]])
                points = triangulate(cameras, own)
                error = np.square(cameras.project(points)[0] - own).sum()
                if error < least:
                    least, best = error, points
        assert best is not None
        matched = match_views(cameras, pixels, np.ones((3, animals)),
                              animals, 15.)
        assert by_truth(matched, best)[0].max() < .5


def test_views_that_miss_an_animal_or_see_a_ghost_do_no_harm() -> None:
    cameras = ring(4)
    for seed in range(TRIALS):
        points = scatter(2, seed)
        pixels, peaks = see(cameras, points, seed, noise_px=1.)
        weights = np.ones((4, 2))
        # the first view misses the second animal, the last sees a shadow
        missed = peaks[0, 1]
        weights[0, missed], pixels[0, missed] = 0, np.nan
        ghost = peaks[3, 0]
        pixels[3, ghost] = pixels[3, 1 - ghost] + [70., -50.]
        weights[3, ghost] = .5
        matched = match_views(cameras, pixels, weights, 2, 15.)
        errors, taken = by_truth(matched, points)
        assert errors.max() < 5
        assert taken[0, 1] == -1 and taken[3, 0] == -1
        assert (taken >= 0).sum() == 6


def test_an_animal_that_too_few_views_see_is_nan() -> None:
    cameras, points = ring(4), scatter(3, 0)
    pixels, peaks = see(cameras, points, 0)
    weights = np.ones((4, 3))
    weights[[0, 1, 2], peaks[:3, 1]] = 0  # one view is left
    weights[[0, 1], peaks[:2, 2]] = 0  # two are
    for least, found in ((2, [True, False, True]), (3, [True, False, False])):
        matched = match_views(cameras, pixels, weights, 3, 12., least)
        errors, _ = by_truth(matched, points)
        assert np.isfinite(errors).tolist() == found
        assert np.nanmax(errors) < 1e-6
        known = np.isfinite(matched.found.points).all(-1)
        assert known.sum() == sum(found)
        assert (matched.peaks[:, ~known] == -1).all()


def test_no_peak_is_no_animal() -> None:
    matched = match_views(ring(3), np.full((3, 2, 2), np.nan),
                          np.ones((3, 2)), 2, 12.)
    assert np.isnan(matched.found.points).all()
    assert (matched.peaks == -1).all()


def test_two_animals_may_share_a_peak_of_one_view() -> None:
    """One behind the other: the view sees one, the others see both."""
    cameras = ring(4)
    ray = cameras.positions[1] / np.linalg.norm(cameras.positions[1])
    points = np.stack([np.zeros(3), 120 * ray])
    pixels, peaks = see(cameras, points, 0)
    weights = np.ones((4, 2))
    weights[1, 0] = 0
    matched = match_views(cameras, pixels, weights, 2, 12.)
    errors, _ = by_truth(matched, points)
    assert errors.max() < 1
    assert matched.found.used.sum(1).tolist() == [2, 1, 2, 2]
