"""Skeletons in pictures: left blue, right orange, the middle green.

Pixel centres lie at integers; pictures are BGR, as OpenCV has them. K
keypoints.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from mmpose_ext.drawing.grid import BACKGROUND
from mmpose_ext.drawing.lettering import EDGE, Color, write_line
from mmpose_ext.volumetric.skeletons import build_metainfo

Array = np.ndarray

TRUTH: Color = (255, 90, 255)  # BGR; no side and no animal has it
_SHIFT = 4  # fractional bits of a coordinate
_FARTHEST = 2**14  # px; lines from further away are left out
_LETTER = 22  # px, height of FONT at scale 1


@dataclass(frozen=True, eq=False)
class PoseStyle:
    """Links and colours of a skeleton.

    Attributes:
        links: Pairs of numbers of keypoints.
        point_colors: BGR colours of the K keypoints.
        link_colors: BGR colours of the links.
    """

    links: tuple[tuple[int, int], ...]
    point_colors: tuple[Color, ...]
    link_colors: tuple[Color, ...]

    @classmethod
    def from_names(cls, names: Sequence[str],
                   links: Sequence[Sequence[int]]) -> PoseStyle:
        """Colours by the sides that the names tell.

        Args:
            names (Sequence[str]): K names of keypoints.
            links (Sequence[Sequence[int]]): Pairs of their numbers.
        """
        meta = build_metainfo('drawn', names, links)
        return cls(
            tuple((int(first), int(second)) for first, second in links),
            _colors(meta['keypoint_colors']),
            _colors(meta['skeleton_link_colors']))

    def recolored(self, color: Color) -> PoseStyle:
        """The same skeleton in one colour."""
        return PoseStyle(self.links, (color, ) * len(self.point_colors),
                         (color, ) * len(self.links))


def draw_pose(canvas: Array,
              pixels: Array,
              style: PoseStyle,
              thickness: int = 2,
              order: Array | None = None) -> None:
    """Draw a skeleton into a picture.

    Args:
        canvas (ndarray): (H, W, 3) BGR uint8, drawn into.
        pixels (ndarray): (K, 2) px; NaN is not drawn.
        style (PoseStyle): Of the skeleton.
        thickness (int): Of the links, px; 1 draws neither outlines nor
            dots, as befits what is compared with. Defaults to 2.
        order (ndarray, optional): (K,) what is larger lies further away and
            is drawn first. Defaults to None: all outlines, then all links.
    """
    known = (np.isfinite(pixels).all(-1)
             & (np.abs(np.nan_to_num(pixels)) < _FARTHEST).all(-1))
    links = [(first, second, color) for (first, second), color in zip(
        style.links, style.link_colors, strict=True)
             if known[first] and known[second]]
    if order is not None:
        links.sort(key=lambda link: -order[link[0]] - order[link[1]])
    places = fixed(np.where(known[:, None], pixels, 0))
    edge = thickness + 2
    if thickness > 1 and order is None:
        for first, second, _ in links:
            _line(canvas, places[first], places[second], EDGE, edge)
    for first, second, color in links:
        if thickness > 1 and order is not None:
            _line(canvas, places[first], places[second], EDGE, edge)
        _line(canvas, places[first], places[second], color, thickness)
    points = np.flatnonzero(known)
    if order is not None:
        points = points[np.argsort(-order[points])]
    for point in points:
        if thickness == 1:
            _dot(canvas, places[point], 1., style.point_colors[point])
        else:
            _dot(canvas, places[point], .9 * thickness + 1.2, EDGE)
            _dot(canvas, places[point], .9 * thickness,
                 style.point_colors[point])


def blank_canvas(width: int, height: int) -> Array:
    """A picture (height, width, 3) of ground, to be drawn into."""
    canvas = np.empty((height, width, 3), np.uint8)
    # numpy takes ten times as long for it
    cv2.rectangle(canvas, (0, 0), (width, height), BACKGROUND, cv2.FILLED)
    return canvas


def draw_segments(canvas: Array, starts: Array, ends: Array, color: Color,
                  thickness: int = 1) -> None:
    """Draw lines between pixels (N, 2); those with a NaN are left out."""
    both = np.concatenate([starts, ends], -1)
    kept = np.isfinite(both).all(-1) & (
        np.abs(np.nan_to_num(both)) < _FARTHEST).all(-1)
    for start, end in zip(fixed(starts[kept]), fixed(ends[kept]),
                          strict=True):
        _line(canvas, start, end, color, thickness)


def write_numbers(canvas: Array, poses: Array) -> None:
    """Write above each of several animals which one it is, from 1.

    Args:
        canvas (ndarray): (H, W, 3), drawn into.
        poses (ndarray): (I, K, 2) px; NaN is unknown. A single animal needs
            no number.
    """
    if len(poses) < 2:
        return
    for number, pixels in enumerate(poses, 1):
        known = pixels[np.isfinite(pixels).all(-1)]
        known = known[(np.abs(known) < _FARTHEST).all(-1)]
        if not len(known):
            continue
        x, y = np.rint((np.median(known[:, 0]), known[:, 1].min())).astype(
            int).tolist()
        # above the animal, but never out of the picture for its height
        write_line(canvas, str(number), x - 5, max(y - 8, 32), .55)


def write_legend(canvas: Array, style: PoseStyle, x: int, y: int,
                 entries: Sequence[tuple[str, Color]]) -> None:
    """Write what the colours mean, each in its own, from x rightwards."""
    for text, color in (*side_colors(style), *entries):
        x = write_line(canvas, text, x, y, color=color) + _LETTER // 2


def side_colors(style: PoseStyle) -> list[tuple[str, Color]]:
    """Names and colours of the sides that a skeleton has."""
    known = PoseStyle.from_names(('L', 'R', 'middle'), ())
    return [(name, color) for name, color in zip(
        ('left', 'right', 'middle'), known.point_colors, strict=True)
            if color in style.point_colors]


def crop_matrix(corner: Array, side: Array, size: tuple[int, int]) -> Array:
    """What moves a part of a picture into a tile.

    Args:
        corner (ndarray): (2,) column and row of the part's first pixel.
        side (ndarray): (2,) its width and height, px.
        size (tuple[int, int]): Width and height of the tile; what the part
            lacks of its shape is added on both sides.

    Returns:
        ndarray: (2, 3), pixels of the picture to those of the tile.
    """
    factor = float((np.asarray(size) / side).min())
    corner = corner - (np.asarray(size) / factor - side) / 2
    shift = factor * (.5 - corner) - .5
    return np.array([[factor, 0, shift[0]], [0, factor, shift[1]]])


def cut_tile(picture: Array, matrix: Array, size: tuple[int, int]) -> Array:
    """The tile that :func:`crop_matrix` is of, (H, W, 3).

    Strong reductions average pixels first, so that nothing flickers.
    """
    factor = matrix[0, 0]
    low = (-.5 - matrix[:, 2]) / factor
    high = (np.asarray(size) - .5 - matrix[:, 2]) / factor
    height, width = picture.shape[:2]
    x0, y0 = np.clip(np.floor(low).astype(int) - 1, 0, (width, height))
    x1, y1 = np.clip(np.ceil(high).astype(int) + 2, (x0, y0),
                     (width, height))
    step = max(1, int(1 / factor))
    columns, rows = (x1 - x0) // step, (y1 - y0) // step
    if not (columns and rows):
        return blank_canvas(*size)
    part = picture[y0:y0 + rows * step, x0:x0 + columns * step]
    if step > 1:
        part = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    moved = np.array([[step, 0, (step - 1) / 2 + x0],
                      [0, step, (step - 1) / 2 + y0], [0, 0, 1]])
    return cv2.warpAffine(part, matrix @ moved, size, flags=cv2.INTER_LINEAR,
                          borderMode=cv2.BORDER_CONSTANT,
                          borderValue=BACKGROUND)


def move_pixels(matrix: Array, pixels: Array) -> Array:
    """Pixels (..., 2) of a picture in a tile of it."""
    return pixels @ matrix[:, :2].T + matrix[:, 2]


def fixed(places: Array) -> Array:
    """Places (N, 2) as cv2 takes them with fractions."""
    return np.rint(np.asarray(places, np.float64) * (1 << _SHIFT)).astype(
        np.int32)


def _line(canvas: Array, start: Array, end: Array, color: Color,
          thickness: int) -> None:
    cv2.line(canvas, start.tolist(), end.tolist(), color, thickness,
             cv2.LINE_AA, _SHIFT)


def _dot(canvas: Array, place: Array, radius: float, color: Color) -> None:
    cv2.circle(canvas, place.tolist(), round(radius * (1 << _SHIFT)), color,
               cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _colors(values: Any) -> tuple[Color, ...]:
    """BGR of RGB."""
    return tuple((int(b), int(g), int(r))
                 for r, g, b in np.asarray(values).reshape(-1, 3))
