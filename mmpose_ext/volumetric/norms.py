"""Norms of the volumetric networks.

A volume of 80 voxels and 32 channels takes 65 MB. The norm of a whole sample
therefore works piece by piece while a piece is in the processor's cache, is
joined with the ReLU that follows it, and keeps nothing but its input for the
gradient.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mmpose_ext.storage import DataError

NORMS = ('layer', 'batch', 'instance', 'group')
EPS = 1e-3  # added to the standard deviation, not to the variance
_GROUPS = 8
_PIECE = 2**16  # numbers: three such pieces fit the second-level cache
_TINY = 1e-30


class ScalarLayerNorm3d(nn.Module):
    """Normalises each sample as a whole, with one scale and one shift.

    The result is ``(x - mean) / (std + 1e-3) * weight + bias``, where mean
    and (population) standard deviation are those over all channels and
    voxels of a sample, in float32 at least. Weight and bias are one number
    each, so that nothing depends on the number of voxels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        """Normalise, and set what is negative to 0 if asked.

        Args:
            x (Tensor): (B, C, ...). Its memory is used for the result where
                no gradient is recorded and a ReLU is asked for, as by
                ``F.relu(x, inplace=True)``.
            relu (bool): Defaults to False.

        Returns:
            Tensor: Of the same shape, type and memory format.
        """
        if torch.onnx.is_in_onnx_export() or torch.compiler.is_compiling():
            found = self._by_formula(x)
            return F.relu(found) if relu else found
        if not (x.is_contiguous() or _is_channels_last(x)):
            x = x.contiguous()
        overwrite = relu and not torch.is_grad_enabled()
        return cast(Tensor, _Normalisation.apply(
            x, self.weight, self.bias, relu, overwrite))

    def _by_formula(self, x: Tensor) -> Tensor:
        """The same by plain operators, for a graph."""
        axes = tuple(range(1, x.dim()))
        variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
        return (x - mean) * (self.weight / (variance.sqrt() + EPS)) + self.bias


def build_norm(kind: str, width: int) -> nn.Module:
    """Make a norm for (B, width, n, n, n).

    Args:
        kind ('layer' | 'batch' | 'instance' | 'group'): Statistics over a
            sample, over a channel of the batch, over a channel of a sample
            (without scale and shift), or over one of eight groups of the
            channels of a sample.
        width (int): Channels.

    Raises:
        DataError: If there is no such norm, or the channels do not divide
            into groups.
    """
    if kind == 'layer':
        return ScalarLayerNorm3d()
    if kind == 'batch':
        return nn.BatchNorm3d(width)
    if kind == 'instance':
        return nn.InstanceNorm3d(width)
    if kind == 'group':
        if width % _GROUPS:
            raise DataError('config', 'backbone.norm',
                            f'widths divisible by {_GROUPS}', str(width))
        return nn.GroupNorm(_GROUPS, width)
    raise DataError('config', 'backbone.norm', f'one of {", ".join(NORMS)}',
                    repr(kind))


def norm_and_relu(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply a norm, then a ReLU; `x` may be overwritten.

    Args:
        norm (nn.Module): From :func:`build_norm`.
        x (Tensor): (B, C, n, n, n).
    """
    if isinstance(norm, ScalarLayerNorm3d):
        return cast(Tensor, norm(x, relu=True))
    return F.relu(norm(x), inplace=True)


@dataclass(frozen=True)
class Statistics:
    """What a sample's norm comes down to, each (B, ), float32 at least.

    Attributes:
        mean: Of the samples.
        std: Their population standard deviation.
        scale: The norm is ``(x - mean) * scale + shift``.
        shift: See `scale`.
    """

    mean: Tensor
    std: Tensor
    scale: Tensor
    shift: Tensor

    def apply(self, x: Tensor, number: int, relu: bool,
              out: Tensor) -> Tensor:
        """Write the norm of a part of a sample to `out`; ReLU if asked.

        Args:
            x (Tensor): Of any shape.
            number (int): Of the sample.
            relu (bool): Whether what is negative becomes 0.
            out (Tensor): Of the shape of `x`, which it may be.
        """
        same = out.dtype == self.mean.dtype
        found = torch.sub(
            _widen(x), self.mean[number], out=out if same else None)
        found.mul_(self.scale[number]).add_(self.shift[number])
        if relu:
            found.clamp_(min=0)
        return out if same else out.copy_(found)


def find_statistics(x: Tensor, weight: Tensor, bias: Tensor) -> Statistics:
    """Compute a norm's scale and shift, from the statistics of pieces.

    Args:
        x (Tensor): (B, C, ...), contiguous or in channels_last_3d.
        weight (Tensor): (1, ).
        bias (Tensor): (1, ).
    """
    parts: list[list[Tensor]] = [[] for _ in x]
    for number, (piece, ) in _pieces(x):
        piece = _widen(piece)
        mean = piece.mean()
        centred = piece - mean
        parts[number].append(torch.stack(
            [torch.dot(centred, centred), mean, mean.new_tensor(len(piece))]))
    found = torch.stack([torch.stack(part) for part in parts])
    squares, means, counts = found.double().unbind(2)
    count = counts.sum(1)
    mean = (means * counts).sum(1) / count
    squares = squares + counts * (means - mean[:, None]).square()
    std = (squares.sum(1) / count).sqrt()
    scale, shift = weight / (std + EPS), bias.expand_as(mean)
    return Statistics(*(number.to(found.dtype)
                        for number in (mean, std, scale, shift)))


def find_gradients(x: Tensor, gradient: Tensor, statistics: Statistics,
                   relu: bool, found: Tensor) -> tuple[Tensor, Tensor]:
    """Go back through a norm and the ReLU behind it.

    Args:
        x (Tensor): What was normalised.
        gradient (Tensor): Of the result, in the memory format of `x`.
        statistics (Statistics): Of `x`.
        relu (bool): Whether there was a ReLU.
        found (Tensor): Receives the gradient of `x`; may be `gradient`.

    Returns:
        tuple[Tensor]: Gradients (1, ) of weight and bias.
    """
    mean, std = statistics.mean, statistics.std
    scale, shift = statistics.scale, statistics.shift
    totals: list[list[Tensor]] = [[] for _ in x]
    for number, (before, above, result) in _pieces(x, gradient, found):
        before, above = _widen(before), _widen(above)
        centred = before - mean[number]
        if relu:
            y = torch.mul(centred, scale[number]).add_(shift[number])
            above = torch.ops.aten.threshold_backward(above, y, 0)
        result.copy_(above)
        totals[number].append(torch.stack(
            [above.sum(), torch.dot(above, centred)]))
    total, product = torch.stack(
        [torch.stack(parts).double().sum(0) for parts in totals]).unbind(1)
    count = x[0].numel()
    # of the standard deviation, which depends on x too
    pull = -scale * product / (count * (std + EPS) * std.clamp(min=_TINY))
    rest = -scale * total / count
    pull, rest = pull.to(mean.dtype), rest.to(mean.dtype)
    for number, (before, result) in _pieces(x, found):
        term = _widen(before) - mean[number]
        term.mul_(pull[number]).add_(rest[number])
        result.copy_(term.addcmul_(_widen(result), scale[number]))
    return (product / (std + EPS)).sum().view(1), total.sum().view(1)


class _Normalisation(torch.autograd.Function):
    """The norm, with ReLU if asked; keeps nothing but its input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor,
                relu: bool, overwrite: bool) -> Tensor:
        ctx.save_for_backward(x)
        ctx.statistics = find_statistics(x, weight, bias)
        ctx.relu = relu
        y = x if overwrite else torch.empty_like(x)
        for number, (before, after) in _pieces(x, y):
            ctx.statistics.apply(before, number, relu, after)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, = ctx.saved_tensors
        gradient = gradient.contiguous(
            memory_format=torch.channels_last_3d if _is_channels_last(x)
            else torch.contiguous_format)
        found = torch.empty_like(x)
        to_weight, to_bias = find_gradients(
            x, gradient, ctx.statistics, ctx.relu, found)
        return found, to_weight, to_bias, None, None


def _pieces(*tensors: Tensor) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
    """Number of the sample, and the same piece of it of each tensor."""
    step = _PIECE if tensors[0].device.type == 'cpu' else tensors[0].numel()
    flat = [
        (tensor.movedim(1, -1) if _is_channels_last(tensor) else
         tensor).flatten(1) for tensor in tensors]
    for number, samples in enumerate(zip(*flat, strict=True)):
        for pieces in zip(*(sample.split(step) for sample in samples),
                          strict=True):
            yield number, pieces


def _widen(piece: Tensor) -> Tensor:
    return piece.to(torch.promote_types(piece.dtype, torch.float32))


def _is_channels_last(x: Tensor) -> bool:
    return x.dim() == 5 and x.is_contiguous(
        memory_format=torch.channels_last_3d)
