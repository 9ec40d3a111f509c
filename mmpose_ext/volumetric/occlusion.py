"""How much of an animal others hide from a camera.

Each animal is taken for a ball about its middle. What one ball hides of
another follows from the rays through the camera's centre alone: neither the
lens nor the borders of the image have a say. I individuals, V views.
"""
from __future__ import annotations

import functools

import numpy as np

from mmpose_ext.geometry.cameras import NEAR_MM, Cameras

Array = np.ndarray

_RAYS = 512  # through a ball: shares are right to about 0.01
_GOLDEN = np.pi * (3 - np.sqrt(5))


def occluded_share(cameras: Cameras, centres: Array,
                   radius_mm: float) -> Array:
    """Share of each animal's disc that discs of nearer animals cover.

    Rays spread evenly over the disc as the camera sees it; those count that
    meet the ball of an animal whose middle is nearer to the camera.

    Args:
        cameras (Cameras): V cameras.
        centres (ndarray): (I, 3) middles of the animals, mm; NaN unknown.
        radius_mm (float): Of the balls, above 0.

    Returns:
        ndarray: (I, V) in [0, 1], float64. An animal behind a camera hides
        nobody and is hidden wholly: 1. One beside the image counts like one
        inside. One whose middle is unknown hides nobody and is hidden by
        nobody: 0. Around a camera that stands in it, an animal fills half of
        all directions.

    Raises:
        ValueError: If the radius is not above 0.
    """
    if not radius_mm > 0:
        raise ValueError(f'radius_mm: expected above 0, found {radius_mm}')
    centres = np.asarray(centres, np.float64).reshape(-1, 3)
    known = np.isfinite(centres).all(-1)
    away = np.nan_to_num(centres) - cameras.positions[:, None]
    distance = np.maximum(np.linalg.norm(away, axis=-1), NEAR_MM)
    ahead = away / distance[..., None]
    cosine = np.sqrt(1 - np.minimum(radius_mm / distance, 1)**2)
    depth = np.einsum('vj,vij->vi', cameras.rotations[:, 2], away)
    seen = known & (depth > NEAR_MM)
    rays = _spread(ahead, cosine)
    met = np.einsum('visk,vjk->visj', rays, ahead) > cosine[:, None, None]
    nearer = distance[:, None] < distance[:, :, None]
    nearer &= seen[:, None]
    share = (met & nearer[:, :, None]).any(-1).mean(-1)
    return np.where(known, np.where(seen, share, 1.), 0.).T


def _spread(ahead: Array, cosine: Array) -> Array:
    """Unit rays (V, I, S, 3), dense alike, in cones about (V, I, 3)."""
    along, angles = _sunflower()
    # the area of a cap grows with its height: even steps of the cosine
    height = 1 - (1 - cosine[..., None]) * along
    across = np.sqrt(np.maximum(1 - height**2, 0))
    # any direction that is not the axis itself will do
    helper = np.eye(3)[np.abs(ahead).argmin(-1)]
    right = np.cross(ahead, helper)
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    down = np.cross(ahead, right)
    sides = (np.cos(angles)[:, None] * right[..., None, :]
             + np.sin(angles)[:, None] * down[..., None, :])
    return (height[..., None] * ahead[..., None, :]
            + across[..., None] * sides)


@functools.cache
def _sunflower() -> tuple[Array, Array]:
    """Shares of the area (S,) and angles (S,) of evenly spread points."""
    number = np.arange(_RAYS)
    return (number + .5) / _RAYS, number * _GOLDEN
