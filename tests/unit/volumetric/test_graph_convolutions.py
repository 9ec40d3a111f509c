"""Graph convolutions against loops over nodes and their neighbours."""
from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.graph_convolutions import (
    GraphBlock,
    SemanticGraphConv,
    edges_of,
)
from mmpose_ext.volumetric.skeletons import load_skeleton

LINKS = ((0, 1), (1, 2), (3, 1))
EDGES = edges_of(LINKS, 5)  # node 4 has no link


def build(between: bool = False) -> SemanticGraphConv:
    torch.manual_seed(0)
    layer = SemanticGraphConv(6, 4, EDGES, between)
    nn.init.normal_(layer.edges)
    if between:
        nn.init.normal_(layer.between)
    return layer


@torch.no_grad()
def by_loops(layer: SemanticGraphConv, x: Tensor,
             scenes: list[int]) -> Tensor:
    """Every node by itself, from the definition."""
    found = torch.zeros(len(x), 5, 4)
    for m in range(len(x)):
        for node in range(5):
            terms = []  # score and features of all that give to the node
            for score, (first, second) in zip(layer.edges, EDGES,
                                              strict=True):
                if first == node:
                    weight = (layer.own if second == node
                              else layer.neighbour)
                    terms.append((score, x[m, second] @ weight))
            if layer.between is not None:
                terms += [(layer.between[node], x[o, node] @ layer.neighbour)
                          for o in range(len(x))
                          if o != m and scenes[o] == scenes[m]]
            total = sum(math.exp(score) for score, _ in terms)
            found[m, node] = layer.bias + sum(
                math.exp(score) / total * value for score, value in terms)
    return found


def test_edges_go_both_ways_and_to_oneself():
    meta = load_skeleton('rat23')
    edges = edges_of(meta['skeleton_links'], 23)
    assert len(edges) == 69
    assert edges == tuple(sorted(set(edges)))
    assert all((b, a) in edges for a, b in edges)
    assert edges_of(LINKS + LINKS, 5) == EDGES


def test_each_node_gathers_from_itself_and_its_neighbours():
    layer = build()
    x = torch.randn(3, 5, 6)
    torch.testing.assert_close(layer(x), by_loops(layer, x, [0, 1, 2]),
                               atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('scenes', [
    [0, 0], [0, 1, 0, 0, 2], [3], [0, 1]])
def test_animals_of_a_scene_are_neighbours_however_many(scenes):
    layer = build(between=True)
    x = torch.randn(len(scenes), 5, 6, requires_grad=True)
    number = torch.tensor(scenes)
    mask = (number[:, None] == number) & ~torch.eye(
        len(number), dtype=torch.bool)
    found = layer(x, mask)
    torch.testing.assert_close(found, by_loops(layer, x, scenes),
                               atol=1e-5, rtol=1e-5)
    found.sum().backward()
    assert all(p.grad.isfinite().all() for p in (x, *layer.parameters()))


def test_an_animal_alone_is_as_without_others():
    layer = build(between=True)
    x = torch.randn(2, 5, 6)
    torch.testing.assert_close(
        layer(x, torch.zeros(2, 2, dtype=torch.bool)), layer(x))


def test_shares_begin_even():
    layer = SemanticGraphConv(6, 4, EDGES)
    assert (layer.edges == 1).all()
    x = torch.randn(1, 5, 6)
    lonely = x[0, 4] @ layer.own + layer.bias
    torch.testing.assert_close(layer(x)[0, 4], lonely)
    bound = 1.414 * math.sqrt(6 / 10)
    for weight in (layer.own, layer.neighbour):
        assert weight.abs().max() <= bound
    assert layer.bias.abs().max() <= .5


def test_layer_norm_makes_a_sample_independent_of_its_batch():
    x = torch.randn(4, 5, 6)
    for norm, equal in (('layer', True), ('none', True), ('batch', False)):
        torch.manual_seed(0)
        block = GraphBlock(6, 4, EDGES, norm)
        close = torch.allclose(block(x)[:1], block(x[:1]), atol=1e-5)
        assert close == equal, norm


def test_batch_norm_is_over_animals_and_nodes_for_each_channel():
    torch.manual_seed(0)
    block = GraphBlock(6, 4, EDGES, 'batch')
    x = torch.randn(4, 5, 6)
    plain = block.conv(x)
    mean = plain.mean((0, 1))
    std = (plain.var((0, 1), unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(
        block(x), ((plain - mean) / std).relu(), atol=1e-5, rtol=1e-4)


def test_dropout_repeats_with_the_state_of_the_generator():
    block = GraphBlock(6, 4, EDGES, dropout=.5)
    x = torch.randn(4, 5, 6)
    state = torch.get_rng_state()
    first = block(x)
    torch.set_rng_state(state)
    assert torch.equal(block(x), first)
    assert not torch.equal(block(x), first)
    assert torch.equal(block.eval()(x), block(x))


def test_unknown_norm_is_named():
    with pytest.raises(DataError, match='layer, batch, none.*instance'):
        GraphBlock(6, 4, EDGES, 'instance')
