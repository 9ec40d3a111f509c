"""How a rat is built and how it moves: joints over time.

World in mm, z up, the floor at z = 0; angles in radians, headings from x to
y, pitches upward. Bones keep their lengths: joints follow from angles, and
limbs reach for the floor or the face by two-bone inverse kinematics. T time
points; the 23 keypoints are those of the profile rat23.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

Array = np.ndarray

NAMES = ('Snout', 'EarL', 'EarR', 'SpineF', 'SpineM', 'SpineL', 'TailBase',
         'ShoulderL', 'ElbowL', 'WristL', 'HandL', 'ShoulderR', 'ElbowR',
         'WristR', 'HandR', 'HipL', 'KneeL', 'AnkleL', 'FootL', 'HipR',
         'KneeR', 'AnkleR', 'FootR')
RANGE_MM = 95.  # how far from the arena's middle an animal goes

# of a middling rat
_HEAD_MM = 72.  # SpineF to Snout
_EAR = np.array([35., 14.5, 11.5])  # in the head's frame, left positive
_SPINE_MM = np.array([46., 44., 30.])  # front, lumbar, to the tail
_SHOULDER = np.array([5., 19., -23.])  # from SpineF, in the chest's frame
_HIP = np.array([-8., 19., -19.])  # from SpineL, in the pelvis' frame
_FORE_MM = np.array([27., 29., 12.])
_HIND_MM = np.array([34., 39., 28.])
_WRIST_MM, _ANKLE_MM = 9., 9.  # above the floor when standing
_PAW_MM = 3.5  # a paw's middle above what it stands on
_SNOUT_MM = 7.  # the lowest that it goes
_DUTY = .6  # share of a stride that a paw is on the floor
_SMOOTH_S = .12


@dataclass(frozen=True)
class Build:
    """Bone lengths of an animal, mm."""

    head: float
    ear: Array  # (3,) in the head's frame
    spine: Array  # (3,) SpineF-SpineM, SpineM-SpineL, SpineL-TailBase
    shoulder: Array  # (3,) from SpineF in the chest's frame, left positive
    hip: Array  # (3,) from SpineL in the pelvis' frame
    fore: Array  # (3,) upper arm, forearm, hand
    hind: Array  # (3,) thigh, shank, foot
    size: float  # of the whole, 1 is middling
    girth: float
    tail: float


@dataclass(frozen=True)
class Motion:
    """What an animal does; each (T,) unless said.

    Attributes:
        place: (T, 2) of SpineL, mm.
        heading: Of the pelvis.
        height: Of SpineL, mm, of a middling rat.
        pitch: Of the pelvis.
        arch: (T, 2) pitch of the lumbar and of the front spine against the
            piece behind it.
        bend: (T, 2) their heading, likewise.
        head: (T, 3) heading against the chest, pitch against the level,
            roll.
        reach: How far the hands have left the floor, 0 to 1.
        groom: How far they are at the face, 0 to 1.
        stride: (T, 4) phases of the paws, 0 to 1: left and right fore, left
            and right hind.
        step: Length of a stance, mm.
        tail: (T, 2) sideways and upward curl.
    """

    place: Array
    heading: Array
    height: Array
    pitch: Array
    arch: Array
    bend: Array
    head: Array
    reach: Array
    groom: Array
    stride: Array
    step: Array
    tail: Array


@dataclass(frozen=True)
class Stance:
    """A rat's joints and frames over time.

    Attributes:
        points: (T, 23, 3) keypoints.
        pelvis: (T, 3, 3) columns ahead, left and up.
        loin: Likewise of the back between SpineL and SpineM.
        chest: Likewise.
        head: Likewise.
        tail: (T, 8, 3) from TailBase to the tip.
    """

    points: Array
    pelvis: Array
    loin: Array
    chest: Array
    head: Array
    tail: Array


def draw_build(rng: np.random.Generator,
               sizes: tuple[float, float] = (.95, 1.05)) -> Build:
    """Make up an animal; proportions differ by some per cent.

    Args:
        rng (Generator): Its proportions.
        sizes (tuple[float, float]): The smallest and the largest that it
            may be; 1 is middling. Defaults to (.95, 1.05).
    """
    size = rng.uniform(*sizes)

    def vary(length: Array) -> Array:
        return size * length * rng.normal(1, .025, np.shape(length))

    return Build(
        head=float(vary(np.array(_HEAD_MM))), ear=vary(_EAR),
        spine=vary(_SPINE_MM), shoulder=vary(_SHOULDER), hip=vary(_HIP),
        fore=vary(_FORE_MM), hind=vary(_HIND_MM), size=size,
        girth=size * rng.uniform(.95, 1.08), tail=size * rng.uniform(150, 185))


# What each behaviour asks for: speed mm/s, turning rad/s, height mm, and in
# degrees the pitch, arch (2), bend (2), and heading, pitch and roll of the
# head; then reach and groom. Drawn as middle +- spread.
_BEHAVIOURS: dict[str, tuple[float, list[float], list[float]]] = {
    'walk': (.26, [170, 0, 62, 4, 6, -14, 0, 0, 0, -24, 0, 0, 0],
             [40, .9, 3, 3, 4, 5, 8, 8, 18, 9, 5, 0, 0]),
    'turn': (.18, [45, 0, 60, 2, 6, -16, 0, 0, 0, -22, 0, 0, 0],
             [20, 2.8, 4, 3, 5, 6, 20, 20, 40, 12, 12, 0, 0]),
    'rear': (.19, [0, 0, 62, 52, 6, 4, 0, 0, 0, 18, 0, 1, 0],
             [5, .4, 4, 14, 8, 10, 10, 10, 30, 22, 12, .1, 0]),
    'groom': (.14, [0, 0, 54, 40, 10, -45, 0, 0, 0, -52, 0, .8, 1],
              [0, .3, 3, 8, 5, 10, 10, 10, 20, 12, 22, .1, 0]),
    'crouch': (.11, [15, 0, 50, -2, 14, -20, 0, 0, 0, -14, 0, 0, 0],
               [10, .5, 3, 3, 5, 5, 14, 14, 30, 12, 8, 0, 0]),
    'sniff': (.12, [60, 0, 60, -4, 4, -20, 0, 0, 0, -40, 0, 0, 0],
              [40, .8, 3, 3, 4, 4, 15, 15, 35, 6, 15, 0, 0])}


def draw_motion(rng: np.random.Generator, count: int, fps: float) -> Motion:
    """Make up what an animal does for some time.

    Args:
        rng (Generator): What it does.
        count (int): Time points T.
        fps (float): Time points a second.
    """
    wanted = smooth(draw_wishes(rng, count, fps), fps)
    place, heading, speed = _walk(rng, wanted[:, 0], wanted[:, 1], fps)
    return animate(rng, wanted, place, heading, speed, fps)


def smooth(track: Array, fps: float) -> Array:
    """A track over time (T, ...) without its corners."""
    return np.asarray(gaussian_filter1d(track, _SMOOTH_S * fps, axis=0))


def animate(rng: np.random.Generator, wanted: Array, place: Array,
            heading: Array, speed: Array, fps: float) -> Motion:
    """Give a way to go the posture and the paws that belong to it.

    Args:
        rng (Generator): Where a stride begins, and how head and tail sway.
        wanted (ndarray): (T, 13) from :func:`draw_wishes`, smooth.
        place (ndarray): (T, 2) of SpineL, mm.
        heading (ndarray): (T,) of the pelvis.
        speed (ndarray): (T,) ahead, mm/s, not below 0.
        fps (float): Time points a second.
    """
    count = len(wanted)
    rate = np.where(speed > 20, .9 + speed / 110, .0)  # strides a second
    phase = rng.random() + np.cumsum(rate) / fps
    angles = np.radians(wanted[:, 3:11])
    time = np.arange(count) / fps
    head = angles[:, 5:8].copy()
    head[:, 0] += .12 * np.sin(2 * np.pi * (1.3 * time + rng.random()))
    head[:, 1] += .10 * np.sin(2 * np.pi * (1.9 * time + rng.random()))
    curl = gaussian_filter1d(rng.normal(0, 1, (count, 2)), .5 * fps, axis=0)
    return Motion(
        place=place, heading=heading, height=wanted[:, 2],
        pitch=angles[:, 0], arch=angles[:, 1:3], bend=angles[:, 3:5],
        head=head, reach=np.clip(wanted[:, 11], 0, 1),
        groom=np.clip(wanted[:, 12], 0, 1),
        stride=(phase[:, None] + np.array([0., .5, .5, 0.])) % 1,
        step=speed * _DUTY / np.maximum(rate, 1.),
        tail=curl * np.sqrt(fps) * [.5, .15])


def draw_wishes(rng: np.random.Generator, count: int, fps: float,
                names: Sequence[str] = tuple(_BEHAVIOURS)) -> Array:
    """Make up what is asked of each time point, (T, 13).

    A wish has a speed in mm/s, a turning in rad/s, a height in mm, eight
    angles in degrees, reach and groom.

    Args:
        rng (Generator): What is asked, and for how long.
        count (int): Time points T.
        fps (float): Time points a second.
        names (Sequence[str]): Behaviours to choose from, at least two.
            Defaults to all.
    """
    shares = np.array([_BEHAVIOURS[name][0] for name in names])
    rows: list[Array] = []
    last = -1
    while len(rows) < count:
        odds = np.where(np.arange(len(names)) == last, 0, shares)
        last = int(rng.choice(len(names), p=odds / odds.sum()))
        _, middle, spread = _BEHAVIOURS[names[last]]
        wish = np.array(middle) + np.array(spread) * rng.uniform(-1, 1, 13)
        rows += [wish] * int(fps * rng.uniform(.5, 1.3))
    return np.array(rows[:count])


def _walk(rng: np.random.Generator, speed: Array, turning: Array,
          fps: float) -> tuple[Array, Array, Array]:
    """Place (T, 2), heading (T,) and speed (T,), kept in the arena."""
    place, heading = rng.uniform(-40, 40, 2), rng.uniform(-np.pi, np.pi)
    places, headings, speeds = [], [], []
    for wish, turn in zip(np.maximum(speed, 0), turning, strict=True):
        ahead = np.array([np.cos(heading), np.sin(heading)])
        middle = place + 40 * ahead  # the pelvis is behind it
        far = np.linalg.norm(middle) / RANGE_MM
        inward = -middle / max(float(np.linalg.norm(middle)), 1e-6)
        urge = np.clip(1.6 * far - .8, 0, 1)
        side = ahead[0] * inward[1] - ahead[1] * inward[0]
        facing = ahead @ inward
        steer = np.copysign(1 if facing < 0 else abs(side), side)
        heading += ((1 - urge) * turn + 3.2 * urge * steer) / fps
        wish *= 1 - urge * np.clip(.3 - facing, 0, 1)
        place = place + wish / fps * ahead
        places.append(place)
        headings.append(heading)
        speeds.append(wish)
    return np.array(places), np.array(headings), np.array(speeds)


def pose_rat(build: Build, motion: Motion) -> Stance:
    """Lay out an animal's joints.

    Args:
        build (Build): Its bones.
        motion (Motion): What it does, T time points.
    """
    pelvis = _frame(motion.heading, motion.pitch)
    heading = motion.heading + motion.bend.cumsum(1).T
    pitch = motion.pitch + motion.arch.cumsum(1).T
    loin = _frame(heading[0], pitch[0])
    chest = _frame(heading[1], pitch[1])
    points = np.empty((len(pelvis), len(NAMES), 3))
    at = {name: points[:, i] for i, name in enumerate(NAMES)}
    at['SpineL'][:] = np.c_[motion.place, motion.height * build.size]
    at['SpineM'][:] = at['SpineL'] + build.spine[1] * loin[..., 0]
    at['SpineF'][:] = at['SpineM'] + build.spine[0] * chest[..., 0]
    down = np.array([-np.cos(.45), 0, -np.sin(.45)])
    at['TailBase'][:] = at['SpineL'] + pelvis @ (build.spine[2] * down)
    # the snout stays above the floor
    steepest = -np.arcsin(np.clip(
        (at['SpineF'][:, 2] - _SNOUT_MM) / build.head, -1, 1))
    head = _frame(heading[1] + motion.head[:, 0],
                  np.maximum(motion.head[:, 1], steepest), motion.head[:, 2])
    at['Snout'][:] = at['SpineF'] + build.head * head[..., 0]
    for i, (side, sign) in enumerate((('L', 1.), ('R', -1.))):
        mirror = np.array([1, sign, 1])
        at[f'Ear{side}'][:] = at['SpineF'] + head @ (build.ear * mirror)
        at[f'Shoulder{side}'][:] = at['SpineF'] + chest @ (
            build.shoulder * mirror)
        at[f'Hip{side}'][:] = at['SpineL'] + pelvis @ (build.hip * mirror)
        _put_arm(at, side, sign, build, motion, motion.stride[:, i], chest,
                 head)
        _put_leg(at, side, sign, build, motion, motion.stride[:, 2 + i],
                 pelvis)
    return Stance(points, pelvis, loin, chest, head,
                  _hang_tail(build, motion, at['TailBase'], pelvis))


def _frame(heading: Array, pitch: Array,
           roll: Array | float = 0.) -> Array:
    """Frames (T, 3, 3) with columns ahead, left and up."""
    ch, sh, cp, sp = (np.cos(heading), np.sin(heading), np.cos(pitch),
                      np.sin(pitch))
    ahead = np.stack([ch * cp, sh * cp, sp], -1)
    left = np.stack([-sh, ch, 0 * ch], -1)
    up = np.cross(ahead, left)
    cr, sr = (np.broadcast_to(f(roll), ch.shape)[:, None]
              for f in (np.cos, np.sin))
    return np.stack([ahead, cr * left + sr * up, cr * up - sr * left], -1)


def _level(frame: Array) -> Array:
    """The frame's heading, level: (T, 3, 3) columns ahead, left, up."""
    return _frame(np.arctan2(-frame[:, 0, 1], frame[:, 1, 1]),
                  np.zeros(len(frame)))


def _swing(phase: Array, step: Array) -> tuple[Array, Array]:
    """How far ahead of its middle a paw is, and how high, mm."""
    on_floor = phase < _DUTY
    part = np.where(on_floor, phase / _DUTY, (phase - _DUTY) / (1 - _DUTY))
    ahead = np.where(on_floor, .5 - part, -.5 * np.cos(np.pi * part))
    lift = np.where(on_floor, 0, np.sin(np.pi * part))
    return step * ahead, lift * np.minimum(step, 25) * .5


def _put_leg(at: dict[str, Array], side: str, sign: float, build: Build,
             motion: Motion, phase: Array, pelvis: Array) -> None:
    """Lay out a hind leg, whose paw stands below the hip."""
    level = _level(pelvis)
    ahead, lift = _swing(phase, motion.step)
    # in a rear the weight is on the hind feet, farther ahead
    upright = np.clip(np.sin(motion.pitch), 0, 1)
    local = np.stack([ahead - 10 + 4 * upright, 0 * ahead + 7 * sign,
                      0 * ahead], -1)
    hip = at[f'Hip{side}']
    ankle = hip + np.einsum('tij,tj->ti', level, local * build.size)
    ankle[:, 2] = _ANKLE_MM * build.size + lift
    pole = level @ np.array([1., .55 * sign, .35])
    knee, ankle = _bend(hip, ankle, pole, build.hind[0], build.hind[1])
    at[f'Knee{side}'][:], at[f'Ankle{side}'][:] = knee, ankle
    drop = np.clip((ankle[:, 2] - _PAW_MM) / build.hind[2], -.2, .9)
    drop = drop * np.where(lift > 2, .8, 1.)
    flat = level @ np.array([np.cos(.2), np.sin(.2) * sign, 0])
    at[f'Foot{side}'][:] = ankle + build.hind[2] * (
        np.sqrt(1 - drop**2)[:, None] * flat - drop[:, None] * level[..., 2])


def _put_arm(at: dict[str, Array], side: str, sign: float, build: Build,
             motion: Motion, phase: Array, chest: Array,
             head: Array) -> None:
    """Lay out a fore leg, on the floor, hanging or at the face."""
    level = _level(chest)
    shoulder = at[f'Shoulder{side}']
    ahead, lift = _swing(phase, motion.step)
    local = np.stack([ahead + 6, 0 * ahead - 1 * sign, 0 * ahead], -1)
    floor = shoulder + np.einsum('tij,tj->ti', level, local * build.size)
    floor[:, 2] = _WRIST_MM * build.size + lift
    hang = shoulder + chest @ (build.size * np.array([16, -5 * sign, -26]))
    rub = 5 * np.sin(2 * np.pi * (phase + 3 * np.arange(len(phase)) / 10))
    face = at['Snout'] + head @ (build.size * np.array([-14, 8 * sign, -17]))
    face = face + rub[:, None] * head[..., 0]
    free = motion.reach[:, None]
    groom = motion.groom[:, None]
    wrist = (1 - free) * floor + free * ((1 - groom) * hang + groom * face)
    # whatever is reached for, the wrist stays above the floor
    wrist[:, 2] = np.maximum(wrist[:, 2], 6.)
    pole = chest @ np.array([-1., .5 * sign, .1])
    elbow, wrist = _bend(shoulder, wrist, pole, build.fore[0], build.fore[1])
    at[f'Elbow{side}'][:], at[f'Wrist{side}'][:] = elbow, wrist
    drop = np.clip((wrist[:, 2] - _PAW_MM) / build.fore[2], -.3, .8)[:, None]
    flat = (np.sqrt(1 - drop**2) * (level @ np.array([1., 0, 0]))
            - drop * level[..., 2])
    loose = chest @ np.array([.55, -.15 * sign, -.6])
    towards = at['Snout'] - wrist
    towards /= np.linalg.norm(towards, axis=-1, keepdims=True)
    along = (1 - free) * flat + free * ((1 - groom) * loose
                                        + groom * towards)
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    at[f'Hand{side}'][:] = wrist + build.fore[2] * along


def _bend(start: Array, goal: Array, pole: Array, first: float,
          second: float) -> tuple[Array, Array]:
    """Middle and end (T, 3) of two bones that reach for a goal.

    Args:
        start (ndarray): (T, 3) where the first bone begins.
        goal (ndarray): (T, 3); the end lies there, or as near as possible.
        pole (ndarray): (T, 3) direction in which the middle sticks out.
        first (float): Length of the first bone.
        second (float): Length of the second.
    """
    way = goal - start
    far = np.linalg.norm(way, axis=-1, keepdims=True)
    along = way / np.maximum(far, 1e-9)
    reach = np.clip(far, 1.15 * abs(first - second) + 2,
                    .985 * (first + second))
    out = pole - (pole * along).sum(-1, keepdims=True) * along
    out /= np.linalg.norm(out, axis=-1, keepdims=True)
    before = (first**2 - second**2 + reach**2) / (2 * reach)
    height = np.sqrt(np.maximum(first**2 - before**2, 0))
    return start + before * along + height * out, start + reach * along


def _hang_tail(build: Build, motion: Motion, base: Array,
               pelvis: Array) -> Array:
    """The tail (T, 8, 3): down to the floor behind, then along it."""
    share = np.linspace(0, 1, 7)
    level = _level(pelvis)
    back = np.arctan2(-level[:, 1, 0], -level[:, 0, 0])
    heading = back[:, None] + motion.tail[:, :1] * share * 2.2
    start = np.minimum(motion.pitch, .3)[:, None] * -1 - .25
    step = build.tail / 7
    tail = [base]
    for i in range(7):
        slope = start[:, 0] * (1 - share[i]) + motion.tail[:, 1] * .3
        # no deeper than the floor
        low = (4. - tail[-1][:, 2]) / step
        rise = np.clip(np.sin(slope) - .35 * (tail[-1][:, 2] > 12), low, .9)
        rise = np.clip(rise, -.9, .9)
        flat = np.sqrt(1 - rise**2)
        tail.append(tail[-1] + step * np.stack(
            [flat * np.cos(heading[:, i]), flat * np.sin(heading[:, i]),
             rise], -1))
    return np.stack(tail, 1)
