"""Images of several cameras sampled into a volume.

Each voxel's middle is projected into each view, lens included, and takes the
colour that it meets there. Coordinates as in
:mod:`mmpose_ext.geometry.cameras`; volumes are indexed [y, x, z].

A volume is made one view and one block of rows at a time. On a CPU a block
and all that is computed from it fit the cache, which is what makes it fast;
elsewhere a block is as large as a view, if memory allows.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .cameras import Cameras
from .voxel_projection import VoxelProjection, project_voxels
from .voxels import UPRIGHT, VoxelGrid

Array = np.ndarray
# Pixels (indices) that a voxel mixes and their weights, None for 1.
Corners = list[tuple[Tensor, 'Tensor | None']]

# Half a MB for each number computed: within a cache, yet large enough that
# calling torch costs little.
_CACHED_VOXELS = 1 << 17
_DEVICE_VOXELS = 1 << 22


@dataclass(frozen=True, eq=False)
class PackedImages:
    """Images of V views in one row of words, one word for a pixel.

    Args:
        words (Tensor): (P,) int32 that hold red, green and blue in their
            lowest three bytes, or float32 grey of 0..255.
        starts (tuple[int, ...]): Where each view begins.
        sizes (tuple[tuple[int, int], ...]): Width and height of each, px.
    """

    words: Tensor
    starts: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colours."""
        return 1 if self.words.is_floating_point() else 3


def pack_images(images: Sequence[Tensor]) -> PackedImages:
    """Pack images once for any number of volumes.

    Args:
        images (Sequence[Tensor]): V images (C, H, W) of 0..255, sizes may
            differ: uint8 with 3 channels, or any numbers with 1.
    """
    depths = {len(image) for image in images}
    if depths not in ({1}, {3}):
        raise ValueError('expected images of 1 or of 3 channels, found '
                         f'{sorted(depths)}')
    kind = torch.int32 if depths == {3} else torch.float32
    counts = [image[0].numel() for image in images]
    starts = np.concatenate([[0], np.cumsum(counts)]).tolist()
    words = torch.empty(starts[-1], dtype=kind, device=images[0].device)
    for image, start, count in zip(images, starts, counts, strict=False):
        place = words[start:start + count].view(image.shape[1:])
        place.copy_(image[-1])
        for channel in image[:-1].flip(0):
            place.bitwise_left_shift_(8).bitwise_or_(channel)
    return PackedImages(
        words, tuple(starts[:-1]),
        tuple((image.shape[2], image.shape[1]) for image in images))


@torch.no_grad()
def sample_volume(images: Sequence[Tensor] | PackedImages,
                  cameras: Cameras,
                  centre: Array,
                  axes: Array = UPRIGHT,
                  *,
                  grid: VoxelGrid,
                  interpolation: str = 'nearest',
                  padding: str = 'border',
                  views: Sequence[int] | None = None,
                  out: Tensor | None = None) -> Tensor:
    """Sample V images into one volume.

    Args:
        images (Sequence[Tensor] | PackedImages): V images uint8 (3, H, W)
            RGB or (1, H, W) grey; packed ones if they serve several volumes.
        cameras (Cameras): V cameras of just these images.
        centre (ndarray): (3,) middle of the volume in the world, mm.
        axes (ndarray): (3, 3) the grid's axes in the world. Defaults to the
            world's own.
        grid (VoxelGrid): The voxels.
        interpolation (str): 'nearest', ties to the even pixel, or
            'bilinear'. Defaults to 'nearest'.
        padding (str): What a voxel outside an image takes: 'border' the
            pixel at the image's edge, 'zeros' 0. Defaults to 'border'.
        views (Sequence[int], optional): The view that fills each part of the
            volume, -1 for none; repeats are copied. Defaults to None: every
            view once.
        out (Tensor, optional): Where to write. Defaults to None: new memory.

    Returns:
        Tensor: float32 (S * C, n, n, n), S = number of parts, C channels of
        each, on the images' device: 0..255 mapped to [-1, 1]. Voxels behind
        a camera or beyond its lens' fold, and parts with no view, are 0,
        which is mid-grey.
    """
    if interpolation not in ('nearest', 'bilinear'):
        raise ValueError(f'interpolation {interpolation!r} is neither '
                         "'nearest' nor 'bilinear'")
    if padding not in ('border', 'zeros'):
        raise ValueError(f"padding {padding!r} is neither 'border' nor "
                         "'zeros'")
    packed = (images if isinstance(images, PackedImages) else
              pack_images(images))
    _check_sizes(packed, cameras)
    if not (np.isfinite(centre).all() and np.isfinite(axes).all()):
        raise ValueError(f'the volume has no place: centre {centre}, axes '
                         f'{np.asarray(axes).tolist()}')
    views = range(len(packed)) if views is None else views
    n = grid.nvox
    shape = (len(views), packed.channels, n, n, n)
    if out is None:
        out = torch.empty(shape, device=packed.words.device)
    parts = out.view(shape)

    first: dict[int, int] = {}
    for part, view in enumerate(views):
        if view >= 0:
            first.setdefault(view, part)
    device = packed.words.device
    rows = max((_CACHED_VOXELS if device.type == 'cpu' else _DEVICE_VOXELS)
               // n**2, 1)
    seen = project_voxels(cameras, grid, np.asarray(centre), np.asarray(axes),
                          device)
    take = _take_nearest if interpolation == 'nearest' else _take_bilinear
    for view, part in first.items():
        for row in range(0, n, rows):
            block = slice(row, row + rows)
            corners = take(seen[view], block, packed.sizes[view],
                           padding == 'zeros')
            _mix(packed, view, corners, parts[part, :, block])
    for part, view in enumerate(views):
        if view < 0:
            parts[part].zero_()
        elif first[view] != part:
            parts[part].copy_(parts[first[view]])
    return parts.flatten(0, 1)


def _check_sizes(packed: PackedImages, cameras: Cameras) -> None:
    if len(packed) != len(cameras):
        raise ValueError(f'{len(packed)} images for {len(cameras)} cameras')
    if cameras.sizes is None:
        return
    for name, size, found in zip(
            cameras.names, cameras.sizes, packed.sizes, strict=True):
        if tuple(size) != found:
            raise ValueError(
                f'camera {name}: calibrated for an image of {size[0]} x '
                f'{size[1]} px, found one of {found[0]} x {found[1]}')


def _take_nearest(seen: VoxelProjection, rows: slice, size: tuple[int, int],
                  zeros: bool) -> Corners:
    """The one pixel of each voxel."""
    u, v, visible = seen.rows(rows)
    # a pixel beyond the image is enough to tell outside from inside
    margin = 1 if zeros else 0
    ranges = [(-margin, side - 1 + margin) for side in size]
    u, v = (value.clamp_(*limits)
            for value, limits in zip((u, v), ranges, strict=True))
    column, row = u.round(), v.round()
    moved = torch.maximum(u.sub_(column).abs_(), v.sub_(row).abs_())
    again = seen.uncertain(moved, rows)
    if again is not None:
        chosen, *exact = again
        for value, pixel, limits in zip((column, row), exact, ranges,
                                        strict=True):
            value.view(-1)[chosen] = pixel.clamp_(*limits).round_().to(
                value.dtype)
    if zeros:
        inside = _inside(column, size[0]) & _inside(row, size[1])
        visible = inside if visible is None else inside & visible
    weight = None if visible is None else visible.float()
    return [(_pixel(column, row, size), weight)]


def _take_bilinear(seen: VoxelProjection, rows: slice, size: tuple[int, int],
                   zeros: bool) -> Corners:
    """The four pixels about each voxel."""
    u, v, visible = seen.rows(rows)
    margin = 1 if zeros else 0
    sides = []
    for value, side in zip((u, v), size, strict=True):
        low = value.clamp_(-margin, side - 1 + margin).floor()
        high = low + 1
        share = (value - low).float()
        weights = [1 - share, share]
        if zeros:
            weights = [weight * _inside(place, side)
                       for weight, place in zip(weights, (low, high),
                                                strict=True)]
        if visible is not None:
            weights = [weight * visible for weight in weights]
        sides.append(list(zip((low, high), weights, strict=True)))
    return [(_pixel(column, row, size), across * down)
            for row, down in sides[1] for column, across in sides[0]]


def _inside(place: Tensor, side: int) -> Tensor:
    return (place >= 0) & (place < side)


def _pixel(column: Tensor, row: Tensor, size: tuple[int, int]) -> Tensor:
    """Index of a pixel in its image, moved in from beyond the edge."""
    column, row = (
        place.clamp(0, side - 1).to(torch.int32)
        for place, side in zip((column, row), size, strict=True))
    return row.mul_(size[0]).add_(column)


def _mix(packed: PackedImages, view: int, corners: Corners,
         out: Tensor) -> None:
    """Mix pixels into a block of a volume, (C, rows, n, n) in [-1, 1].

    The weights of a voxel sum up to 1, or less where it lacks pixels; what
    is lacking counts as 0 in the scale of the volume.
    """
    start = packed.starts[view]
    width, height = packed.sizes[view]
    words = packed.words[start:start + width * height]
    found = [(words.index_select(0, index.view(-1)).view(index.shape), weight)
             for index, weight in corners]
    weights = [weight for _, weight in corners if weight is not None]
    whole = sum(weights) if weights else 1.
    for channel, plane in enumerate(out):
        for corner, (word, weight) in enumerate(found):
            value = word
            if packed.channels > 1:
                value = (word >> 8 * channel).bitwise_and_(255)
            if corner:
                plane.addcmul_(value.float(), weight)
                continue
            plane.copy_(value)
            if weight is not None:
                plane.mul_(weight)
        plane.div_(127.5).sub_(whole)
