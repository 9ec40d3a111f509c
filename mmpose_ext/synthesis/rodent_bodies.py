"""The skin of a rat: points dense enough to be drawn one by one.

Every part is a tube around a smooth line, sampled on a grid of rings along
and columns around it. A grid has the same points in every pose, so a coat
painted once stays on the skin. World in mm, z up. T poses, N points.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

from mmpose_ext.synthesis.rodent_poses import (
    NAMES,
    Build,
    Motion,
    Stance,
    pose_rat,
)

Array = np.ndarray

# How deep below the skin a keypoint lies at most, seen from a side where it
# would be called visible, mm.
_DEPTHS_MM = {
    'Snout': 6., 'Ear': 7., 'SpineF': 9., 'SpineM': 9., 'SpineL': 9.,
    'TailBase': 9., 'Shoulder': 15., 'Elbow': 10., 'Wrist': 7., 'Hand': 6.,
    'Hip': 16., 'Knee': 13., 'Ankle': 8., 'Foot': 7.}
# Trunk: place (SpineL 0, the spine's length 1), below the spine, half
# height and half width, from the rump to the neck.
_TRUNK = np.array([
    (-.36, 2., 2., 2.), (-.33, 5., 6., 7.), (-.24, 11., 12., 14.),
    (-.12, 17., 18., 20.), (.0, 20., 22., 23.5), (.25, 22., 24.5, 26.),
    (.5, 22., 24.5, 25.), (.75, 20., 22.5, 22.), (1., 17., 19., 18.5)])
# head: along it (the snout is at 1), above it, half height and half width
_HEAD = np.array([
    (.20, -12., 13., 13.5), (.34, -7., 13., 13.5), (.48, -4., 13.5, 14.5),
    (.60, -3.5, 12., 12.5), (.72, -2.5, 9., 9.5), (.84, -1.5, 6.4, 6.6),
    (.93, -.8, 4.6, 5.), (.99, -.3, 3., 3.6), (1.02, 0., .6, .8)])
# limbs: bone, place along it, half width, half depth; bone 0 leads out of
# the trunk to the shoulder or hip
_ARM = np.array([
    (0, 0., 6., 8.), (1, 0., 10., 11.), (1, .5, 8., 9.), (2, 0., 6., 6.3),
    (2, .35, 5.6, 5.6), (2, 1., 3.8, 3.6), (3, .5, 4.2, 3.2),
    (3, 1., 3.8, 2.6), (3, 1.35, .5, .5)])
_LEG = np.array([
    (0, 0., 8., 10.), (1, 0., 11., 13.), (1, .35, 11., 15.),
    (1, .65, 11., 14.), (2, 0., 9., 11.), (2, .3, 7.5, 8.5),
    (2, .7, 5., 5.5), (3, 0., 4.2, 4.6), (3, .4, 4., 3.4),
    (3, .8, 4.8, 3.), (3, 1.1, 4.4, 2.4), (3, 1.3, .5, .5)])
_ROOT_MM = 12.  # from a shoulder or hip into the trunk
# Rings and columns: points are less than 2 mm apart, or pictures show holes.
_SHAPES = {'trunk': (104, 96), 'head': (38, 52), 'arm': (56, 34),
           'leg': (68, 46), 'tail': (104, 10), 'ear': (10, 24), 'eye': (6, 10)}


@dataclass(frozen=True)
class Skin:
    """Skins of one animal.

    Attributes:
        points: (T, N, 3) mm.
        normals: (T, N, 3) outward unit vectors.
        parts: Rows of each part.
    """

    points: Array
    normals: Array
    parts: dict[str, slice]


@cache
def keypoint_depths() -> Array:
    """How deep below the skin each keypoint lies at most, (23,) mm."""
    return np.array([_DEPTHS_MM.get(name, _DEPTHS_MM.get(name[:-1]))
                     for name in NAMES])


def cover(build: Build, stance: Stance) -> Skin:
    """Put the skin on an animal's joints."""
    at = {name: stance.points[:, i] for i, name in enumerate(NAMES)}
    grids = {'trunk': _trunk(build, stance, at),
             'head': _head(build, stance, at)}
    for side, sign in (('L', 1.), ('R', -1.)):
        grids[f'arm{side}'] = _limb(
            'arm', _ARM, [at[f'{name}{side}'] for name in (
                'Shoulder', 'Elbow', 'Wrist', 'Hand')],
            stance.chest[..., 1], sign, build.girth)
        grids[f'leg{side}'] = _limb(
            'leg', _LEG, [at[f'{name}{side}'] for name in (
                'Hip', 'Knee', 'Ankle', 'Foot')],
            stance.pelvis[..., 1], sign, build.girth)
        grids[f'ear{side}'] = _ear(build, stance, at[f'Ear{side}'], sign)
        grids[f'eye{side}'] = _eye(build, stance, at['SpineF'], sign)
    widths = np.linspace(3.9, 1.0, 8) * build.girth
    grids['tail'] = _tube('tail', np.linspace(0, 1, 8), stance.tail,
                          stance.pelvis[:, None, :, 1], widths, widths)
    return _join(grids)


def _trunk(build: Build, stance: Stance, at: dict[str, Array]) -> Array:
    """From the rump to the neck, below the spine."""
    place, below, height, width = _TRUNK.T
    known = np.array([-.36, 0, .5, 1.])
    spine = np.stack([at['TailBase'], at['SpineL'], at['SpineM'],
                      at['SpineF']], 1)
    frames = np.stack([stance.pelvis, .5 * (stance.pelvis + stance.loin),
                       .5 * (stance.loin + stance.chest), stance.chest], 1)
    weights = _between(place, known)
    line = np.einsum('sk,tki->tsi', weights, spine)
    turned = np.einsum('sk,tkij->tsij', weights, frames)
    line = line - build.girth * below[:, None] * turned[..., 2]
    # the neck goes on into the head
    neck = at['SpineF'] + .30 * build.head * stance.head[..., 0]
    neck = neck - 10 * build.girth * stance.head[..., 2]
    line = np.concatenate([line, neck[:, None]], 1)
    left = np.concatenate([turned[..., 1], stance.head[:, None, :, 1]], 1)
    return _tube('trunk', np.append(place, 1.25), line, left,
                 build.girth * np.append(width, 13.),
                 build.girth * np.append(height, 13.))


def _head(build: Build, stance: Stance, at: dict[str, Array]) -> Array:
    along, above, height, width = _HEAD.T
    local = np.stack([build.head * along, 0 * along, build.size * above], -1)
    line = at['SpineF'][:, None] + np.einsum(
        'tij,sj->tsi', stance.head, local)
    return _tube('head', along, line, stance.head[:, None, :, 1],
                 build.size * width, build.size * height)


def _limb(kind: str, table: Array, joints: list[Array], left: Array,
          sign: float, girth: float) -> Array:
    bone, share = table[:, 0].astype(int), table[:, 1:2]
    root = joints[0] - _ROOT_MM * sign * left
    stations = np.stack([root, *joints], 1)
    line = (1 - share) * stations[:, bone] + share * stations[:, bone + 1]
    return _tube(kind, table[:, :2].sum(1), line, left[:, None],
                 girth * table[:, 2], girth * table[:, 3])


def _ear(build: Build, stance: Stance, middle: Array, sign: float) -> Array:
    """A round shell that faces ahead and outward."""
    facing = stance.head @ np.array([.75, .6 * sign, .25])
    up = stance.head @ np.array([-.25, .35 * sign, .9])
    return _disc('ear', middle, facing, up, 9.5 * build.size,
                 1.2 * build.size)


def _eye(build: Build, stance: Stance, root: Array, sign: float) -> Array:
    local = np.array([.66 * build.head, 8.6 * sign * build.size,
                      3.4 * build.size])
    facing = stance.head @ np.array([.2, sign, .35])
    return _disc('eye', root + stance.head @ local, facing,
                 stance.head[..., 2], 2.6 * build.size, 2.2 * build.size)


def _disc(kind: str, middle: Array, facing: Array, up: Array, radius: float,
          thick: float) -> Array:
    """A flattened ball around a place, (T, rings, columns, 3)."""
    bow = np.linspace(-np.pi / 2, np.pi / 2, 9)
    line = middle[:, None] + (thick * np.sin(bow))[:, None] * _unit(
        facing)[:, None]
    wide = radius * np.cos(bow)
    return _tube(kind, bow, line, np.cross(up, facing)[:, None], wide, wide)


def _tube(kind: str, places: Array, line: Array, left: Array, width: Array,
          height: Array) -> Array:
    """Skin (T, rings, columns, 3) around a smooth line.

    Args:
        kind (str): Key of _SHAPES.
        places (ndarray): (S,) rising, of the stations along the line.
        line (ndarray): (T, S, 3).
        left (ndarray): (T, S or 1, 3), about the side where columns start.
        width (ndarray): (S,) half widths, to that side.
        height (ndarray): (S,) half heights, at right angles to it.
    """
    rings, columns = _SHAPES[kind]
    smooth = _smoothing(tuple(places), rings)
    left = np.broadcast_to(left, line.shape)
    middle = np.einsum('rs,tsi->tri', smooth, line)
    along = np.gradient(middle, axis=1)
    side = np.einsum('rs,tsi->tri', smooth, left)
    up = _unit(np.cross(along, side))
    side = _unit(np.cross(up, along))
    turn = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    radii = np.maximum(smooth @ np.stack([width, height], -1), .3)
    across = radii[:, :1] * np.cos(turn)
    above = radii[:, 1:] * np.sin(turn)
    return (middle[:, :, None] + across[..., None] * side[:, :, None]
            + above[..., None] * up[:, :, None])


@cache
def _smoothing(places: tuple[float, ...], rings: int) -> Array:
    """Matrix (rings, stations): between stations, with rounded corners."""
    fine = np.linspace(places[0], places[-1], 6 * rings)
    weights = _between(fine, np.array(places))
    weights = gaussian_filter1d(weights, .035 * len(fine), axis=0,
                                mode='nearest')
    # smoothing has drawn the ends in
    weights[0], weights[-1] = np.eye(len(places))[[0, -1]]
    return weights[np.linspace(0, len(fine) - 1, rings).round().astype(int)]


def _between(where: Array, places: Array) -> Array:
    """Weights (W, P) of linear interpolation between places."""
    return np.stack([np.interp(where, places, row)
                     for row in np.eye(len(places))], -1)


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(
        np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _join(grids: dict[str, Array]) -> Skin:
    points, normals, parts, first = [], [], {}, 0
    for name, grid in grids.items():
        around = np.roll(grid, -1, 2) - np.roll(grid, 1, 2)
        normal = _unit(np.cross(around, np.gradient(grid, axis=1)))
        count = len(grid), grid.shape[1] * grid.shape[2], 3
        points.append(grid.reshape(count))
        normals.append(normal.reshape(count))
        parts[name] = slice(first, first + count[1])
        first += count[1]
    return Skin(np.concatenate(points, 1), np.concatenate(normals, 1), parts)


def rest(build: Build) -> tuple[Skin, Stance]:
    """An animal that stands square and looks ahead, at the origin."""
    zero = np.zeros(1)
    two, three = np.zeros((1, 2)), np.zeros((1, 3))
    arch = np.radians([[6., -14.]])
    motion = Motion(two, zero, zero + 62, zero, arch, two,
                    three + [0, -.35, 0], zero, zero, np.full((1, 4), .3),
                    zero, two)
    stance = pose_rat(build, motion)
    return cover(build, stance), stance


def paint_coat(rng: np.random.Generator, build: Build,
               coat: str = 'hooded') -> Array:
    """Colours (N, 3) of the skin of a rat with its left ear tagged.

    Spots of dye tell left from right: one on the left thigh, one on the
    right shoulder.

    Args:
        rng (Generator): The shades, and where the markings end.
        build (Build): The animal.
        coat (str): ``hooded``, whose head and shoulders are dark, with a
            stripe down the back, or ``agouti``, brown all over with a grey
            belly. Defaults to 'hooded'.
    """
    skin, stance = rest(build)
    points = skin.points[0]
    at = {name: stance.points[0, i] for i, name in enumerate(NAMES)}
    colours = _COATS[coat](rng, skin, at)
    pink = np.array([.83, .60, .55])
    for name, joint in (('leg', 'Ankle'), ('arm', 'Wrist')):
        for side in 'LR':
            rows = skin.parts[f'{name}{side}']
            bare = _soft(at[f'{joint}{side}'][2] + 4 - points[rows, 2], 2.)
            colours[rows] += bare[:, None] * (pink - colours[rows])
    colours[skin.parts['tail']] = pink * [.84, .86, .86]
    nose = _soft(4.5 - np.linalg.norm(points - at['Snout'], axis=-1), 1.)
    colours += nose[:, None] * (pink * .95 - colours)
    colours *= 1 + .07 * rng.standard_normal((len(points), 1))
    for side in 'LR':
        colours[skin.parts[f'ear{side}']] = pink * .62
        colours[skin.parts[f'eye{side}']] = .03
    _mark(skin, colours, 'legL', at['HipL'] + [4, 12, 2], 11,
          np.array([.20, .50, .30]))
    _mark(skin, colours, 'trunk', at['ShoulderR'] + [-24, -10, 14], 12,
          np.array([.62, .24, .42]))
    ear = skin.parts['earL']
    tag = np.linalg.norm(points[ear] - at['EarL'] - [1, 2, 0], axis=-1) < 6
    colours[ear][tag] = [.92, .78, .10]
    return np.clip(colours, 0, 1)


def _hooded(rng: np.random.Generator, skin: Skin,
            at: dict[str, Array]) -> Array:
    """White, with a dark hood and a stripe down the back."""
    points = skin.points[0]
    white = np.array([.86, .83, .78]) * rng.uniform(.93, 1.03)
    dark = np.array([.17, .14, .125]) * rng.uniform(.8, 1.5)
    wave = _patches(rng, points)
    # hood: ahead of a ragged line behind the shoulders
    edge = at['SpineF'][0] - rng.uniform(2, 14)
    hood = points[:, 0] - edge + 7 * wave + .25 * (points[:, 2] - 50)
    stripe = (rng.uniform(5, 8) - np.abs(points[:, 1]) + 4 * wave
              + .8 * np.minimum(points[:, 2] - 56, 0))
    cover_dark = _soft(np.maximum(hood, stripe), 2.)
    for name in ('legL', 'legR', 'tail'):
        cover_dark[skin.parts[name]] = 0
    for side in 'LR':
        arm = skin.parts[f'arm{side}']
        cover_dark[arm] *= _soft(
            points[arm, 2] - at[f'Elbow{side}'][2] - 3 + 3 * wave[arm], 2.)
    # a pale muzzle and throat
    cover_dark *= 1 - .75 * _soft(
        18 - np.linalg.norm(points - at['Snout'] - [4, 0, -6], axis=-1), 2.)
    return white + cover_dark[:, None] * (dark - white)


def _agouti(rng: np.random.Generator, skin: Skin,
            at: dict[str, Array]) -> Array:
    """Brown, darker along the back, with a grey belly and throat."""
    points = skin.points[0]
    brown = np.array([.43, .335, .235]) * rng.uniform(.85, 1.1)
    grey = np.array([.63, .60, .56]) * rng.uniform(.93, 1.05)
    wave = _patches(rng, points)
    back = _soft(14 - np.abs(points[:, 1]) + 5 * wave, 8.)
    colours = brown * (1.12 - .34 * back[:, None] + .08 * wave[:, None])
    belly = _soft(at['ElbowL'][2] + 6 + 4 * wave - points[:, 2], 5.)
    colours += belly[:, None] * (grey - colours)
    # ticked: every hair has dark and light bands
    return np.asarray(
        colours * (1 + .12 * rng.standard_normal((len(points), 1))))


_COATS = {'hooded': _hooded, 'agouti': _agouti}


def _mark(skin: Skin, colours: Array, part: str, middle: Array,
          radius: float, dye: Array) -> None:
    rows = skin.parts[part]
    inside = _soft(radius - np.linalg.norm(
        skin.points[0, rows] - middle, axis=-1), 2.)[:, None]
    colours[rows] += .8 * inside * (dye - colours[rows])


def _patches(rng: np.random.Generator, points: Array) -> Array:
    """Smooth noise (N,) over space, about 0, nearly all within 1."""
    waves = rng.normal(0, 1 / 14, (12, 3))
    return np.cos(points @ waves.T + rng.uniform(0, 6.3, 12)).mean(1) * 2.


def _soft(inside: Array, width: float) -> Array:
    """0 to 1 across an edge so many mm wide."""
    return 1 / (1 + np.exp(-np.clip(inside / width * 2, -30, 30)))
