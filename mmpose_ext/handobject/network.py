"""The vision transformer whose patches the hand and the object are read from.

Layers are named as in DINOv2's own files (Oquab et al., 2023), so that
these, and timm's, load as they are; mmpretrain's are renamed.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmpose.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn
from torch.nn import functional as F

from mmpose_ext.registry import MODELS

# channels, blocks, heads
ARCHITECTURES: dict[str, tuple[int, int, int]] = {
    'small': (384, 12, 6),
    'base': (768, 12, 12),
    'large': (1024, 24, 16),
}
# (what mmpretrain, or timm, calls a part, what it is called here)
_RENAMED = (
    (r'^layers\.(\d+)\.ln1\.', r'blocks.\1.norm1.'),
    (r'^layers\.(\d+)\.ln2\.', r'blocks.\1.norm2.'),
    (r'^layers\.(\d+)\.attn\.gamma1\.weight$', r'blocks.\1.ls1.gamma'),
    (r'^layers\.(\d+)\.ffn\.gamma2\.weight$', r'blocks.\1.ls2.gamma'),
    (r'^layers\.(\d+)\.ffn\.layers\.0\.0\.', r'blocks.\1.mlp.fc1.'),
    (r'^layers\.(\d+)\.ffn\.layers\.1\.', r'blocks.\1.mlp.fc2.'),
    (r'^layers\.(\d+)\.attn\.', r'blocks.\1.attn.'),
    (r'^ln1\.', 'norm.'),
    (r'^patch_embed\.projection\.', 'patch_embed.proj.'),
    (r'^reg_token$', 'register_tokens'),
)
_DEPTH = re.compile(r'blocks\.(\d+)\.')


@MODELS.register_module()
class HandObjectVit(BaseBackbone):
    """Plain vision transformer with layer scale: DINOv2's, or a small one.

    Nothing initialises it after weights were loaded, and blocks that are
    frozen stay in evaluation mode. No graph is kept of frozen first blocks:
    neither they nor their input need a gradient.

    Args:
        arch (str | dict): ``small``, ``base`` or ``large``, or a dict with
            ``embed_dims``, ``depth`` and ``num_heads``. Defaults to
            ``large``.
        img_size (int): Side of the picture, px. Defaults to 224.
        patch_size (int): Side of a patch, px. Defaults to 14.
        stem ('patch' | 'conv'): How patches become tokens: one linear map,
            as DINOv2 has it, or convolutions of stride 2, with which a
            small network learns from nothing (the patch is then a power of
            two). Defaults to 'patch'.
        num_registers (int): Register tokens; 4 for the ``_reg4`` weights.
            Defaults to 0.
        mlp_ratio (float): Hidden channels of a block over its channels.
            Defaults to 4.
        layer_scale (float): Its value at the start. Defaults to 1e-5; ones
            trained from nothing want 1.
        drop_path (float): Rate of the last block; grows from 0 at the
            first. Defaults to 0.
        frozen_stages (int): Blocks frozen from the front, embeddings with
            them; 0 freezes the embeddings alone, -1 nothing. Do not use it
            for what thaws later. Defaults to -1.
        out_indices (Sequence[int], optional): Blocks whose patches are given
            out, the last one's normed. Defaults to None: the last.
        init_cfg (dict, optional): As ``dict(type='Pretrained',
            checkpoint=...)``. Defaults to None.

    Raises:
        ValueError: If the sizes do not fit each other.
    """

    def __init__(self,
                 arch: str | dict[str, Any] = 'large',
                 img_size: int = 224,
                 patch_size: int = 14,
                 stem: str = 'patch',
                 num_registers: int = 0,
                 mlp_ratio: float = 4.,
                 layer_scale: float = 1e-5,
                 drop_path: float = 0.,
                 frozen_stages: int = -1,
                 out_indices: Sequence[int] | None = None,
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(init_cfg)
        dims, depth, heads = _architecture(arch)
        if img_size % patch_size:
            raise ValueError(f'img_size: expected a multiple of {patch_size}, '
                             f'found {img_size}')
        if not -1 <= frozen_stages <= depth:
            raise ValueError(f'frozen_stages: expected -1 to {depth}, found '
                             f'{frozen_stages}')
        indices = tuple(out_indices or (-1, ))
        if not all(-depth <= index < depth for index in indices):
            raise ValueError(f'out_indices: expected {-depth} to {depth - 1}, '
                             f'found {indices}')
        self.embed_dims, self.patch_size = dims, patch_size
        self.img_size, self.frozen_stages = img_size, frozen_stages
        self.out_indices = tuple(index % depth for index in indices)
        self.side = img_size // patch_size
        self.patch_embed = _make_stem(stem, dims, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dims))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.side**2, dims))
        if num_registers:
            self.register_tokens = nn.Parameter(
                torch.zeros(1, num_registers, dims))
            nn.init.normal_(self.register_tokens, std=.02)
        self.num_registers = num_registers
        rates = np.linspace(0, drop_path, depth).tolist()
        self.blocks = nn.ModuleList(
            _Block(dims, heads, int(dims * mlp_ratio), layer_scale, rate)
            for rate in rates)
        self.norm = nn.LayerNorm(dims, eps=1e-6)
        nn.init.normal_(self.cls_token, std=.02)
        nn.init.trunc_normal_(self.pos_embed, std=.02)
        self._register_load_state_dict_pre_hook(self._adapt_weights)
        self._freeze()

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Maps of patches.

        Args:
            inputs (Tensor): (B, 3, S, S), normalised.

        Returns:
            tuple[Tensor]: (B, C, S / patch, S / patch) of each of
            `out_indices`.

        Raises:
            ValueError: If the pictures are of another size than `img_size`.
        """
        height, width = inputs.shape[2:]
        if height != self.img_size or width != self.img_size:
            raise ValueError(
                f'img_size: expected pictures of {self.img_size} x '
                f'{self.img_size} px, found {width} x {height}')
        patches = self.patch_embed(inputs).flatten(2).transpose(1, 2)
        tokens = torch.cat(
            [self.cls_token.expand(len(patches), -1, -1), patches], 1)
        tokens = tokens + self.pos_embed
        if self.num_registers:
            registers = self.register_tokens.expand(len(patches), -1, -1)
            tokens = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], 1)
        maps = []
        for index, block in enumerate(self.blocks[:max(self.out_indices) + 1]):
            tokens = block(tokens)
            if index in self.out_indices:
                is_last = index == len(self.blocks) - 1
                maps.append(self._to_map(
                    self.norm(tokens) if is_last else tokens))
        return tuple(maps)

    def train(self, mode: bool = True) -> HandObjectVit:
        """Set the mode; what is frozen stays in evaluation."""
        super().train(mode)
        if mode:
            for part in self._frozen_parts():
                part.eval()
        return self

    def get_layer_depth(self, param_name: str,
                        prefix: str = '') -> tuple[int, int]:
        """Depth of a parameter, for learning rates that fall with depth.

        Args:
            param_name (str): Its name, with `prefix`.
            prefix (str): Of the backbone in the model.

        Returns:
            tuple[int, int]: Depth, 0 for the embeddings, and the number of
            depths; the last one is the head's, and the final norm's.
        """
        name = param_name.removeprefix(prefix)
        count = len(self.blocks) + 2
        if match := _DEPTH.match(name):
            return int(match[1]) + 1, count
        return (count - 1 if name.startswith('norm.') else 0), count

    def _to_map(self, tokens: Tensor) -> Tensor:
        patches = tokens[:, 1 + self.num_registers:]
        return patches.transpose(1, 2).unflatten(2, (self.side, self.side))

    def _frozen_parts(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        return [self.patch_embed, *self.blocks[:self.frozen_stages]]

    def _freeze(self) -> None:
        parameters = [parameter for part in self._frozen_parts()
                      for parameter in part.parameters()]
        if self.frozen_stages >= 0:
            parameters += [self.cls_token, self.pos_embed]
            if self.num_registers:
                parameters.append(self.register_tokens)
        for parameter in parameters:
            parameter.requires_grad = False

    def _adapt_weights(self, state_dict: dict[str, Any], prefix: str,
                       *_: Any) -> None:
        """Rename the parts of others' files and fit the positions' grid."""
        for key in [key for key in state_dict if key.startswith(prefix)]:
            name = key.removeprefix(prefix)
            for pattern, replacement in _RENAMED:
                name = re.sub(pattern, replacement, name)
            if name == 'mask_token':  # of the pretraining alone
                del state_dict[key]
            elif prefix + name != key:
                state_dict[prefix + name] = state_dict.pop(key)
        key = f'{prefix}pos_embed'
        if key in state_dict:
            state_dict[key] = resize_positions(state_dict[key], self.side)


class _Block(nn.Module):
    """Attention and a feed-forward part, each scaled and dropped whole."""

    def __init__(self, dims: int, num_heads: int, hidden: int,
                 layer_scale: float, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims, eps=1e-6)
        self.attn = _SelfAttention(dims, num_heads)
        self.ls1 = _LayerScale(dims, layer_scale)
        self.norm2 = nn.LayerNorm(dims, eps=1e-6)
        self.mlp = _Mlp(dims, hidden)
        self.ls2 = _LayerScale(dims, layer_scale)
        self.drop_path = drop_path

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self._drop(self.ls1(self.attn(self.norm1(tokens))))
        return tokens + self._drop(self.ls2(self.mlp(self.norm2(tokens))))

    def _drop(self, branch: Tensor) -> Tensor:
        if not (self.training and self.drop_path):
            return branch
        kept = torch.rand(len(branch), 1, 1, device=branch.device,
                          dtype=branch.dtype) >= self.drop_path
        return branch * kept / (1 - self.drop_path)


class _SelfAttention(nn.Module):

    def __init__(self, dims: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dims, 3 * dims)
        self.proj = nn.Linear(dims, dims)
        for layer in (self.qkv, self.proj):
            nn.init.trunc_normal_(layer.weight, std=dims**-.5)
            nn.init.zeros_(layer.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(tokens).unflatten(
            -1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class _LayerScale(nn.Module):

    norm_parameters = ('gamma', )

    def __init__(self, dims: int, value: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dims, ), value))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens * self.gamma


class _Mlp(nn.Module):

    def __init__(self, dims: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dims, hidden)
        self.fc2 = nn.Linear(hidden, dims)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(tokens)))


class _PatchStem(nn.Module):
    """One linear map of each patch."""

    def __init__(self, dims: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dims, patch_size, patch_size)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.proj(inputs)


class _ConvStem(nn.Sequential):
    """Convolutions of stride 2, the channels doubling towards the tokens."""

    def __init__(self, dims: int, patch_size: int) -> None:
        steps = patch_size.bit_length() - 1
        if patch_size != 1 << steps or not steps:
            raise ValueError('patch_size: expected a power of two with a '
                             f'convolutional stem, found {patch_size}')
        layers: list[nn.Module] = []
        before = 3
        for step in range(steps):
            after = max(dims >> (steps - step), 16)
            layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False),
                       nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
            before = after
        super().__init__(*layers, nn.Conv2d(before, dims, 1))


def resize_positions(positions: Tensor, side: int) -> Tensor:
    """Position embeddings of another number of patches.

    Args:
        positions (Tensor): (1, 1 + N, C), the first that of the class token.
        side (int): Patches along a side of the new grid.

    Returns:
        Tensor: (1, 1 + side ** 2, C), interpolated by cubic splines.
    """
    old = round((positions.shape[1] - 1)**.5)
    if old == side:
        return positions
    grid = positions[:, 1:].transpose(1, 2).unflatten(2, (old, old))
    resized = F.interpolate(grid.float(), size=(side, side), mode='bicubic',
                            align_corners=False)
    return torch.cat([positions[:, :1], resized.flatten(2).transpose(1, 2).to(
        positions.dtype)], 1)


def _architecture(arch: str | dict[str, Any]) -> tuple[int, int, int]:
    if isinstance(arch, dict):
        return arch['embed_dims'], arch['depth'], arch['num_heads']
    if arch not in ARCHITECTURES:
        raise ValueError(f'arch: expected one of {", ".join(ARCHITECTURES)} '
                         f'or a dict, found {arch!r}')
    return ARCHITECTURES[arch]


def _make_stem(stem: str, dims: int, patch_size: int) -> nn.Module:
    kinds = dict(patch=_PatchStem, conv=_ConvStem)
    if stem not in kinds:
        raise ValueError(f'stem: expected patch or conv, found {stem!r}')
    return kinds[stem](dims, patch_size)
