"""All views of a time point with the pose in them, and the pose in space.

World in mm. V views, I individuals, K keypoints.
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
    crop_matrix,
    cut_tile,
    draw_pose,
    move_pixels,
    write_legend,
    write_numbers,
)
from mmpose_ext.volumetric.space_panel import SpacePanel

Array = np.ndarray

TILE = 320  # px
_GAP = 4  # px, between pictures
AZIMUTH = math.radians(-60)
_BAND = 50  # px, below
_ROOM = 1.2  # about the reach, in a view
_TRUTH_NAME = 'thin: label'


@dataclass(frozen=True, eq=False)
class Scene:
    """What is drawn of a time point.

    Attributes:
        images: V pictures (H, W, 3) BGR uint8.
        cameras: Theirs.
        poses: (I, K, 3) mm, NaN unknown.
        truth: (I, K, 3) mm to compare with, or None.
        caption: Written below, with the error where there is a truth.
    """

    images: Sequence[Array]
    cameras: Cameras
    poses: Array
    truth: Array | None
    caption: str

    @property
    def error(self) -> float:
        """Mean distance of the poses from the truth, mm; NaN without one."""
        if self.truth is None:
            return math.nan
        return mean_error(self.poses, self.truth)


@dataclass(frozen=True, eq=False)
class Mosaic:
    """Views in rows, the pose in space on their right, and a caption.

    Attributes:
        style: How skeletons are drawn.
        num_views: V.
        reach_mm: How far from the middle things are shown.
        floor_mm: Height of the floor.
        tile: Side of a view's square, px.
        whole: Whether views are shown whole rather than about the animals.
    """

    style: PoseStyle
    num_views: int
    reach_mm: float
    floor_mm: float
    tile: int = TILE
    whole: bool = False

    @property
    def rows(self) -> int:
        """Rows of views."""
        return math.isqrt(self.num_views)

    @property
    def columns(self) -> int:
        """Columns of views."""
        return -(-self.num_views // self.rows)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        step = self.tile + _GAP
        return ((self.columns + self.rows) * step - _GAP,
                self.rows * step - _GAP + _BAND)

    def draw(self, scene: Scene, middle: Array,
             azimuth: float = AZIMUTH) -> Array:
        """Draw a time point.

        Args:
            scene (Scene): With V views.
            middle (ndarray): (3,) what the views show, mm.
            azimuth (float): Where the panel's camera stands, radians.
                Defaults to -60 degrees.

        Returns:
            ndarray: (H, W, 3) uint8 BGR, of :attr:`size`.
        """
        canvas = blank_canvas(*self.size)
        step, side = self.tile + _GAP, self.tile
        poses, _ = scene.cameras.project(scene.poses)
        truth = (None if scene.truth is None else
                 scene.cameras.project(scene.truth)[0])
        for view, name in enumerate(scene.cameras.names):
            tile = self._draw_view(scene, view, middle, poses[view],
                                   None if truth is None else truth[view])
            write_line(tile, name, 8, 18, .45)
            row, column = divmod(view, self.columns)
            canvas[row * step:row * step + side,
                   column * step:column * step + side] = tile
        panel = SpacePanel(self.rows * step - _GAP, self.reach_mm,
                           self.floor_mm)
        canvas[:panel.side, self.columns * step:] = panel.draw(
            middle, azimuth, scene.poses, scene.truth, self.style)
        self._write_band(canvas, scene)
        return canvas

    def _draw_view(self, scene: Scene, view: int, middle: Array,
                   poses: Array, truth: Array | None) -> Array:
        """A view's square with poses (I, K, 2) px."""
        image, size = scene.images[view], (self.tile, self.tile)
        corner, side = np.zeros(2), np.array(image.shape[1::-1], np.float64)
        if not self.whole:
            corner, side = animal_window(scene.cameras, view, middle,
                                         _ROOM * self.reach_mm, side)
        matrix = crop_matrix(corner, side, size)
        tile = cut_tile(image, matrix, size)
        thickness = max(2, round(self.tile / 160))
        # below the poses, whose colours tell the sides
        for points in () if truth is None else truth:
            draw_pose(tile, move_pixels(matrix, points),
                      self.style.recolored(TRUTH), 1)
        for points in poses:
            draw_pose(tile, move_pixels(matrix, points), self.style,
                      thickness)
        write_numbers(tile, move_pixels(matrix, poses))
        return tile

    def _write_band(self, canvas: Array, scene: Scene) -> None:
        """Caption and legend."""
        height, width = canvas.shape[:2]
        caption = scene.caption
        if math.isfinite(scene.error):
            caption += f'   error {scene.error:.1f} mm'
        scale = min(.5, .5 * (width - 16) / (10 * max(len(caption), 1)))
        write_line(canvas, caption, 8, height - _BAND + 20, scale)
        write_legend(canvas, self.style, 8, height - 10,
                     [(_TRUTH_NAME, TRUTH)] if scene.truth is not None
                     else [])


def animal_window(cameras: Cameras, view: int, middle: Array,
                  reach_mm: float, size: Array) -> tuple[Array, Array]:
    """The square of a picture that shows what surrounds a place.

    Args:
        cameras (Cameras): V cameras.
        view (int): Which of them.
        middle (ndarray): (3,) the place, mm.
        reach_mm (float): How far from it things are shown.
        size (ndarray): (2,) width and height of the picture, px.

    Returns:
        tuple: Corner (2,) and side lengths (2,), px. The square is moved
        into the picture if it fits; it is all of the picture where the
        camera does not see the place.
    """
    pixels, depth = cameras.project(middle)
    if not np.isfinite(pixels[view]).all():
        return np.zeros(2), size
    focal = float(np.diag(cameras.intrinsics[view])[:2].mean())
    side = np.full(2, 2 * reach_mm * focal / float(depth[view]))
    corner = pixels[view] - (side - 1) / 2
    room = size - side
    return np.where(room > 0, np.clip(corner, 0, np.maximum(room, 0)),
                    room / 2), side


def mean_error(poses: Array, truth: Array) -> float:
    """Mean distance of points (..., 3), mm; NaN where none has a truth."""
    errors = np.linalg.norm(poses - truth, axis=-1)
    known = np.isfinite(errors)
    return float(errors[known].mean()) if known.any() else math.nan
