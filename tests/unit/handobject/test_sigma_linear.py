"""Sigma-reparametrised layers, against their definition."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mmpose_ext.handobject.attention import HandObjectAttention
from mmpose_ext.handobject.sigma_linear import (
    HandObjectSigmaLinear,
    fold_sigma,
    follow_spectra,
    linear_factory,
)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def norm_of(matrix: torch.Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix.detach().double(), 2))


@pytest.mark.parametrize('shape', [(7, 5), (5, 7), (1, 6), (6, 1), (64, 64)])
def test_sigma_is_the_spectral_norm(shape: tuple[int, int]) -> None:
    layer = HandObjectSigmaLinear(*shape)
    assert layer.sigma().item() == pytest.approx(norm_of(layer.weight),
                                                 rel=1e-5)


def test_fresh_layer_has_the_norm_one() -> None:
    layer = HandObjectSigmaLinear(12, 20)
    assert norm_of(layer.fold().weight) == pytest.approx(1, rel=1e-5)


def test_layers_can_start_as_plain_ones() -> None:
    linear = linear_factory(dict(gamma_init='spectral', weight_std=None))
    layer, inputs = linear(96, 128), torch.randn(4, 96)
    assert layer.weight.std().item() == pytest.approx(96**-.5, rel=.03)
    plain = linear_factory(None)(96, 128)
    assert plain.weight.std().item() == pytest.approx(96**-.5, rel=.03)
    plain.load_state_dict({name: getattr(layer, name)
                           for name in ('weight', 'bias')})
    torch.testing.assert_close(layer(inputs), plain(inputs))


def test_gradients_are_those_of_the_formula() -> None:
    layer = HandObjectSigmaLinear(6, 4)
    with torch.no_grad():
        layer.gamma.fill_(1.7)
    inputs, weights = torch.randn(9, 6), torch.randn(9, 4)
    (layer(inputs) * weights).sum().backward()
    upstream = weights.T @ inputs  # of the weight as it acts
    left, values, right = torch.linalg.svd(layer.weight.detach())
    sigma, outer = values[0], torch.outer(left[:, 0], right[0])
    inner = (upstream * layer.weight.detach()).sum()
    torch.testing.assert_close(layer.gamma.grad, inner / sigma, rtol=1e-5,
                               atol=1e-5)
    expected = 1.7 / sigma * (upstream - inner / sigma * outer)
    torch.testing.assert_close(layer.weight.grad, expected, rtol=1e-5,
                               atol=1e-5)


def test_power_iteration_follows_a_weight_that_moves() -> None:
    layer = HandObjectSigmaLinear(16, 16)
    for _ in range(60):
        with torch.no_grad():
            layer.weight.add_(.002 * torch.randn(16, 16))
        follow_spectra(layer)
    for _ in range(60):
        follow_spectra(layer)
    assert layer.sigma().item() == pytest.approx(norm_of(layer.weight),
                                                 rel=1e-3)


def test_forward_changes_no_state() -> None:
    layer = HandObjectSigmaLinear(8, 8).train()
    before = layer.vector.clone()
    layer(torch.randn(3, 8))
    assert torch.equal(layer.vector, before)


def test_folded_module_computes_the_same_with_plain_layers() -> None:
    linear = linear_factory(dict(gamma_init='one'))
    attention = HandObjectAttention(16, 4, linear).eval()
    tokens = torch.randn(2, 5, 16)
    before = attention(tokens, tokens, tokens)
    fold_sigma(attention)
    assert all(type(layer) is nn.Linear for layer in
               (attention.query, attention.key, attention.value,
                attention.out))
    torch.testing.assert_close(attention(tokens, tokens, tokens), before)


def test_sigma_stays_in_single_precision_under_autocast() -> None:
    layer = HandObjectSigmaLinear(8, 8)
    exact = layer.sigma()
    with torch.autocast('cpu', torch.bfloat16):
        assert layer.sigma().dtype == torch.float32
        assert torch.equal(layer.sigma(), exact)
        # as of a plain layer: nothing is computed twice as wide after it
        assert layer(torch.randn(2, 8)).dtype == torch.bfloat16


def test_an_average_of_vectors_still_gives_the_norm() -> None:
    layer = HandObjectSigmaLinear(8, 8)
    sigma = layer.sigma().item()
    layer.vector.mul_(.7)
    assert layer.sigma().item() == pytest.approx(sigma)


def test_attention_is_torchs_multi_head_attention() -> None:
    ours = HandObjectAttention(16, 4, linear_factory(None)).eval()
    theirs = nn.MultiheadAttention(16, 4, batch_first=True).eval()
    with torch.no_grad():
        parts = (ours.query, ours.key, ours.value)
        theirs.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
        theirs.in_proj_bias.copy_(torch.cat([p.bias for p in parts]))
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    query, key, value = (torch.randn(2, n, 16) for n in (3, 7, 7))
    torch.testing.assert_close(ours(query, key, value),
                               theirs(query, key, value)[0])


def test_entropy_is_a_share_of_its_maximum() -> None:
    attention = HandObjectAttention(8, 2, linear_factory(None))
    with torch.no_grad():
        attention.query.weight.zero_()
    attention.record_entropy = True
    tokens = torch.randn(2, 6, 8)
    attention(tokens, tokens, tokens)
    assert float(attention.last_entropy) == pytest.approx(1)
    with torch.no_grad():
        attention.query.weight.copy_(torch.eye(8) * 100)
        attention.key.weight.copy_(torch.eye(8) * 100)
    attention(tokens, tokens, tokens)
    assert float(attention.last_entropy) < .3
