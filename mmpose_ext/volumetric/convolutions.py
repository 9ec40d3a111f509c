"""Convolutions of 3x3x3 voxels with half the multiplications on a CPU.

Along the first axis of the voxels four results come from six planes by six
products of planes in place of twelve: the minimal filtering algorithm F(4, 3)
of Winograd, with the points 0, 1, -1, 2, -2 and infinity. The other two axes
are left to the library's two-dimensional convolution. Six planes at a time
stay in the cache, so that nothing of a volume's size is made but the result.

The result differs from that of the plain sum by rounding: about 5e-6 of the
largest value in float32.
"""
from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mmpose_ext.volumetric.norms import (
    ScalarLayerNorm3d,
    Statistics,
    find_gradients,
    find_statistics,
    norm_and_relu,
)

_STEP = 4  # planes that come out together
_INTO = ((4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0),
         (0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1))
_KERNEL = ((1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6),
           (1 / 24, 1 / 12, 1 / 6), (1 / 24, -1 / 12, 1 / 6), (0, 0, 1))
_OUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0),
        (0, 1, -1, 8, -8, 1))
# Below these, measured, planes cost more than the library does.
_SMALLEST = 2**20  # multiplications of a plane by one tap of the kernel
_SMALLEST_PLANE = 2**7  # voxels; below, reading the kernels costs more
# torch leaves a single sample of at most so many numbers a row to a slow
# kernel, against which planes gain early
_SLOW_ROW = 20480
_SMALLEST_BESIDE_SLOW = 2**17


def convolve(x: Tensor, layer: nn.Conv3d,
             norm: nn.Module | None = None) -> Tensor:
    """Convolve with a kernel of 3 voxels a side, padded by one voxel.

    Args:
        x (Tensor): (B, C, n, h, w). May be overwritten if there is a norm.
        layer (nn.Conv3d): From C to D channels.
        norm (nn.Module, optional): What comes before, with a ReLU, see
            :func:`build_norm`. Its result is not kept but computed anew for
            the gradient, where that is cheap. Defaults to None.

    Returns:
        Tensor: (B, D, n, h, w); in channels_last_3d on a CPU.
    """
    assert layer.bias is not None
    if is_planewise(x) and _pays(x, layer):
        if norm is None:
            return cast(Tensor, _PlanewiseConvolution.apply(
                x, layer.weight, layer.bias, None, None))
        if isinstance(norm, ScalarLayerNorm3d):
            return cast(Tensor, _PlanewiseConvolution.apply(
                x, layer.weight, layer.bias, norm.weight, norm.bias))
    if norm is not None:
        x = norm_and_relu(norm, x)
    if is_planewise(x):
        # the library takes a third of the time off small layers this way
        x = x.contiguous(memory_format=torch.channels_last_3d)
    return cast(Tensor, layer(x))


def project(x: Tensor, layer: nn.Conv3d) -> Tensor:
    """Convolve with a kernel of one voxel, as a matrix product on a CPU.

    Neither the input nor its gradient is rearranged; the library does both.

    Args:
        x (Tensor): (B, C, n, h, w).
        layer (nn.Conv3d): From C to D channels.

    Returns:
        Tensor: (B, D, n, h, w), contiguous on a CPU.
    """
    if not is_planewise(x):
        return cast(Tensor, layer(x))
    assert layer.bias is not None
    rows = x.movedim(1, -1).flatten(1, 3)
    found = layer.weight.flatten(1) @ rows.transpose(1, 2)
    found += layer.bias[:, None]
    return found.unflatten(2, x.shape[2:])


def is_planewise(x: Tensor) -> bool:
    """Whether volumes are worked on plane by plane: on a CPU, unless in half
    precision or where a graph is recorded."""
    return (x.device.type == 'cpu'
            and x.dtype in (torch.float32, torch.float64)
            and not torch.is_autocast_enabled('cpu')
            and not torch.onnx.is_in_onnx_export()
            and not torch.compiler.is_compiling())


def _pays(x: Tensor, layer: nn.Conv3d) -> bool:
    batch, channels, depth, height, width = x.shape
    if depth % _STEP:
        return False
    work = height * width * channels * layer.out_channels
    if batch == 1 and channels * depth * height <= _SLOW_ROW:
        return work >= _SMALLEST_BESIDE_SLOW
    return work >= _SMALLEST and height * width >= _SMALLEST_PLANE


class _PlanewiseConvolution(torch.autograd.Function):
    """See the module; after norm and ReLU if their weights are given."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor,
                norm_weight: Tensor | None,
                norm_bias: Tensor | None) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last_3d)
        ctx.save_for_backward(x, weight)
        ctx.norm = None
        if norm_weight is not None and norm_bias is not None:
            ctx.norm = find_statistics(x, norm_weight, norm_bias)
        kernels = _transform_kernel(weight)
        into, out = x.new_tensor(_INTO), x.new_tensor(_OUT)
        batch, channels, depth, height, width = x.shape
        y = x.new_empty(batch, depth, height, width, len(weight))
        planes = x.new_empty(6, height, width, channels)
        products = x.new_empty(6, height, width, len(weight))
        for number, result in enumerate(y):
            for first in range(0, depth, _STEP):
                given, inside = _window(first, depth)
                torch.mm(into[:, inside],
                         _read(x, number, given, ctx.norm).flatten(1),
                         out=planes.flatten(1))
                for plane, product, kernel in zip(
                        _images(planes), _images(products), kernels,
                        strict=True):
                    product.copy_(F.conv2d(plane, kernel, padding=1))
                part = result[first:first + _STEP]
                torch.mm(out, products.flatten(1), out=part.flatten(1))
                part += bias
        return y.movedim(-1, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        to_x = torch.zeros_like(x) if any(wanted[:1] + wanted[3:]) else None
        to_weight, to_bias = _go_back(
            x, weight, gradient, ctx.norm, to_x, wanted[1])
        to_norm: tuple[Tensor | None, Tensor | None] = None, None
        if ctx.norm is not None and to_x is not None:
            to_norm = find_gradients(x, to_x, ctx.norm, True, to_x)
        return to_x, to_weight, to_bias, *to_norm


def _go_back(x: Tensor, weight: Tensor, gradient: Tensor,
             norm: Statistics | None, to_x: Tensor | None,
             learns: bool) -> tuple[Tensor | None, Tensor]:
    """Gradients of weight, if it learns, and bias; adds to that of x."""
    gradient = gradient.contiguous(memory_format=torch.channels_last_3d)
    kernels = _transform_kernel(weight)
    into, out = x.new_tensor(_INTO), x.new_tensor(_OUT).t()
    to_kernels = [torch.zeros_like(kernel) for kernel in kernels]
    to_bias = x.new_zeros(len(weight))
    batch, channels, depth, height, width = x.shape
    planes = x.new_empty(6, height, width, channels)
    products = x.new_empty(6, height, width, len(weight))
    for number in range(batch):
        for first in range(0, depth, _STEP):
            part = gradient[number].movedim(0, -1)[first:first + _STEP]
            to_bias += part.sum((0, 1, 2))
            torch.mm(out, part.flatten(1), out=products.flatten(1))
            given, inside = _window(first, depth)
            torch.mm(into[:, inside],
                     _read(x, number, given, norm).flatten(1),
                     out=planes.flatten(1))
            for plane, product, kernel, to_kernel in zip(
                    _images(planes), _images(products), kernels, to_kernels,
                    strict=True):
                to_plane, more, _ = torch.ops.aten.convolution_backward(
                    product, plane, kernel, None, [1, 1], [1, 1], [1, 1],
                    False, [0, 0], 1, [to_x is not None, learns, False])
                if learns:
                    to_kernel += more
                if to_x is not None:
                    plane.copy_(to_plane)
            if to_x is not None:
                to_x[number].movedim(0, -1)[given].flatten(1).addmm_(
                    into[:, inside].t(), planes.flatten(1))
    if not learns:
        return None, to_bias
    return torch.einsum('fk,foiyx->oikyx', x.new_tensor(_KERNEL),
                        torch.stack(to_kernels)), to_bias


def _read(x: Tensor, number: int, planes: slice,
          norm: Statistics | None) -> Tensor:
    """Planes of a sample (count, h, w, C), after norm and ReLU if any."""
    part = x[number].movedim(0, -1)[planes]
    if norm is None:
        return part
    return norm.apply(part, number, True, torch.empty_like(part))


def _transform_kernel(weight: Tensor) -> list[Tensor]:
    """Six two-dimensional kernels of a three-dimensional one."""
    kernels = torch.einsum('fk,oikyx->foiyx', weight.new_tensor(_KERNEL),
                           weight)
    return [kernel.contiguous(memory_format=torch.channels_last)
            for kernel in kernels]


def _window(first: int, depth: int) -> tuple[slice, slice]:
    """The planes behind four results, and which of the six they are."""
    start, stop = max(first - 1, 0), min(first + _STEP + 1, depth)
    return (slice(start, stop), slice(start - first + 1, stop - first + 1))


def _images(planes: Tensor) -> Tensor:
    """(6, h, w, C) as six batches of one image in channels_last."""
    return planes.movedim(-1, 1).unsqueeze(1)
