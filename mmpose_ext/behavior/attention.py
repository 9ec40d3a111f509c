"""The two halves of a transformer layer, fast on a CPU.

Behaviour transformers have many narrow heads, for which neither the layout of
``scaled_dot_product_attention`` nor its backward pass suits a CPU. Here

* a head's queries, keys and values lie as (width, W), so that every product
  is wide where the processor wants it wide;
* probabilities are powers of two, whose exponent comes ready out of the
  product (its last feature is the logarithm of the sum);
* a residual branch is one function with a backward pass of its own. It keeps
  what is cheap to keep and repeats what is cheap to repeat, in particular the
  probabilities, which are by far the largest tensor;
* scores are made for a few heads at a time, so that they stay in the cache.

The results are those of ``nn.TransformerEncoderLayer`` to rounding errors.

Shapes: B windows, W tokens, D features, H heads of width d.
"""
from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_LOG2_E = math.log2(math.e)
_SCORES = 2**19  # at a time: 2 MiB, about a core's second cache
# Powers of two of scores up to this need no shift: neither they nor the sum
# of many can leave the range of float32.
_NO_SHIFT = 60.


class Attending(NamedTuple):
    """How tokens see each other.

    Attributes:
        num_heads: H.
        causal: Whether a token sees itself and earlier ones alone.
        cosine: (d / 2, W) of the angles by which queries and keys turn, None
            for no rotation.
        sine: The same.
        eps: Of the layer norm.
    """

    num_heads: int
    causal: bool = False
    cosine: Tensor | None = None
    sine: Tensor | None = None
    eps: float = 1e-5


def rotate(x: Tensor, cosine: Tensor, sine: Tensor, dim: int) -> Tensor:
    """Turn pairs of features, the first and the second half, by angles.

    Args:
        x (Tensor): Queries or keys.
        cosine (Tensor): Of the angles, for half of ``x``.
        sine (Tensor): The same.
        dim (int): Of the features.
    """
    first, second = x.chunk(2, dim)
    return torch.cat([first * cosine - second * sine,
                      second * cosine + first * sine], dim)


class AttentionBranch(torch.autograd.Function):
    """``x + attention(layer_norm(x))`` for float32 on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, norm_weight: Tensor, norm_bias: Tensor,
                in_weight: Tensor, in_bias: Tensor, out_weight: Tensor,
                out_bias: Tensor, how: Attending) -> Tensor:
        """Map tokens (B, W, D) to tokens (B, W, D).

        Args:
            ctx (Any): Of autograd.
            x (Tensor): Contiguous tokens.
            norm_weight (Tensor): (D,).
            norm_bias (Tensor): (D,).
            in_weight (Tensor): (3D, D), of queries, keys and values.
            in_bias (Tensor): (3D,).
            out_weight (Tensor): (D, D).
            out_bias (Tensor): (D,).
            how (Attending): How tokens see each other.
        """
        count, length, width = x.shape
        normed, mean, rstd = torch.native_layer_norm(
            x, (width, ), norm_weight, norm_bias, how.eps)
        # a transposed product: heads come out as (d, W)
        projected = torch.bmm(
            in_weight.expand(count, -1, -1),
            normed.transpose(1, 2)).add_(in_bias[:, None])
        heads = _augmented(projected, how)
        mixed = _attend(heads, how).view(count, width, length)
        out = torch.baddbmm(
            x, mixed.transpose(1, 2),
            out_weight.t().expand(count, -1, -1)).add_(out_bias)
        ctx.save_for_backward(x, mean, rstd, heads, mixed, norm_weight,
                              norm_bias, in_weight, out_weight)
        ctx.how = how
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of all tensors, from that of the result."""
        (x, mean, rstd, heads, mixed, norm_weight, norm_bias, in_weight,
         out_weight) = ctx.saved_tensors
        count, length, width = x.shape
        grad = grad.contiguous()
        to_out_weight = torch.addbmm(
            out_weight, grad.transpose(1, 2), mixed.transpose(1, 2), beta=0)
        to_mixed = torch.bmm(
            out_weight.t().expand(count, -1, -1), grad.transpose(1, 2))
        to_projected = _attend_backward(heads, mixed, to_mixed, ctx.how)
        normed = torch.native_layer_norm(
            x, (width, ), norm_weight, norm_bias, ctx.how.eps)[0]
        to_in_weight = torch.addbmm(in_weight, to_projected, normed, beta=0)
        to_normed = torch.bmm(
            to_projected.transpose(1, 2), in_weight.expand(count, -1, -1),
            out=normed)
        to_x, to_norm_weight, to_norm_bias = _norm_backward(
            to_normed, x, mean, rstd, norm_weight, norm_bias)
        return (to_x.add_(grad), to_norm_weight, to_norm_bias, to_in_weight,
                to_projected.sum((0, 2)), to_out_weight, grad.sum((0, 1)),
                None)


class FeedForwardBranch(torch.autograd.Function):
    """``x + linear2(gelu(linear1(layer_norm(x))))`` for float32 on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, norm_weight: Tensor, norm_bias: Tensor,
                weight1: Tensor, bias1: Tensor, weight2: Tensor,
                bias2: Tensor, eps: float) -> Tensor:
        """Map tokens (B, W, D) to tokens (B, W, D).

        Args:
            ctx (Any): Of autograd.
            x (Tensor): Contiguous tokens.
            norm_weight (Tensor): (D,).
            norm_bias (Tensor): (D,).
            weight1 (Tensor): (hidden, D).
            bias1 (Tensor): (hidden,).
            weight2 (Tensor): (D, hidden).
            bias2 (Tensor): (D,).
            eps (float): Of the layer norm.
        """
        width = x.shape[-1]
        tokens = x.view(-1, width)
        normed, mean, rstd = torch.native_layer_norm(
            tokens, (width, ), norm_weight, norm_bias, eps)
        hidden = torch.addmm(bias1, normed, weight1.t())
        out = torch.addmm(tokens, F.gelu(hidden), weight2.t()).add_(bias2)
        ctx.save_for_backward(tokens, mean, rstd, hidden, norm_weight,
                              norm_bias, weight1, weight2)
        ctx.eps = eps
        return out.view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of all tensors, from that of the result."""
        (tokens, mean, rstd, hidden, norm_weight, norm_bias, weight1,
         weight2) = ctx.saved_tensors
        width = tokens.shape[-1]
        flat = grad.reshape(-1, width)
        active = F.gelu(hidden)
        to_weight2 = torch.mm(flat.t(), active)
        to_hidden = torch.mm(flat, weight2, out=active)
        torch.ops.aten.gelu_backward.grad_input(
            to_hidden, hidden, grad_input=to_hidden)
        normed = torch.native_layer_norm(
            tokens, (width, ), norm_weight, norm_bias, ctx.eps)[0]
        to_weight1 = torch.mm(to_hidden.t(), normed)
        to_normed = torch.mm(to_hidden, weight1, out=normed)
        to_x, to_norm_weight, to_norm_bias = _norm_backward(
            to_normed, tokens, mean, rstd, norm_weight, norm_bias)
        return (to_x.add_(flat).view(grad.shape), to_norm_weight,
                to_norm_bias, to_weight1, to_hidden.sum(0), to_weight2,
                flat.sum(0), None)


def _norm_backward(grad: Tensor, x: Tensor, mean: Tensor, rstd: Tensor,
                   weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    """Gradients of a layer norm: of its input, weight and bias."""
    return torch.ops.aten.native_layer_norm_backward(
        grad, x, (x.shape[-1], ), mean, rstd, weight, bias, [True] * 3)


def _augmented(projected: Tensor, how: Attending) -> Tensor:
    """Queries, keys and values, each with one more feature.

    Queries are scaled so that products are powers of two; their last feature
    is free for the logarithm of the sum, to be taken off by the ones that are
    the last of keys and values.

    Args:
        projected (Tensor): (B, 3D, W).
        how (Attending): How tokens see each other.

    Returns:
        Tensor: (3, B * H, d + 1, W).
    """
    count, features, length = projected.shape
    width = features // 3 // how.num_heads
    heads = projected.new_empty(
        3, count * how.num_heads, width + 1, length)
    plain = projected.view(count, 3, how.num_heads, width, length)
    parts = heads.view(3, count, how.num_heads, width + 1, length)
    parts[..., :width, :] = plain.transpose(0, 1)
    if how.cosine is not None and how.sine is not None:
        parts[:2, ..., :width, :] = rotate(
            plain[:, :2].transpose(0, 1), how.cosine, how.sine, -2)
    heads[0].mul_(_LOG2_E / math.sqrt(width))
    heads[0, :, width] = 0
    heads[1:, :, width] = 1
    return heads


def _groups(heads: int, length: int, num_heads: int) -> list[slice]:
    """Which heads to deal with together; a window's not apart if possible."""
    size = max(1, _SCORES // length**2)
    if size > num_heads:
        size -= size % num_heads
    return [slice(start, start + size) for start in range(0, heads, size)]


def _attend(heads: Tensor, how: Attending) -> Tensor:
    """Mix the values, and leave the logarithm of the sum in the queries.

    Args:
        heads (Tensor): (3, B * H, d + 1, W), see :func:`_augmented`.
        how (Attending): How tokens see each other.

    Returns:
        Tensor: (B * H, d, W).
    """
    query, key, value = heads
    count, width, length = query[:, :-1].shape
    largest = [part[:, :-1].square().sum(1).amax() for part in (query, key)]
    shifted = not math.sqrt(largest[0] * largest[1]) < _NO_SHIFT
    mixed = query.new_empty(count, width, length)
    for some in _groups(count, length, how.num_heads):
        scores = torch.bmm(query[some, :-1].transpose(1, 2), key[some, :-1])
        shift: Tensor | None = None
        if shifted:
            if how.causal:
                scores.masked_fill_(_later(length, scores), -torch.inf)
            shift = scores.amax(-1, keepdim=True)
            scores.sub_(shift)
        scores.exp2_()
        if how.causal:
            scores.tril_()
        # the last feature of the values is one: its mixture is the sum
        sums = torch.bmm(value[some], scores.transpose(1, 2))
        torch.div(sums[:, :-1], sums[:, -1:], out=mixed[some])
        logarithm = sums[:, -1].log2()
        if shift is not None:
            logarithm += shift[..., 0]
        query[some, -1] = -logarithm
    return mixed


def _later(length: int, like: Tensor) -> Tensor:
    """Which tokens (W, W) a token must not see."""
    return torch.ones(
        length, length, dtype=torch.bool, device=like.device).triu_(1)


def _attend_backward(heads: Tensor, mixed: Tensor, grad: Tensor,
                     how: Attending) -> Tensor:
    """Gradient of what queries, keys and values were projected to.

    Args:
        heads (Tensor): (3, B * H, d + 1, W), as :func:`_attend` left them.
        mixed (Tensor): (B, D, W), its result.
        grad (Tensor): (B, D, W), the gradient of that. Overwritten.
        how (Attending): How tokens see each other.

    Returns:
        Tensor: (B, 3D, W).
    """
    query, key, value = heads
    count, width, length = query[:, :-1].shape
    # beside the gradient, what takes its mean off in the product with values
    weight = query.new_empty(count, width + 1, length)
    weight[:, :width] = grad.view(count, width, length)
    torch.sum(grad.mul_(mixed).view(count, width, length), 1,
              out=weight[:, width]).neg_()
    result = query.new_empty(3, count, width, length)
    for some in _groups(count, length, how.num_heads):
        probability = torch.bmm(
            query[some].transpose(1, 2), key[some]).exp2_()
        if how.causal:
            probability.tril_()
        torch.bmm(weight[some, :width], probability, out=result[2, some])
        to_scores = torch.bmm(
            weight[some].transpose(1, 2), value[some]).mul_(probability)
        torch.bmm(key[some, :width], to_scores.transpose(1, 2),
                  out=result[0, some])
        torch.bmm(query[some, :width], to_scores, out=result[1, some])
    result[0] *= 1 / math.sqrt(width)
    result[1] *= 1 / _LOG2_E  # the queries are scaled already
    parts = result.view(3, -1, how.num_heads, width, length)
    if how.cosine is not None and how.sine is not None:
        parts[:2] = rotate(parts[:2], how.cosine, -how.sine, -2)
    return parts.transpose(0, 1).reshape(-1, 3 * how.num_heads * width,
                                         length)
