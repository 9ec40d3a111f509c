"""Grids of voxels: cubes about an animal, in which a network looks for it.

A grid has axes of its own, x, y and z in mm from its middle. A centre (3,)
and axes (3, 3) place it in the world, ``world = centre + axes @ (x, y, z)``;
turning, mirroring and stretching a volume change the axes alone. Volumes are
indexed [y, x, z].
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

UPRIGHT = np.eye(3)
MIRRORED = np.diag([1., -1., 1.])  # axes @ MIRRORED turns y around
_MARGIN = 1.2


@dataclass(frozen=True)
class VoxelGrid:
    """A cube of n voxels a side.

    Args:
        vmin (float): Where the cube begins along each axis, mm from its
            middle.
        vmax (float): Where it ends, mm.
        nvox (int): Voxels a side, n.
    """

    vmin: float
    vmax: float
    nvox: int

    def __post_init__(self) -> None:
        if not self.vmin < self.vmax:
            raise ValueError(f'vmin < vmax expected, found {self.vmin} and '
                             f'{self.vmax}')
        if self.nvox < 1:
            raise ValueError(f'nvox >= 1 expected, found {self.nvox}')

    @classmethod
    def from_size(cls, vol_size: float, nvox: int) -> VoxelGrid:
        """A cube by the length of its side, mm."""
        return cls(-vol_size / 2, vol_size / 2, nvox)

    @property
    def spacing(self) -> float:
        """Side of a voxel, mm."""
        return (self.vmax - self.vmin) / self.nvox

    @property
    def offsets(self) -> Array:
        """Middles of the voxels along each axis, float64 (n,) mm."""
        half = self.spacing / 2
        return self.vmin + half + np.arange(self.nvox) * self.spacing

    def points(self, centre: Array, axes: Array = UPRIGHT) -> Array:
        """Middles of the voxels in the world.

        Args:
            centre (ndarray): (3,) mm.
            axes (ndarray): (3, 3). Defaults to the world's own.

        Returns:
            ndarray: (n, n, n, 3) mm, indexed [y, x, z].
        """
        y, x, z = np.meshgrid(*[self.offsets] * 3, indexing='ij')
        return np.asarray(centre) + np.stack([x, y, z], -1) @ axes.T


def turned_axes(angle: float) -> Array:
    """Axes turned about the vertical.

    Quarter turns are exact: the volume is then the upright one with its
    arrays flipped.

    Args:
        angle (float): From x towards y, radians.

    Returns:
        ndarray: (3, 3).
    """
    cos, sin = math.cos(angle), math.sin(angle)
    for whole in (-1., 0., 1.):  # cos(pi / 2) is 6e-17
        cos = whole if abs(cos - whole) < 1e-14 else cos
        sin = whole if abs(sin - whole) < 1e-14 else sin
    return np.array([[cos, -sin, 0.], [sin, cos, 0.], [0., 0., 1.]])


def fitting_size(points: Array, centres: Array) -> float:
    """Side of a cube that holds an animal however it is turned.

    Args:
        points (ndarray): (N, K, 3) labelled points, mm, NaN for missing.
        centres (ndarray): (N, 3) middles of the cubes, mm.

    Returns:
        float: Twice the largest distance of a point from its centre, along
        the ground or upwards, and a fifth more; mm.

    Raises:
        ValueError: If there is no point.
    """
    away = np.asarray(points) - np.asarray(centres)[:, None]
    away = away[np.isfinite(away).all(-1)]
    if not len(away):
        raise ValueError('no labelled point to fit a volume to')
    ground = np.hypot(away[:, 0], away[:, 1]).max()
    return 2 * _MARGIN * float(max(ground, abs(away[:, 2]).max()))
