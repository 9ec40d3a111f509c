"""Tables and rooms around hands, and what eight cameras make of them."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mmpose_ext.synthesis.hand_pictures import Eye, Lamp, Shot
from mmpose_ext.synthesis.hand_scenes import (
    CAMERAS,
    TABLE_M,
    Moment,
    Rig,
    Scene,
)

Array = np.ndarray

_PX_M = .0025  # of a table's picture
_TABLE_PX = (int(TABLE_M[0] / _PX_M), int(TABLE_M[1] / _PX_M))
_FARTHEST_M = 4.
_NOISE_SIDE = 720


@dataclass(frozen=True)
class Place:
    """Where a sequence was taken.

    Attributes:
        table: (h, w, 3) uint8 the table from above.
        rooms: (8, h, w, 3) uint8 what is behind it, blurred.
        sun: (3,) way to the light, in the table's frame.
        strengths: Of sun and sky.
        casts: (8, 3) by what each camera multiplies colours.
        blurs: (8,) px, how soft each camera's picture is.
    """

    table: Array
    rooms: Array
    sun: Array
    strengths: tuple[float, float]
    casts: Array
    blurs: Array


class Studio:
    """A rig with what does not change from picture to picture.

    Args:
        rig (Rig): The cameras.
        eyes (sequence[Eye]): What they see along.
        noise (ndarray): From :func:`draw_noise`.
    """

    def __init__(self, rig: Rig, eyes: Sequence[Eye], noise: Array) -> None:
        self.rig, self.eyes, self.noise = rig, eyes, noise
        self.size = eyes[0].rays.shape[1::-1]
        self._depths, self._warps = [], []
        for camera in range(CAMERAS):
            depth, warp = self._see_table(camera)
            self._depths.append(depth)
            self._warps.append(warp)

    def shoot(self, rng: np.random.Generator, camera: int, place: Place,
              scene: Scene, moment: Moment, table: Array) -> Shot:
        """Take a picture.

        Args:
            rng (Generator): Of the noise.
            camera (int): 0 to 7.
            place (Place): Around the table.
            scene (Scene): The sequence.
            moment (Moment): What is on the table and above it.
            table (ndarray): From :func:`shade_table`.

        Returns:
            Shot: Its ``colour`` is finished.
        """
        rig = self.rig
        turn = rig.rotations[camera]
        colour = cv2.resize(place.rooms[camera], self.size,
                            interpolation=cv2.INTER_LINEAR)
        depth = self._depths[camera]
        seen = cv2.warpPerspective(table, self._warps[camera], self.size,
                                   flags=cv2.INTER_LINEAR,
                                   borderMode=cv2.BORDER_REPLICATE)
        cv2.copyTo(seen, (depth > 0).view(np.uint8), colour)
        shot = Shot(self.eyes[camera],
                    Lamp(turn @ place.sun, *place.strengths), colour, depth)
        for thing, pose in zip(scene.things, moment.poses, strict=True):
            shot.put_thing(thing, turn @ pose[:, :3],
                           rig.to_camera(camera, pose[:, 3]))
        hand = moment.hand
        if hand is not None:
            def move(points: Array) -> Array:
                return rig.to_camera(camera, points)

            shot.put_sleeve(hand.sleeve.moved(move), scene.body.sleeve)
            shot.put_hand(scene.body, hand.cones.moved(move),
                          hand.backs @ turn.T, turn @ hand.rotation[:, 2])
        self._finish(rng, shot.colour, place, camera)
        return shot

    def _finish(self, rng: np.random.Generator, colour: Array, place: Place,
                camera: int) -> None:
        """Blur, tint and noise of a sensor, in place."""
        blur = place.blurs[camera]
        cv2.GaussianBlur(colour, (3, 3), blur, dst=colour)
        cv2.multiply(colour, np.append(place.casts[camera], 1.), dst=colour)
        x, y = rng.integers(0, _NOISE_SIDE - np.array(self.size))
        cv2.add(colour, self.noise[y:y + self.size[1], x:x + self.size[0]],
                dst=colour, dtype=cv2.CV_8U)

    def _see_table(self, camera: int) -> tuple[Array, Array]:
        """Depth (H, W) of the table, 0 beside it; and how its picture warps.
        """
        rig, eye = self.rig, self.eyes[camera]
        centre, turn = rig.centres[camera], rig.rotations[camera]
        # what a pixel's ray falls by for each m ahead is an even ramp
        ramp = -turn[:, 2] @ np.linalg.inv(eye.matrix)
        fall = ramp[0] * np.arange(self.size[0]) + ramp[2] + (
            ramp[1] * np.arange(self.size[1]))[:, None]
        depth = centre[2] / np.maximum(fall, centre[2] / _FARTHEST_M)
        half = np.array(TABLE_M) / 2
        from_picture = np.array([[_PX_M, 0, _PX_M / 2 - half[0]],
                                 [0, _PX_M, _PX_M / 2 - half[1]],
                                 [0, 0, 1]])
        warp = eye.matrix @ np.column_stack(
            [turn[:, :2], -turn @ centre]) @ from_picture
        on = cv2.warpPerspective(np.ones(_TABLE_PX[::-1], np.uint8), warp,
                                 self.size, flags=cv2.INTER_NEAREST)
        depth[(on == 0) | (depth >= _FARTHEST_M)] = 0
        return depth.astype(np.float32), warp


def draw_noise(rng: np.random.Generator) -> Array:
    """A sensor's noise (S, S, 3) int16, to take windows of."""
    fine = rng.normal(0, 3., (_NOISE_SIDE, _NOISE_SIDE, 3))
    return cv2.GaussianBlur(fine, (3, 3), .5).round().astype(np.int16)


def draw_place(rng: np.random.Generator) -> Place:
    """Make up a table, a room and its light."""
    base = rng.uniform(90, 215) * (1 + rng.normal(0, .05, 3))
    table = np.full((*_TABLE_PX[::-1], 3), base, np.float32)
    for cells, strength in ((6, 14), (30, 9), (160, 8)):
        coarse = rng.normal(0, strength, (
            cells, cells * 4 // 3 if rng.random() < .5 else cells // 3 + 1,
            1)) * (1 + rng.normal(0, .1, 3))
        table += cv2.resize(coarse.astype(np.float32), _TABLE_PX,
                            interpolation=cv2.INTER_CUBIC)
    if rng.random() < .4:  # boards or tiles
        width = int(rng.integers(30, 90))
        table[:, ::width] *= .75
        if rng.random() < .5:
            table[::width] *= .75
    rooms = rng.uniform(40, 180, (CAMERAS, 1, 1, 1)) + rng.normal(
        0, 14, (CAMERAS, 1, 1, 3))
    rooms = rooms + rng.normal(0, 16, (CAMERAS, 9, 12, 1)) + rng.normal(
        0, 6, (CAMERAS, 9, 12, 3))
    turn, height = rng.uniform(0, 2 * np.pi), rng.uniform(.75, 1.35)
    sun = np.array([np.cos(height) * np.cos(turn),
                    np.cos(height) * np.sin(turn), np.sin(height)])
    return Place(
        np.clip(table, 0, 255).astype(np.uint8),
        np.clip(rooms, 0, 255).astype(np.uint8), sun,
        (rng.uniform(.35, .7), rng.uniform(.5, .72)),
        rng.uniform(.85, 1.12, (CAMERAS, 1)) * rng.uniform(
            .95, 1.05, (CAMERAS, 3)), rng.uniform(.4, .85, CAMERAS))


def shade_table(place: Place, scene: Scene, moment: Moment) -> Array:
    """The table's picture with the shadows of a moment."""
    dark = np.zeros(_TABLE_PX[::-1], np.uint8)
    half = np.array(TABLE_M) / 2

    def fall(points: Array) -> Array:
        ground = points - points[..., 2:] * (place.sun / place.sun[2])
        return np.rint((ground[..., :2] + half) / _PX_M - .5).astype(np.int32)

    for thing, pose in zip(scene.things, moment.poses, strict=True):
        spots = fall(thing.vertices @ pose[:, :3].T + pose[:, 3])
        cv2.fillConvexPoly(dark, cv2.convexHull(spots), 255)
    hand = moment.hand
    if hand is not None:
        for cones in (hand.cones, hand.sleeve):
            starts, ends = fall(cones.starts), fall(cones.ends)
            widths = np.maximum(cones.radii.mean(1) * 2 / _PX_M, 1)
            for start, end, width in zip(starts, ends, widths.astype(int),
                                         strict=True):
                cv2.line(dark, start.tolist(), end.tolist(), 255, int(width))
    dark = cv2.GaussianBlur(dark, (0, 0), 5)
    light = 1 - .55 * place.strengths[0] / sum(place.strengths) * (
        dark / np.float32(255))
    light *= sum(place.strengths) / 1.15
    return np.clip(place.table * light[..., None], 0, 255).astype(np.uint8)
