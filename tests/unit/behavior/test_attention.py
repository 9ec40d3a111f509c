"""The branches against torch's own layers and against differences."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mmpose_ext.behavior import attention
from mmpose_ext.behavior.attention import (
    Attending,
    AttentionBranch,
    FeedForwardBranch,
    rotate,
)

WIDTH, HEADS, HIDDEN = 16, 4, 24


def torch_layer(scale: float = 1.) -> nn.TransformerEncoderLayer:
    torch.manual_seed(1)
    layer = nn.TransformerEncoderLayer(
        WIDTH, HEADS, HIDDEN, 0., 'gelu', batch_first=True, norm_first=True)
    with torch.no_grad():
        for parameter in layer.parameters():  # also those that begin as 0, 1
            parameter.add_(.2 * torch.randn_like(parameter)).mul_(scale)
    return layer


def run_branches(layer: nn.TransformerEncoderLayer, x: torch.Tensor,
                 causal: bool = False) -> torch.Tensor:
    attn, first, second = layer.self_attn, layer.norm1, layer.norm2
    x = AttentionBranch.apply(
        x, first.weight, first.bias, attn.in_proj_weight, attn.in_proj_bias,
        attn.out_proj.weight, attn.out_proj.bias, Attending(HEADS, causal))
    return FeedForwardBranch.apply(
        x, second.weight, second.bias, layer.linear1.weight,
        layer.linear1.bias, layer.linear2.weight, layer.linear2.bias, 1e-5)


@pytest.mark.parametrize('causal', [False, True])
# with a scale of 4 the scores are too large for powers as they are
@pytest.mark.parametrize(('scale', 'dtype', 'limit'), [
    (1., torch.float32, 1e-5), (4., torch.float64, 1e-11)])
@pytest.mark.parametrize('scores', [2**19, 3 * 11**2])  # also some heads
def test_branches_compute_what_the_layer_of_torch_does(
        causal: bool, scale: float, dtype: torch.dtype, limit: float,
        scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, '_SCORES', scores)
    layer = torch_layer(scale).to(dtype)
    x = torch.randn(5, 11, WIDTH, dtype=dtype, requires_grad=True)
    mask = nn.Transformer.generate_square_subsequent_mask(
        11, dtype=dtype)
    wanted = layer(x, mask) if causal else layer(x)
    found = run_branches(layer, x, causal)
    torch.testing.assert_close(found, wanted, rtol=0,
                               atol=limit * wanted.detach().abs().max())
    weights = torch.randn_like(wanted)
    inputs = [x, *layer.parameters()]
    names = ['x', *dict(layer.named_parameters())]
    for name, one, other in zip(
            names, torch.autograd.grad(found, inputs, weights),
            torch.autograd.grad(wanted, inputs, weights), strict=True):
        torch.testing.assert_close(
            one, other, rtol=0, atol=limit * other.abs().max().clamp(min=1),
            msg=lambda text, name=name: name + text)


def test_scale_of_four_needs_the_shift() -> None:
    layer = torch_layer(4.)
    x = layer.norm1(torch.randn(5, 11, WIDTH))
    query, key, _ = nn.functional.linear(
        x, layer.self_attn.in_proj_weight,
        layer.self_attn.in_proj_bias).unflatten(-1, (3, HEADS, -1)).unbind(2)
    scores = torch.einsum('bqhd,bkhd->bhqk', query, key) / 2
    assert scores.max() > 60


@pytest.mark.parametrize('causal', [False, True])
@pytest.mark.parametrize('rotary', [False, True])
def test_gradients_of_attention_are_those_of_differences(
        causal: bool, rotary: bool) -> None:
    torch.manual_seed(0)
    shapes = [(2, 5, 8), (8, ), (8, ), (24, 8), (24, ), (8, 8), (8, )]
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True)
              for shape in shapes]
    angles = torch.randn(2, 5, dtype=torch.float64)
    how = Attending(2, causal, *((angles.cos(), angles.sin())
                                 if rotary else ()))
    assert torch.autograd.gradcheck(
        lambda *tensors: AttentionBranch.apply(*tensors, how), inputs)


def test_gradients_of_feed_forward_are_those_of_differences() -> None:
    torch.manual_seed(0)
    shapes = [(2, 3, 4), (4, ), (4, ), (6, 4), (6, ), (4, 6), (4, )]
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True)
              for shape in shapes]
    assert torch.autograd.gradcheck(
        lambda *tensors: FeedForwardBranch.apply(*tensors, 1e-5), inputs)


def test_rotation_keeps_lengths_and_undoes_itself() -> None:
    x, angles = torch.randn(3, 8, 5), torch.randn(4, 5)
    turned = rotate(x, angles.cos(), angles.sin(), 1)
    torch.testing.assert_close(turned.norm(dim=1), x.norm(dim=1))
    torch.testing.assert_close(
        rotate(turned, angles.cos(), -angles.sin(), 1), x)


def test_missing_numbers_stay_missing() -> None:
    x = torch.randn(2, 7, WIDTH)
    x[1, 3, 2] = torch.nan
    found = run_branches(torch_layer(), x)
    assert found[1].isnan().any()
