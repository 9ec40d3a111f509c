"""The transformer that reads windows of pose tracks.

Shapes: B windows, W frames of a window, F features of a frame, D features of
a token.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.jit import is_tracing  # type: ignore[attr-defined]

from mmpose_ext.behavior.attention import (
    Attending,
    AttentionBranch,
    FeedForwardBranch,
    rotate,
)
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError

POSITIONS = ('learned', 'rotary', 'none')
# Tokens that go through all layers before the next ones begin: on a CPU they
# then stay in its cache.
_TOKENS_AT_ONCE = 1600
# Longest window and widest heads for which the branches written for a CPU
# are faster than torch's own.
_FAST_LENGTH = 1024
_FAST_WIDTH = 12


class LisbetEncoderLayer(nn.Module):
    """A pre-norm layer: attention, then feed-forward, each with a residual.

    It computes what ``nn.TransformerEncoderLayer`` does with
    ``norm_first=True`` and the exact GELU, and names its weights alike.

    Args:
        width (int): D.
        num_heads (int): Heads, which divide D.
        hidden_channels (int): Width of the feed-forward part.
        causal (bool): Whether a token sees itself and earlier ones alone.
        dropout (float): On attention, and on what enters a residual sum.
        drop_path (float): Chance to leave out a branch, for each window.
    """

    def __init__(self, width: int, num_heads: int, hidden_channels: int,
                 causal: bool = False, dropout: float = 0.,
                 drop_path: float = 0.) -> None:
        super().__init__()
        self.num_heads, self.causal = num_heads, causal
        self.dropout, self.drop_path = dropout, drop_path
        self.self_attn = _AttentionWeights(width)
        self.linear1 = nn.Linear(width, hidden_channels)
        self.linear2 = nn.Linear(hidden_channels, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor, angles: Tensor | None = None) -> Tensor:
        """Map tokens (B, W, D) to tokens (B, W, D).

        Args:
            x (Tensor): Tokens.
            angles (Tensor, optional): (2, d / 2, W) cosine and sine of the
                rotation of queries and keys, heads being d wide. Defaults
                to None.
        """
        if self._is_fast(x):
            return self._run_fast(x, angles)
        x = x + self._drop(self._attention(self.norm1(x), angles))
        hidden = F.dropout(F.gelu(self.linear1(self.norm2(x))), self.dropout,
                           self.training)
        return x + self._drop(self.linear2(hidden))

    def forward_token(self, x: Tensor, token: int,
                      angles: Tensor | None = None) -> Tensor:
        """Map tokens (B, W, D) to one token (B, D), for inference.

        Only keys and values are computed for the others.
        """
        attn = self.self_attn
        width = x.shape[-1]
        normed = self.norm1(x)
        query = F.linear(normed[:, token:token + 1], attn.in_proj_weight[
            :width], attn.in_proj_bias[:width])
        key, value = F.linear(normed, attn.in_proj_weight[width:],
                              attn.in_proj_bias[width:]).chunk(2, -1)
        query, key, value = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in (query, key, value))
        if angles is not None:
            cosine, sine = angles.transpose(1, 2)
            query = rotate(query, cosine[token], sine[token], -1)
            key = rotate(key, cosine, sine, -1)
        if self.causal:
            key, value = key[:, :, :token + 1], value[:, :, :token + 1]
        mixed = F.scaled_dot_product_attention(query, key, value)
        out = x[:, token] + attn.out_proj(mixed.flatten(1))
        return out + self.linear2(F.gelu(self.linear1(self.norm2(out))))

    def close_branches(self) -> None:
        """Make the layer one that changes nothing, for now."""
        nn.init.zeros_(self.self_attn.out_proj.weight)
        nn.init.zeros_(self.self_attn.out_proj.bias)
        nn.init.zeros_(self.linear2.weight)
        nn.init.zeros_(self.linear2.bias)

    def _is_fast(self, x: Tensor) -> bool:
        """Whether the branches written for a CPU can take the tokens."""
        return (x.device.type == 'cpu' and x.dtype == torch.float32
                and self.linear1.weight.dtype == torch.float32
                and not (self.training and (self.dropout or self.drop_path))
                and not torch.is_autocast_enabled('cpu')
                and not is_tracing()
                and not torch.compiler.is_compiling()
                and x.shape[1] <= _FAST_LENGTH
                and x.shape[2] <= _FAST_WIDTH * self.num_heads)

    def _run_fast(self, x: Tensor, angles: Tensor | None) -> Tensor:
        attn, first, second = self.self_attn, self.norm1, self.norm2
        cosine, sine = (None, None) if angles is None else angles
        x = AttentionBranch.apply(
            x.contiguous(), first.weight, first.bias, attn.in_proj_weight,
            attn.in_proj_bias, attn.out_proj.weight, attn.out_proj.bias,
            Attending(self.num_heads, self.causal, cosine, sine, first.eps))
        out: Tensor = FeedForwardBranch.apply(
            x, second.weight, second.bias, self.linear1.weight,
            self.linear1.bias, self.linear2.weight, self.linear2.bias,
            second.eps)
        return out

    def _attention(self, normed: Tensor, angles: Tensor | None) -> Tensor:
        attn = self.self_attn
        query, key, value = F.linear(
            normed, attn.in_proj_weight, attn.in_proj_bias).unflatten(
                -1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        if angles is not None:
            cosine, sine = angles.transpose(1, 2)
            query = rotate(query, cosine, sine, -1)
            key = rotate(key, cosine, sine, -1)
        mixed = F.scaled_dot_product_attention(
            query, key, value, is_causal=self.causal,
            dropout_p=self.dropout if self.training else 0.)
        return attn.out_proj(mixed.transpose(1, 2).flatten(2))

    def _drop(self, branch: Tensor) -> Tensor:
        branch = F.dropout(branch, self.dropout, self.training)
        if not self.training or not self.drop_path:
            return branch
        kept = 1 - self.drop_path
        chance = torch.rand(len(branch), 1, 1, device=branch.device)
        return branch * (chance < kept) / kept


class _AttentionWeights(nn.Module):
    """Weights of attention, named and initialised as torch's own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)


class _LearnedPositions(nn.Module):
    """A vector added to the token of each place in the window."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.pos_emb = nn.Parameter(torch.empty(length, width))
        nn.init.kaiming_uniform_(self.pos_emb, a=math.sqrt(5))

    def forward(self, tokens: Tensor) -> Tensor:
        """Add to tokens (B, W, D)."""
        length = tokens.shape[1]
        if length > len(self.pos_emb):
            raise DataError(
                'config', 'model.backbone.max_length',
                f'at least the window size, {length}', f'{len(self.pos_emb)}',
                "positions='rotary' takes windows of any length")
        return tokens + self.pos_emb[:length]


class _Layers(nn.Module):
    """The stack of layers, as the published weights name it."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)


@MODELS.register_module()
class LisbetTransformer(BaseModule):
    """Tokens of frames, each of which has seen all others of its window.

    With the defaults and 28 features a frame it has the published 414,656
    parameters; with ``embed_dims=32, num_layers=4, num_heads=4,
    hidden_channels=128`` 58,208. On a CPU it runs in pieces that fit its
    cache, by functions made for many narrow heads
    (:mod:`mmpose_ext.behavior.attention`); the results are those of
    ``nn.TransformerEncoder``.

    Differs from the original: every layer has initial weights of its own.

    Args:
        in_channels (int): F. Defaults to 28: 2 individuals with 7 keypoints
            in the plane.
        embed_dims (int): D. Defaults to 64.
        num_layers (int): Defaults to 8.
        num_heads (int): Defaults to 8.
        hidden_channels (int): Width of the feed-forward parts. Defaults to
            256.
        max_length (int): Largest W, where positions are learned. Defaults
            to 200.
        positions (str): ``learned``; ``rotary``, which takes windows of any
            length; or ``none``. Defaults to ``learned``.
        causal (bool): Whether a frame sees itself and earlier ones alone.
            Defaults to False.
        dropout (float): Defaults to 0.
        drop_path (float): Chance to leave a branch of the last layer out,
            growing from 0 at the first. Defaults to 0.
        zero_residual (bool): Begin with layers that change nothing. Defaults
            to False.
        identical_layers (bool): Give all layers the same initial weights, as
            the original does. Defaults to False.
        frozen_stages (int): 0 freezes the embedder of frames, n also the
            first n layers; -1 freezes nothing. Defaults to -1.
        init_cfg (dict, optional): As in MMEngine. Defaults to None.
    """

    def __init__(self,
                 in_channels: int = 28,
                 embed_dims: int = 64,
                 num_layers: int = 8,
                 num_heads: int = 8,
                 hidden_channels: int = 256,
                 max_length: int = 200,
                 positions: str = 'learned',
                 causal: bool = False,
                 dropout: float = 0.,
                 drop_path: float = 0.,
                 zero_residual: bool = False,
                 identical_layers: bool = False,
                 frozen_stages: int = -1,
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(init_cfg)
        _check_settings(embed_dims, num_heads, positions)
        self.in_channels, self.embed_dims = in_channels, embed_dims
        self.num_heads, self.positions = num_heads, positions
        self.causal = causal
        self.frame_embedder = nn.Linear(in_channels, embed_dims)
        self.pos_embedder = (
            _LearnedPositions(max_length, embed_dims)
            if positions == 'learned' else nn.Identity())
        last = max(num_layers - 1, 1)
        self.transformer_encoder = _Layers([
            LisbetEncoderLayer(embed_dims, num_heads, hidden_channels, causal,
                               dropout, drop_path * number / last)
            for number in range(num_layers)])
        self.layer_norm = nn.LayerNorm(embed_dims)
        layers: Any = self.transformer_encoder.layers
        for layer in layers:
            if identical_layers:
                layer.load_state_dict(layers[0].state_dict())
            if zero_residual:
                layer.close_branches()
        freeze_stages(self, frozen_stages)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Map windows (B, W, F) to tokens (B, W, D).

        Raises:
            DataError: If windows are longer than the learned positions.
        """
        return (_by_pieces(x, self._tokens), )

    def forward_token(self, x: Tensor, token: int) -> Tensor:
        """Map windows (B, W, F) to one token (B, D), for inference.

        It is the token of :meth:`forward`, for less: the last layer computes
        no other.

        Args:
            x (Tensor): Windows.
            token (int): Place in the window.
        """
        return _by_pieces(x, lambda part: self._token(part, token))

    def get_stage_map(self) -> dict[str, list[str]]:
        """Stages for freezing and learning rates, earliest first."""
        count = len(self.transformer_encoder.layers)
        stages = dict(embedder=['frame_embedder', 'pos_embedder'])
        for number in range(count):
            stages[f'layer{number + 1}'] = [
                f'transformer_encoder.layers.{number}']
        stages.setdefault(f'layer{max(count, 1)}', []).append('layer_norm')
        return stages

    def _tokens(self, x: Tensor) -> Tensor:
        tokens = self.pos_embedder(self.frame_embedder(x))
        angles = self._angles(x.shape[1], tokens)
        for layer in self.transformer_encoder.layers:
            tokens = layer(tokens, angles)
        return self.layer_norm(tokens)

    def _token(self, x: Tensor, token: int) -> Tensor:
        token = range(x.shape[1])[token]
        tokens = self.pos_embedder(self.frame_embedder(x))
        angles = self._angles(x.shape[1], tokens)
        stack: Any = self.transformer_encoder.layers
        *layers, last = stack
        for layer in layers:
            tokens = layer(tokens, angles)
        return self.layer_norm(last.forward_token(tokens, token, angles))

    def _angles(self, length: int, like: Tensor) -> Tensor | None:
        """(2, d / 2, W) cosine and sine of rotary positions, heads being d."""
        if self.positions != 'rotary':
            return None
        half = self.embed_dims // self.num_heads // 2
        places = torch.arange(length, device=like.device)
        # from one radian a frame down to a hundredth: windows are short
        speeds = 100. ** (-torch.arange(half, device=like.device) / half)
        angles = speeds[:, None] * places
        return torch.stack([angles.cos(), angles.sin()]).to(like.dtype)


def freeze_stages(backbone: Any, count: int) -> None:
    """Freeze the first stage of a backbone and `count` that follow.

    Args:
        backbone (nn.Module): With ``get_stage_map``.
        count (int): -1 freezes nothing.

    Raises:
        DataError: If it has fewer.
    """
    stages = list(backbone.get_stage_map().values())
    if not -1 <= count < len(stages):
        raise DataError('config', 'model.backbone.frozen_stages',
                        f'-1 to {len(stages) - 1}', f'{count}')
    modules = dict(backbone.named_modules())
    parameters = dict(backbone.named_parameters())
    for names in stages[:count + 1]:
        for name in names:
            (modules.get(name) or parameters[name]).requires_grad_(False)


def _by_pieces(x: Tensor, forward: Any) -> Tensor:
    """Run windows (B, W, F) through all layers, on a CPU a few at a time."""
    size = max(1, _TOKENS_AT_ONCE * torch.get_num_threads() // x.shape[1])
    if x.device.type != 'cpu' or len(x) <= size or is_tracing():
        whole: Tensor = forward(x)
        return whole
    return torch.cat([forward(part) for part in x.split(size)])


def _check_settings(embed_dims: int, num_heads: int, positions: str) -> None:
    if embed_dims % num_heads:
        raise DataError('config', 'model.backbone.num_heads',
                        f'a divisor of embed_dims, {embed_dims}',
                        f'{num_heads}')
    if positions not in POSITIONS:
        raise DataError('config', 'model.backbone.positions',
                        f'one of {", ".join(POSITIONS)}', repr(positions))
    if positions == 'rotary' and embed_dims // num_heads % 2:
        raise DataError('config', 'model.backbone.num_heads',
                        'heads of an even width, for rotary positions',
                        f'{embed_dims // num_heads}')
