"""A pose in space: lines over a floor, seen by a camera that may go round.

World in mm, z up. The floor is drawn at the lines of the world's own grid,
which so passes below an animal that walks.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmpose_ext.drawing.lettering import write_line
from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.volumetric.pose_drawing import (
    TRUTH,
    PoseStyle,
    blank_canvas,
    draw_pose,
    draw_segments,
    write_numbers,
)

Array = np.ndarray

_DISTANCE = 6.  # of the camera, in reaches
_ELEVATION = math.radians(22)
_CELLS = 6  # of the floor on each side of the middle, about
_LINE, _SHADOW = (74, 74, 74), (14, 14, 14)
_AXES = (('x', (90, 90, 255)), ('y', (90, 220, 90)), ('z', (255, 170, 90)))


@dataclass(frozen=True, eq=False)
class SpacePanel:
    """Where the panel's camera looks.

    Attributes:
        side: Of the panel, px.
        reach_mm: How far from the middle things are seen.
        floor_mm: Height of the floor.
    """

    side: int
    reach_mm: float
    floor_mm: float

    def draw(self, middle: Array, azimuth: float, poses: Array,
             truth: Array | None, style: PoseStyle) -> Array:
        """Draw poses.

        Args:
            middle (ndarray): (3,) what the camera looks at, mm.
            azimuth (float): Where the camera stands, radians from x
                towards y.
            poses (ndarray): (I, K, 3) mm; NaN is not drawn.
            truth (ndarray, optional): (I, K, 3), drawn thin. None: not.
            style (PoseStyle): Of the skeleton.

        Returns:
            ndarray: (side, side, 3) uint8 BGR.
        """
        canvas = blank_canvas(self.side, self.side)
        camera = self._camera(middle, azimuth)
        step = self._draw_floor(canvas, camera, middle)
        thickness = max(2, round(self.side / 150))
        shown = [*poses, *(() if truth is None else truth)]
        shadow = style.recolored(_SHADOW)
        for points in shown:
            fallen = np.array(points, np.float64)
            fallen[:, 2] = np.where(np.isfinite(fallen[:, 2]), self.floor_mm,
                                    np.nan)
            draw_pose(canvas, camera.project(fallen)[0][0], shadow, 1)
        for points in () if truth is None else truth:
            draw_pose(canvas, camera.project(points)[0][0],
                      style.recolored(TRUTH), 1)
        for points in poses:
            pixels, depth = camera.project(points)
            draw_pose(canvas, pixels[0], style, thickness, depth[0])
        write_numbers(canvas, camera.project(poses)[0][0])
        _draw_axes(canvas, camera.rotations[0])
        write_line(canvas, f'grid {step:g} mm', 8, 18, .4)
        return canvas

    def _camera(self, middle: Array, azimuth: float) -> Cameras:
        """A camera that sees the reach, from a little above."""
        ahead = -np.array([
            math.cos(azimuth) * math.cos(_ELEVATION),
            math.sin(azimuth) * math.cos(_ELEVATION), math.sin(_ELEVATION)])
        right = np.cross(ahead, (0, 0, 1))
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(ahead, right), ahead])
        position = middle - _DISTANCE * self.reach_mm * ahead
        focal, centre = _DISTANCE * self.side / 2, (self.side - 1) / 2
        matrix = np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1]])
        return Cameras(('panel', ), matrix[None], rotation[None],
                       -(rotation @ position)[None], np.zeros((1, 5)))

    def _draw_floor(self, canvas: Array, camera: Cameras,
                    middle: Array) -> float:
        """Draw the floor; returns the step of its lines, mm."""
        step = round_step(2 * self.reach_mm / _CELLS)
        reach = _CELLS // 2 * step + step
        first = np.floor((middle[:2] - reach) / step) * step
        lines = first[:, None] + step * np.arange(
            round(2 * reach / step) + 2)
        ends = lines[:, [0, -1]]
        segments = []
        for axis in (0, 1):
            for value in lines[axis]:
                pair = np.full((2, 3), self.floor_mm)
                pair[:, axis], pair[:, 1 - axis] = value, ends[1 - axis]
                segments.append(pair)
        pixels = camera.project(np.stack(segments))[0][0]
        draw_segments(canvas, pixels[:, 0], pixels[:, 1], _LINE)
        return step


def round_step(length: float) -> float:
    """The largest of 1, 2, 5, 10, 20 ... that is no more than a length."""
    power = 10.**math.floor(math.log10(length))
    return max(factor * power for factor in (1, 2, 5)
               if factor * power <= length)


def place_of_interest(poses: Sequence[Array]) -> tuple[Array, float]:
    """Middle (3,) and reach of poses (..., 3) mm that are seen together.

    Raises:
        ValueError: If no point is known.
    """
    points = np.concatenate([
        np.asarray(pose, np.float64).reshape(-1, 3) for pose in poses])
    points = points[np.isfinite(points).all(-1)]
    if not len(points):
        raise ValueError('no known point to look at')
    low, high = points.min(0), points.max(0)
    middle = (low + high) / 2
    return middle, max(1., float(
        np.linalg.norm(points - middle, axis=1).max()))


def _draw_axes(canvas: Array, rotation: Array) -> None:
    """The world's axes in a corner."""
    length = canvas.shape[0] / 14
    start = np.array([1.6 * length, canvas.shape[0] - 1.6 * length])
    for axis, (name, color) in enumerate(_AXES):
        end = start + length * rotation[:2, axis]
        draw_segments(canvas, start[None], end[None], color)
        x, y = np.rint(start + 1.35 * (end - start)).astype(int)
        write_line(canvas, name, int(x) - 4, int(y) + 4, .38, color)
