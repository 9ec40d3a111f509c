"""Calibrated cameras around an arena."""
from __future__ import annotations

import numpy as np

from mmpose_ext.geometry.cameras import Cameras

Array = np.ndarray

TARGET_MM = 35.  # height of the place that the cameras look at
_HEIGHTS = np.radians([27., 50., 32., 57.])  # above the floor, in turn
_DISTANCE_MM = (640., 760.)
_FIELD = 1.2  # focal length in image widths


def draw_rig(rng: np.random.Generator, count: int,
             size: tuple[int, int]) -> Cameras:
    """Make up cameras that stand around and above an arena.

    Lenses distort by a few pixels in the corners, sensors are slightly
    skewed, and no camera looks quite where it should.

    Args:
        rng (Generator): Where they stand, and their lenses.
        count (int): Cameras V.
        size (tuple[int, int]): Width and height of the images, px.

    Returns:
        Cameras: Camera1, Camera2 and so on; 0-based pixels.
    """
    turn = (2 * np.pi * (np.arange(count) + .5) / count
            + rng.normal(0, .10, count))
    height = np.resize(_HEIGHTS, count) + rng.normal(0, .04, count)
    position = rng.uniform(*_DISTANCE_MM, (count, 1)) * np.stack(
        [np.cos(height) * np.cos(turn), np.cos(height) * np.sin(turn),
         np.sin(height)], -1)
    target = rng.normal(0, 9, (count, 3)) + [0, 0, TARGET_MM]
    rotations = np.stack([
        look_along(way, roll) for way, roll in zip(
            target - position, rng.normal(0, .03, count), strict=True)])
    intrinsics = np.zeros((count, 3, 3))
    focal = size[0] * _FIELD * rng.uniform(.97, 1.03, count)
    intrinsics[:, 0, 0] = focal
    intrinsics[:, 1, 1] = focal * rng.normal(1, .003, count)
    intrinsics[:, 0, 1] = rng.uniform(-1.2, 1.2, count)
    intrinsics[:, :2, 2] = (np.array(size) - 1) / 2 + rng.normal(
        0, 4, (count, 2))
    intrinsics[:, 2, 2] = 1
    distortions = np.stack([
        rng.uniform(-.22, -.08, count), rng.uniform(.0, .06, count),
        rng.normal(0, .0015, count), rng.normal(0, .0015, count),
        np.zeros(count)], -1)
    translations = -np.einsum('vij,vj->vi', rotations, position)
    return Cameras(tuple(f'Camera{i + 1}' for i in range(count)), intrinsics,
                   rotations, translations, distortions,
                   np.tile(np.array(size), (count, 1)))


def look_along(way: Array, roll: float) -> Array:
    """Rotation (3, 3) of a camera that looks along a way (3,)."""
    ahead = way / np.linalg.norm(way)
    right = np.cross(ahead, [0, 0, 1.])
    right /= np.linalg.norm(right)
    down = np.cross(ahead, right)
    c, s = np.cos(roll), np.sin(roll)
    return np.stack([c * right + s * down, c * down - s * right, ahead])
