"""Two rats that meet: near each other, apart, and never one in the other."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from mmpose_ext.synthesis.rat_pairs import chain, draw_pair, gaps
from mmpose_ext.synthesis.rats import take
from mmpose_ext.synthesis.rodent_bodies import cover
from mmpose_ext.synthesis.rodent_poses import (
    NAMES,
    Build,
    Motion,
    Stance,
    draw_build,
    pose_rat,
)

FPS = 10.
SEEDS = range(8)
Pair = tuple[tuple[Build, Build], tuple[Motion, Motion]]


def pair(seed: int, count: int = 110) -> Pair:
    rng = np.random.default_rng(seed)
    builds = draw_build(rng), draw_build(rng, (.9, .98))
    return builds, draw_pair(rng, builds, count, FPS)


@pytest.fixture(scope='module')
def stances() -> list[tuple[tuple[Build, Build], list[Stance]]]:
    return [(builds, [pose_rat(*each) for each in zip(
        builds, motions, strict=True)]) for builds, motions in map(
            pair, SEEDS)]


def test_they_are_close_often_and_apart_sometimes(stances: list) -> None:
    far = np.array([np.linalg.norm(
        one.points.mean(1) - two.points.mean(1), axis=-1)
        for _, (one, two) in stances])
    assert .4 < (far < 120).mean() < .9
    assert (far < 75).mean() > .03
    assert (far > 140).mean() > .03
    assert far.min() > 35 and far.max() < 300


def test_skins_do_not_go_through_each_other(stances: list) -> None:
    """Of trunk and head, whose normals say where inside is."""
    deepest = []
    for builds, both in stances[:4]:
        skins = [cover(build, take(stance, slice(0, None, 5)))
                 for build, stance in zip(builds, both, strict=True)]
        rows = np.r_[skins[0].parts['trunk'], skins[0].parts['head']]
        for time in range(len(skins[0].points)):
            one, two = (skin.points[time][rows] for skin in skins)
            far, at = cKDTree(two).query(one, distance_upper_bound=30)
            known = np.isfinite(far)
            inward = ((two[at[known]] - one[known])
                      * skins[1].normals[time][rows][at[known]]).sum(-1)
            # beyond a rim the nearest point lies aside, not above
            inside = inward > .7 * far[known]
            deepest.append(inward[inside].max(initial=0))
    assert np.quantile(deepest, .95) < 4  # fur
    assert max(deepest) < 16


def test_gaps_are_those_of_the_nearest_balls(stances: list) -> None:
    builds, both = stances[0]
    chains = [chain(build, stance) for build, stance in zip(
        builds, both, strict=True)]
    gap, way = gaps(chains[0], chains[1])
    for time in range(0, 110, 10):
        found = []
        for place, radius in zip(chains[0][0][time], chains[0][1],
                                 strict=True):
            for other, wide in zip(chains[1][0][time], chains[1][1],
                                   strict=True):
                found.append((np.linalg.norm(place - other) - radius - wide,
                              place - other))
        least = min(found, key=lambda each: each[0])
        assert gap[time] == pytest.approx(least[0])
        np.testing.assert_allclose(way[time], least[1])


def test_balls_fill_trunk_and_head(stances: list) -> None:
    builds, both = stances[1]
    stance = take(both[0], slice(0, None, 20))
    skin = cover(builds[0], stance)
    places, radii = chain(builds[0], stance)
    for points, middles in zip(skin.points, places, strict=True):
        core = points[np.r_[skin.parts['trunk'], skin.parts['head']]]
        off = (np.linalg.norm(core[:, None] - middles, axis=-1)
               - radii).min(1)
        assert np.quantile(off, .95) < 12  # most when it rears
        assert np.quantile(off, .05) > -18
        far, _ = cKDTree(core).query(middles)
        assert (far < radii + 6).all()  # each is within


def test_they_move_as_rats_can(stances: list) -> None:
    for _, both in stances:
        for stance in both:
            com = stance.points.mean(1)
            speed = np.linalg.norm(np.diff(com, axis=0), axis=-1) * FPS
            assert speed.max() < 600  # mm/s
            change = np.linalg.norm(np.diff(com, 2, axis=0), axis=-1)
            assert change.max() * FPS**2 < 4000  # mm/s^2
            turned = (stance.pelvis[1:, :, 1] * stance.pelvis[:-1, :, 1])
            assert np.arccos(turned.sum(-1).clip(-1, 1)).max() < .7
    means = [np.linalg.norm(np.diff(stance.points.mean(1), axis=0),
                            axis=-1).mean() * FPS
             for _, both in stances for stance in both]
    assert 50 < np.mean(means) < 200


def test_they_stand_on_the_floor_of_the_arena(stances: list) -> None:
    feet = [NAMES.index(name) for name in ('FootL', 'FootR')]
    for _, both in stances:
        for stance in both:
            assert stance.points[..., 2].min() > -3
            lowest = stance.points[:, feet, 2].min(1)
            assert np.quantile(lowest, .9) < 12
            assert np.linalg.norm(stance.points[..., :2],
                                  axis=-1).max() < 245


def test_they_meet_in_many_ways(stances: list) -> None:
    """Facing as the other does, opposed, and across."""
    cosines, sniffs = [], []
    for _, (one, two) in stances:
        cosines.append((one.pelvis[:, :2, 1] * two.pelvis[:, :2, 1]).sum(-1))
        snouts = one.points[:, NAMES.index('Snout')]
        sniffs.append(np.linalg.norm(two.points - snouts[:, None],
                                     axis=-1).min(1))
    shares = np.histogram(np.concatenate(cosines), [-1, -.5, .5, 1])[0]
    assert (shares > .1 * shares.sum()).all()
    assert (np.concatenate(sniffs) < 35).mean() > .1


@pytest.mark.parametrize('count', [1, 2, 7])
def test_short_meetings_are_possible(count: int) -> None:
    builds, motions = pair(3, count)
    for build, motion in zip(builds, motions, strict=True):
        points = pose_rat(build, motion).points
        assert points.shape == (count, 23, 3)
        assert np.isfinite(points).all()


def test_same_seed_same_meeting() -> None:
    one, same, other = (pair(seed, 20)[1] for seed in (3, 3, 4))
    for i in range(2):
        np.testing.assert_array_equal(one[i].place, same[i].place)
        assert not np.allclose(one[i].place, other[i].place)
