"""The skin and the keypoints of a horse in three dimensions.

Metres in the horse's own frame: x forward, y to its left, z up, the ground at
z = 0. The skin is a set of tubes and sheets, each a grid of points, rings
along it and columns around it. A part has the same grid for every horse and
pose, so what is painted on a place of the skin stays there.
"""
from __future__ import annotations

from functools import cache

import numpy as np

from mmpose_ext.synthesis.horses import LEGS, MANE_LOCKS, Build, Pose

Array = np.ndarray
Grids = dict[str, Array]
Points = dict[str, Array]

# The horse that the tables describe is 1.6 m high.
WITHERS_M = 1.6
# x, top, bottom and half width of the trunk, from the dock to the breast
_TRUNK = np.array([
    (-.87, 1.37, 1.27, .02), (-.85, 1.43, 1.14, .11), (-.78, 1.49, 1.04, .20),
    (-.66, 1.545, .98, .25), (-.50, 1.57, .92, .275), (-.32, 1.53, .86, .29),
    (-.10, 1.495, .80, .305), (.13, 1.53, .78, .29), (.32, 1.60, .79, .255),
    (.50, 1.52, .84, .23), (.64, 1.36, .92, .19), (.71, 1.24, 1.0, .12),
    (.735, 1.15, 1.08, .02)])
# half height and half width of the neck, from the trunk to the poll
_NECK = np.array([(.31, .17), (.255, .14), (.195, .10), (.155, .082),
                  (.135, .075), (.11, .06)])
_NECK_BASE, _NECK_M = np.array([.40, 0, 1.27]), .84
# place along the head, forehead, jaw and half width
_HEAD = np.array([
    (-.07, .03, -.04, .015), (-.05, .065, -.08, .055), (.04, .09, -.14, .083),
    (.14, .095, -.17, .098), (.25, .08, -.155, .088), (.36, .06, -.10, .066),
    (.46, .042, -.075, .053), (.54, .034, -.082, .055),
    (.59, .012, -.075, .046), (.61, -.02, -.045, .012)])
# A leg's root in the trunk, its segments down to the coronet, and where its
# half depth (front to back) and half width are set: segment, place along it.
_ROOTS = {'f': (.46, .145, 1.20), 'h': (-.54, .15, 1.23)}
_SEGMENTS_M = {'f': (.34, .43, .27, .10), 'h': (.35, .47, .37, .10)}
_GIRTHS = {
    'f': np.array([
        (0, 0, .18, .095), (0, .6, .16, .098), (1, 0, .12, .085),
        (1, .4, .082, .066), (1, .8, .05, .046), (1, 1, .054, .05),
        (2, .2, .04, .037), (2, .6, .032, .028), (2, .88, .038, .032),
        (3, .1, .045, .039), (3, .55, .033, .031), (3, 1, .046, .043)]),
    'h': np.array([
        (0, 0, .23, .10), (0, .45, .25, .125), (0, .8, .225, .118),
        (1, .1, .17, .098), (1, .4, .105, .072), (1, .78, .056, .044),
        (1, 1, .066, .05),
        (2, .15, .052, .044), (2, .5, .037, .032), (2, .88, .041, .035),
        (3, .1, .047, .041), (3, .55, .035, .032), (3, 1, .047, .044)])}
_HOOF_M, _HOOF_AHEAD_M, _CLEARANCE_M = .075, .045, .05
# Each segment's angle forward of straight down: at rest, and by how much it
# follows a degree of protraction and of flexion.
_ANGLES = {
    'f': np.array([(-9, .4, .1), (0, 1., .55), (0, 1., -.8), (33, .5, -1.5)]),
    'h': np.array([(20, .8, .5), (-40, 1., -.4), (-3, 1., -.05),
                   (31, .5, -1.2)])}
_HOOF_TILT = -1.2  # per degree of flexion

# How deep below the skin a point lies at most, seen from any side where it
# would be called visible, m.
DEPTHS_M = {
    'nose': .06, 'eye': .03, 'ear': .04, 'neck': .28, 'withers': .15,
    'back': .15, 'tail_base': .12, 'tail_end': .08, 'elbow': .14, 'knee': .07,
    'fetlock': .06, 'hoof': .08, 'hip': .14, 'hock': .08}
# rings and columns of the grids
HEAD_SHAPE = (30, 24)
_SHAPES = {
    'trunk': (44, 36), 'neck': (MANE_LOCKS, 32), 'head': HEAD_SHAPE,
    'leg': (38, 14), 'hoof': (4, 14), 'tail': (18, 12), 'ear': (7, 8),
    'eye': (6, 8)}
_LEFT = np.array([0., 1., 0.])


def shape_horse(build: Build, pose: Pose) -> tuple[Grids, Points]:
    """Lay out a horse.

    Returns:
        tuple[dict[str, ndarray], dict[str, ndarray]]: Points on the skin of
        each part, (rings, columns, 3), and the keypoints by name, (3,); m.
        Columns run once around a tube; those of a sheet ('mane', 'forelock')
        across it.
    """
    grids: Grids = {}
    points: Points = {}
    rise, chains = _stand(build, pose)
    for i, leg in enumerate(LEGS):
        bend = 0. if pose.stance[i] else pose.flexion[i]
        _add_leg(grids, points, build, leg, chains[leg], bend)
    _add_trunk(grids, points, build, rise)
    _add_head(grids, points, build, pose, _add_neck(
        grids, points, build, pose, rise))
    _add_tail(grids, points, build, pose, rise)
    scale = build.height_m / WITHERS_M
    return ({name: grid * scale for name, grid in grids.items()},
            {name: point * scale for name, point in points.items()})


def _stand(build: Build, pose: Pose) -> tuple[float, Points]:
    """How far the trunk is raised, and root to sole (6, 3) of each leg.

    The trunk hangs between the shoulder blades and rocks on the hips: a
    leg's root gives way by some centimetres, up or down, so that its hoof is
    on the ground or, in the air, clear of it.
    """
    bend = np.where(pose.stance, 0., pose.flexion)
    chains = np.stack([
        _chain(build, leg[1], pose.protraction[i], bend[i])
        for i, leg in enumerate(LEGS)])
    roots = np.array([_ROOTS[leg[1]] for leg in LEGS])
    sides = np.array([1 if leg[0] == 'l' else -1 for leg in LEGS])
    excess = -chains[:, -1, 2] - roots[:, 2]
    airborne = not pose.stance.any()
    rise = (excess.max() + .06 if airborne else excess[pose.stance].mean())
    lift = np.where(pose.stance, excess,
                    np.maximum(rise, excess + _CLEARANCE_M))
    outward = np.radians(pose.abduction - 2)[:, None]
    chains[..., 1] = sides[:, None] * (
        roots[:, 1:2] * build.girth - chains[..., 2] * np.tan(outward))
    chains[..., 0] += roots[:, :1]
    chains[..., 2] += (roots[:, 2] + lift)[:, None]
    return float(rise), dict(zip(LEGS, chains, strict=True))


def _chain(build: Build, kind: str, protraction: float,
           flexion: float) -> Array:
    """Root, joints, coronet and sole (6, 3) of a leg below its root."""
    angles = np.radians(_ANGLES[kind] @ [1, protraction, flexion])
    lengths = np.array(_SEGMENTS_M[kind]) * build.legs
    steps = np.zeros((6, 3))
    steps[1:5, 0] = lengths * np.sin(angles)
    steps[1:5, 2] = -lengths * np.cos(angles)
    ahead, down = _hoof_axes(flexion)
    steps[5] = _HOOF_M * down + _HOOF_AHEAD_M * ahead
    return steps.cumsum(0)


def _hoof_axes(flexion: float) -> tuple[Array, Array]:
    """Unit vectors (3,) ahead and down of a hoof."""
    tilt = np.radians(_HOOF_TILT * flexion)
    return (np.array([np.cos(tilt), 0, np.sin(tilt)]),
            np.array([np.sin(tilt), 0, -np.cos(tilt)]))


def _add_leg(grids: Grids, points: Points, build: Build, leg: str,
             joints: Array, bend: float) -> None:
    table = _GIRTHS[leg[1]]
    segment = table[:, 0].astype(int)
    part = table[:, 1:2]
    centres = (1 - part) * joints[segment] + part * joints[segment + 1]
    # only the flesh goes with the girth, the bones do not
    stout = 1 + (build.girth - 1) * (segment < 2)
    grids[f'{leg}_leg'] = _tube('leg', centres, _LEFT, table[:, 3] * stout,
                                table[:, 2] * stout)
    ahead, down = _hoof_axes(bend)
    coronet, sole = joints[4:]
    centres = np.stack([coronet - .01 * down, coronet, sole, sole])
    radii = np.array([.035, .05, .068, .001])[:, None, None]
    turn = np.linspace(0, 2 * np.pi, _SHAPES['hoof'][1], endpoint=False)
    circle = np.cos(turn)[:, None] * _LEFT + np.sin(turn)[:, None] * ahead
    grids[f'{leg}_hoof'] = centres[:, None] + radii * circle

    side, sign = leg[0], 1 if leg[0] == 'l' else -1
    if leg[1] == 'f':
        points[f'{side}_elbow'] = joints[1] + [0, .05 * sign, 0]
        points[f'{side}_knee'] = joints[2]
    else:
        points[f'{side}_hip'] = joints[0] + [0, .09 * sign, 0]
        points[f'{side}_hock'] = joints[2]
    points[f'{leg}_fetlock'] = joints[3]
    points[f'{leg}_hoof'] = (coronet + sole) / 2


def _add_trunk(grids: Grids, points: Points, build: Build,
               rise: float) -> None:
    x, top, bottom, width = _TRUNK.T
    bottom = bottom - (build.belly - 1) * (top - bottom)
    centres = np.stack([x, 0 * x, (top + bottom) / 2 + rise], -1)
    grids['trunk'] = _tube('trunk', centres, _LEFT, width * build.girth,
                           (top - bottom) / 2, lean=.2)
    for name, place in (('withers', .33), ('back', -.12)):
        points[name] = np.array([place, 0, np.interp(place, x, top) + rise])
    if build.saddled:
        # over the back behind the withers, and down both sides
        rings = grids['trunk'][19:29]
        skin = rings[:, 2:17]
        out = skin - rings.mean(1, keepdims=True)
        out /= np.linalg.norm(out, axis=-1, keepdims=True)
        grids['pad'] = skin + .02 * out
        grids['saddle'] = (skin + .045 * out)[2:-1, 3:-3]


def _add_neck(grids: Grids, points: Points, build: Build, pose: Pose,
              rise: float) -> tuple[Array, Array]:
    """Neck, mane and neck point; returns the poll and the turn there."""
    elevation = _graze(build, pose, rise) if pose.grazing else pose.neck
    centres, turns = _neck_line(build, pose, elevation, rise)
    sides = np.stack([-np.sin(turns), np.cos(turns), 0 * turns], -1)
    height, width = (_NECK * [build.crest, build.girth]).T
    grids['neck'] = neck = _tube('neck', centres, sides, width, height)
    points['neck'] = .4 * centres[0] + .6 * centres[1]
    # The crest is a quarter round from the left side.
    columns = neck.shape[1]
    crest = columns // 4
    fall = crest - build.mane_side * np.arange(5)
    axis = neck.mean(1, keepdims=True)
    sheet = axis + 1.1 * (neck[:, fall % columns] - axis)
    reach = np.linspace(0, 1, 5)[:, None] * build.mane[:, None, None]
    # along the columns, as far as each lock hangs
    place = 4 * reach[..., 0]
    low = np.minimum(place.astype(int), 3)
    part = (place - low)[..., None]
    rows = np.arange(len(neck))[:, None]
    grids['mane'] = (1 - part) * sheet[rows, low] + part * sheet[rows, low + 1]
    return centres[-1], turns[-1]


def _neck_line(build: Build, pose: Pose, elevation: float,
               rise: float) -> tuple[Array, Array]:
    """Centres (6, 3) along the neck and how far each is turned, radians."""
    share = np.linspace(0, 1, 6)
    turns = np.radians(pose.neck_turn) * share**1.5
    angles = np.radians(elevation + pose.neck_change * share)
    step = np.stack([
        np.cos(angles) * np.cos(turns), np.cos(angles) * np.sin(turns),
        np.sin(angles)], -1)
    centres = np.zeros((6, 3))
    centres[1:] = np.cumsum((step[1:] + step[:-1]) / 2, 0)
    return (_NECK_BASE + [0, 0, rise]
            + centres * (_NECK_M * build.neck / 5)), turns


def _graze(build: Build, pose: Pose, rise: float) -> float:
    """Elevation of the neck at which the muzzle touches the grass."""
    drop = _HEAD[-2, 0] * build.head * np.sin(np.radians(pose.head))
    elevations = np.arange(-75., 30., 7.)
    muzzle = [_neck_line(build, pose, elevation, rise)[0][-1, 2] - drop
              for elevation in elevations]
    return float(np.interp(.04, muzzle, elevations))


def _add_head(grids: Grids, points: Points, build: Build, pose: Pose,
              poll: tuple[Array, Array]) -> None:
    origin, turn = poll
    turn = turn + np.radians(pose.head_turn)
    below = np.radians(pose.head)
    side = np.array([-np.sin(turn), np.cos(turn), 0])
    ahead = np.array([np.cos(below) * np.cos(turn),
                      np.cos(below) * np.sin(turn), -np.sin(below)])
    frame = np.stack([ahead, side, np.cross(ahead, side)]) * build.head

    def place(*local: float) -> Array:
        return origin + np.array(local) @ frame

    along, top, bottom, width = _HEAD.T
    centres = origin + np.stack(
        [along, 0 * along, (top + bottom) / 2], -1) @ frame
    grids['head'] = _tube('head', centres, side, width * build.head,
                          (top - bottom) / 2 * build.head, lean=-.12)
    points['nose'] = place(.60, 0, -.01)
    # leaning back by what the ears are laid back
    tilt = np.radians(pose.ears)
    for name, sign in (('l', 1), ('r', -1)):
        points[f'{name}_eye'] = place(.15, sign * .093, .015)
        points[f'{name}_ear'] = base = place(-.015, sign * .05, .085)
        tip = np.array([np.sin(tilt) - .25, sign * .22, np.cos(tilt)]) @ frame
        shares = np.array([-.1, .3, .7, 1.])[:, None]
        grids[f'{name}_ear'] = _tube(
            'ear', base + .17 * shares * tip, side,
            np.array([.03, .042, .03, .002]), np.array([.022, .026, .016,
                                                        .002]))
        grids[f'{name}_eye'] = _tube(
            'eye', np.stack([place(.15 + shift, sign * .085, .015)
                             for shift in (-.028, -.015, .015, .028)]), side,
            np.array([.003, .018, .018, .003]),
            np.array([.003, .019, .019, .003]))
        grids[f'{name}_nostril'] = _tube(
            'eye', np.stack([place(.565 + shift, sign * .043, -.005)
                             for shift in (-.018, -.01, .01, .018)]), side,
            np.array([.002, .012, .012, .002]),
            np.array([.002, .016, .016, .002]))
    locks = np.linspace(-.035, .035, 4)
    grids['forelock'] = np.stack([
        [place(-.03, lock, .10) for lock in locks],
        [place(.05, 1.1 * lock, .105) for lock in locks],
        [place(.13 + .03 * np.cos(90 * lock), .5 * lock, .108)
         for lock in locks]])


def _add_tail(grids: Grids, points: Points, build: Build, pose: Pose,
              rise: float) -> None:
    dock = np.array([-.80, 0, 1.45 + rise])
    share = np.linspace(0, 1, 6)
    # out from the dock, then down
    angles = np.radians((25 + pose.tail_lift) * (1 - share)**2 + 2)
    swing = np.radians(pose.tail_swing) * share
    steps = np.stack([-np.sin(angles), np.sin(swing),
                      -np.cos(angles) * np.cos(swing)], -1)
    centres = np.zeros((6, 3))
    centres[1:] = np.cumsum((steps[1:] + steps[:-1]) / 2, 0)
    centres = dock + centres * build.tail_m / 5
    grids['tail'] = _tube(
        'tail', centres, _LEFT, np.array([.035, .05, .075, .085, .06, .008]),
        np.array([.035, .05, .065, .07, .05, .008]))
    points['tail_base'] = dock + [-.02, 0, .02]
    points['tail_end'] = centres[-1]


def _tube(kind: str, centres: Array, side: Array, width: Array,
          height: Array, lean: float = 0.) -> Array:
    """Skin (rings, columns, 3) around a smooth line through the centres.

    Args:
        kind (str): Key of _SHAPES.
        centres (ndarray): (S, 3).
        side (ndarray): (3,) or (S, 3), about the left; where columns start.
        width (ndarray): (S,) half widths, to the left and right.
        height (ndarray): (S,) half heights, at right angles to it.
        lean (float): How much the upper half is narrower than the lower.
            Defaults to 0.
    """
    rings, columns = _SHAPES[kind]
    smooth = _spline(len(centres), rings)
    line = smooth @ centres
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    side = smooth @ np.broadcast_to(side, centres.shape)
    up = np.cross(along, side)
    up /= np.linalg.norm(up, axis=-1, keepdims=True)
    side = np.cross(up, along)
    turn = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    wide = np.cos(turn) * (1 - lean * np.sin(turn))
    radii = np.maximum(smooth @ np.stack([width, height], -1), .001)
    return (line[:, None] + side[:, None] * (radii[:, :1] * wide)[..., None]
            + up[:, None] * (radii[:, 1:] * np.sin(turn))[..., None])


@cache
def _spline(stations: int, rings: int) -> Array:
    """Matrix (rings, stations) of a Catmull-Rom spline through stations."""
    place = np.linspace(0, stations - 1, rings)
    low = np.minimum(place.astype(int), stations - 2)
    t = (place - low)[:, None]
    weights = np.concatenate([
        -t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3,
        t + 4 * t**2 - 3 * t**3, -t**2 + t**3], 1) / 2
    matrix = np.zeros((rings, stations))
    for shift in range(4):
        column = np.clip(low + shift - 1, 0, stations - 1)
        np.add.at(matrix, (np.arange(rings), column), weights[:, shift])
    return matrix
