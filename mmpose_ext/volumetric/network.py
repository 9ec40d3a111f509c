"""Encoder and decoder of volumes."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.convolutions import convolve, is_planewise
from mmpose_ext.volumetric.norms import build_norm, norm_and_relu

SIZES = dict(compressed=(32, 64, 128, 256), full=(64, 128, 256, 512))
_INIT = dict(type='Xavier', layer=['Conv3d', 'ConvTranspose3d'],
             distribution='uniform', bias=0)


class _Block(nn.Module):
    """Twice: convolution, norm, ReLU; with a bypass if asked.

    Args:
        in_channels (int): Of the input.
        width (int): Channels of the output.
        norm (str): As in :func:`build_norm`.
        residual (bool): Whether the input is added before the last ReLU,
            through a convolution where the channels differ.
    """

    def __init__(self, in_channels: int, width: int, norm: str,
                 residual: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, width, 3, padding=1)
        self.norm1 = build_norm(norm, width)
        self.conv2 = nn.Conv3d(width, width, 3, padding=1)
        self.norm2 = build_norm(norm, width)
        self.bypass: nn.Module | None = None
        if residual:
            self.bypass = nn.Identity() if in_channels == width else (
                nn.Sequential(nn.Conv3d(in_channels, width, 1),
                              build_norm(norm, width)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, n, n, n) to (B, width, n, n, n)."""
        y = convolve(convolve(x, self.conv1), self.conv2, self.norm1)
        if self.bypass is None:
            return norm_and_relu(self.norm2, y)
        return F.relu(self.norm2(y) + self.bypass(x), inplace=True)


class _Up(nn.Module):
    """Transposed convolution to twice the size, with norm and ReLU if asked.
    """

    def __init__(self, in_channels: int, width: int,
                 norm: str | None) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose3d(in_channels, width, 2, stride=2)
        self.norm = None if norm is None else build_norm(norm, width)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Enlarge, and put beside what comes from the encoder.

        Args:
            x (Tensor): (B, in_channels, n, n, n).
            skip (Tensor): (B, width, 2n, 2n, 2n).

        Returns:
            Tensor: (B, 2 * width, 2n, 2n, 2n).
        """
        if self.norm is None and is_planewise(skip):
            return self._interleave(x, skip)
        x = self.conv(x)
        if self.norm is not None:
            x = norm_and_relu(self.norm, x)
        return torch.cat([x, skip], 1)

    def _interleave(self, x: Tensor, skip: Tensor) -> Tensor:
        """The same as a matrix product of which each row is eight voxels.

        These go straight to their places beside `skip`.
        """
        weight, bias = self.conv.weight, self.conv.bias
        assert bias is not None
        matrix = weight.permute(2, 3, 4, 1, 0).flatten(0, 3)
        rows = F.linear(x.movedim(1, -1), matrix, bias.repeat(8))
        spread = rows.unflatten(-1, (2, 2, 2, -1)).permute(
            0, 1, 4, 2, 5, 3, 6, 7)
        beside = skip.movedim(1, -1).reshape(spread.shape)
        joined = torch.cat([spread, beside], -1)
        return joined.flatten(5, 6).flatten(3, 4).flatten(1, 2).movedim(-1, 1)


@MODELS.register_module()
class DannceUNet(BaseModule):
    """Encoder and decoder with shortcuts, from volumes of several views.

    With 18 input channels and a head of 23 keypoints it has 5,615,155
    parameters ('compressed', layer norm), or 22,424,627 ('full').

    Args:
        num_views (int): Views of a volume. Unused with a stem. Defaults to 6.
        view_channels (int): Channels of a view. Defaults to 3.
        size ('compressed' | 'full' | Sequence[int]): Channels of the levels,
            finest first; each level has half the voxels a side of the one
            before. Defaults to 'compressed', (32, 64, 128, 256).
        norm ('layer' | 'batch' | 'instance' | 'group'): See
            :func:`build_norm`. Defaults to 'layer'.
        stem (dict, optional): Module that joins the views, such as
            ``dict(type='mmpose_ext.DannceViewPoolingStem')``. Defaults to
            None: their channels are put side by side, which ties the weights
            to their number and order.
        checkpointing (bool): Whether the two finest levels are computed anew
            in the backward pass instead of kept. Defaults to False.
        residual (bool): Whether blocks add their input to their output.
            Defaults to False.
        norm_upsampling (bool): Whether norm and ReLU follow the transposed
            convolutions. Defaults to False.
        init_cfg (dict | list, optional): As in MMEngine. Defaults to
            Xavier-uniform weights and no biases.

    Attributes:
        out_channels (tuple[int, ...]): Channels of the results.
    """

    def __init__(self,
                 num_views: int = 6,
                 view_channels: int = 3,
                 size: str | Sequence[int] = 'compressed',
                 norm: str = 'layer',
                 stem: dict[str, Any] | None = None,
                 checkpointing: bool = False,
                 residual: bool = False,
                 norm_upsampling: bool = False,
                 init_cfg: dict[str, Any] | list[Any] | None = None) -> None:
        super().__init__(_INIT if init_cfg is None else init_cfg)
        widths = _widths(size)
        self.num_views = num_views
        self.view_channels = view_channels
        self.levels = len(widths)
        self.checkpointing = checkpointing
        self.out_channels = tuple(reversed(widths[:-1]))
        self.stem: Any = None
        before = num_views * view_channels
        if stem is not None:
            self.stem = MODELS.build(
                dict(view_channels=view_channels, **stem))
            before = self.stem.out_channels
        for level, width in enumerate(widths, 1):
            self.add_module(f'enc{level}',
                            _Block(before, width, norm, residual))
            before = width
        for level in range(self.levels - 1, 0, -1):
            width = widths[level - 1]
            self.add_module(f'up{level}', _Up(
                widths[level], width, norm if norm_upsampling else None))
            self.add_module(f'dec{level}',
                            _Block(2 * width, width, norm, residual))

    def get_stage_map(self) -> dict[str, list[str]]:
        """Stages for freezing and layer-wise learning rates, see
        :mod:`mmpose_ext.training.stages`."""
        stages = {} if self.stem is None else {'stem': ['stem']}
        for level in range(1, self.levels + 1):
            stages[f'enc{level}'] = [f'enc{level}']
        for level in range(self.levels - 1, 0, -1):
            stages[f'dec{level}'] = [f'up{level}', f'dec{level}']
        return stages

    def forward(self, volumes: Tensor,
                view_mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """Map volumes to the features of the decoder's levels.

        Args:
            volumes (Tensor): (B, V * view_channels, n, n, n), in [-1, 1].
            view_mask (Tensor, optional): Bool (B, V), False for views that
                are not to be looked at; without a stem these are set to 0.
                Defaults to None: all are.

        Returns:
            tuple[Tensor]: Coarsest first, the last (B, widths[0], n, n, n);
            of four levels n/4, n/2, n voxels a side.

        Raises:
            DataError: If the channels or the voxels do not fit the network.
        """
        self.check_volumes(volumes.shape[1], volumes.shape[-1])
        x = self._join_views(volumes, view_mask)
        skips = []
        for level in range(1, self.levels + 1):
            x = self._run(f'enc{level}', level, x)
            if level < self.levels:
                skips.append(x)
                x = F.max_pool3d(x, 2)
        features = []
        for level in range(self.levels - 1, 0, -1):
            x = self.get_submodule(f'up{level}')(x, skips.pop())
            x = self._run(f'dec{level}', level, x)
            features.append(x)
        return tuple(features)

    def _run(self, name: str, level: int, x: Tensor) -> Tensor:
        block = self.get_submodule(name)
        if self.checkpointing and level <= 2 and torch.is_grad_enabled():
            return cast(Tensor, checkpoint(block, x, use_reentrant=False))
        return cast(Tensor, block(x))

    def _join_views(self, volumes: Tensor,
                    view_mask: Tensor | None) -> Tensor:
        if self.stem is not None:
            return cast(Tensor, self.stem(volumes, view_mask))
        if view_mask is None or bool(view_mask.all()):
            return volumes
        seen = view_mask.repeat_interleave(self.view_channels, 1)
        return volumes * seen[:, :, None, None, None]

    def check_volumes(self, channels: int, nvox: int) -> None:
        """Check that volumes fit the network.

        Args:
            channels (int): Of all views together.
            nvox (int): Voxels a side.

        Raises:
            DataError: If the channels or the voxels do not fit.
        """
        step = 2**(self.levels - 1)
        views, rest = divmod(channels, self.view_channels)
        if rest or (self.stem is None and views != self.num_views):
            raise DataError(
                'DannceUNet', 'channels of the volumes',
                f'{self.num_views} views of {self.view_channels}',
                str(channels), 'num_views and view_channels of the backbone '
                'must be those of the data')
        if nvox % step:
            raise DataError(
                'DannceUNet', 'voxels a side', f'a multiple of {step}',
                str(nvox),
                'nvox of the grid must fit the levels of the network')


def _widths(size: str | Sequence[int]) -> tuple[int, ...]:
    if isinstance(size, str):
        if size not in SIZES:
            raise DataError('config', 'backbone.size',
                            f'one of {", ".join(SIZES)} or widths',
                            repr(size))
        return SIZES[size]
    widths = tuple(size)
    if len(widths) < 2 or any(width < 1 for width in widths):
        raise DataError('config', 'backbone.size',
                        'at least two widths above 0', str(widths))
    return widths
