"""Pictures of hands and things: exact surfaces, honest symmetries."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmpose_ext.synthesis import hand_pictures
from mmpose_ext.synthesis.grasp_objects import NAMES, grasp_object
from mmpose_ext.synthesis.hand_bodies import clothe, draw_hand, pose_hand
from mmpose_ext.synthesis.hand_grasps import find_grasp
from mmpose_ext.synthesis.hand_pictures import Eye, Lamp, Shot

Array = np.ndarray
MATRIX = np.array([[300., 0, 81], [0, 290., 62], [0, 0, 1]])
VIEWS = {number: Rotation.random(random_state=number).as_matrix()
         for number in range(3)}


@pytest.fixture(scope='module')
def eye() -> Eye:
    return Eye.of(MATRIX, (160, 120))


def shoot(eye: Eye, ycb_id: int, rotation: Array) -> Shot:
    lamp = Lamp(np.array([0, -.6, -.8]), .5, .5)
    shot = Shot(eye, lamp, np.zeros((120, 160, 3), np.uint8),
                np.full((120, 160), 2, np.float32))
    shot.put_thing(grasp_object(ycb_id), rotation, np.array([0, 0, .55]))
    return shot


def difference(first: Shot, second: Shot) -> float:
    """Share of the thing's pixels that clearly differ."""
    thing = (first.seg > 0) | (second.seg > 0)
    change = np.abs(first.colour.astype(int) - second.colour).max(-1)
    return float((change[thing] > 60).mean())


@pytest.mark.parametrize('turns', [[0, 0, 11.25], [0, 0, 90], [0, 0, 123.75]])
def test_a_bowl_looks_the_same_all_around(eye: Eye, turns: list) -> None:
    turn = Rotation.from_euler('xyz', turns, degrees=True).as_matrix()
    for view in VIEWS.values():
        assert difference(shoot(eye, 13, view),
                          shoot(eye, 13, view @ turn)) < .01


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_half_turns_change_a_brick_only(eye: Eye, axis: int) -> None:
    turn = np.where(np.arange(3) == axis, 1, -1) * np.eye(3)
    for ycb_id in NAMES:
        changes = [difference(shoot(eye, ycb_id, view),
                              shoot(eye, ycb_id, view @ turn))
                   for view in VIEWS.values()]
        if ycb_id == 21 or (ycb_id == 13 and axis == 2):
            assert max(changes) < .02
        else:
            assert max(changes) > .12
    quarter = Rotation.from_rotvec(np.pi / 2 * np.eye(3)[axis]).as_matrix()
    assert difference(shoot(eye, 21, VIEWS[0]),
                      shoot(eye, 21, VIEWS[0] @ quarter)) > .15


def test_rays_meet_cones_where_spheres_end(eye: Eye) -> None:
    rng = np.random.default_rng(3)
    for _ in range(12):
        start, way = rng.normal(0, .03, (2, 3))
        start = start + [0, 0, .5]
        radii = rng.uniform(.006, .016, 2)
        way *= max(1, 1.3 * np.ptp(radii) / np.linalg.norm(way))
        reach, part = hand_pictures._cut(eye.rays, start, start + way, radii,
                                         closed=True)
        met = np.isfinite(reach)
        assert met.any()
        points = (eye.rays * np.where(met, reach, 0)[..., None])[met]
        steps = np.linspace(0, 1, 400)
        centres = start + steps[:, None] * way
        sizes = radii[0] + steps * (radii[1] - radii[0])
        outside = np.linalg.norm(points[:, None] - centres, axis=-1) - sizes
        # on the skin of one sphere, and within none
        assert np.abs(outside.min(1)).max() < 2e-5
        np.testing.assert_allclose(part[met], steps[outside.argmin(1)],
                                   atol=.02)
        spheres = [_meets(eye.rays, centre, size)
                   for centre, size in zip(centres[::8], sizes[::8],
                                           strict=True)]
        assert (met == np.any(spheres, 0)).mean() > .999
        # without its start the rest stays what it is
        rest, _ = hand_pictures._cut(eye.rays, start, start + way, radii,
                                     closed=False)
        np.testing.assert_array_equal(rest[met & (part > 0)],
                                      reach[met & (part > 0)])
        assert (rest >= reach).all()


def _meets(rays: Array, centre: Array, radius: float) -> Array:
    along = rays @ centre
    return along**2 > centre @ centre - radius**2


def test_the_nearest_is_seen(eye: Eye) -> None:
    shot = shoot(eye, 2, np.eye(3))
    before = shot.depth.copy()
    body = draw_hand(np.random.default_rng(0))
    posture = pose_hand(body, np.zeros((5, 4)), left=False)
    for away, hidden in ((.9, True), (.35, False)):
        joints = posture.joints + [0, -.08, away]
        shot.put_hand(body, clothe(body, joints), posture.backs,
                      np.array([0, 0, 1.]))
        hand = shot.seg == 255
        assert hand.any() and (before[hand] > shot.depth[hand]).all()
        assert ((before < 1) & hand).any() != hidden


def test_left_hands_mirror_right_ones() -> None:
    body = draw_hand(np.random.default_rng(4))
    angles = np.random.default_rng(5).uniform(-.1, .8, (6, 5, 4))
    right, left = (pose_hand(body, angles, side) for side in (False, True))
    np.testing.assert_allclose(left.joints, right.joints * [-1, 1, 1])
    np.testing.assert_allclose(left.backs, right.backs * [-1, 1, 1])
    bones = np.diff(right.joints[:, 1:].reshape(6, 5, 4, 3), axis=2)
    lengths = np.linalg.norm(bones, axis=-1)
    np.testing.assert_allclose(lengths, lengths[:1].repeat(6, 0))
    # backs are at right angles to their bones
    assert np.abs((bones * right.backs).sum(-1)).max() < 1e-12


@pytest.mark.parametrize('ycb_id', sorted(NAMES))
def test_hands_close_until_they_touch(ycb_id: int) -> None:
    thing = grasp_object(ycb_id)
    firm = []
    for number in range(4):
        rng = np.random.default_rng([number, ycb_id])
        body = draw_hand(rng)
        grasp = find_grasp(rng, body, number % 2 == 1, thing)
        joints = pose_hand(body, grasp.angles, number % 2 == 1).joints
        cones = clothe(body, joints @ grasp.rotation.T + grasp.translation)
        centres, radii = cones.spheres(6)
        air = thing.surface.query(centres)[0] - radii
        assert air.min() > -.004
        tips = air[[2, 5, 8, 11, 14]].min(1) < .003
        np.testing.assert_array_equal(tips, grasp.touching)
        firm.append(tips[0] and tips.sum() >= 3)
    assert sum(firm) >= 3
