"""From maps of patches to tokens, and from tokens to answers of queries."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmpose_ext.handobject.attention import HandObjectLayer
from mmpose_ext.handobject.codec import rays
from mmpose_ext.handobject.sigma_linear import LinearFactory


@dataclass
class PatchTokens:
    """Tokens of the patches.

    Attributes:
        content: (B, C, h, w) what the patches show.
        keys: (B, h * w, C) the same with where they are, and which ray they
            are seen along.
    """

    content: Tensor
    keys: Tensor


class PatchNeck(nn.Module):
    """Projects the backbone's maps and adds places and rays.

    Args:
        in_channels (Sequence[int]): Channels of each map; the projected maps
            are summed, the coarser ones enlarged to the first.
        embed_dims (int): Channels of the tokens.
        size (int): Side of the crops, px.
    """

    def __init__(self, in_channels: Sequence[int], embed_dims: int,
                 size: int) -> None:
        super().__init__()
        self.size, self.in_channels = size, list(in_channels)
        self.projections = nn.ModuleList(
            nn.Conv2d(channels, embed_dims, 1) for channels in in_channels)
        self.norm = nn.LayerNorm(embed_dims)
        # the crop's intrinsics say how far off the axis it looks
        self.ray = nn.Sequential(nn.Linear(2, embed_dims), nn.GELU(),
                                 nn.Linear(embed_dims, embed_dims))
        self.embed_dims = embed_dims

    def forward(self, feats: Sequence[Tensor], camera: Tensor) -> PatchTokens:
        """Project.

        Args:
            feats (Sequence[Tensor]): (B, C, h, w) each.
            camera (Tensor): (B, 3, 3) intrinsics of the crops.

        Returns:
            PatchTokens: Of the first map's patches.

        Raises:
            ValueError: If the maps are not those of `in_channels`.
        """
        found = [feat.shape[1] for feat in feats]
        if found != self.in_channels:
            raise ValueError(
                'in_channels: expected maps of the backbone with '
                f'{self.in_channels} channels, found {found}')
        levels = [projection(feat) for projection, feat in
                  zip(self.projections, feats, strict=True)]
        summed = levels[0]
        for level in levels[1:]:
            if level.shape != summed.shape:
                level = F.interpolate(level, summed.shape[2:],
                                      mode='bilinear', align_corners=False)
            summed = summed + level
        content = self.norm(summed.permute(0, 2, 3, 1))
        height, width = content.shape[1:3]
        centres = patch_centres(height, width, self.size, content.device)
        with torch.autocast(content.device.type, enabled=False):
            seen = rays(centres.expand(len(camera), -1, -1), camera)[..., :2]
        places = sine_positions(height, width, self.embed_dims,
                                content.device)
        keys = content.flatten(1, 2) + places.to(content.dtype)
        return PatchTokens(content.permute(0, 3, 1, 2),
                           keys + self.ray(seen.to(content.dtype)))


class QueryDecoder(nn.Module):
    """Learnt queries that ask the patches, and each other.

    Args:
        num_queries (int): How many.
        embed_dims (int): Channels.
        num_layers (int): Layers.
        num_heads (int): Heads of attention.
        feedforward_channels (int): Hidden channels.
        linear (LinearFactory): Makes the linear layers.
        dropout (float): Defaults to 0.
    """

    def __init__(self, num_queries: int, embed_dims: int, num_layers: int,
                 num_heads: int, feedforward_channels: int,
                 linear: LinearFactory, dropout: float = 0.) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(num_queries, embed_dims))
        # small beside what the patches answer
        nn.init.normal_(self.embedding, std=.02)
        self.layers = nn.ModuleList(
            HandObjectLayer(embed_dims, num_heads, feedforward_channels,
                            linear, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(embed_dims)

    def forward(self, tokens: PatchTokens) -> Tensor:
        """Answers of the queries, (B, N, C)."""
        memory = tokens.content.flatten(2).transpose(1, 2)
        queries = self.embedding.expand(len(memory), -1, -1)
        for layer in self.layers:
            queries = layer(queries, memory, tokens.keys)
        return self.norm(queries)


def patch_centres(height: int, width: int, size: int,
                  device: torch.device) -> Tensor:
    """Where the centres of a grid's cells lie in a crop, (h * w, 2) px."""
    x, y = (((torch.arange(count, device=device) + .5) * size / count - .5)
            for count in (width, height))
    return torch.stack([x.expand(height, -1),
                        y[:, None].expand(-1, width)], -1).flatten(0, 1)


def sine_positions(height: int, width: int, dims: int,
                   device: torch.device) -> Tensor:
    """Sines and cosines of columns and rows, (h * w, dims)."""
    quarter = -(-dims // 4)
    rates = torch.exp(torch.arange(quarter, device=device)
                      * (-math.log(1e4) / quarter))
    parts = []
    for count, axis in ((width, 1), (height, 0)):
        angles = (torch.arange(count, device=device) * 2 * math.pi / count
                  )[:, None] * rates * 16
        waves = torch.cat([angles.sin(), angles.cos()], -1)
        parts.append(waves.unsqueeze(1 - axis).expand(height, width, -1))
    return torch.cat(parts, -1).flatten(0, 1)[:, :dims]
