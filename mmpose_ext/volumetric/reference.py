"""Networks written down as their formulas read.

This is what :class:`DannceUNet` and :class:`DanncePoseGraph` are tested and
measured against: every step is an operation of its own, nothing is fused, and
every layer keeps what autograd makes it keep. Parameters have the names that
they have there, so a state dict of one fits the other.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-3


class PlainLayerNorm(nn.Module):
    """(x - mean) / (std + eps) * weight + bias over all of a sample.

    The standard deviation is that of the population; weight and bias are one
    number each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, ...)."""
        axes = tuple(range(1, x.dim()))
        mean = x.mean(axes, keepdim=True)
        std = x.std(axes, keepdim=True, unbiased=False)
        return (x - mean) / (std + EPS) * self.weight + self.bias


def _plain_norm(norm: str, width: int) -> nn.Module:
    if norm == 'layer':
        return PlainLayerNorm()
    if norm == 'batch':
        return nn.BatchNorm3d(width)
    if norm == 'instance':
        return nn.InstanceNorm3d(width)
    raise ValueError(norm)


class PlainBlock(nn.Module):
    """Twice: convolution, norm, ReLU."""

    def __init__(self, in_channels: int, width: int, norm: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, width, 3, padding=1)
        self.norm1 = _plain_norm(norm, width)
        self.conv2 = nn.Conv3d(width, width, 3, padding=1)
        self.norm2 = _plain_norm(norm, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, n, n, n) to (B, width, n, n, n)."""
        x = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(x)))


class PlainUNet(nn.Module):
    """Encoder and decoder with shortcuts.

    Args:
        in_channels (int): Views times channels of a view.
        widths (Sequence[int]): Channels of the levels, finest first.
        norm ('layer' | 'batch' | 'instance'): Defaults to 'layer'.
    """

    def __init__(self, in_channels: int, widths: Sequence[int],
                 norm: str = 'layer') -> None:
        super().__init__()
        self.depth = len(widths)
        before = in_channels
        for level, width in enumerate(widths, 1):
            self.add_module(f'enc{level}', PlainBlock(before, width, norm))
            before = width
        for level in range(self.depth - 1, 0, -1):
            width = widths[level - 1]
            up = nn.Module()
            up.conv = nn.ConvTranspose3d(widths[level], width, 2, stride=2)
            self.add_module(f'up{level}', up)
            self.add_module(f'dec{level}',
                            PlainBlock(2 * width, width, norm))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map (B, in_channels, n, n, n) to the decoder's features."""
        skips = []
        for level in range(1, self.depth + 1):
            x = self.get_submodule(f'enc{level}')(x)
            if level < self.depth:
                skips.append(x)
                x = nn.functional.max_pool3d(x, 2)
        features = []
        for level in range(self.depth - 1, 0, -1):
            x = self.get_submodule(f'up{level}.conv')(x)
            x = torch.cat([x, skips[level - 1]], 1)
            x = self.get_submodule(f'dec{level}')(x)
            features.append(x)
        return tuple(features)


def plain_soft_argmax(logits: Tensor, grid: Tensor) -> Tensor:
    """Mean of the voxel centres (n^3, 3) under a softmax, (B, K, 3)."""
    weights = torch.softmax(logits.flatten(2), 2)
    return (weights[..., None] * grid).sum(2)


class PlainGraphConv(nn.Module):
    """x W0 and x W1, joined by a dense matrix of shares.

    Args:
        in_channels (int): C.
        out_channels (int): D.
        adjacency (Tensor): (K, K) bool, True for links and for each node
            with itself.
    """

    def __init__(self, in_channels: int, out_channels: int,
                 adjacency: Tensor) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.zeros(in_channels, out_channels))
        self.neighbour = nn.Parameter(torch.zeros(in_channels, out_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.edges = nn.Parameter(torch.ones(int(adjacency.sum())))
        self.adjacency = adjacency

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, K, C) to (B, K, D)."""
        scores = torch.full(self.adjacency.shape, -1e9)
        scores[self.adjacency] = self.edges
        shares = torch.softmax(scores, 1)
        itself = torch.eye(len(shares))
        return ((shares * itself) @ (x @ self.own)
                + (shares * (1 - itself)) @ (x @ self.neighbour) + self.bias)


class PlainGraphBlock(nn.Module):
    """Graph convolution, layer norm, ReLU, dropout."""

    def __init__(self, in_channels: int, out_channels: int,
                 adjacency: Tensor, dropout: float) -> None:
        super().__init__()
        self.conv = PlainGraphConv(in_channels, out_channels, adjacency)
        self.norm = nn.LayerNorm(out_channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, K, C) to (B, K, D)."""
        return self.dropout(torch.relu(self.norm(self.conv(x))))


class PlainPoseGraph(nn.Module):
    """Features at the points, a graph network, a shift of the points.

    Args:
        in_channels (int): Channels of all levels together.
        adjacency (Tensor): As of :class:`PlainGraphConv`.
        hidden (int): Channels of the graph.
        layers (int): Residual blocks.
        fuse_channels (int): Channels that the features are brought to.
        dropout (float): Probability.
    """

    def __init__(self, in_channels: int, adjacency: Tensor, hidden: int,
                 layers: int, fuse_channels: int, dropout: float) -> None:
        super().__init__()
        self.fuse = nn.Linear(in_channels, fuse_channels)
        self.first = PlainGraphBlock(fuse_channels + 3, hidden, adjacency,
                                     dropout)
        self.blocks = nn.ModuleList()
        for _ in range(layers):
            block = nn.Module()
            block.block1 = PlainGraphBlock(hidden, hidden, adjacency, dropout)
            block.block2 = PlainGraphBlock(hidden, hidden, adjacency, dropout)
            self.blocks.append(block)
        self.last = PlainGraphConv(hidden, 3, adjacency)

    def forward(self, features: Sequence[Tensor], points: Tensor,
                offsets: Tensor) -> Tensor:
        """Shifts (B, K, 3) in voxels of points (B, K, 3) in mm."""
        voxel = offsets[1] - offsets[0]
        x, y, z = (points / (voxel * len(offsets) / 2)).unbind(-1)
        places = torch.stack([z, x, y], -1)[:, :, None, None]
        sampled = torch.cat([
            F.grid_sample(level, places, align_corners=False)
            for level in features], 1)
        nodes = self.fuse(sampled[..., 0, 0].transpose(1, 2))
        nodes = self.first(torch.cat([nodes, points / voxel], -1))
        for block in self.blocks:
            nodes = nodes + block.get_submodule('block2')(
                block.get_submodule('block1')(nodes))
        return self.last(nodes)
