"""Coats, markings and tack: a colour for each facet of a horse's skin."""
from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from mmpose_ext.synthesis.horse_bodies import HEAD_SHAPE, Grids, shape_horse
from mmpose_ext.synthesis.horses import LEGS, Build, Pose

Array = np.ndarray

Colour = tuple[float, float, float]


class _Coat(NamedTuple):
    """Colours; red, green, blue from 0 to 1."""

    share: float  # of the horses
    body: Colour
    hair: Colour  # mane and tail
    legs: Colour | None  # below the knee, None as the body
    muzzle: Colour


_COATS = {
    'bay': _Coat(.28, (.40, .22, .12), (.08, .06, .05), (.09, .07, .06),
                 (.16, .11, .09)),
    'chestnut': _Coat(.22, (.50, .26, .13), (.52, .28, .14), None,
                      (.42, .24, .16)),
    'black': _Coat(.14, (.13, .12, .12), (.08, .08, .08), None,
                   (.09, .08, .08)),
    'grey': _Coat(.14, (.70, .69, .67), (.62, .61, .60), (.48, .47, .46),
                  (.34, .32, .31)),
    'palomino': _Coat(.10, (.74, .55, .32), (.90, .86, .78), None,
                      (.55, .42, .30)),
    'buckskin': _Coat(.12, (.66, .52, .33), (.10, .08, .07), (.14, .11, .09),
                      (.22, .17, .13))}
_WHITE = np.array([.90, .88, .85])
_HORN = np.array([[.16, .14, .12], [.52, .45, .36]])
_LEATHER = np.array([.20, .11, .06])


@dataclass(frozen=True)
class Skin:
    """Facets of a horse.

    Attributes:
        vertices: (V, 3), m.
        facets: (F, 4) rows of `vertices`, counter-clockwise from outside.
        sheet: (F,) whether it is seen from both sides.
        parts: Which facets belong to each part.
    """

    vertices: Array
    facets: Array
    sheet: Array
    parts: dict[str, slice]


def cover(grids: Grids) -> Skin:
    """Facets between the points of the grids."""
    facets, sheet, parts = [], [], {}
    start = count = 0
    for name, grid in grids.items():
        flat = name in ('mane', 'forelock', 'pad', 'saddle')
        quads = _quads(*grid.shape[:2], not flat)
        facets.append(quads + start)
        sheet.append(np.full(len(quads), flat))
        parts[name] = slice(count, count + len(quads))
        start += grid.shape[0] * grid.shape[1]
        count += len(quads)
    return Skin(
        np.concatenate([grid.reshape(-1, 3) for grid in grids.values()]),
        np.concatenate(facets), np.concatenate(sheet), parts)


@cache
def _quads(rings: int, columns: int, closed: bool) -> Array:
    index = np.arange(rings * columns).reshape(rings, columns)
    if closed:
        index = np.concatenate([index, index[:, :1]], 1)
    corners = (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1])
    return np.stack([corner.ravel() for corner in corners], -1)


def paint_coat(rng: np.random.Generator, build: Build) -> Array:
    """Make up a horse's colours.

    Returns:
        ndarray: (F, 3) red, green and blue from 0 to 1 of the facets that
        :func:`cover` makes of this build in any pose.
    """
    grids, _ = shape_horse(build, Pose.rest())
    skin = cover(grids)
    place = skin.vertices[skin.facets].mean(1) / build.height_m
    kind = rng.choice(list(_COATS), p=[coat.share for coat in _COATS.values()])
    coat = _COATS[kind]
    tone = rng.uniform(.8, 1.25)
    body, hair, muzzle = (
        np.clip(tone * np.array(colour), 0, .93)
        for colour in (coat.body, coat.hair, coat.muzzle))
    colours = np.repeat(body[None], len(skin.facets), 0)
    if kind == 'grey':  # dapples
        colours *= 1 - .22 * _patches(rng, place, 16, .1, 3)[:, None]
    # the belly and the flanks are lighter
    colours *= (1.06 - .12 * np.clip(place[:, 2:], .4, 1))
    _mix(colours, slice(None), _WHITE, rng.random() < .14 and _patches(
        rng, place, 5, rng.normal(0, .3), 12))
    _paint_head(rng, colours, skin, build, muzzle)
    for leg in LEGS:
        _paint_leg(rng, colours, skin, place, leg, coat.legs)
    for name in ('mane', 'tail', 'forelock'):
        colours[skin.parts[name]] = hair
    colours *= rng.normal(1, .012, (len(colours), 1))
    colours *= _shade_beneath(skin, place)[:, None]
    if build.saddled:
        colours[skin.parts['pad']] = rng.uniform(.1, .8) + rng.uniform(
            -.1, .1, 3)
        colours[skin.parts['saddle']] = rng.uniform(.4, 1.2) * _LEATHER
    return np.clip(colours, 0, 1)


def _paint_head(rng: np.random.Generator, colours: Array, skin: Skin,
                build: Build, muzzle: Array) -> None:
    part = skin.parts['head']
    rings, columns = HEAD_SHAPE[0] - 1, HEAD_SHAPE[1]
    along, around = np.divmod(np.arange(rings * columns), columns)
    share = (along + .5) / rings
    # columns start at the left and go over the forehead
    forehead = np.abs((around + .5) / columns - .25) * 2 * np.pi
    _mix(colours, part, muzzle, 1 / (1 + np.exp(-(share - .84) * 30)))
    white = rng.choice(['none', 'star', 'blaze', 'snip'], p=[.4, .2, .3, .1])
    if white != 'none':
        width = rng.uniform(.3, .6)
        low, high = {'star': (.3, .45), 'blaze': (.25, .95),
                     'snip': (.8, .97)}[white]
        _mix(colours, part, _WHITE,
             (forehead < width) & (share > low) & (share < high))
    if build.bridled:
        # cheek straps down both sides between browband and noseband
        cheek = np.isin(around, [0, columns // 2 - 1])
        strap = np.isin(along, [9, 19]) | (
            cheek & (along > 9) & (along < 19))
        _mix(colours, part, _LEATHER, strap)
    for side in 'lr':
        colours[skin.parts[f'{side}_eye']] = (.04, .03, .03)
        colours[skin.parts[f'{side}_nostril']] *= .3


def _paint_leg(rng: np.random.Generator, colours: Array, skin: Skin,
               place: Array, leg: str, dark: Colour | None) -> None:
    part = skin.parts[f'{leg}_leg']
    height = place[part, 2]
    if dark is not None:
        _mix(colours, part, np.array(dark),
             1 / (1 + np.exp((height - .36) * 40)))
    sock = rng.choice([0, .10, .16, .27], p=[.55, .2, .15, .1])
    _mix(colours, part, _WHITE, height < sock + rng.normal(0, .008))
    colours[skin.parts[f'{leg}_hoof']] = _HORN[int(sock > 0)]


def _shade_beneath(skin: Skin, place: Array) -> Array:
    """Share (F,) of the sky's light where the horse is in its own way."""
    share = np.ones(len(place))
    corners = skin.vertices[skin.facets]
    normal = np.cross(corners[:, 1] - corners[:, 0],
                      corners[:, 3] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-12
    part = skin.parts['trunk']
    share[part] = 1 + .35 * np.minimum(normal[part, 2], 0)
    for leg in LEGS:
        inward = normal[:, 1] * (-1 if leg[0] == 'l' else 1)
        part = skin.parts[f'{leg}_leg']
        high = np.clip((place[part, 2] - .1) / .4, 0, 1)
        share[part] = 1 - .4 * np.maximum(inward[part], 0) * (.4 + .6 * high)
    return share


def _patches(rng: np.random.Generator, place: Array, waves: float,
             level: float, contrast: float) -> Array:
    """Patches (F,) between 0 and 1, `waves` radians a height across."""
    field = np.zeros(len(place))
    for _ in range(5):
        direction = rng.normal(0, waves, 3)
        field += np.sin(place @ direction + rng.uniform(0, 2 * np.pi))
    return 1 / (1 + np.exp(-contrast * (field / 1.6 - level)))


def _mix(colours: Array, part: slice, other: Array,
         share: Array | bool) -> None:
    """Blend another colour into a part; `share` one number a facet."""
    share = np.asarray(share, float)
    share = share[:, None] if share.ndim else share
    colours[part] += share * (other - colours[part])
