"""Hands: their bones, their looks, and where angles put the joints.

A hand lies in a frame of its own, in m: the wrist in the origin, y towards
the fingers, z out of the back, x towards the little finger of a right hand; a
left hand is the mirror image, x negated. Joints are in DexYCB's order.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

# thumb, index, middle, ring and little finger of a hand of middle size
_BASES = np.array([[-.031, .027, -.008], [-.026, .090, .002],
                   [-.004, .094, .004], [.016, .087, .002],
                   [.034, .076, -.003]])
_LENGTHS = np.array([[.043, .032, .027], [.041, .025, .022],
                     [.045, .029, .023], [.041, .027, .023],
                     [.033, .020, .020]])
_RADII = np.array([[.0130, .0115, .0105, .0086], [.0105, .0096, .0086, .0070],
                   [.0106, .0098, .0088, .0072], [.0101, .0093, .0083, .0069],
                   [.0091, .0082, .0073, .0062]])
_SPREAD = np.array([0., .12, .02, -.09, -.20])  # of straight fingers, rad
# rows: thumb's base, hollows at the wrist, and what they reach to
_PALM = ((1, .35, .0150, .0125), (5, .30, .0140, .0120),
         (9, .28, .0145, .0122), (13, .28, .0140, .0116),
         (17, .30, .0140, .0108))
_TIP = .4  # a tip lies so many radii beyond the middle of the last sphere
SEGMENTS = 15  # cones that are phalanges; then come those of the palm
_THUMB_AHEAD, _THUMB_BENDS = (-.7, .7, 0.), (.55, .60, -.58)
# in every posture: how far phalanges may bend
_MOST = np.radians([[40, 60, 80], [90, 108, 75], [90, 108, 75],
                    [90, 108, 75], [90, 108, 75]])


@dataclass(frozen=True)
class HandBody:
    """A subject's hand.

    Attributes:
        bases: (5, 3) where fingers start, m.
        lengths: (5, 3) of phalanges, m.
        radii: (5, 4) at the ends of phalanges, m.
        girth: Of the palm, 1 on average.
        betas: (10,) the shape as numbers about 0.
        glove: (5, 3) colours of the fingers, 0 to 1.
        back: (3,) colour of the back of the hand.
        palm: (3,) colour of the palm.
        nails: (3,).
        sleeve: (3,).
    """

    bases: Array
    lengths: Array
    radii: Array
    girth: float
    betas: Array
    glove: Array
    back: Array
    palm: Array
    nails: Array
    sleeve: Array


@dataclass(frozen=True)
class Posture:
    """Hands in poses; leading dimensions are free.

    Attributes:
        joints: (..., 21, 3) m.
        backs: (..., 5, 3, 3) unit vectors out of the back of each phalanx.
    """

    joints: Array
    backs: Array


@dataclass(frozen=True)
class Cones:
    """Spheres and what is stretched between two of them; N cones.

    Attributes:
        starts: (..., N, 3) m.
        ends: (..., N, 3) m.
        radii: (N, 2) of the spheres, m.
    """

    starts: Array
    ends: Array
    radii: Array

    def moved(self, move: Callable[[Array], Array]) -> Cones:
        """The same elsewhere; `move` takes points (..., 3)."""
        return Cones(move(self.starts), move(self.ends), self.radii)

    def spheres(self, count: int) -> tuple[Array, Array]:
        """Centres (..., N, count, 3) and radii (N, count) along the cones."""
        part = np.linspace(0, 1, count)
        way = self.ends - self.starts
        return (self.starts[..., None, :] + part[:, None] * way[..., None, :],
                self.radii[:, :1] + part * (self.radii[:, 1:]
                                            - self.radii[:, :1]))


def draw_hand(rng: np.random.Generator) -> HandBody:
    """Make up a subject's hand and glove."""
    traits = rng.uniform(-1, 1, 10)
    size = 1 + .12 * traits[0]
    fingers = size * (1 + .06 * traits[1])
    girth = size * (1 + .13 * traits[2])
    bases = _BASES * size * [1 + .07 * traits[3], 1, 1]
    lengths = _LENGTHS * fingers
    lengths[0] *= 1 + .06 * traits[4]
    lengths[4] *= 1 + .06 * traits[5]
    hues = np.array([0, 48, 118, 200, 300]) + rng.uniform(-11, 11, 5)
    glove = _colour(hues, rng.uniform(.68, .95), rng.uniform(.82, 1.))
    tone = rng.uniform(.38, .92)
    palm = np.array([1., .80, .66]) * tone
    back = _colour(rng.uniform(0, 360), rng.uniform(.05, .3),
                   rng.uniform(.22, .42))
    return HandBody(
        bases, lengths, _RADII * girth, girth, traits, glove, back, palm,
        np.array([1., .88, .86]) * rng.uniform(.85, 1),
        _colour(rng.uniform(0, 360), rng.uniform(.1, .7),
                rng.uniform(.3, .9)))


def pose_hand(body: HandBody, angles: Array, left: bool) -> Posture:
    """Put joints where angles say.

    Args:
        body (HandBody): Whose hand.
        angles (ndarray): (..., 5, 4) rad. Of fingers: aside, towards the
            thumb, and three by which phalanges bend. Of the thumb the first
            is its opposition, 0 in the plane of the palm.
        left (bool): Whether it is a left hand.
    """
    ahead = np.empty((*angles.shape[:-1], 3))
    bends = np.empty_like(ahead)
    aside = angles[..., 1:, 0] + _SPREAD[1:]
    ahead[..., 1:, 0], ahead[..., 1:, 1] = -np.sin(aside), np.cos(aside)
    ahead[..., 1:, 2] = 0
    bends[..., 1:, :] = [0, 0, -1]
    across = angles[..., 0, 0]
    ahead[..., 0, :] = _about_y(np.array(_THUMB_AHEAD), across)
    bends[..., 0, :] = _about_y(np.array(_THUMB_BENDS), across)
    ahead[..., 0, :] /= np.linalg.norm(ahead[..., 0, :], axis=-1,
                                       keepdims=True)
    bends -= (bends * ahead).sum(-1, keepdims=True) * ahead
    bends /= np.linalg.norm(bends, axis=-1, keepdims=True)
    turns = np.cumsum(np.minimum(angles[..., 1:], _MOST), -1)[..., None]
    cosine, sine = np.cos(turns), np.sin(turns)
    ways = cosine * ahead[..., None, :] + sine * bends[..., None, :]
    backs = sine * ahead[..., None, :] - cosine * bends[..., None, :]
    lengths = body.lengths.copy()
    lengths[:, 2] += _TIP * body.radii[:, 3]
    steps = np.concatenate([
        np.broadcast_to(body.bases[:, None], (*ahead.shape[:-1], 1, 3)),
        lengths[..., None] * ways], -2)
    chains = np.cumsum(steps, -2)
    joints = np.zeros((*angles.shape[:-2], 21, 3))
    joints[..., 1:, :] = chains.reshape(*angles.shape[:-2], 20, 3)
    if left:
        joints[..., 0] *= -1
        backs[..., 0] *= -1
    return Posture(joints, backs)


def clothe(body: HandBody, joints: Array) -> Cones:
    """The 27 cones of hands with joints (..., 21, 3).

    First three phalanges of each finger from thumb to little finger, then
    the palm: five bones from the wrist, its root, the thumb's ball, a web,
    the edge below the little finger, and the flesh between four bones.
    """
    chain = joints[..., 1:, :].reshape(*joints.shape[:-2], 5, 4, 3).copy()
    last = chain[..., 3, :] - chain[..., 2, :]
    length = np.linalg.norm(last, axis=-1, keepdims=True)
    chain[..., 3, :] -= last / length * _TIP * body.radii[:, 3:]
    starts = [chain[..., finger, bone, :]
              for finger in range(5) for bone in range(3)]
    ends = [chain[..., finger, bone + 1, :]
            for finger in range(5) for bone in range(3)]
    radii = [body.radii[finger, bone:bone + 2]
             for finger in range(5) for bone in range(3)]
    wrist = joints[..., 0, :]
    for joint, part, start, end in _PALM:
        starts.append(wrist + part * (joints[..., joint, :] - wrist))
        ends.append(joints[..., joint, :])
        radii.append(body.girth * np.array([start, end]))
    middle = .5 * (joints[..., 1, :] + joints[..., 2, :])
    for start, end, thick in (
            (wrist, joints[..., 9, :] * .3 + .7 * wrist, (.0155, .0145)),
            (middle, .6 * joints[..., 5, :] + .4 * wrist, (.0115, .0105)),
            (joints[..., 1, :], joints[..., 5, :] * .75 + wrist * .25,
             (.0130, .0110)),
            (joints[..., 17, :] * .3 + wrist * .7,
             joints[..., 17, :] * .85 + wrist * .15, (.0140, .0125)),
            *(((joints[..., one, :] + joints[..., one + 4, :]) * .15
               + wrist * .7, (joints[..., one, :] + joints[..., one + 4, :])
               * .47 + wrist * .06, (.0135, .0108)) for one in (5, 9, 13))):
        starts.append(start)
        ends.append(end)
        radii.append(body.girth * np.array(thick))
    return Cones(np.stack(starts, -2), np.stack(ends, -2), np.stack(radii))


def _about_y(vector: Array, angles: Array) -> Array:
    """A vector (3,) turned from -x towards -z by angles (...,)."""
    cosine, sine = np.cos(angles), np.sin(angles)
    x, y, z = vector
    return np.stack([x * cosine - z * sine, np.full_like(cosine, y),
                     x * sine + z * cosine], -1)


def _colour(hue: Array | float, saturation: float, value: float) -> Array:
    """RGB (..., 3), 0 to 1, of hues in degrees."""
    steps = (np.array([5, 3, 1]) + np.asarray(hue)[..., None] / 60) % 6
    ramp = np.clip(np.minimum(steps, 4 - steps), 0, 1)
    return value * (1 - saturation * ramp)
