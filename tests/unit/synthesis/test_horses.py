"""Horses in three dimensions and the camera, against closed forms."""
from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mmpose_ext.synthesis.horse_bodies import shape_horse
from mmpose_ext.synthesis.horse_coats import Skin, cover, paint_coat
from mmpose_ext.synthesis.horse_pictures import (
    Light,
    aim,
    cast_shadow,
    find_hidden,
    paint_horse,
)
from mmpose_ext.synthesis.horses import (
    LEGS,
    Build,
    Pose,
    draw_build,
    draw_pose,
)


@pytest.fixture(scope='module')
def build() -> Build:
    """A middling horse, 1.6 m high."""
    rng = np.random.default_rng(0)
    middling = dict.fromkeys(
        ('legs', 'girth', 'belly', 'neck', 'crest', 'head'), 1.)
    return replace(draw_build(rng), **middling, height_m=1.6, saddled=False)


@pytest.fixture(scope='module')
def poses() -> list[Pose]:
    rng = np.random.default_rng(1)
    return [draw_pose(rng) for _ in range(150)]


def length(points: dict, first: str, second: str) -> float:
    return float(np.linalg.norm(points[first] - points[second]))


def test_proportions_are_a_horse_s(build: Build) -> None:
    _, points = shape_horse(build, Pose.rest())
    height = points['withers'][2]
    assert height == pytest.approx(1.6, abs=.05)
    trunk = points['neck'][0] - points['tail_base'][0]
    assert .7 < trunk / height < 1
    # an elbow lies about half as high as the withers, a hock a third,
    # and a fore knee lower than a hock
    assert points['l_elbow'][2] / height == pytest.approx(.53, abs=.05)
    assert points['l_hock'][2] / height == pytest.approx(.34, abs=.04)
    assert points['l_knee'][2] < points['l_hock'][2]
    assert points['nose'][0] > points['l_eye'][0] > points['l_ear'][0]
    assert points['l_ear'][2] > height > points['back'][2]


def test_a_horse_at_rest_is_its_own_mirror_image(build: Build) -> None:
    _, points = shape_horse(build, Pose.rest())
    for name, point in points.items():
        other = {'l': 'r', 'r': 'l'}.get(name[0], name[0]) + name[1:]
        np.testing.assert_allclose(
            points.get(other, point), point * [1, -1, 1], atol=1e-9)
        if name[0] == 'l':
            assert point[1] > .02


def test_bones_keep_their_lengths(build: Build, poses: list[Pose]) -> None:
    _, rest = shape_horse(build, Pose.rest())
    bones = [(f'{side}_{joint}', f'{side}{end}_fetlock')
             for side in 'lr' for joint, end in (('knee', 'f'), ('hock', 'h'))]
    for pose in poses[:40]:
        _, points = shape_horse(build, pose)
        for bone in bones:
            # legs lean outward by a few degrees
            assert length(points, *bone) == pytest.approx(
                length(rest, *bone), rel=.01)


def test_hooves_stand_on_the_ground_and_nothing_below(
        build: Build, poses: list[Pose]) -> None:
    for pose in poses:
        grids, _ = shape_horse(build, pose)
        for i, leg in enumerate(LEGS):
            sole = grids[f'{leg}_hoof'][-1, :, 2]
            if pose.stance[i]:
                np.testing.assert_allclose(sole, 0, atol=.01)
            else:
                assert sole.min() > 0
        assert min(grid[..., 2].min() for grid in grids.values()) > -.03


def test_grazing_is_with_the_muzzle_at_the_grass(poses: list[Pose]) -> None:
    rng = np.random.default_rng(2)
    noses = [shape_horse(draw_build(rng), pose)[1]['nose'][2]
             for pose in poses if pose.grazing]
    assert len(noses) > 15
    assert min(noses) > -.02 and max(noses) < .2


def test_diagonal_legs_trot_together() -> None:
    rng = np.random.default_rng(3)
    trots = [pose for pose in (draw_pose(rng) for _ in range(200))
             if np.ptp(pose.protraction) > 30
             and pose.protraction[0] == pose.protraction[3]]
    assert len(trots) > 10
    for pose in trots:
        assert pose.protraction[1] == pose.protraction[2]


def test_skin_is_closed_and_faces_outwards(build: Build,
                                           poses: list[Pose]) -> None:
    for pose in [Pose.rest(), *poses[:20]]:
        grids, _ = shape_horse(build, pose)
        skin = cover(grids)
        for name in set(grids) - {'mane', 'forelock'}:
            a, b, c, d = skin.vertices[
                skin.facets[skin.parts[name]]].transpose(1, 0, 2)
            centre = grids[name].mean((0, 1))
            # six times the volume, by Gauss
            volume = sum(
                (np.cross(q - centre, r - centre) * (p - centre)).sum()
                for p, q, r in ((a, b, c), (a, c, d)))
            assert volume > 0, name


def test_colours_fit_any_pose_and_stay_with_the_horse(
        build: Build, poses: list[Pose]) -> None:
    for saddled in (False, True):
        horse = replace(build, saddled=saddled)
        colours = paint_coat(np.random.default_rng(4), horse)
        again = paint_coat(np.random.default_rng(4), horse)
        np.testing.assert_array_equal(colours, again)
        assert colours.min() >= 0 and colours.max() <= 1
        for pose in poses[:5]:
            skin = cover(shape_horse(horse, pose)[0])
            assert len(skin.facets) == len(colours)


def test_camera_projects_as_opencv_does() -> None:
    camera = replace(aim(.7, 6., 1.4), focal_px=500.,
                     centre=np.array([310., 205.]))
    points = np.random.default_rng(5).uniform(-1, 1, (20, 3))
    matrix = np.array([[500., 0, 310], [0, 500, 205], [0, 0, 1]])
    turn, _ = cv2.Rodrigues(camera.axes)
    expected, _ = cv2.projectPoints(
        points, turn, -camera.axes @ camera.position, matrix, None)
    pixels, depths = camera.project(points)
    np.testing.assert_allclose(pixels, expected[:, 0], atol=1e-8)
    np.testing.assert_allclose(
        depths, ((points - camera.position) @ camera.axes.T)[:, 2])


def ball(centre: np.ndarray, radius: float) -> Skin:
    """A sphere, with the parts that a horse's light asks for."""
    tilt = np.linspace(-np.pi / 2, np.pi / 2, 40)[:, None]
    turn = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    grid = centre + radius * np.stack([
        np.cos(tilt) * np.cos(turn), np.cos(tilt) * np.sin(turn),
        np.sin(tilt) + 0 * turn], -1)
    skin = cover({'trunk': grid})
    parts = {f'{leg}_{part}': slice(0, 1)
             for leg in LEGS for part in ('leg', 'hoof')}
    return replace(skin, parts={**parts, **skin.parts})


SUN = Light(np.array([.6, 0., .8]), 1., .5)


def test_silhouette_of_a_ball_is_a_disc() -> None:
    camera = replace(aim(0., 20., 1.), focal_px=800.,
                     centre=np.array([100., 80.]))
    image = np.zeros((160, 200, 3), np.float32)
    skin = ball(np.array([0, 0, 1.]), .9)
    seen = paint_horse(image, skin, np.ones((len(skin.facets), 3)), camera,
                       SUN)
    radius = 800 * .9 / np.sqrt(20**2 - .9**2)
    assert np.sqrt(seen.sum() / np.pi) == pytest.approx(radius, abs=.5)
    rows, columns = np.nonzero(seen)
    assert columns.mean() == pytest.approx(100, abs=.05)
    assert rows.mean() == pytest.approx(80, abs=.05)
    assert (image[~seen] < .5).all() and (image[seen].max(-1) > .05).all()


def test_nearer_is_painted_over_farther() -> None:
    camera = replace(aim(0., 20., 1.), focal_px=400.,
                     centre=np.array([40., 40.]))
    image = np.zeros((80, 80, 3), np.float32)
    near, far = ball(np.array([3, 0, 1.]), .5), ball(np.array([0, 0, 1.]), 1.)
    count = len(near.facets)
    both = Skin(np.concatenate([near.vertices, far.vertices]),
                np.concatenate([near.facets, far.facets + len(near.vertices)]),
                np.concatenate([near.sheet, far.sheet]), near.parts)
    red_and_blue = np.repeat([[1., 0, 0], [0, 0, 1]], count, 0)
    paint_horse(image, both, red_and_blue, camera, SUN)
    assert image[40, 40, 0] > .3 > image[40, 40, 2]
    assert image[40, 54, 2] > .1 > image[40, 54, 0] - .2


def test_points_are_hidden_by_what_is_before_them_alone() -> None:
    camera = replace(aim(0., 10., 1.), focal_px=300.,
                     centre=np.array([50., 50.]))
    skin = ball(np.array([0, 0, 1.]), .5)
    points = np.array([
        [-1, 0, 1],  # behind
        [1, 0, 1],  # before
        [-1, .7, 1],  # beside, and behind
        [.4, 0, 1],  # a decimetre below the skin
        [.4, 0, 1]], float)
    margins = np.array([0, 0, 0, .05, .15])
    np.testing.assert_array_equal(
        find_hidden(points, margins, [skin], camera),
        [True, False, False, True, False])
    assert not find_hidden(points, margins, [], camera).any()


def test_hidden_points_are_those_beyond_the_outline_of_a_ball() -> None:
    camera = replace(aim(.3, 8., 1.2), focal_px=300.,
                     centre=np.array([50., 50.]))
    centre = np.array([.1, -.2, .9])
    skin = ball(centre, .6)
    points = np.random.default_rng(6).uniform(-2, 2, (4000, 3))
    # where the line of sight meets the ball, in closed form
    sight = points - camera.position
    reach = np.linalg.norm(sight, axis=-1)
    sight /= reach[:, None]
    towards = centre - camera.position
    middle = sight @ towards
    half = .6**2 - (towards @ towards - middle**2)
    entry = middle - np.sqrt(np.maximum(half, 0))
    clear = (np.abs(half) > .03) & (np.abs(reach - entry) > .02)
    expected = (half > 0) & (entry < reach)
    found = find_hidden(points, np.zeros(len(points)), [skin], camera)
    assert 100 < expected[clear].sum() < 3000
    np.testing.assert_array_equal(found[clear], expected[clear])


def test_shadow_falls_away_from_the_sun() -> None:
    camera = replace(aim(-np.pi / 2, 12., 3.), focal_px=300.,
                     centre=np.array([160., 20.]))
    skin = ball(np.array([0, 0, 1.]), .5)
    shadow = cast_shadow((160, 320), skin, camera, SUN)
    # the sun stands at (.6, 0, .8): the shadow of the middle is at -.75
    middle, _ = camera.project(np.array([-.75, 0, 0]))
    rows, columns = np.nonzero(shadow > .5)
    assert columns.mean() == pytest.approx(middle[0], abs=4)
    assert rows.mean() == pytest.approx(middle[1], abs=4)


@pytest.mark.parametrize(('side', 'near', 'far'),
                         [(1, 'l', 'r'), (-1, 'r', 'l')])
def test_the_near_side_is_seen_and_the_far_trunk_is_not(
        build: Build, side: int, near: str, far: str) -> None:
    grids, points = shape_horse(build, Pose.rest())
    camera = aim(side * np.radians(80), 7., 1.4)
    names = list(points)
    hidden = dict(zip(names, find_hidden(
        np.array(list(points.values())), np.full(len(names), .12),
        [cover(grids)], camera), strict=True))
    for name in ('eye', 'elbow', 'knee', 'hip', 'hock'):
        assert not hidden[f'{near}_{name}'], name
    for name in ('eye', 'elbow', 'hip'):
        assert hidden[f'{far}_{name}'], name
    # seen from its left, a horse looks to the left of the picture
    pixels, _ = camera.project(np.stack([points['nose'],
                                         points['tail_base']]))
    assert np.sign(pixels[1, 0] - pixels[0, 0]) == side
