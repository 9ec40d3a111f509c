"""Expected position under a softmax over voxels, and how wide it is.

A voxel's weight depends on its place by three sums over planes, one an axis:
the mean follows from these, in the grid's own axes, and no list of voxel
positions is needed. Neither the softmax nor anything else of its size is
kept for the gradient, which computes it again from the logits.
"""
from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class VoxelMoments(NamedTuple):
    """A distribution over voxels in few numbers.

    Attributes:
        mean: (..., 3) expected x, y, z in the grid's own axes, mm.
        variance: (..., 3) expected squared distance from it an axis, mm^2.
        log_sum: (...) log of the sum of ``exp(logits)``.
        peak: (...) weight of the heaviest voxel, in (0, 1]; no gradient.
    """

    mean: Tensor
    variance: Tensor
    log_sum: Tensor
    peak: Tensor


def softmax_moments(logits: Tensor, offsets: Tensor) -> VoxelMoments:
    """Moments of the softmax over the voxels of each volume.

    Args:
        logits (Tensor): (M, K, n, n, n), axes [y, x, z], of any float type.
        offsets (Tensor): (n, ), voxel centres along every axis, mm.

    Returns:
        VoxelMoments: Leading dimensions (M, K), at least float32.
    """
    return VoxelMoments(*_SoftmaxMoments.apply(logits, offsets))


def moments_of(logits: Tensor, offsets: Tensor) -> VoxelMoments:
    """The same by plain operators, for a graph: see :func:`softmax_moments`.

    Args:
        logits (Tensor): (..., n, n, n), axes [y, x, z], at least float32.
        offsets (Tensor): (n, ), mm.
    """
    highest = logits.amax((-3, -2, -1), keepdim=True)
    mass = (logits - highest).exp_()
    plane = mass.sum(-1)
    sums = torch.stack(
        [plane.sum(-2), plane.sum(-1), mass.sum((-3, -2))], -2)
    # each axis by its own sum, so that rounding moves no mean
    shares = sums / sums.sum(-1, keepdim=True)
    mean = (shares * offsets).sum(-1)
    variance = (shares * (offsets - mean.unsqueeze(-1)).square()).sum(-1)
    total = sums[..., 1, :].sum(-1)
    log_sum = highest[..., 0, 0, 0] + total.log()
    return VoxelMoments(mean, variance, log_sum, 1 / total)


def place_in_world(local: Tensor, centres: Tensor, axes: Tensor) -> Tensor:
    """World coordinates of points given in the axes of their grids.

    Args:
        local (Tensor): (M, K, 3) x, y, z from the grid's middle, mm.
        centres (Tensor): (M, 3), world mm.
        axes (Tensor): (M, 3, 3), the grid's axes as columns.

    Returns:
        Tensor: (M, K, 3), ``centre + axes @ local``.
    """
    # Sums, not a matrix product: that may run in half precision or TF32.
    turned = (axes.unsqueeze(1) * local.unsqueeze(-2)).sum(-1)
    return centres.unsqueeze(1) + turned


def place_in_grid(points: Tensor, centres: Tensor, axes: Tensor) -> Tensor:
    """Undo :func:`place_in_world`; a point with NaN is NaN throughout.

    Args:
        points (Tensor): (M, K, 3), world mm.
        centres (Tensor): (M, 3), world mm.
        axes (Tensor): (M, 3, 3), columns at right angles, of any length.

    Returns:
        Tensor: (M, K, 3).
    """
    from_middle = points - centres.unsqueeze(1)
    along = (axes.unsqueeze(1) * from_middle.unsqueeze(-1)).sum(-2)
    return along / axes.square().sum(-2).unsqueeze(1)


class _SoftmaxMoments(torch.autograd.Function):
    """:func:`moments_of` with a gradient that keeps the logits alone."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor,
                offsets: Tensor) -> tuple[Tensor, ...]:
        # in another order, flattening would copy: the gradient's, too
        logits = logits.contiguous()
        volumes = logits.flatten(0, 1)
        parts = [moments_of(_at_least_float32(volumes[piece]), offsets)
                 for piece in _pieces(logits)]
        mean, variance, log_sum, peak = (
            torch.cat(part).unflatten(0, logits.shape[:2])
            for part in zip(*parts, strict=True))
        ctx.save_for_backward(logits, offsets, mean, variance, log_sum)
        ctx.mark_non_differentiable(peak)
        return mean, variance, log_sum, peak

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_mean: Tensor, to_variance: Tensor,
                 to_log_sum: Tensor, _: Tensor) -> tuple[Tensor, None]:
        logits, offsets, mean, variance, log_sum = ctx.saved_tensors
        away = offsets - mean.unsqueeze(-1)
        # what a voxel's place adds to its gradient, (M K, n) an axis
        pull = (to_mean.unsqueeze(-1) * away + to_variance.unsqueeze(-1)
                * (away.square() - variance.unsqueeze(-1)))
        x, y, z = pull.flatten(0, 1).unbind(1)
        plane = (y.unsqueeze(-1) + x.unsqueeze(-2)
                 + to_log_sum.flatten()[:, None, None])
        highest = log_sum.flatten()[:, None, None, None]
        gradient = torch.empty_like(logits)
        volumes, found = logits.flatten(0, 1), gradient.flatten(0, 1)
        for piece in _pieces(logits):
            share = (_at_least_float32(volumes[piece])
                     - highest[piece]).exp_()
            share *= plane[piece].unsqueeze(-1) + z[piece, None, None]
            found[piece] = share
        return gradient, None


def _pieces(logits: Tensor) -> list[slice]:
    """Volumes to work on at a time.

    On a CPU it is one, which stays in the cache; elsewhere a sample.
    """
    samples, keypoints = logits.shape[:2]
    step = 1 if logits.device.type == 'cpu' else keypoints
    return [slice(begin, begin + step)
            for begin in range(0, samples * keypoints, step)]


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
