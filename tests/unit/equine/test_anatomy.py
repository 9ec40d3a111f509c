from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.equine.anatomy import (
    LIKELY_SWAP,
    LONG_BONE,
    bone_z_scores,
    swap_scores,
)
from mmpose_ext.equine.horse26 import FLIP_INDICES, NAMES, SKELETON
from tests.unit.equine.labelled_horses import see_horses

Array = np.ndarray
ROWS = np.arange(0, 400, 20)


@pytest.fixture(scope='module')
def horses() -> tuple[Array, Array]:
    return see_horses(400)


def exchanged(horses: tuple[Array, Array],
              *lefts: str) -> tuple[Array, Array]:
    """Left and right exchanged in every twentieth annotation."""
    points, visibility = horses[0].copy(), horses[1].copy()
    for name in lefts:
        left = NAMES.index(name)
        right = FLIP_INDICES[left]
        for array in (points, visibility):
            array[ROWS[:, None], [left, right]] = array[
                ROWS[:, None], [right, left]]
    return points, visibility


def test_sound_labels_are_rarely_called_exchanged(horses) -> None:
    scores, parts = swap_scores(*horses)
    assert scores.shape == (400, ) and len(parts) == 400
    assert (scores > LIKELY_SWAP).mean() < .01


LEGS = ('l_elbow', 'l_knee', 'lf_fetlock', 'lf_hoof', 'l_hip', 'l_hock',
        'lh_fetlock', 'lh_hoof')


# (points exchanged, what it is called, least share that is found)
@pytest.mark.parametrize(('lefts', 'part', 'recall'), [
    (('lf_hoof', ), 'fore hooves', .8),
    (('l_hock', ), 'hind hocks', .8),
    (LEGS[:4], 'fore legs', .8),
    (LEGS[4:], 'hind legs', .8),
    (LEGS[1:4], 'fore legs from the knee down', .8),
    (('l_eye', 'l_ear'), 'the head', .6),
    # what is left to tell by is which side is near
    (LEGS + ('l_eye', 'l_ear'), 'the whole horse', .3),
])
def test_exchanged_sides_are_found_and_named(horses, lefts, part,
                                             recall) -> None:
    scores, parts = swap_scores(*exchanged(horses, *lefts))
    found = ROWS[scores[ROWS] > LIKELY_SWAP]
    assert len(found) >= recall * len(ROWS)
    assert np.mean([parts[row] == part for row in found]) > .8
    others = np.setdiff1d(np.arange(400), ROWS)
    assert (scores[others] > LIKELY_SWAP).mean() < .01


def test_sides_do_not_depend_on_place_size_and_mirror(horses) -> None:
    points, visibility = exchanged(horses, 'lf_hoof')
    scores, _ = swap_scores(points, visibility)
    order = list(FLIP_INDICES)
    mirrored = (points * (-1, 1))[:, order]
    np.testing.assert_allclose(
        swap_scores(3 * points + 100, visibility)[0], scores, atol=1e-6)
    np.testing.assert_allclose(
        swap_scores(mirrored, visibility[:, order])[0], scores, atol=1e-6)


def test_few_horses_say_nothing_of_sides(horses) -> None:
    scores, _ = swap_scores(horses[0][:50], horses[1][:50])
    assert (scores == -np.inf).all()


def test_absent_points_count_for_no_side(horses) -> None:
    points, visibility = horses[0].copy(), horses[1].copy()
    for name in ('l_ear', 'r_knee', 'l_hip'):
        visibility[:, NAMES.index(name)] = 0
    points[visibility == 0] = 0
    expected, _ = swap_scores(points, visibility)
    points[visibility == 0] = 1e5
    scores, _ = swap_scores(points, visibility)
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_size_changes_no_bone() -> None:
    rng = np.random.default_rng(0)
    shape = see_horses(1)[0][0]
    size = np.exp(rng.normal(0, .5, (60, 1, 1)))
    scores = bone_z_scores(shape * size, np.full((60, 26), 2))
    assert np.ptp(scores, axis=0).max() < 1e-6
    assert scores.max() < LONG_BONE


def test_a_long_bone_has_the_score_of_its_length() -> None:
    rng = np.random.default_rng(1)
    points = np.repeat(see_horses(1)[0], 400, 0)
    noise = np.exp(rng.normal(0, .1, (400, 1)))
    tail, end = NAMES.index('tail_base'), NAMES.index('tail_end')
    bone = points[:, end] - points[:, tail]
    points[:, end] = points[:, tail] + bone * noise
    points[7, end] = points[7, tail] + bone[7] * np.e
    scores = bone_z_scores(points, np.full((400, 26), 2))
    link = SKELETON.index((tail, end))
    # ln(e) / .1 = 10 deviations
    assert abs(scores[7, link] - 10) < 1
    others = np.delete(np.nan_to_num(scores), 7, 0)
    assert others.max() < LONG_BONE


def test_unknown_lengths_are_nan(horses) -> None:
    points, visibility = horses[0].copy(), horses[1].copy()
    hoof = NAMES.index('lf_hoof')
    visibility[:, hoof] = 0
    visibility[3, 5:] = 0
    scores = bone_z_scores(points, visibility)
    link = SKELETON.index((NAMES.index('lf_fetlock'), hoof))
    assert np.isnan(scores[:, link]).all()
    assert np.isnan(scores[3]).sum() >= 20
    assert np.isnan(bone_z_scores(points[:9], visibility[:9])).all()


def test_misplaced_points_make_long_bones(horses) -> None:
    points, visibility = horses[0].copy(), horses[1].copy()
    rng = np.random.default_rng(2)
    hooves = [NAMES.index(name) for name in ('lf_hoof', 'rh_hoof')]
    side = np.ptp(points, axis=1).max(-1)
    for row in ROWS:
        angle = rng.uniform(0, 2 * np.pi)
        points[row, rng.choice(hooves)] += .3 * side[row] * np.array(
            [np.cos(angle), np.sin(angle)])
    odd = (np.nan_to_num(bone_z_scores(points, visibility)) > LONG_BONE
           ).any(1)
    assert odd[ROWS].mean() >= .8
    assert np.delete(odd, ROWS).mean() < .1
