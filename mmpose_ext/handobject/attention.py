"""Attention layers of the decoder and of the refinement."""
from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmpose_ext.handobject.sigma_linear import LinearFactory


class HandObjectAttention(nn.Module):
    """Attention of several heads; queries, keys and values have a layer each.

    Args:
        embed_dims (int): Channels of queries and output.
        num_heads (int): Heads; divides the channels.
        linear (LinearFactory): Makes the four layers.
        dropout (float): Of the attention weights. Defaults to 0.

    Attributes:
        record_entropy (bool): Whether to keep ``last_entropy``, the mean
            entropy of the weights as a share of the largest possible.
    """

    def __init__(self, embed_dims: int, num_heads: int, linear: LinearFactory,
                 dropout: float = 0.) -> None:
        super().__init__()
        if embed_dims % num_heads:
            raise ValueError(f'num_heads: expected a divisor of {embed_dims}, '
                             f'found {num_heads}')
        self.num_heads, self.dropout = num_heads, dropout
        self.query = linear(embed_dims, embed_dims)
        self.key = linear(embed_dims, embed_dims)
        self.value = linear(embed_dims, embed_dims)
        self.out = linear(embed_dims, embed_dims)
        self.record_entropy = False
        self.last_entropy: Tensor | None = None

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend.

        Args:
            queries (Tensor): (B, N, C).
            keys (Tensor): (B, M, C).
            values (Tensor): (B, M, C).

        Returns:
            Tensor: (B, N, C).
        """
        query, key, value = (
            self._split(layer(tokens)) for layer, tokens in
            ((self.query, queries), (self.key, keys), (self.value, values)))
        if self.record_entropy:
            self.last_entropy = _entropy(query.detach(), key.detach())
        mixed = F.scaled_dot_product_attention(
            query, key, value,
            dropout_p=self.dropout if self.training else 0.)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class HandObjectLayer(nn.Module):
    """A pre-norm transformer layer, with a memory or without.

    Args:
        embed_dims (int): Channels.
        num_heads (int): Heads of attention.
        feedforward_channels (int): Hidden channels of the feed-forward part.
        linear (LinearFactory): Makes the linear layers.
        dropout (float): Defaults to 0.
        with_memory (bool): Whether queries attend to a memory after each
            other. Defaults to True.
    """

    def __init__(self, embed_dims: int, num_heads: int,
                 feedforward_channels: int, linear: LinearFactory,
                 dropout: float = 0., with_memory: bool = True) -> None:
        super().__init__()
        self.norm_self = nn.LayerNorm(embed_dims)
        self.attention = HandObjectAttention(embed_dims, num_heads, linear,
                                             dropout)
        if with_memory:
            self.norm_memory = nn.LayerNorm(embed_dims)
            self.memory_attention = HandObjectAttention(
                embed_dims, num_heads, linear, dropout)
        self.norm_feedforward = nn.LayerNorm(embed_dims)
        self.expand = linear(embed_dims, feedforward_channels)
        self.shrink = linear(feedforward_channels, embed_dims)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, memory: Tensor | None = None,
                memory_keys: Tensor | None = None) -> Tensor:
        """Mix the tokens.

        Args:
            tokens (Tensor): (B, N, C).
            memory (Tensor, optional): (B, M, C) values.
            memory_keys (Tensor, optional): (B, M, C) values with positions.

        Returns:
            Tensor: (B, N, C).
        """
        normed = self.norm_self(tokens)
        tokens = tokens + self.dropout(self.attention(normed, normed, normed))
        if memory is not None and memory_keys is not None:
            mixed = self.memory_attention(self.norm_memory(tokens),
                                          memory_keys, memory)
            tokens = tokens + self.dropout(mixed)
        hidden = F.gelu(self.expand(self.norm_feedforward(tokens)))
        return tokens + self.dropout(self.shrink(hidden))


class HandObjectMlp(nn.Module):
    """Two linear layers with a GELU between: an output head.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        hidden_channels (int): Channels between.
        std (float): Spread of the last layer's weights at the start.
            Defaults to 0.01.
        bias (float, optional): The last layer's bias at the start; None for
            none. Defaults to 0.
    """

    def __init__(self, in_channels: int, out_channels: int,
                 hidden_channels: int, std: float = .01,
                 bias: float | None = 0.) -> None:
        super().__init__()
        self.first = nn.Linear(in_channels, hidden_channels)
        self.last = nn.Linear(hidden_channels, out_channels,
                              bias=bias is not None)
        nn.init.normal_(self.last.weight, std=std)
        if bias is not None:
            nn.init.constant_(self.last.bias, bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (..., in_channels) to (..., out_channels)."""
        return self.last(F.gelu(self.first(inputs)))


def _entropy(query: Tensor, key: Tensor) -> Tensor:
    """Mean entropy of the weights, a share of its maximum in [0, 1]."""
    logits = (query.float() @ key.float().transpose(-1, -2)
              ) / math.sqrt(query.shape[-1])
    logs = torch.log_softmax(logits, -1)
    entropy = -(logs.exp() * logs).sum(-1).mean()
    return entropy / math.log(max(key.shape[-2], 2))
