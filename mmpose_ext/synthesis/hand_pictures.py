"""Pictures of hands and things: what is seen at each pixel, and how far.

Cones are cut with the rays of sight exactly; meshes are painted face by face,
farther ones first, and then each pixel asks its face for depth and paint. A
pixel shows the nearest of all. Camera x right, y down, z ahead; pixel centres
at integers; m; colours red, green and blue.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mmpose_ext.synthesis.grasp_objects import GraspObject
from mmpose_ext.synthesis.hand_bodies import (
    SEGMENTS,
    Cones,
    HandBody,
)

Array = np.ndarray
Window = tuple[slice, slice]

HAND = 255  # in a segmentation
_SHIFT = 4  # binary places of corners of faces
_METACARPALS = slice(SEGMENTS + 1, SEGMENTS + 5)  # cones to four knuckles


@dataclass(frozen=True)
class Eye:
    """A pinhole camera that sees along rays.

    Attributes:
        matrix: (3, 3) px.
        rays: (H, W, 3) unit vectors.
    """

    matrix: Array
    rays: Array

    @classmethod
    def of(cls, matrix: Array, size: tuple[int, int]) -> Eye:
        """An eye with a camera matrix (3, 3), for width and height in px."""
        x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
        rays = np.stack([(x - matrix[0, 2]) / matrix[0, 0],
                         (y - matrix[1, 2]) / matrix[1, 1],
                         np.ones(x.shape)], -1)
        return cls(matrix, _unit(rays))

    def project(self, points: Array) -> Array:
        """Pixels (..., 2) of points (..., 3)."""
        focal = np.diagonal(self.matrix)[:2]
        return focal * points[..., :2] / points[..., 2:] + self.matrix[:2, 2]

    def window(self, points: Array, radius: Array | float = 0.) -> Window:
        """Rows and columns that hold spheres about points (N, 3)."""
        depth = np.maximum(points[:, 2], .02)
        middle = self.project(np.column_stack([points[:, :2], depth]))
        # a sphere off the axis is drawn out to an ellipse
        wide = 1.35 * self.matrix[0, 0] * np.asarray(radius) / depth + 1.5
        size = self.rays.shape[1::-1]
        low = np.clip(np.floor((middle.T - wide).min(1)), 0, size).astype(int)
        high = np.clip(np.ceil((middle.T + wide).max(1)) + 1, 0,
                       size).astype(int)
        return slice(low[1], high[1]), slice(low[0], high[0])


@dataclass(frozen=True)
class Lamp:
    """Light in the camera's frame.

    Attributes:
        way: (3,) unit vector towards it.
        sun: Its strength on a surface that faces it.
        sky: Strength of light from everywhere.
    """

    way: Array
    sun: float
    sky: float


class Shot:
    """A picture that things are put into, nearest in front.

    Args:
        eye (Eye): What sees.
        lamp (Lamp): What shines.
        colour (ndarray): (H, W, 3) uint8 behind everything; painted on.
        depth (ndarray): (H, W) float32 m of what is behind, 0 for unknown.

    Attributes:
        seg: (H, W) uint8, 0, 1 to 21, or 255 for the hand.
    """

    def __init__(self, eye: Eye, lamp: Lamp, colour: Array,
                 depth: Array) -> None:
        self.eye, self.lamp, self.colour = eye, lamp, colour
        self.depth = depth.copy()
        self.depth[depth == 0] = np.inf
        self.seg = np.zeros(depth.shape, np.uint8)

    def depth_mm(self) -> Array:
        """Depth (H, W) uint16 in mm, 0 for unknown."""
        rounded = self.depth * 1000 + np.float32(.5)
        rounded[rounded > 65535] = 0
        return rounded.astype(np.uint16)

    def put_thing(self, thing: GraspObject, rotation: Array,
                  translation: Array) -> None:
        """Add a thing at a pose [R|t] in the camera's frame."""
        points = thing.vertices @ rotation.T + translation
        window = self.eye.window(points)
        high, wide = (part.stop - part.start for part in window)
        if min(high, wide) <= 0 or points[:, 2].min() < .05:
            return
        corners = points[thing.faces]
        flat = np.cross(corners[:, 1] - corners[:, 0],
                        corners[:, 2] - corners[:, 0])
        shown = np.flatnonzero(_dot(flat, corners[:, 0]) < 0)
        if not len(shown):
            return
        shown = shown[np.argsort(-corners[shown, :, 2].mean(1))]
        corners = corners[shown]
        pixels = self.eye.project(corners)
        local = pixels - [window[1].start, window[0].start]
        outlines = np.rint(np.clip(local, -2e4, 2e4) * 2**_SHIFT).astype(
            np.int32)
        canvas = np.full((high, wide), -1, np.int32)
        for row, outline in enumerate(outlines):
            cv2.fillConvexPoly(canvas, outline, row, cv2.LINE_8, _SHIFT)
        rows, columns = np.nonzero(canvas >= 0)
        face = canvas[rows, columns]
        part = _parts(local, face, columns, rows)
        inverse = part * (1 / corners[:, :, 2]).astype(np.float32)[face]
        depth = 1 / (inverse[:, 0] + inverse[:, 1] + inverse[:, 2])
        at = self._flat(rows + window[0].start, columns + window[1].start)
        nearer = np.flatnonzero(depth < self.depth.ravel()[at])
        at, depth, face = at[nearer], depth[nearer], shown[face[nearer]]
        part, inverse = part[nearer], inverse[nearer]
        place = _mixed(inverse * depth[:, None], thing.corners, face)
        paint = _look_up(thing.paint, place)
        normals = thing.normals @ rotation.T
        if thing.smooth:
            lit = self._lit(paint, _mixed(part, normals, face), at, .12)
        else:  # each face is evenly bright
            ways = _unit(points[thing.faces].mean(1))
            lit = paint * self._bright(normals[:, 0], ways).astype(
                np.float32)[face][:, None]
        self._set(at, depth, thing.ycb_id, lit)

    def put_hand(self, body: HandBody, cones: Cones, backs: Array,
                 back: Array) -> None:
        """Add a hand.

        Args:
            body (HandBody): Whose.
            cones (Cones): In the camera's frame; 27.
            backs (ndarray): (5, 3, 3) out of the back of each phalanx.
            back (ndarray): (3,) out of the back of the hand.
        """
        # a phalanx begins in another cone
        hit = _Hits.on(self.eye, cones, self.depth, open_cones=SEGMENTS)
        out = np.concatenate([
            backs.reshape(SEGMENTS, 3),
            np.repeat(back[None], len(cones.starts) - SEGMENTS, 0)])
        outward = _dot(hit.normals, out[hit.cone])
        colour = _glove(body, hit.cone, hit.along, outward)
        at = self._flat(hit.y, hit.x)
        self._set(at, hit.depth, HAND,
                  self._lit(colour, hit.normals, at, .2))

    def put_sleeve(self, cones: Cones, colour: Array) -> None:
        """Add an arm in a sleeve, which is no part of the hand."""
        hit = _Hits.on(self.eye, cones, self.depth)
        folds = 1 - .18 * (np.sin(hit.along * 40) > .4)
        at = self._flat(hit.y, hit.x)
        bright = self._bright(hit.normals, self.eye.rays.reshape(-1, 3)[at])
        self._set(at, hit.depth, 0, colour * (folds * bright)[:, None])

    def _flat(self, y: Array, x: Array) -> Array:
        """Where pixels are in a picture as one row."""
        return y * self.depth.shape[1] + x

    def _set(self, at: Array, depth: Array, label: int, lit: Array) -> None:
        """Show what has colours (N, 3), 0 to 1."""
        self.colour.reshape(-1, 3)[at] = np.minimum(255 * lit, 255)
        self.depth.ravel()[at] = depth
        self.seg.ravel()[at] = label

    def _bright(self, normals: Array, rays: Array) -> Array:
        """How bright (N,) surfaces are that are seen along rays (N, 3)."""
        sunny = np.maximum(normals @ self.lamp.way, 0)
        # what turns away from the camera gets a little darker
        facing = np.maximum(-_dot(normals, rays), 0)
        return (self.lamp.sky * (.72 + .28 * facing)
                + self.lamp.sun * sunny)

    def _lit(self, paint: Array, normals: Array, at: Array,
             gloss: float) -> Array:
        """Colours (N, 3) of round surfaces in the light."""
        rays = self.eye.rays.reshape(-1, 3)[at]
        shine = np.maximum(_dot(normals, _unit(self.lamp.way - rays)), 0)
        shine *= shine * shine  # to the power of 24
        shine *= shine
        shine *= shine
        return (paint * self._bright(normals, rays)[:, None]
                + (gloss * self.lamp.sun * shine * shine)[:, None])


@dataclass(frozen=True)
class _Hits:
    """Pixels where cones are nearest: rows, columns and what is there."""

    y: Array
    x: Array
    depth: Array
    cone: Array
    along: Array  # 0 at the start to 1 at the end
    normals: Array

    @classmethod
    def on(cls, eye: Eye, cones: Cones, behind: Array,
           open_cones: int = 0) -> _Hits:
        whole = eye.window(
            np.concatenate([cones.starts, cones.ends]),
            np.concatenate([cones.radii[:, 0], cones.radii[:, 1]]))
        top, left = whole[0].start, whole[1].start
        rays = eye.rays[whole]
        # along the ray, not along the axis
        nearest = behind[whole] / rays[..., 2]
        owner = np.full(nearest.shape, -1)
        along = np.zeros(nearest.shape)
        for row, (start, end, radii) in enumerate(zip(
                cones.starts, cones.ends, cones.radii, strict=True)):
            rows, columns = eye.window(np.stack([start, end]), radii)
            box = (slice(rows.start - top, rows.stop - top),
                   slice(columns.start - left, columns.stop - left))
            reach, part = _cut(rays[box], start, end, radii,
                               closed=row >= open_cones)
            nearer = reach < nearest[box]
            nearest[box][nearer] = reach[nearer]
            owner[box][nearer] = row
            along[box][nearer] = part[nearer]
        y, x = np.nonzero(owner >= 0)
        cone, part, reach = owner[y, x], along[y, x], nearest[y, x]
        points = rays[y, x] * reach[:, None]
        way = cones.ends - cones.starts
        normals = points - cones.starts[cone] - part[:, None] * way[cone]
        normals = _unit(normals)
        return cls(y + top, x + left, points[:, 2], cone, part, normals)


def _cut(rays: Array, start: Array, end: Array, radii: Array,
         closed: bool) -> tuple[Array, Array]:
    """Where rays (..., 3) from the origin first meet a cone.

    The sphere at its start is left out unless it is `closed`.

    Returns:
        tuple[ndarray, ndarray]: Distances (...,), inf beside it, and which
        of the spheres between start (0) and end (1) is touched there.
    """
    first, second = radii
    axis = end - start
    slope = first - second
    square = axis @ axis
    flank = square - slope * slope
    to_axis, to_start, to_end = np.moveaxis(
        rays @ np.stack([axis, start, end], 1), -1, 0)
    offset = -(axis @ start)
    a = flank - to_axis * to_axis
    a = np.where(np.abs(a) < 1e-12, 1e-12, a)
    b = -flank * to_start - offset * to_axis + slope * first * to_axis
    c = (flank * (start @ start) - offset * offset
         + 2 * offset * slope * first - square * first * first)
    root = b * b - a * c
    reach = (-b - np.sqrt(np.maximum(root, 0)) * np.sign(a)) / a
    part = (offset - first * slope + reach * to_axis) / flank
    reach = np.where((root > 0) & (part > 0) & (part < 1), reach, np.inf)
    part = np.clip(part, 0, 1)
    balls = [(to_end, end, second, 1.), (to_start, start, first, 0.)]
    for middle, centre, radius, place in balls[:1 + closed]:
        root = middle * middle - (centre @ centre - radius * radius)
        ball = np.where(root > 0, middle - np.sqrt(np.maximum(root, 0)),
                        np.inf)
        nearer = ball < reach
        reach = np.where(nearer, ball, reach)
        part = np.where(nearer, place, part)
    return reach, part


def _dot(first: Array, second: Array) -> Array:
    return np.asarray(np.einsum('...i,...i->...', first, second))


def _unit(vectors: Array) -> Array:
    return vectors / np.sqrt(_dot(vectors, vectors))[..., None]


def _parts(corners: Array, face: Array, x: Array, y: Array) -> Array:
    """Barycentric shares (N, 3) of pixels in faces (F, 3, 2)."""
    origin = corners[:, 0]
    a, b = corners[:, 1] - origin, corners[:, 2] - origin
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    area = np.where(np.abs(area) < 1e-9, 1e-9, area)
    # each an even ramp: two slopes and an offset
    ramps = np.stack([b[:, 1], -b[:, 0], -a[:, 1], a[:, 0]]) / area
    offsets = (-ramps.reshape(2, 2, -1) * origin.T).sum(1)
    part = np.empty((len(face), 3), np.float32)
    for column in (0, 1):
        slope_x, slope_y = ramps[2 * column:2 * column + 2]
        part[:, column + 1] = (slope_x[face] * x + slope_y[face] * y
                               + offsets[column][face])
    # a pixel at the rim lies just outside
    np.clip(part[:, 1:], 0, 1, out=part[:, 1:])
    part[:, 1:] /= np.maximum(part[:, 1] + part[:, 2], 1)[:, None]
    part[:, 0] = 1 - part[:, 1] - part[:, 2]
    return part


def _mixed(shares: Array, values: Array, face: Array) -> Array:
    """Values (F, 3, D) at corners, mixed for each of N pixels; (N, D)."""
    corners = values.astype(np.float32)[face]
    return np.asarray(np.einsum('nk,nkd->nd', shares, corners))


def _look_up(paint: Array, place: Array) -> Array:
    """Colours (N, 3), 0 to 1, at u, v (N, 2) of a texture."""
    size = len(paint)
    column = np.clip((place[:, 0] * size).astype(int), 0, size - 1)
    row = np.clip(((1 - place[:, 1]) * size).astype(int), 0, size - 1)
    return paint[row, column] * np.float32(1 / 255)


def _glove(body: HandBody, cone: Array, along: Array,
           outward: Array) -> Array:
    """Colours (N, 3) of the glove: a hue a finger, brighter to its tip.

    `cone` says on which of the 27, `along` where from its start 0 to its end
    1, `outward` is from 1 on the back to -1 on the palm's side; (N,) each.
    """
    inside = np.clip(.5 - 1.6 * outward, 0, 1)[:, None]
    colour = (1 - inside) * body.back + inside * body.palm
    knuckle = (cone >= _METACARPALS.start) & (cone < _METACARPALS.stop)
    knuckle &= along > .82
    finger = np.where(cone < SEGMENTS, cone // 3,
                      np.clip(cone - SEGMENTS, 0, 4))
    hue = body.glove[finger]
    bone = cone % 3
    far = (bone + along)[:, None] / 3
    fingers = hue * (.6 + .4 * far) * (1 - .22 * (1 - inside))
    # the palm's side is paler, so that sides can be told apart
    fingers += inside * .30 * (1 - fingers) * (.4 + .6 * far)
    crease = (along < .10) | ((along > .93) & (bone < 2))
    fingers *= 1 - .35 * crease[:, None]
    colour = np.where((cone < SEGMENTS)[:, None], fingers, colour)
    colour = np.where(knuckle[:, None], .45 * colour + .55 * .6 * hue, colour)
    nail = (cone < SEGMENTS) & (bone == 2) & (outward > .72) & (along > .45)
    return np.where(nail[:, None], body.nails, colour)
