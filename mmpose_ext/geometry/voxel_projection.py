"""The voxels of a volume in the pixels of one camera.

In the camera's frame a voxel is a point of the plane of the grid's x and y
plus a point of the line of its z: one addition for each coordinate, and no
grid is stored.

In float32 the result is off by some 1e-4 px. That decides about a voxel only
where it falls between two pixels, so those few are found by a bound on the
rounding errors and projected again in float64.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .cameras import NEAR_MM, Cameras
from .pinhole import distort, to_pixels
from .voxels import VoxelGrid

Array = np.ndarray

_UNIT = 2.**-24  # relative error of rounding to float32
_WIDEST = 1 / 128  # px; with a wider bound too much would be done twice


@dataclass(frozen=True, eq=False)
class VoxelProjection:
    """A grid seen by one camera.

    Args:
        planes (Tensor): (3, n, n) mm, indexed [y, x], in float64.
        lines (Tensor): (3, n) mm, along z, in float64.
        intrinsics (Tensor): (3, 3) float64.
        distortion (Tensor): (5,) float64.
        fold (float): Where the lens folds, see ``Cameras.folds``.
        bound (float): Largest error of float32 arithmetic, px; infinite
            where the volume reaches what the camera cannot see, behind it or
            beyond the fold.
        kind (torch.dtype): The precision to use.
    """

    planes: Tensor
    lines: Tensor
    intrinsics: Tensor
    distortion: Tensor
    fold: float
    bound: float
    kind: torch.dtype

    def rows(self, rows: slice) -> tuple[Tensor, Tensor, Tensor | None]:
        """Pixels of some rows of the volume.

        Args:
            rows (slice): Along the volume's y.

        Returns:
            tuple: u and v (rows, n, n), and which voxels the camera could
            see, None for all; u and v of the others mean nothing.
        """
        planes = self.planes[:, rows].to(self.kind)[..., None]
        lines = self.lines.to(self.kind)[:, None, None]
        x, y, z = (planes[axis] + lines[axis] for axis in range(3))
        seen = None
        if not self.bound < np.inf:
            seen = (z > NEAR_MM) & (x * x + y * y < self.fold**2 * z * z)
            z = z.where(seen, 1)
        return (*self._to_image(x, y, z), seen)

    def uncertain(self, distances: Tensor, rows: slice
                  ) -> tuple[Tensor, Tensor, Tensor] | None:
        """Voxels that may round to another pixel than in float64.

        Args:
            distances (Tensor): (rows, n, n) by how much rounding moved u or
                v, the larger one, px.
            rows (slice): As in :meth:`rows`.

        Returns:
            tuple, optional: Their flat indices (N,) in the block and their u
            and v (N,) in float64; None if there is none.
        """
        if self.kind == torch.float64:
            return None
        # numpy compares and searches at a quarter of torch's cost
        chosen = torch.from_numpy(
            np.flatnonzero(distances.numpy() > .5 - self.bound))
        if not len(chosen):
            return None
        n = len(self.lines[0])
        place = (self.planes[:, rows].flatten(1)[:, chosen // n]
                 + self.lines[:, chosen % n])
        return chosen, *self._to_image(*place)

    def _to_image(self, x: Tensor, y: Tensor,
                  z: Tensor) -> tuple[Tensor, Tensor]:
        # coefficients of the same kind save torch a conversion in each step
        return to_pixels(*distort(x / z, y / z, self.distortion.to(x.dtype)),
                         self.intrinsics.to(x.dtype))


def project_voxels(cameras: Cameras, grid: VoxelGrid, centre: Array,
                   axes: Array, device: torch.device
                   ) -> list[VoxelProjection]:
    """Place a grid before each of V cameras.

    A CPU uses float32 where its errors are small and known. Other devices
    use float64, which costs them less than looking for the exceptions.

    Args:
        cameras (Cameras): V cameras.
        grid (VoxelGrid): The voxels.
        centre (ndarray): (3,) the volume's middle in the world, mm.
        axes (ndarray): (3, 3) the grid's axes in the world.
        device (torch.device): Where to compute.
    """
    middles = cameras.to_camera(centre)
    x, y, z = np.moveaxis(cameras.rotations @ axes, 2, 0)[..., None] * (
        grid.offsets)
    planes = middles[..., None, None] + x[:, :, None, :] + y[..., None]
    projections = []
    for plane, line, intrinsics, distortion, fold in zip(
            planes, z, cameras.intrinsics, cameras.distortions,
            cameras.folds.tolist(), strict=True):
        bound = rounding_bound(plane, line, intrinsics, distortion, fold)
        rough = device.type == 'cpu' and bound <= _WIDEST
        projections.append(
            VoxelProjection(
                torch.from_numpy(plane).to(device),
                torch.from_numpy(np.ascontiguousarray(line)).to(device),
                torch.from_numpy(intrinsics), torch.from_numpy(distortion),
                fold, bound, torch.float32 if rough else torch.float64))
    return projections


def rounding_bound(plane: Array, line: Array, intrinsics: Array,
                   distortion: Array, fold: float) -> float:
    """Largest error of a voxel's pixel in float32.

    A running error analysis: each step adds its own rounding to what the
    errors before it become, with the largest absolute values that occur in
    the volume, to first order and a tenth more. Those of x / z, y / z and the
    radius occur at corners of the cube, for cones are convex.

    Args:
        plane (ndarray): (3, n, n) mm in the camera's frame.
        line (ndarray): (3, n) mm.
        intrinsics (ndarray): (3, 3).
        distortion (ndarray): (5,).
        fold (float): Where the lens folds.

    Returns:
        float: px; infinite where the volume may reach the camera's plane or
        the fold.
    """
    ends = [0, -1]
    corners = plane[:, ends][:, :, ends, None] + line[:, None, None, ends]
    error = _UNIT * (abs(plane).max((1, 2)) + abs(line).max(1)
                     + abs(corners).max((1, 2, 3)))
    near = corners[2].min() - error[2]
    if near <= NEAR_MM:
        return float('inf')
    slopes = corners[:2] / corners[2]
    x, y = abs(slopes).max((1, 2, 3))
    square = (slopes**2).sum(0).max()
    if square >= fold**2:
        return float('inf')
    ex = (error[0] + x * error[2]) / near + _UNIT * x
    ey = (error[1] + y * error[2]) / near + _UNIT * y

    k1, k2, p1, p2, k3 = abs(distortion)
    e_square = 2 * (x * ex + y * ey) + 3 * _UNIT * square
    radial = 1 + square * (k1 + square * (k2 + square * k3))
    slope = k1 + square * (2 * k2 + square * 3 * k3)
    e_radial = slope * e_square + 8 * _UNIT * radial
    e_cross = 2 * (x * ey + y * ex) + 2 * _UNIT * x * y
    bent, errors = [], []
    for a, ea, p, q in ((x, ex, p1, p2), (y, ey, p2, p1)):
        value = a * radial + 2 * p * x * y + q * (square + 2 * a * a)
        bent.append(value)
        errors.append(ea * radial + a * e_radial + p * e_cross
                      + q * (e_square + 4 * a * ea) + 8 * _UNIT * value)
    scale = abs(intrinsics[:2])
    pixel = scale[:, :2] @ bent + scale[:, 2]
    return float(1.1 * (scale[:, :2] @ errors + 5 * _UNIT * pixel).max())
