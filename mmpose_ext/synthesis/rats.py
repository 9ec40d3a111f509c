"""Rats seen from above: how they are built, held, lit and drawn.

A scene is three records with a row for each of N images: what stays with the
animal, what stays for the session, and what changes from image to image.
Lengths are in px of a 50 px image, x right, y down; angles in radians,
clockwise on the screen from x; grey from 0 (black) to 1 (white).
"""
from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import cv2
import numpy as np

from mmpose_ext.synthesis.shapes import Canvas

Array = np.ndarray
T = TypeVar('T')

SIDE = 50.
MAX_TURN = np.pi / 3

# of the default animal
BODY_PX, HEAD_PX = 16., 7.5
# half width of the body at eleven places from tail base to neck
_BODY_RADII = np.array(
    [1.3, 2.7, 3.6, 4.1, 4.3, 4.25, 4.0, 3.6, 3.1, 2.8, 2.6])
# half width of the head at places from neck (0) to nose (1), which the last
# disc touches
_HEAD_PLACES = np.array([.1, .28, .46, .64, .8, .925])
_HEAD_RADII = np.array([2.5, 2.6, 2.3, 1.7, 1.1, .56])
_BODY_PARTS, _TAIL_PARTS = len(_BODY_RADII) - 1, 7
_WAVES, _LITTER = 4, 14
_TILE = 100.  # the floor repeats after so many px, out of sight


@dataclass(frozen=True)
class Animals:
    """What stays with an animal; each (N,)."""

    length: Array
    girth: Array
    rump: Array  # how much wider behind than in front
    head: Array
    ears: Array  # px, radius
    tail: Array  # px
    tail_radius: Array
    contrast: Array  # of coat and floor
    hood: Array  # contrast of head and body


@dataclass(frozen=True)
class Sessions:
    """What stays for a session: floor, litter, light and camera."""

    floor: Array
    polarity: Array  # 1 a light animal on a darker floor, -1 the reverse
    light: Array  # (N, 2) unit vector that shadows fall along
    shadow: Array
    gradient: Array  # (N, 2) change of brightness across the image
    waves: Array  # (N, W, 3) wave vector and phase of the floor's stains
    stain: Array
    litter: Array  # (N, L, 6) start and extent (x, y), radius, contrast
    wall: Array  # (N, 2) unit vector towards the wall
    wall_shade: Array
    tether: Array  # bool
    blur: Array  # px, sigma
    noise: Array  # sigma


@dataclass(frozen=True)
class Poses:
    """What changes from image to image."""

    heading: Array  # of the vector from base to neck
    bend: Array  # of the spine from base to neck
    turn: Array  # of the head against the heading
    stretch: Array
    tail: Array  # (N, parts) bends along the tail
    paws: Array  # (N, 4) steps, px
    offset: Array  # (N, 2) of the animal from the image's middle
    view: Array  # (N, 2) where on the floor the image lies
    wall_distance: Array
    tether: Array  # (N, 2) where the far end of a tether lies


@dataclass(frozen=True)
class Figures:
    """Where the parts of each animal lie in the image."""

    points: Array  # (N, 3, 2) base, neck and nose
    body: Array  # (N, M, 2)
    body_radii: Array
    head: Array  # (N, M, 2)
    head_radii: Array
    ears: Array  # (N, 2, 2)
    eyes: Array  # (N, 2, 2)
    paws: Array  # (N, 4, 2)
    tail: Array  # (N, parts + 1, 2)


def take(record: T, rows: Array | slice) -> T:
    """Rows of every array of a record."""
    return type(record)(
        *(getattr(record, field.name)[rows]
          for field in fields(record)))  # type: ignore[arg-type]


def draw_animals(seed: int, animal: Array) -> Animals:
    """Make up the animals of these numbers (N,), each from its own seed."""
    known, number = np.unique(animal, return_inverse=True)
    traits = np.stack(
        [np.random.default_rng([seed, 0, name]).random(9) for name in known])
    limits = [(.9, 1.1), (.88, 1.15), (-.12, .12), (.92, 1.08), (1.1, 1.6),
              (14., 22.), (.55, .85), (.27, .46), (-.08, .14)]
    columns = (low + (high - low) * column
               for column, (low, high) in zip(traits.T, limits, strict=True))
    return take(Animals(*columns), number)


def draw_sessions(rng: np.random.Generator, count: int) -> Sessions:
    """Make up the surroundings of so many sessions."""
    litter = np.empty((count, _LITTER, 6))
    litter[..., :2] = rng.uniform(0, _TILE, (count, _LITTER, 2))
    litter[..., 2:4] = _directions(rng, count, _LITTER) * rng.gamma(
        2., 2.5, (count, _LITTER, 1))
    litter[..., 4] = rng.uniform(.4, 2.2, (count, _LITTER))
    litter[..., 5] = rng.normal(0, .08, (count, _LITTER))
    litter[:, :2, 4] = rng.uniform(3., 6., (count, 2))  # as wide as an animal
    polarity = rng.choice([-1., 1.], count)
    floor = .5 - polarity * rng.uniform(-.05, .22, count)
    return Sessions(
        floor=floor,
        polarity=polarity,
        light=_directions(rng, count),
        shadow=rng.uniform(0, .4, count),
        gradient=_directions(rng, count) * rng.uniform(0, .3, (count, 1)),
        waves=np.concatenate([
            _directions(rng, count, _WAVES) * rng.uniform(
                .08, .5, (count, _WAVES, 1)),
            rng.uniform(0, 2 * np.pi, (count, _WAVES, 1))
        ], -1),
        stain=rng.uniform(0, .025, count),
        litter=litter,
        wall=_directions(rng, count),
        wall_shade=np.clip(floor + rng.normal(0, .14, count), .05, .95),
        tether=rng.random(count) < .15,
        blur=rng.uniform(.3, .8, count),
        noise=rng.uniform(.006, .022, count))


def draw_poses(rng: np.random.Generator, count: int) -> Poses:
    """Make up poses that have nothing to do with each other."""
    turn = np.clip(rng.normal(0, np.radians(28), count), -MAX_TURN, MAX_TURN)
    return Poses(
        heading=rng.uniform(-np.pi, np.pi, count),
        bend=.7 * turn + rng.normal(0, np.radians(12), count),
        turn=turn,
        stretch=np.clip(rng.normal(1, .08, count), .8, 1.2),
        tail=rng.normal(0, .2, (count, 1)) + rng.normal(
            0, .22, (count, _TAIL_PARTS)),
        paws=rng.uniform(-1.5, 1.5, (count, 4)),
        offset=np.clip(rng.normal(0, 2., (count, 2)), -5, 5),
        view=rng.uniform(0, _TILE, (count, 2)),
        wall_distance=rng.uniform(10, 60, count),
        tether=60 * _directions(rng, count))


def draw_walk(rng: np.random.Generator, frames: int, fps: float) -> Poses:
    """Make up the poses of one animal that walks and looks about."""

    def wander(seconds: float, columns: int = 1) -> Array:
        """Smooth noise (frames, columns) of variance 1."""
        sigma = seconds * fps
        reach = int(np.ceil(3 * sigma))
        kernel = np.exp(-.5 * (np.arange(-reach, reach + 1) / sigma)**2)
        kernel /= np.linalg.norm(kernel)
        noise = rng.normal(size=(columns, frames + 2 * reach))
        return np.stack([np.convolve(row, kernel, 'valid') for row in noise],
                        -1)

    spin = 1.3 * wander(.5)[:, 0]  # rad/s
    speed = 18 * np.abs(wander(1.)[:, 0])  # px/s
    heading = rng.uniform(-np.pi, np.pi) + np.cumsum(spin) / fps
    # the head leads the way
    turn = MAX_TURN * np.tanh(.5 * wander(.3)[:, 0] + .3 * spin)
    strides = np.cumsum(speed) / fps / 12
    return Poses(
        heading=heading,
        bend=.7 * turn + .15 * wander(.6)[:, 0],
        turn=turn,
        stretch=1 + .05 * wander(.5)[:, 0],
        tail=.1 * wander(1.) + .12 * wander(.6, _TAIL_PARTS),
        # diagonal paws step together
        paws=1.5 * np.sin(2 * np.pi * strides[:, None] +
                          np.pi * np.array([0, 1, 1, 0])),
        offset=1.2 * wander(1., 2),
        view=np.cumsum(speed[:, None] * _unit(heading), 0) / fps,
        wall_distance=np.full(frames, 2 * SIDE),
        tether=np.repeat(60 * _directions(rng, 1), frames, 0))


def place_figures(animals: Animals, poses: Poses) -> Figures:
    """Lay out spine, head, ears, paws and tail in the image."""
    # The spine is an arc whose chord points along the heading.
    angles = poses.heading[:, None] + poses.bend[:, None] * (
        (np.arange(_BODY_PARTS) + .5) / _BODY_PARTS - .5)
    length = BODY_PX * animals.length * poses.stretch
    body = _chain(angles, length)
    body *= (length / np.linalg.norm(body[:, -1], axis=-1))[:, None, None]
    neck = body[:, -1]
    forward = _unit(poses.heading + poses.turn)
    head_px = (HEAD_PX * animals.length * animals.head)[:, None]
    nose = neck + head_px * forward
    # stretching keeps the volume
    girth = (animals.length * animals.girth / np.sqrt(poses.stretch))[:, None]
    body_radii = girth * _BODY_RADII * (
        1 + animals.rump[:, None] * np.linspace(1, -1, _BODY_PARTS + 1))
    tail_angles = angles[:, :1] + np.pi + np.cumsum(poses.tail, 1)

    # The crop follows the middle of the animal, though not closely.
    points = np.stack([body[:, 0], neck, nose], 1)
    shift = (SIDE - 1) / 2 + poses.offset - (body[:, 0] + nose) / 2
    shift = np.clip(shift, 1.5 - points.min(1), SIDE - 2.5 - points.max(1))
    shift = shift[:, None]
    return Figures(
        points=points + shift,
        body=body + shift,
        body_radii=body_radii,
        head=nose[:, None] + shift + forward[:, None] *
        (_HEAD_PLACES[:, None] - 1) * head_px[:, None],
        head_radii=_HEAD_RADII * (head_px / HEAD_PX),
        ears=shift + _beside(neck, forward, .2 * head_px, .36 * head_px),
        eyes=shift + _beside(neck, forward, .58 * head_px, .19 * head_px),
        paws=shift + np.concatenate([
            _beside(body[:, i], _unit(angles[:, i]), steps,
                    1.05 * body_radii[:, i:i + 1])
            for i, steps in ((2, poses.paws[:, :2]), (9, poses.paws[:, 2:]))
        ], 1),
        tail=shift + _chain(tail_angles, animals.tail * animals.length))


def paint_rats(animals: Animals, sessions: Sessions, poses: Poses,
               figures: Figures, pixels: int) -> Array:
    """Paint a batch without the camera's noise and blur.

    Returns:
        ndarray: (B, S, S) float32, grey.
    """
    grey = np.empty((len(poses.heading), pixels, pixels), np.float32)
    canvas = Canvas(grey, SIDE)
    _paint_floor(canvas, sessions, poses)
    _paint_animal(canvas, animals, sessions, figures)
    head = figures.head[:, 1]
    cable = canvas.capsule(head, head + poses.tether, np.full(len(head), .45))
    canvas.paint(cable, sessions.floor - .25 * sessions.polarity,
                 .8 * sessions.tether)
    gradient = sessions.gradient / SIDE
    middle = (SIDE - 1) / 2
    grey *= 1 + canvas.plane(gradient, -middle * gradient.sum(-1))
    return grey


def expose(grey: Array, sessions: Sessions,
           rng: np.random.Generator) -> Array:
    """Photograph painted images (B, S, S): blur, noise, 8 bits."""
    scale = grey.shape[-1] / SIDE
    for image, sigma in zip(grey, sessions.blur, strict=True):
        cv2.GaussianBlur(image, (0, 0), sigma * scale, dst=image,
                         borderType=cv2.BORDER_REPLICATE)
    noise = rng.standard_normal(grey.shape, np.float32)
    noise *= sessions.noise[:, None, None].astype(np.float32)
    grey += noise
    return np.clip(np.rint(grey * 255), 0, 255).astype(np.uint8)


def _paint_floor(canvas: Canvas, sessions: Sessions, poses: Poses) -> None:
    """Floor with stains, litter and, at times, a wall."""
    canvas.grey[:] = sessions.floor[:, None, None]
    for i in range(_WAVES):
        vector, phase = sessions.waves[:, i, :2], sessions.waves[:, i, 2]
        phase = phase + (vector * poses.view).sum(-1)
        stain = np.sin(canvas.plane(vector, phase))
        canvas.grey += stain * sessions.stain[:, None, None]
    for i in range(_LITTER):
        start, extent, rest = np.split(sessions.litter[:, i], [2, 4], -1)
        # over the edge of the tile and back in on the other side
        start = (start - poses.view) % _TILE - (_TILE - SIDE) / 2
        distance = canvas.capsule(start, start + extent, rest[:, 0])
        canvas.paint(distance, sessions.floor + rest[:, 1], .9)
    middle = (SIDE - 1) / 2
    beyond = canvas.plane(-sessions.wall, poses.wall_distance +
                          middle * sessions.wall.sum(-1))
    canvas.paint(beyond, sessions.wall_shade, 1., 2.)


def _paint_animal(canvas: Canvas, animals: Animals, sessions: Sessions,
                  figures: Figures) -> None:
    """Shadow, tail, paws, body, head, ears and eyes, from below to above."""
    sign = sessions.polarity
    coat = np.clip(sessions.floor + sign * animals.contrast, .06, .94)
    hood = np.clip(coat - sign * animals.hood, .06, .94)
    skin = .45 * sessions.floor + .55 * coat
    body = canvas.discs(figures.body, figures.body_radii)
    head = canvas.discs(figures.head, figures.head_radii)
    lean = 1.4 * sessions.light[:, None]
    body_behind = canvas.discs(figures.body + lean, figures.body_radii)
    head_behind = canvas.discs(figures.head + lean, figures.head_radii)

    canvas.paint(np.minimum(body_behind, head_behind), .3 * sessions.floor,
                 sessions.shadow, 4.)
    taper = np.linspace(1, .4, _TAIL_PARTS + 1)
    tail = np.full_like(body, np.inf)
    for i in range(_TAIL_PARTS):
        part = canvas.capsule(figures.tail[:, i], figures.tail[:, i + 1],
                              taper[i] * animals.tail_radius,
                              taper[i + 1] * animals.tail_radius)
        np.minimum(tail, part, out=tail)
    canvas.paint(tail, skin)
    paws = np.full(figures.paws.shape[:2], .85)
    canvas.paint(canvas.discs(figures.paws, paws), skin)
    canvas.paint(body, _shade(body, body_behind, coat))
    canvas.paint(head, _shade(head, head_behind, hood), softness=1.5)
    ears = np.repeat(animals.ears[:, None], 2, 1) * animals.length[:, None]
    canvas.paint(canvas.discs(figures.ears, ears), .8 * hood + .2 * skin - .05)
    canvas.paint(canvas.discs(figures.ears, ears - .6), skin, .7)
    eyes = np.full(figures.eyes.shape[:2], .35)
    canvas.paint(canvas.discs(figures.eyes, eyes), .2 * hood, .8)


def _shade(distance: Array, behind: Array, coat: Array) -> Array:
    """Coat lit from one side: rounded, so darker at the rim.

    The distance grows towards the outside; what it differs by a little way
    against the light tells which way the surface slopes.
    """
    slope = np.clip(behind - distance, -1.4, 1.4)
    rim = np.exp(np.minimum(distance, 0))
    shade = coat[:, None, None] * (1 + .1 * slope - .14 * rim)
    return shade.astype(np.float32)


def _unit(angle: Array) -> Array:
    """Unit vectors (..., 2)."""
    return np.stack([np.cos(angle), np.sin(angle)], -1)


def _directions(rng: np.random.Generator, *shape: int) -> Array:
    """Random unit vectors (*shape, 2)."""
    return _unit(rng.uniform(-np.pi, np.pi, shape))


def _chain(angles: Array, length: Array) -> Array:
    """Points (N, M + 1, 2) of a chain from the origin; angles (N, M)."""
    steps = _unit(angles) * (length / angles.shape[1])[:, None, None]
    return np.pad(np.cumsum(steps, 1), ((0, 0), (1, 0), (0, 0)))


def _beside(anchor: Array, direction: Array, along: Array,
            across: Array) -> Array:
    """Two points (N, 2, 2) left and right of a direction (N, 2)."""
    side = np.stack([-direction[:, 1], direction[:, 0]], -1)
    middle = anchor[:, None] + direction[:, None] * along[..., None]
    return middle + np.stack([side, -side], 1) * across[..., None]
