"""Hands and objects from the side and from above, without perspective.

What a photograph hides shows here: how far things are from the camera.
Points are in the camera's frame, metres: x right, y down, z ahead.
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmpose_ext.drawing.grid import BACKGROUND
from mmpose_ext.drawing.lettering import Color, write_line
from mmpose_ext.handobject.drawing import (
    BOX_EDGES,
    GRASPED,
    STANDING,
    TRUTH,
    HandObjectPose,
    box_corners,
    draw_hand_lines,
    draw_joints,
    draw_line,
)
from mmpose_ext.handobject.hand import BONES

Array = np.ndarray

_GRID = (62, 62, 62)
_LEAST_M, _MOST_M = .06, 1.  # reach of a panel
_RIM = 1.15  # how much more than the reach is shown


@dataclass(frozen=True, eq=False)
class Direction:
    """From where a panel looks.

    Attributes:
        title: What it is called.
        right: (3,) the camera's axis, or its opposite, that points right.
        down: (3,) the one that points down.
        names: What the two mean, right and down.
    """

    title: str
    right: tuple[int, int, int]
    down: tuple[int, int, int]
    names: tuple[str, str]

    @property
    def axes(self) -> Array:
        """Rows right, down and away from who looks, (3, 3)."""
        return np.array([self.right, self.down,
                         np.cross(self.right, self.down)], np.float64)


SIDE = Direction('from the side', (0, 0, 1), (0, 1, 0), ('z', 'y'))
ABOVE = Direction('from above', (1, 0, 0), (0, 0, -1), ('x', '-z'))


@dataclass(frozen=True, eq=False)
class SpacePanel:
    """Where a panel looks, and how large it is.

    Attributes:
        side: Of the panel, px.
        middle: (3,) what is in its middle, m.
        reach_m: How far from it things are seen.
    """

    side: int
    middle: Array
    reach_m: float

    @classmethod
    def about(cls, poses: Sequence[HandObjectPose], side: int,
              bounds: Mapping[int, Array]) -> SpacePanel:
        """A panel that shows hands and what they hold.

        The first hand tells the middle. Other objects may be cut off, and
        what is more than a metre away.

        Args:
            poses (Sequence[HandObjectPose]): The first is what the others
                are compared with.
            side (int): Of the panel, px.
            bounds (Mapping[int, ndarray]): (2, 3) m by class of object.
        """
        clouds = [_cloud(pose, bounds) for pose in poses]
        clouds = [cloud[np.isfinite(cloud).all(-1)] for cloud in clouds]
        clouds = [cloud for cloud in clouds if len(cloud)]
        if not clouds:
            return cls(side, np.zeros(3), _LEAST_M)
        hand = poses[0].joints[np.isfinite(poses[0].joints).all(-1)]
        first = hand if len(hand) else clouds[0]
        middle = (first.min(0) + first.max(0)) / 2
        reach = max(float(np.abs(cloud - middle).max()) for cloud in clouds)
        return cls(side, middle, float(np.clip(reach, _LEAST_M, _MOST_M)))

    def place(self, points: Array, direction: Direction) -> Array:
        """Where points (..., 3) lie in the panel: right and down in px, away
        in m."""
        seen = (np.asarray(points, np.float64) - self.middle) @ (
            direction.axes.T)
        seen[..., :2] *= self.side / (2 * _RIM * self.reach_m)
        seen[..., :2] += (self.side - 1) / 2
        return seen

    def draw(self, direction: Direction, pose: HandObjectPose | None,
             truth: HandObjectPose | None,
             bounds: Mapping[int, Array]) -> Array:
        """Draw a pose, and in white what it should be.

        Args:
            direction (Direction): From where.
            pose (HandObjectPose, optional): In colours.
            truth (HandObjectPose, optional): In white.
            bounds (Mapping[int, ndarray]): (2, 3) m by class of object;
                one without is a cross.

        Returns:
            ndarray: (side, side, 3) BGR uint8.
        """
        canvas = np.full((self.side, self.side, 3), BACKGROUND, np.uint8)
        step = self._draw_grid(canvas, direction)
        thickness = max(2, round(self.side / 170))
        for one, color in ((truth, TRUTH), (pose, None)):
            if one is not None:
                self._draw_objects(canvas, direction, one, bounds, color)
                self._draw_hand(canvas, direction, one, thickness, color)
        write_line(canvas, f'{direction.title}, grid {1000 * step:g} mm', 8,
                   18, .4)
        right, down = direction.names
        write_line(canvas, f'{right} ->', self.side - 42, self.side - 8, .38)
        write_line(canvas, f'{down} down', 8, self.side - 8, .38)
        return canvas

    def _draw_grid(self, canvas: Array, direction: Direction) -> float:
        """Lines at round coordinates; returns their distance, m."""
        step = _round_step(self.reach_m / 2)
        middle = direction.axes[:2] @ self.middle
        count = math.ceil(_RIM * self.reach_m / step) + 1
        for axis in (0, 1):
            values = (round(middle[axis] / step) + np.arange(
                -count, count + 1)) * step - middle[axis]
            values = values * self.side / (2 * _RIM * self.reach_m) + (
                self.side - 1) / 2
            for value in values:
                line = np.array([[value, 0], [value, self.side]])
                draw_line(canvas, line if axis == 0 else line[:, ::-1],
                          _GRID)
        return step

    def _draw_objects(self, canvas: Array, direction: Direction,
                      pose: HandObjectPose, bounds: Mapping[int, Array],
                      color: Color | None) -> None:
        for number, rotation, translation in zip(
                pose.classes, pose.rotations, pose.translations, strict=True):
            shade = color or (GRASPED if number == pose.grasped else STANDING)
            box = bounds.get(int(number))
            if box is None:
                place = self.place(translation, direction)[:2]
                arm = self.side / 60
                for shift in (np.array([arm, arm]), np.array([arm, -arm])):
                    self._line(canvas, np.stack([place - shift,
                                                 place + shift]), shade)
                continue
            corners = self.place(box_corners(box) @ rotation.T + translation,
                                 direction)[:, :2]
            for first, second in BOX_EDGES:
                self._line(canvas, corners[[first, second]], shade)

    def _draw_hand(self, canvas: Array, direction: Direction,
                   pose: HandObjectPose, thickness: int,
                   color: Color | None) -> None:
        seen = self.place(pose.joints, direction)
        near = np.abs(seen[:, :2] - self.side / 2).max(-1) < 8 * self.side
        seen[~near] = np.nan
        first, second = np.array(BONES).T
        order = np.argsort(-np.nan_to_num(seen[first, 2] + seen[second, 2]))
        draw_hand_lines(canvas, np.stack([seen[first, :2], seen[second, :2]],
                                         1), order, thickness, color)
        if color is None:
            draw_joints(canvas, seen[:, :2], seen[:, 2], pose.contact,
                        thickness)

    def _line(self, canvas: Array, line: Array, color: Color) -> None:
        if (np.abs(line) < 8 * self.side).all():
            draw_line(canvas, line, color)


def _cloud(pose: HandObjectPose, bounds: Mapping[int, Array]) -> Array:
    """Points (N, 3) of a hand and of what it holds."""
    row = pose.row_of(pose.grasped)
    if row is None:
        return pose.joints
    box = bounds.get(pose.grasped)
    corners = np.zeros((1, 3)) if box is None else box_corners(box)
    return np.concatenate([
        pose.joints,
        corners @ pose.rotations[row].T + pose.translations[row]])


def _round_step(length: float) -> float:
    """The largest of .01, .02, .05, .1 ... that is no more than a length."""
    power = 10.**math.floor(math.log10(length))
    return max(factor * power for factor in (1, 2, 5)
               if factor * power <= length * (1 + 1e-9))
