"""Signed distances to the objects on grids, for losses to look up.

``python -m mmpose_ext.handobject.build_distance_fields MODELS --out FILE``
makes the file of a folder of meshes; :class:`HandObjectDistanceField` reads
it.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F

from mmpose_ext.handobject.meshes import Mesh, load_mesh
from mmpose_ext.handobject.objects import NUM_CLASSES, YCB_IDS
from mmpose_ext.handobject.surface import SurfaceSearch
from mmpose_ext.storage import (
    DataError,
    NpzArchive,
    check_array,
    check_file,
    check_keys,
    write_npz,
)

Array = np.ndarray

MARGIN = .02  # m of grid around the bounding box
FAR = 1.  # m, the answer for an object without a grid
LEAST_RESOLUTION = 8  # nodes along an axis
_HINT = ('make it: python -m mmpose_ext.handobject.build_distance_fields '
         'MODELS --out FILE')
_KEYS = ('ids', 'grids', 'origins', 'spacings')


def signed_distances(mesh: Mesh, resolution: int = 64
                     ) -> tuple[Array, Array, Array]:
    """Distances of a grid's nodes to a surface, negative inside.

    What a flood from the border of the grid reaches without coming closer to
    the surface than half a step is outside. Nodes nearer than that take the
    side from the normals of the surface below them. A hole wider than a
    step, a bowl's too, is outside.

    Args:
        mesh (Mesh): A closed surface.
        resolution (int): Nodes R along each axis. Defaults to 64.

    Returns:
        tuple[ndarray, ndarray, ndarray]: Distances (R, R, R) m by x, y and
        z; the first node (3,) m and the steps (3,) m.
    """
    low, high = mesh.bounds
    origin = low - MARGIN
    spacing = (high - low + 2 * MARGIN) / (resolution - 1)
    nodes = np.stack(np.meshgrid(*(
        origin[i] + spacing[i] * np.arange(resolution) for i in range(3)),
        indexing='ij'), -1)
    distances, fronts = (values.reshape(nodes.shape[:3]) for values in
                         SurfaceSearch(mesh).nearest(nodes.reshape(-1, 3)))
    # of two neighbours with the surface between them, one is this close
    shell = distances <= spacing.max() / 2 + 1e-4
    regions, _ = ndimage.label(~shell)
    border = np.ones(regions.shape, bool)
    border[1:-1, 1:-1, 1:-1] = False
    outside = np.isin(regions, np.unique(regions[border & ~shell]))
    outside = np.where(shell, fronts, outside)
    return np.where(outside, distances, -distances), origin, spacing


def build_distance_fields(models_dir: str | Path, ids: Sequence[int],
                          resolution: int, out: str | Path) -> None:
    """Write the grids of objects, whole or not at all.

    Args:
        models_dir (str | Path): Folder of meshes.
        ids (Sequence[int]): Objects 1..21.
        resolution (int): Nodes along each axis, at least 8.
        out (str | Path): The .npz file; its folder exists.

    Raises:
        DataError: If a mesh is missing or damaged, or the file cannot be.
        ValueError: If there is nothing to do, or the resolution is too low.
    """
    if resolution < LEAST_RESOLUTION or not len(ids):
        raise ValueError(
            f'expected objects, and {LEAST_RESOLUTION} nodes or more along an '
            f'axis, found {list(ids)} and {resolution}')
    # a missing mesh is told before any work
    meshes = [load_mesh(models_dir, ycb_id) for ycb_id in ids]
    found = [signed_distances(mesh, resolution) for mesh in meshes]
    grids, origins, spacings = (np.stack(parts).astype(np.float32)
                                for parts in zip(*found, strict=True))
    write_npz(out, ids=np.array(ids, np.uint8), grids=grids,
              origins=origins, spacings=spacings)


class HandObjectDistanceField(nn.Module):
    """Signed distances to objects, read from their grids.

    Distances are interpolated linearly between nodes and differentiable by
    the points. Beyond the grid, the way to it is added to the distance at
    its border, so the answer grows on, above the true distance. An object
    without a grid is 1 m away.

    Args:
        file (str | Path): What :func:`build_distance_fields` wrote.

    Raises:
        DataError: If it is missing or damaged.
    """

    grids: Tensor
    origins: Tensor
    extents: Tensor
    rows: Tensor

    def __init__(self, file: str | Path) -> None:
        super().__init__()
        archive = NpzArchive(check_file(file, ('.npz', ), _HINT))
        check_keys(archive.names, _KEYS, file, _HINT)
        ids, grids, origins, spacings = map(archive.read, _KEYS)
        count = len(np.atleast_1d(ids))
        check_array(ids, file, "key 'ids'", 'iu', (count, ))
        side = grids.shape[-1] if grids.ndim else 0
        check_array(grids, file, "key 'grids'", 'f4',
                    (count, side, side, side), finite=True)
        check_array(origins, file, "key 'origins'", 'f4', (count, 3),
                    finite=True)
        check_array(spacings, file, "key 'spacings'", 'f4', (count, 3),
                    finite=True)
        if not (np.isin(ids, YCB_IDS).all() and len(set(ids)) == count):
            raise DataError(file, "key 'ids'", 'different numbers of 1 to '
                            f'{NUM_CLASSES}', str(ids.tolist()))
        if (spacings <= 0).any():
            raise DataError(file, "key 'spacings'", 'steps above 0 m',
                            f'{spacings.min():g}')
        rows = np.full(NUM_CLASSES, -1)
        rows[ids.astype(int) - 1] = np.arange(count)
        # a file's content is not the model's to save
        for name, values in dict(
                # grid_sample wants x last
                grids=grids.transpose(0, 3, 2, 1)[:, None],
                origins=origins, extents=spacings * (side - 1),
                rows=rows).items():
            self.register_buffer(
                name, torch.from_numpy(np.ascontiguousarray(values)),
                persistent=False)

    def forward(self, points: Tensor, classes: Tensor) -> Tensor:
        """Signed distances of points to the object of their sample.

        Args:
            points (Tensor): (B, P, 3) m, in the frame of the object.
            classes (Tensor): (B,) int, 0..20; below 0 is no object.

        Returns:
            Tensor: (B, P) float32 m, negative inside.
        """
        rows = torch.where(classes < 0, classes.new_full((), -1),
                           self.rows[classes.clamp(min=0)])
        known = rows >= 0
        rows = rows.clamp(min=0)
        with torch.autocast(points.device.type, enabled=False):
            points = points.float()
            origins = self.origins[rows, None]
            extents = self.extents[rows, None]
            inner = torch.minimum(torch.maximum(points, origins),
                                  origins + extents)
            places = (inner - origins) / extents * 2 - 1
            values = F.grid_sample(
                self.grids[rows], places[:, :, None, None],
                padding_mode='border', align_corners=True)[:, 0, :, 0, 0]
            beyond = (points - inner).square().sum(-1)
            # the root has no gradient at 0
            away = beyond > 0
            beyond = torch.where(
                away, torch.where(away, beyond, 1.).sqrt(), 0.)
        return torch.where(known[:, None], values + beyond, FAR)
