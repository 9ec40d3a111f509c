"""Tables with things, hands that take hold of one, and cameras around.

The frame of a table: x and y along it, z up, the origin in its middle; m. A
moment is what is where at one time; consecutive moments are seconds apart, in
which a hand may let go and take hold again in another way.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmpose_ext.storage.dexycb import SERIALS
from mmpose_ext.synthesis.arena_cameras import look_along
from mmpose_ext.synthesis.grasp_objects import (
    FAR_M,
    NAMES,
    GraspObject,
    distances_to,
    grasp_object,
)
from mmpose_ext.synthesis.hand_bodies import (
    Cones,
    HandBody,
    clothe,
    draw_hand,
    pose_hand,
)
from mmpose_ext.synthesis.hand_grasps import Grasp, find_grasp

Array = np.ndarray

CAMERAS = len(SERIALS)
MASTER = 2  # the camera whose frame is the world
TABLE_M = (1.2, .9)
_REACHING = .15  # share of moments in which the hand is still on its way
_HOLDS, _REACHES = 24, 4  # tries
_RING_M = (.20, .32)  # from the middle to what lies around
_SLEEVE_M = .32


@dataclass(frozen=True)
class Rig:
    """Cameras around a table.

    Attributes:
        matrices: (8, 3, 3) px.
        rotations: (8, 3, 3) from the table's frame to the camera's.
        centres: (8, 3) in the table's frame, m.
    """

    matrices: Array
    rotations: Array
    centres: Array

    def to_camera(self, camera: int, points: Array) -> Array:
        """Points (..., 3) of the table in a camera's frame."""
        return (points - self.centres[camera]) @ self.rotations[camera].T

    def to_world(self, camera: int) -> Array:
        """[R|t] (3, 4) from a camera's frame to the master's."""
        master = self.rotations[MASTER]
        return np.column_stack([
            master @ self.rotations[camera].T,
            master @ (self.centres[camera] - self.centres[MASTER])])

    def table_to_world(self, origin: Array) -> Array:
        """[R|t] (3, 4) of a frame along the table's, with its origin (3,)."""
        master = self.rotations[MASTER]
        return np.column_stack([master,
                                master @ (origin - self.centres[MASTER])])


@dataclass(frozen=True)
class Scene:
    """What stays the same in a sequence.

    Attributes:
        body: The hand.
        left: Whether it is a left hand.
        ycb_ids: Of the things on the table.
        grasped: Which of them is grasped.
        poses: (P, 3, 4) [R|t] in which they lie on the table.
    """

    body: HandBody
    left: bool
    ycb_ids: tuple[int, ...]
    grasped: int
    poses: Array

    @property
    def things(self) -> tuple[GraspObject, ...]:
        """What the ids stand for."""
        return tuple(map(grasp_object, self.ycb_ids))


@dataclass(frozen=True)
class Hand:
    """A hand at a place, in the table's frame.

    Attributes:
        angles: (5, 4) rad.
        rotation: (3, 3) from the hand's frame.
        translation: (3,) of the wrist, m.
        joints: (21, 3) m.
        backs: (5, 3, 3) out of the back of each phalanx.
        cones: What it looks like.
        sleeve: Of its arm.
    """

    angles: Array
    rotation: Array
    translation: Array
    joints: Array
    backs: Array
    cones: Cones
    sleeve: Cones


@dataclass(frozen=True)
class Moment:
    """What is where: poses (P, 3, 4) of things, and a hand or None."""

    poses: Array
    hand: Hand | None


def draw_matrices(rng: np.random.Generator,
                  size: tuple[int, int]) -> Array:
    """Camera matrices (8, 3, 3) of eight sensors that all differ."""
    matrices = np.zeros((CAMERAS, 3, 3))
    focal = rng.uniform(602, 624, CAMERAS)
    matrices[:, 0, 0] = focal
    matrices[:, 1, 1] = focal * rng.uniform(.9955, .9985, CAMERAS)
    matrices[:, :2, 2] = np.array(size) / 2 + rng.normal(0, 6, (CAMERAS, 2))
    matrices[:, 2, 2] = 1
    return matrices.round(6)


def draw_rig(rng: np.random.Generator, matrices: Array) -> Rig:
    """Put the cameras of a subject up, from low to nearly overhead."""
    turn = 2 * np.pi * (np.arange(CAMERAS) + rng.uniform(-.25, .25, CAMERAS)
                        ) / CAMERAS + rng.uniform(0, 2 * np.pi)
    heights = np.radians(rng.permutation(
        [20, 27, 34, 40, 46, 53, 60, 68])) + rng.normal(0, .04, CAMERAS)
    distance = rng.uniform(.58, .82, (CAMERAS, 1))
    centres = distance * np.stack(
        [np.cos(heights) * np.cos(turn), np.cos(heights) * np.sin(turn),
         np.sin(heights)], -1) + [0, 0, .10]
    targets = rng.normal(0, .02, (CAMERAS, 3)) + [0, 0, .13]
    rotations = np.stack([
        look_along(way, roll) for way, roll in zip(
            targets - centres, rng.normal(0, .15, CAMERAS), strict=True)])
    return Rig(matrices, rotations, centres)


def draw_scene(rng: np.random.Generator, subject: int, number: int,
               body: HandBody) -> Scene:
    """Lay a table.

    Args:
        rng (Generator): Decides.
        subject (int): 0 to 9.
        number (int): Of the sequence, from 0; with `subject` it decides what
            is grasped, and by which hand.
        body (HandBody): Whose hand.
    """
    names = sorted(NAMES)
    grasped = names[(number + subject) % len(names)]
    # every object meets both hands, in every split
    left = (number + subject * (subject + 1) // 2) % 2 == 1
    others = rng.permutation([name for name in names if name != grasped])
    ids = [grasped, *others[:rng.integers(1, 4)].tolist()]
    ids = [ids[i] for i in rng.permutation(len(ids))]
    place = ids.index(grasped)
    spots: list[Array] = []
    poses = np.zeros((len(ids), 3, 4))
    sector = rng.uniform(0, 2 * np.pi)
    for i, ycb_id in enumerate(ids):
        thing = grasp_object(ycb_id)
        poses[i, :, :3] = _lay(rng, thing)
        if i == place:
            spot = rng.normal(0, .01, 2)
        else:  # one in each direction
            sector += 2 * np.pi / (len(ids) - 1) * rng.uniform(.8, 1.1)
            spot = rng.uniform(*_RING_M) * np.array([np.cos(sector),
                                                     np.sin(sector)])
        spots.append(spot)
        turned = thing.vertices @ poses[i, :, :3].T
        poses[i, :2, 3] = spot
        poses[i, 2, 3] = -turned[:, 2].min()
    return Scene(body, left, tuple(ids), place, poses)


def draw_moment(rng: np.random.Generator, scene: Scene,
                empty: bool) -> Moment:
    """What a sequence shows at one time.

    Args:
        rng (Generator): Decides.
        scene (Scene): Of the sequence.
        empty (bool): Whether the hand has not come yet.
    """
    if empty:
        return Moment(scene.poses, None)
    thing = scene.things[scene.grasped]
    if rng.random() < _REACHING:
        moment = _reach(rng, scene, thing)
        if moment is not None:
            return moment
    grasp = find_grasp(rng, scene.body, scene.left, thing)
    return _hold(rng, scene, thing, grasp)


def subject_body(seed: int, subject: int) -> HandBody:
    """The hand of a subject, 0 to 9."""
    return draw_hand(np.random.default_rng([seed, 1, subject]))


def place_hand(rng: np.random.Generator, scene: Scene, angles: Array,
               rotation: Array, translation: Array) -> Hand:
    """A hand with its arm where it is put."""
    posture = pose_hand(scene.body, angles, scene.left)
    joints = posture.joints @ rotation.T + translation
    bend = rng.uniform(-.35, .35, 2)
    way = rotation @ np.array([np.sin(bend[0]), -1, np.sin(bend[1])])
    way /= np.linalg.norm(way)
    girth = scene.body.girth
    sleeve = Cones(np.stack([translation + .014 * way]),
                   np.stack([translation + _SLEEVE_M * way]),
                   girth * np.array([[.0245, .034]]))
    return Hand(angles, rotation, translation, joints,
                posture.backs @ rotation.T, clothe(scene.body, joints),
                sleeve)


def _hold(rng: np.random.Generator, scene: Scene, thing: GraspObject,
          grasp: Grasp) -> Moment:
    """Lift a thing that is held, away from the table and what is on it."""
    best, most = None, -np.inf
    for _ in range(_HOLDS):
        turn = _any_turn(rng)
        hand = place_hand(rng, scene, grasp.angles, turn @ grasp.rotation,
                          turn @ grasp.translation)
        rise = hand.sleeve.ends[0, 2] - hand.translation[2]
        if rise < -.03 and best is not None:
            continue
        low = min(_lowest(hand), (thing.vertices @ turn.T)[:, 2].min())
        middle = (hand.joints.mean(0) * .7)[:2]
        spot = np.array([*rng.normal(0, .035, 2) - middle,
                         rng.uniform(.015, .10) - low])
        hand = _moved(hand, spot)
        moment = Moment(_with(scene, np.column_stack([turn, spot])), hand)
        room = _room(scene, thing, moment)
        if room + 4 * min(rise + .03, 0) > most:
            best, most = moment, room + 4 * min(rise + .03, 0)
        if most > .004:
            break
    assert best is not None
    return best


def _reach(rng: np.random.Generator, scene: Scene,
           thing: GraspObject) -> Moment | None:
    """A hand on its way to what lies on the table; None if it cannot."""
    turn, spot = scene.poses[scene.grasped, :, :3], scene.poses[
        scene.grasped, :, 3]
    for _ in range(_REACHES):
        grasp = find_grasp(rng, scene.body, scene.left, thing)
        back = rng.uniform(.02, .08) * grasp.towards
        hand = place_hand(rng, scene, grasp.opened, turn @ grasp.rotation,
                          turn @ (grasp.translation - back) + spot)
        moment = Moment(scene.poses, hand)
        if _lowest(hand) > .004 and _room(scene, thing, moment) > .004:
            return moment
    return None


def _room(scene: Scene, held: GraspObject, moment: Moment) -> float:
    """Air between a hand with what it holds and the other things, m."""
    hand = moment.hand
    assert hand is not None
    points, radii = [], []
    for cones in (hand.cones, hand.sleeve):
        centres, sizes = cones.spheres(5)
        points.append(centres.reshape(-1, 3))
        radii.append(sizes.ravel())
    pose = moment.poses[scene.grasped]
    shell = held.surface.data[::37] @ pose[:, :3].T + pose[:, 3]
    points.append(shell)
    radii.append(np.zeros(len(shell)))
    room = FAR_M
    for i, thing in enumerate(scene.things):
        if i != scene.grasped:
            pose = moment.poses[i]
            local = (np.concatenate(points) - pose[:, 3]) @ pose[:, :3]
            air = distances_to(thing, local) - np.concatenate(radii)
            room = min(room, float(air.min()))
    return room


def _lowest(hand: Hand) -> float:
    """Height of the lowest skin or sleeve, m."""
    return float(min(
        (ends[..., 2] - cones.radii[:, column]).min()
        for cones in (hand.cones, hand.sleeve)
        for column, ends in enumerate((cones.starts, cones.ends))))


def _moved(hand: Hand, by: Array) -> Hand:
    def move(points: Array) -> Array:
        return points + by

    return Hand(hand.angles, hand.rotation, move(hand.translation),
                move(hand.joints), hand.backs, hand.cones.moved(move),
                hand.sleeve.moved(move))


def _with(scene: Scene, pose: Array) -> Array:
    poses = scene.poses.copy()
    poses[scene.grasped] = pose
    return poses


def _lay(rng: np.random.Generator, thing: GraspObject) -> Array:
    """A rotation (3, 3) in which a thing lies on a table."""
    up = thing.rests[rng.integers(len(thing.rests))]
    aside = np.eye(3)[np.abs(up).argmin()]
    x = np.cross(aside, up)
    x /= np.linalg.norm(x)
    turn = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(turn), np.sin(turn)
    spin = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return spin @ np.stack([x, np.cross(up, x), up])


def _any_turn(rng: np.random.Generator) -> Array:
    """A rotation, all equally likely."""
    turn, upper = np.linalg.qr(rng.normal(size=(3, 3)))
    turn = turn * np.sign(np.diagonal(upper))
    return turn if np.linalg.det(turn) > 0 else -turn
