"""How hands take hold of things: they come near, then close until they touch.

A hand is placed so that what is gripped comes between thumb and fingers. It
moves on until its skin meets the surface, and each finger bends until its own
skin does: first all of it, then the phalanges beyond one that touches.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmpose_ext.synthesis.grasp_objects import (
    GraspObject,
    Grip,
    distances_to,
)
from mmpose_ext.synthesis.hand_bodies import (
    SEGMENTS,
    HandBody,
    Posture,
    clothe,
    pose_hand,
)

Array = np.ndarray

TOUCH_M = .0025  # skin so near to a surface touches it
_GAP_M = .0003  # that is left between skin and surface
_STEPS, _TRIES, _SPHERES = 26, 20, 4
_HOLDS = 6.
_START_M, _RELAXED = .12, .5
_OPEN = np.radians([[0, -10, -5, -10], [0, 0, 2, 2], [0, 0, 2, 2],
                    [0, 0, 2, 2], [0, 0, 2, 2]])
_CLOSED = np.radians([[0, 32, 45, 60], [0, 80, 95, 55], [0, 80, 95, 55],
                      [0, 82, 95, 55], [0, 84, 95, 55]])


@dataclass(frozen=True)
class Grasp:
    """A hand in the frame of a thing.

    Attributes:
        angles: (5, 4) see :func:`pose_hand`.
        rotation: (3, 3) from the hand's frame to the thing's.
        translation: (3,) of the wrist, m.
        touching: (5,) which fingers' last phalanges touch.
        towards: (3,) the way that the hand came.
        opened: (5, 4) angles before it closed.
    """

    angles: Array
    rotation: Array
    translation: Array
    touching: Array
    towards: Array
    opened: Array


def find_grasp(rng: np.random.Generator, body: HandBody, left: bool,
               thing: GraspObject) -> Grasp:
    """Draw hands until the thumb and two fingers hold a thing.

    Args:
        rng (Generator): Decides.
        body (HandBody): Whose hand.
        left (bool): Whether it is a left hand.
        thing (GraspObject): What to grasp.

    Returns:
        Grasp: The first that holds, or else that which touches the most.
    """
    best, most = None, -1.
    for _ in range(_TRIES):
        grip = thing.grips[rng.integers(len(thing.grips))]
        grasp, worth = _try(rng, body, left, thing, grip)
        if best is None or worth > most:
            best, most = grasp, worth
        if worth >= _HOLDS:
            break
    assert best is not None
    return best


def _try(rng: np.random.Generator, body: HandBody, left: bool,
         thing: GraspObject, grip: Grip) -> tuple[Grasp, float]:
    opened, closed = _draw_style(rng)
    closing = np.linspace(0, 1, _STEPS)[:, None, None]
    course = opened + closing * (closed - opened)
    postures = pose_hand(body, course, left)
    start, rotation, middle = _fit(rng, body, postures, grip)
    translation = _aim(rng, grip, rotation, middle)
    towards, turn = rotation[:, 3], rotation[:, :3]
    # near, until the open hand meets the surface
    hand = clothe(body, postures.joints[start])
    centres, radii = hand.spheres(3)
    centres = centres.reshape(-1, 3) @ turn.T + translation
    back = np.arange(_START_M, -.046, -.009)
    clear = (distances_to(
        thing, centres - back[:, None, None] * towards)
        - radii.ravel()).min(1)
    met = np.flatnonzero(clear < .001)
    last = max(met[0] - 1, 0) if len(met) else len(back) - 1
    wanted = rng.uniform(-.030, .012)
    translation = translation - max(back[last], wanted) * towards
    angles, touching = _close(body, left, thing, course[start:], turn,
                              translation)
    grasp = Grasp(angles, turn, translation, touching, towards,
                  course[max(start - 4, 0)])
    return grasp, _worth(body, left, thing, grasp)


def _draw_style(rng: np.random.Generator) -> tuple[Array, Array]:
    """Angles (5, 4) of the open hand and of the fist it would close to."""
    opened, closed = _OPEN.copy(), _CLOSED.copy()
    opened[0, 0] = closed[0, 0] = np.radians(rng.uniform(38, 80))
    aside = np.radians(rng.normal(0, 4, 4))
    opened[1:, 0] = aside + np.radians([4, 1, -2, -5]) * rng.uniform(-.5, 1.2)
    closed[1:, 0] = .3 * opened[1:, 0]
    # whether they bend at the knuckles or beyond
    knuckles = rng.uniform(.55, 1.1)
    closed[1:, 1] *= knuckles
    closed[1:, 2] *= rng.uniform(.55, 1.1)
    closed[1:, 3] *= rng.uniform(.4, 1.1)
    closed[1:, 1:] *= rng.uniform(.88, 1.12, (4, 1))
    return opened, closed


def _fit(rng: np.random.Generator, body: HandBody, postures: Posture,
         grip: Grip) -> tuple[int, Array, Array]:
    """Match the gap between thumb and fingers to what is to come into it.

    Returns:
        tuple: With which posture to begin; the turn (3, 3) of the hand with
        the way that it comes as a fourth column; and the middle of the gap
        (3,) in the hand's frame.
    """
    tips = postures.joints[:, [8, 12]].mean(1)
    gap = tips - postures.joints[:, 4]
    wide = np.linalg.norm(gap, axis=1) - body.radii[[0, 1], 3].sum()
    # beyond the narrowest, fingers have passed the thumb
    fits = np.flatnonzero(wide[:wide.argmin() + 1] >= grip.thickness)
    fit = int(fits[-1]) if len(fits) else 0
    middle = tips[fit] - gap[fit] / 2
    reach = middle - postures.joints[fit, [0, 5, 17]].mean(0)
    hand = _frame(gap[fit], reach)
    sign = rng.choice([-1, 1]) if grip.flips else 1
    turn = rng.uniform(-grip.spread, grip.spread)
    side = np.cross(grip.across, grip.towards)
    towards = np.cos(turn) * grip.towards + np.sin(turn) * side
    rotation = _frame(sign * grip.across, towards) @ hand.T
    rotation = _small_turn(rng, .12) @ rotation
    more = int(round(_STEPS * rng.uniform(.12, .26)))
    return (max(fit - more, 0), np.column_stack([rotation, towards]), middle)


def _aim(rng: np.random.Generator, grip: Grip, rotation: Array,
         middle: Array) -> Array:
    """Where the wrist is when the middle of the gap is at the grip."""
    third = np.cross(grip.across, rotation[:, 3])
    off = rng.uniform(-grip.slack, grip.slack)
    return grip.centre + off * third - rotation[:, :3] @ middle


def _close(body: HandBody, left: bool, thing: GraspObject, course: Array,
           rotation: Array, translation: Array) -> tuple[Array, Array]:
    """Bend fingers until they touch, along angles (T, 5, 4).

    Returns:
        tuple[ndarray, ndarray]: Angles (5, 4), and whether the last phalanx
        of each finger touches (5,).
    """
    gaps = _gaps(body, left, thing, course, rotation, translation)
    place = np.array([_first(gaps[:, finger].min(1)) for finger in range(5)])
    free = place < 0
    usual = place[~free].mean() if not free.all() else 0.
    place[free] = np.minimum(usual + 3, _RELAXED * (len(course) - 1))
    angles = _between(course, place)
    # phalanges beyond the one that touches go on
    rows = np.minimum(np.rint(place).astype(int), len(course) - 1)
    first = np.array([gaps[row, finger].argmin() for finger, row in
                      enumerate(rows)])
    more = np.linspace(0, 1, _STEPS)[:, None, None] * np.radians(
        [0, 0, 60, 45])
    beyond = np.arange(4) - 1 > first[:, None]
    beyond[free] = False
    further = angles + more * beyond
    gaps = _gaps(body, left, thing, further, rotation, translation)
    gaps = np.where(np.arange(3) > first[:, None], gaps, np.inf)
    gaps[:, free] = np.inf
    place = np.array([_first(gaps[:, finger].min(1)) for finger in range(5)])
    place[place < 0] = .35 * (_STEPS - 1)  # bent round without touching
    angles = _between(further, place)
    gaps = _gaps(body, left, thing, angles[None], rotation, translation)[0]
    return angles, gaps[:, 2] < TOUCH_M


def _gaps(body: HandBody, left: bool, thing: GraspObject, angles: Array,
          rotation: Array, translation: Array) -> Array:
    """Air (T, 5, 3) between each phalanx and the surface, m."""
    cones = clothe(body, pose_hand(body, angles, left).joints)
    centres, radii = cones.spheres(_SPHERES)
    centres = centres[:, :SEGMENTS] @ rotation.T + translation
    air = distances_to(thing, centres) - radii[:SEGMENTS]
    return np.asarray(air.min(-1).reshape(-1, 5, 3))


def _first(gaps: Array) -> float:
    """Where gaps (T,) first close, between two steps; -1 for nowhere."""
    shut = np.flatnonzero(gaps < _GAP_M)
    if not len(shut):
        return -1.
    row = int(shut[0])
    if row == 0:
        return 0.
    before, after = gaps[row - 1], gaps[row]
    return float(row - 1 + (before - _GAP_M) / max(before - after, 1e-9))


def _between(course: Array, places: Array) -> Array:
    """Angles (5, 4) of each finger at its place (5,) in the course."""
    low = np.clip(np.floor(places).astype(int), 0, len(course) - 2)
    part = (places - low)[:, None]
    fingers = np.arange(5)
    return (1 - part) * course[low, fingers] + part * course[low + 1, fingers]


def _worth(body: HandBody, left: bool, thing: GraspObject,
           grasp: Grasp) -> float:
    """How well it holds; `_HOLDS` and above if the thumb opposes fingers."""
    joints = pose_hand(body, grasp.angles, left).joints
    centres, radii = clothe(body, joints).spheres(3)
    tips = centres[[2, 5, 8, 11, 14], 2]
    placed = centres @ grasp.rotation.T + grasp.translation
    normals = thing.outward[thing.surface.query(
        placed[[2, 5, 8, 11, 14], 1])[1]]
    opposed = (normals[1:] @ normals[0] < .1) & grasp.touching[1:]
    # fingers must not run into the thumb, nor the palm into the thing
    near = np.linalg.norm(tips[1:] - tips[0], axis=-1)
    clash = (near < .8 * (body.radii[1:, 3] + body.radii[0, 3])).any()
    palm = (distances_to(thing, placed) - radii).min() < -.003
    holds = bool(grasp.touching[0]) and opposed.sum() >= 2
    worth = float(grasp.touching.sum() + opposed.sum()) + _HOLDS * holds
    return worth - 4 * clash - 6 * palm


def _frame(first: Array, second: Array) -> Array:
    """A rotation whose columns are `first`, `second` at right angles."""
    x = first / np.linalg.norm(first)
    y = second - (second @ x) * x
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], 1)


def _small_turn(rng: np.random.Generator, angle: float) -> Array:
    """A rotation about a random axis by about `angle`, rad."""
    x, y, z = rng.normal(0, angle / 1.7, 3)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turned, _ = np.linalg.qr(np.eye(3) + skew)
    return turned * np.sign(np.diagonal(turned))
