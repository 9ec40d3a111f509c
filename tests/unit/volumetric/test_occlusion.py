"""Shares of animals that others hide, against rays that are followed."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.volumetric.occlusion import occluded_share
from tests.unit.geometry.camera_rigs import ring

Array = np.ndarray
RADIUS = 40.


def follow_rays(eye: Array, centres: Array, animal: int, radius: float,
                generator: np.random.Generator) -> float:
    """Share of the random rays to a ball that meet another one first."""
    away = centres[animal] - eye
    # towards points about the ball; those that miss it do not count
    goals = centres[animal] + generator.uniform(
        -2 * radius, 2 * radius, (40_000, 3))
    # rays through a plane across the line of sight are evenly spread there
    axis = away / np.linalg.norm(away)
    goals -= ((goals - centres[animal]) @ axis)[:, None] * axis
    rays = goals - eye
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    first = np.full((len(centres), len(rays)), np.inf)
    for i, centre in enumerate(centres):
        along = rays @ (centre - eye)
        inside = radius**2 - np.sum((centre - eye)**2) + along**2
        hit = (inside > 0) & (along > 0)
        first[i, hit] = along[hit] - np.sqrt(inside[hit])
    hit = np.isfinite(first[animal])
    return float((first[:, hit].argmin(0) != animal).mean())


@pytest.mark.parametrize('count', [1, 2, 3, 5])
def test_shares_are_those_of_rays_that_are_followed(count: int) -> None:
    """Balls that do not touch, some of them in a row before a camera."""
    generator = np.random.default_rng(count)
    cameras = ring(5)
    middles = [np.zeros(3)]
    while len(middles) < count:
        place = generator.uniform(-180, 180, 3) * (1, 1, .3)
        if min(np.linalg.norm(place - other) for other in middles) > 81:
            middles.append(place)
    if count > 1:  # the second straight between the first and a camera
        ahead = cameras.positions[2] / np.linalg.norm(cameras.positions[2])
        middles[1] = 85 * ahead + [10, 0, 5]
    centres = np.stack(middles)
    found = occluded_share(cameras, centres, RADIUS)
    assert found.shape == (count, 5)
    for animal in range(count):
        for view, eye in enumerate(cameras.positions):
            wanted = follow_rays(eye, centres, animal, RADIUS, generator)
            assert found[animal, view] == pytest.approx(wanted, abs=.02)
    assert count == 1 or found.max() > .5


def far_camera() -> Cameras:
    """A camera 100 m from the origin, straight along z."""
    return Cameras(('far', ), np.array([[[1e5, 0, 320], [0, 1e5, 256],
                                         [0, 0, 1.]]]),
                   np.eye(3)[None], np.array([[0, 0, 1e5]]), np.zeros((1, 5)),
                   np.array([[640, 512]]))


@pytest.mark.parametrize('apart', [0., 10., 30., 55., 79., 90.])
def test_far_away_it_is_the_overlap_of_two_circles(apart: float) -> None:
    half = min(apart / 2 / RADIUS, 1.)
    wanted = 2 / np.pi * (np.arccos(half) - half * np.sqrt(1 - half**2))
    found = occluded_share(
        far_camera(), np.array([[0, 0, 0], [apart, 0, -100.]]), RADIUS)
    np.testing.assert_allclose(found[:, 0], [wanted, 0], atol=.01)


def test_animals_that_hide_the_same_part_count_once() -> None:
    two = np.array([[0, 0, 0], [40, 0, -100.]])
    share = occluded_share(far_camera(), two, RADIUS)
    same = occluded_share(far_camera(), np.array(
        [*two, [40, 0, -200.]]), RADIUS)
    assert same[0] == share[0] and same[1] == 1
    both = occluded_share(far_camera(), np.array(
        [*two, [-40, 0, -200.]]), RADIUS)
    assert both[0] == pytest.approx(2 * share[0], abs=.01)


def test_behind_the_camera_beside_the_image_and_unknown() -> None:
    cameras = ring(2)
    eye = cameras.positions[0]
    centres = np.stack([np.zeros(3), 1.3 * eye, np.full(3, np.nan)])
    found = occluded_share(cameras, centres, RADIUS)
    assert found[0, 0] == 0  # what is behind the camera hides nobody
    assert found[1, 0] == 1
    assert (found[2] == 0).all()
    # two in a row, far beside the image
    beside = cameras.rotations[0, 0] * 5000
    row = np.stack([.8 * beside, .6 * beside])
    shares = occluded_share(
        cameras.select([0]), eye + cameras.rotations[0, 2] + row, RADIUS)
    assert shares[0, 0] == 1 and shares[1, 0] == 0


def test_a_camera_in_an_animal_gives_finite_shares() -> None:
    cameras = ring(2)
    ahead = cameras.rotations[0, 2]
    centres = np.stack([cameras.positions[0] + 5 * ahead,
                        cameras.positions[0] + 300 * ahead])
    found = occluded_share(cameras, centres, RADIUS)
    assert np.isfinite(found).all() and found[1, 0] == 1


def test_none_and_no_radius() -> None:
    assert occluded_share(ring(3), np.zeros((0, 3)), 5.).shape == (0, 3)
    with pytest.raises(ValueError, match='radius_mm'):
        occluded_share(ring(3), np.zeros((1, 3)), 0.)
