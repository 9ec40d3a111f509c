"""Convolutions on the graph of a skeleton.

The nodes are keypoints. Each gathers from itself and from those it is linked
to, by shares that are learned: a number for each link and direction, of which
a softmax is taken over a node's links (Zhao et al., CVPR 2019).
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmpose_ext.storage import DataError

NORMS = ('layer', 'batch', 'none')
_GAIN = 1.414  # of the weights, as published

Pairs = tuple[tuple[int, int], ...]


def edges_of(links: Sequence[Sequence[int]], count: int) -> Pairs:
    """Pairs of nodes of which the second gives to the first.

    Args:
        links (Sequence[tuple[int, int]]): Pairs of nodes.
        count (int): K nodes.

    Returns:
        tuple[tuple[int, int]]: E pairs by rising number: every link in both
        directions, and each node with itself.
    """
    pairs = {(node, node) for node in range(count)}
    for first, second in links:
        pairs |= {(int(first), int(second)), (int(second), int(first))}
    return tuple(sorted(pairs))


class SemanticGraphConv(nn.Module):
    """Gathers from each node and its neighbours by learned shares.

    A node's result is its own features times one matrix, plus those of its
    neighbours times another; both are weighted by the node's shares, which
    are positive and add up to 1.

    With `between`, the same node of the other animals of a scene is a
    neighbour, too. Each node has one number for it, whichever animal it is:
    any number of animals fits.

    Args:
        in_channels (int): C.
        out_channels (int): D.
        edges (tuple): See :func:`edges_of`; each node with itself is among
            them.
        between (bool): Whether nodes of other animals count. Defaults to
            False.
    """

    place: Tensor

    def __init__(self, in_channels: int, out_channels: int, edges: Pairs,
                 between: bool = False) -> None:
        super().__init__()
        count = 1 + max(first for first, _ in edges)
        self.own = nn.Parameter(torch.empty(in_channels, out_channels))
        self.neighbour = nn.Parameter(torch.empty(in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.edges = nn.Parameter(torch.ones(len(edges)))
        self.between = (nn.Parameter(torch.ones(count)) if between
                        else None)
        # which edge each pair of nodes is; where there is none, a last one
        place = torch.full((count, count), len(edges))
        for number, (first, second) in enumerate(edges):
            place[first, second] = number
        self.register_buffer('place', place, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights anew."""
        for weight in (self.own, self.neighbour):
            nn.init.xavier_uniform_(weight, _GAIN)
        bound = 1 / math.sqrt(len(self.bias))
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor, scenes: Tensor | None = None) -> Tensor:
        """Map (M, K, C) to (M, K, D).

        Args:
            x (Tensor): Features of the nodes of M animals.
            scenes (Tensor, optional): (M, M) bool, whether two are different
                animals of one scene; for layers with `between`. Defaults to
                None: none are.
        """
        own, neighbour = x @ self.own, x @ self.neighbour
        # a pair without an edge weighs nothing
        scores = torch.cat(
            [self.edges, self.edges.new_full((1, ), -math.inf)])[self.place]
        if self.between is None or scenes is None:
            shares = scores.softmax(-1)
            others = None
        else:
            count = scenes.sum(-1)
            # n others of equal score are one of a score higher by log n
            between = self.between + count.log().unsqueeze(-1)
            scores = torch.cat([scores.expand(len(x), -1, -1),
                                between.unsqueeze(-1)], -1)
            shares, others = scores.softmax(-1).split(
                [x.shape[1], 1], -1)
            mean = scenes.to(x.dtype) / count.clamp(min=1).unsqueeze(-1)
            others = others * (mean @ neighbour.flatten(1)).view_as(neighbour)
        alone = torch.diagonal(shares, dim1=-2, dim2=-1)
        linked = shares - torch.diag_embed(alone)
        found = alone.unsqueeze(-1) * own + linked @ neighbour + self.bias
        return found if others is None else found + others


class GraphBlock(nn.Module):
    """Graph convolution, norm, ReLU, dropout.

    Args:
        in_channels (int): C.
        out_channels (int): D.
        edges (tuple): As of :class:`SemanticGraphConv`.
        norm ('layer' | 'batch' | 'none'): Statistics over the channels of a
            node, or over the nodes of the batch for each channel; either has
            a scale and a shift a channel. Defaults to 'layer'.
        dropout (float): Probability of a 0. Defaults to 0.
        between (bool): As of :class:`SemanticGraphConv`. Defaults to False.
    """

    def __init__(self, in_channels: int, out_channels: int, edges: Pairs,
                 norm: str = 'layer', dropout: float = 0.,
                 between: bool = False) -> None:
        super().__init__()
        self.conv = SemanticGraphConv(in_channels, out_channels, edges,
                                      between)
        self.norm = _build_norm(norm, out_channels)
        self.dropout = dropout
        # whatever makes a norm over all processes of it
        self.channels_first = norm == 'batch'

    def forward(self, x: Tensor, scenes: Tensor | None = None) -> Tensor:
        """Map (M, K, C) to (M, K, D); see :class:`SemanticGraphConv`."""
        x = self.conv(x, scenes)
        if self.channels_first:
            x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        else:
            x = self.norm(x)
        return F.dropout(F.relu(x), self.dropout, self.training)


class ResidualGraphBlock(nn.Module):
    """Two blocks, of which the result is added to what goes in.

    Args:
        channels (int): C.
        edges (tuple): As of :class:`SemanticGraphConv`.
        **settings: The others of :class:`GraphBlock`.
    """

    def __init__(self, channels: int, edges: Pairs,
                 **settings: str | float | bool) -> None:
        super().__init__()
        self.block1 = GraphBlock(channels, channels, edges,
                                 **settings)  # type: ignore[arg-type]
        self.block2 = GraphBlock(channels, channels, edges,
                                 **settings)  # type: ignore[arg-type]

    def forward(self, x: Tensor, scenes: Tensor | None = None) -> Tensor:
        """Map (M, K, C) to the same; see :class:`SemanticGraphConv`."""
        found: Tensor = x + self.block2(self.block1(x, scenes), scenes)
        return found


def _build_norm(norm: str, width: int) -> nn.Module:
    if norm == 'layer':
        return nn.LayerNorm(width)
    if norm == 'batch':
        return nn.BatchNorm1d(width)
    if norm == 'none':
        return nn.Identity()
    raise DataError('config', 'model.head.refiner.norm',
                    f'one of {", ".join(NORMS)}', repr(norm))
