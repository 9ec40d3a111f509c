"""Hands and objects in pictures, put there by the camera that took them.

Pixel centres lie at integers; pictures are BGR, as OpenCV has them. Points
are in the camera's frame, metres. 21 joints, M objects.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from mmpose_ext.drawing.lettering import EDGE, Color
from mmpose_ext.geometry.crop_views import project
from mmpose_ext.handobject.hand import BONES, joint_color

Array = np.ndarray

NEAR = .01  # m, where lines that come towards the camera are cut off
TRUTH: Color = (255, 255, 255)
TOUCHING: Color = (0, 255, 255)
APART: Color = (70, 70, 70)
GRASPED: Color = (235, 220, 60)
STANDING: Color = (150, 130, 70)
AXES: tuple[Color, ...] = ((60, 60, 255), (60, 220, 60), (255, 120, 60))
AXIS_M = .05  # of an object whose size is unknown
_SHIFT = 4  # fractional bits of a coordinate
_FARTHEST = 2**14  # px; points further away are left out
_CORNERS = np.array([(x, y, z) for x in (0, 1) for y in (0, 1)
                     for z in (0, 1)])
BOX_EDGES = tuple(
    (first, second) for first in range(8) for second in range(first + 1, 8)
    if np.abs(_CORNERS[first] - _CORNERS[second]).sum() == 1)


@dataclass(frozen=True, eq=False)
class HandObjectPose:
    """A hand and the objects about it, in the camera's frame.

    Attributes:
        joints: (21, 3) m; NaN is unknown.
        contact: (21,) how sure each joint touches the object, 0 to 1; None:
            unknown. Defaults to None.
        classes: (M,) the objects' classes, YCB id - 1.
        rotations: (M, 3, 3) object to camera.
        translations: (M, 3) m.
        grasped: Class of the object in the hand; -1: none, or unknown.
            Defaults to -1.
    """

    joints: Array
    contact: Array | None = None
    classes: Array = field(default_factory=lambda: np.empty(0, np.int64))
    rotations: Array = field(default_factory=lambda: np.empty((0, 3, 3)))
    translations: Array = field(default_factory=lambda: np.empty((0, 3)))
    grasped: int = -1

    def row_of(self, number: int) -> int | None:
        """Row of an object's class; None where it is not there."""
        rows = np.flatnonzero(self.classes == number)
        return int(rows[0]) if len(rows) else None


def project_segments(starts: Array, ends: Array, matrix: Array,
                     size: tuple[int, int]) -> Array:
    """What is seen of straight lines in space.

    Args:
        starts (ndarray): (N, 3) m.
        ends (ndarray): (N, 3) m.
        matrix (ndarray): (3, 3) the camera's.
        size (tuple[int, int]): Width and height of the picture, px.

    Returns:
        ndarray: (N, 2, 2) px, cut off where the line leaves the picture or
        comes too near to the camera; NaN where nothing is seen.
    """
    lines = np.stack([starts, ends], 1).astype(np.float64)
    lines = _clip(lines, 2, NEAR, np.inf)
    pixels = project(lines, matrix)
    for axis, length in enumerate(size):  # a rim, for ends that are round
        pixels = _clip(pixels, axis, -.25 * length, 1.25 * length)
    return pixels


def _clip(lines: Array, axis: int, low: float, high: float) -> Array:
    """Lines (N, 2, D) between two planes across an axis; NaN outside."""
    lines = lines.copy()
    for limit, sign in ((low, 1), (high, -1)):
        if not np.isfinite(limit):
            continue
        away = sign * (lines[:, :, axis] - limit)
        with np.errstate(invalid='ignore', divide='ignore'):
            share = (away[:, 0] / (away[:, 0] - away[:, 1]))[:, None]
            crossing = lines[:, 0] + share * (lines[:, 1] - lines[:, 0])
            # exactly there, so that a point on the plane is still seen
            crossing[:, axis] = limit
            for end in (0, 1):
                outside = away[:, end] < 0
                lines[outside, end] = crossing[outside]
            lines[(away < 0).all(1)] = np.nan
    return lines


def draw_hand(canvas: Array, pose: HandObjectPose, matrix: Array,
              thickness: int = 2, color: Color | None = None) -> None:
    """Draw a hand, near bones over far ones.

    Joints of known contact are yellow where they touch and grey where not.

    Args:
        canvas (ndarray): (H, W, 3) BGR uint8, drawn into.
        pose (HandObjectPose): With the hand.
        matrix (ndarray): (3, 3) camera of the canvas.
        thickness (int): Of the bones, px. Defaults to 2.
        color (tuple[int, int, int], optional): BGR of all bones, drawn thin
            and without joints, as befits what is compared with. Defaults to
            None: the fingers' colours.
    """
    joints = np.asarray(pose.joints, np.float64)
    first, second = np.array(BONES).T
    lines = project_segments(joints[first], joints[second], matrix,
                             canvas.shape[1::-1])
    order = np.argsort(-np.nan_to_num(joints[first, 2] + joints[second, 2]))
    draw_hand_lines(canvas, lines, order, thickness, color)
    if color is None:
        draw_joints(canvas, project(joints, matrix), joints[:, 2],
                    pose.contact, thickness)


def draw_hand_lines(canvas: Array, lines: Array, order: Array, thickness: int,
                    color: Color | None) -> None:
    """Draw the bones of a hand.

    Args:
        canvas (ndarray): (H, W, 3) BGR uint8, drawn into.
        lines (ndarray): (20, 2, 2) px, NaN is not drawn.
        order (ndarray): (20,) rows, the first is drawn first.
        thickness (int): px.
        color (tuple[int, int, int], optional): See :func:`draw_hand`.
    """
    for row in order:
        shade = bgr(joint_color(BONES[row][1])) if color is None else color
        if color is None:
            draw_line(canvas, lines[row], EDGE, thickness + 2)
        draw_line(canvas, lines[row], shade,
                  thickness if color is None else 1)


def draw_joints(canvas: Array, pixels: Array, depth: Array,
                contact: Array | None, thickness: int) -> None:
    """Draw the joints of a hand.

    Args:
        canvas (ndarray): (H, W, 3) BGR uint8, drawn into.
        pixels (ndarray): (21, 2) px; NaN is not drawn.
        depth (ndarray): (21,) what is larger lies further away.
        contact (ndarray, optional): (21,) 0 to 1.
        thickness (int): Of the bones, px.
    """
    radius = .9 * thickness + .6
    for joint in np.argsort(-np.nan_to_num(depth)):
        place = pixels[joint]
        if not (np.abs(place) < _FARTHEST).all():  # nor if NaN
            continue
        shade = bgr(joint_color(int(joint)))
        own = radius
        if contact is not None and np.isfinite(contact[joint]):
            shade = contact_color(float(contact[joint]))
            own = radius * (1.35 if contact[joint] >= .5 else 1)
        _dot(canvas, place, own + 1, EDGE)
        _dot(canvas, place, own, shade)


def contact_color(score: float) -> Color:
    """BGR from grey, apart, to yellow, touching; of a score, 0 to 1."""
    share = min(max(score, 0.), 1.)
    blue, green, red = (round(low + share * (high - low))
                        for low, high in zip(APART, TOUCHING, strict=True))
    return blue, green, red


def draw_object(canvas: Array, bounds: Array | None, rotation: Array,
                translation: Array, matrix: Array, color: Color,
                thickness: int = 1, axes: bool = True) -> None:
    """Draw the box about an object, and its axes.

    Args:
        canvas (ndarray): (H, W, 3) BGR uint8, drawn into.
        bounds (ndarray, optional): (2, 3) least and greatest coordinates of
            its mesh, m. None: only the axes are drawn.
        rotation (ndarray): (3, 3) object to camera.
        translation (ndarray): (3,) m.
        matrix (ndarray): (3, 3) camera of the canvas.
        color (tuple[int, int, int]): BGR of the box.
        thickness (int): px. Defaults to 1.
        axes (bool): Whether axes are drawn, x red, y green, z blue. Defaults
            to True.
    """
    size = canvas.shape[1::-1]
    if bounds is not None:
        corners = box_corners(bounds) @ rotation.T + translation
        first, second = np.array(BOX_EDGES).T
        for line in project_segments(corners[first], corners[second], matrix,
                                     size):
            draw_line(canvas, line, color, thickness)
    if axes:
        starts, ends = axes_of(bounds)
        lines = project_segments(starts @ rotation.T + translation,
                                 ends @ rotation.T + translation, matrix,
                                 size)
        for line, shade in zip(lines, AXES, strict=True):
            draw_line(canvas, line, shade, thickness + 1)


def box_corners(bounds: Array) -> Array:
    """Corners (8, 3) of a box (2, 3), in the order of ``BOX_EDGES``."""
    return np.where(_CORNERS > 0, bounds[1], bounds[0])


def axes_of(bounds: Array | None) -> tuple[Array, Array]:
    """Starts and ends (3, 3) of an object's axes, m, in its own frame.

    They start in its origin, where the translation puts it.
    """
    lengths = np.full(3, AXIS_M) if bounds is None else (
        bounds[1] - bounds[0]) / 2
    return np.zeros((3, 3)), np.diag(lengths)


def draw_line(canvas: Array, line: Array, color: Color,
              thickness: int = 1) -> None:
    """Draw a line (2, 2) px; one with a NaN is left out."""
    if np.isfinite(line).all():
        (x0, y0), (x1, y1) = np.rint(line * (1 << _SHIFT)).astype(
            int).tolist()
        cv2.line(canvas, (x0, y0), (x1, y1), color, thickness, cv2.LINE_AA,
                 _SHIFT)


def bgr(rgb: tuple[int, int, int]) -> Color:
    """BGR of RGB."""
    red, green, blue = rgb
    return blue, green, red


def _dot(canvas: Array, place: Array, radius: float, color: Color) -> None:
    x, y = np.rint(place * (1 << _SHIFT)).astype(int).tolist()
    cv2.circle(canvas, (x, y), round(radius * (1 << _SHIFT)), color,
               cv2.FILLED, cv2.LINE_AA, _SHIFT)
