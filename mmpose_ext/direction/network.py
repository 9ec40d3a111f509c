"""Small networks for small grey images.

All run in channels_last memory format, which on a CPU is about half as fast
again as the default one.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmpose_ext.registry import MODELS


class _ConvBlock(nn.Sequential):
    """3x3 convolution, batch normalisation, ReLU; halves the size if asked.

    The maximum is taken before the ReLU: the result is the same (both are
    monotone) and the ReLU sees a quarter of the pixels.
    """

    def __init__(self, in_channels: int, width: int, pool: bool) -> None:
        super().__init__(
            nn.Conv2d(in_channels, width, 3, padding=1),
            nn.BatchNorm2d(width), *([nn.MaxPool2d(2)] if pool else []),
            nn.ReLU(inplace=True))


@MODELS.register_module()
class DirectionCNN(BaseModule):
    """Plain convolutions, each followed by a halving of the size.

    With the default widths and a :class:`DirectionRegressionHead` on 50x50
    images it has 135,206 parameters.

    Args:
        widths (Sequence[int]): Channels of the blocks. Defaults to
            (16, 32, 64, 64).
        in_channels (int): Channels of the image. Defaults to 1.
        init_cfg (dict, optional): As in MMEngine. Defaults to None, which
            keeps torch's initialisation.
    """

    def __init__(self,
                 widths: Sequence[int] = (16, 32, 64, 64),
                 in_channels: int = 1,
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(init_cfg)
        sizes = [in_channels, *widths]
        self.blocks = nn.Sequential(*(
            _ConvBlock(before, after, pool=True)
            for before, after in zip(sizes, widths, strict=False)))
        self.to(memory_format=torch.channels_last)

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        """Map images (B, C, H, W) to features (B, widths[-1], h, w)."""
        return (self.blocks(inputs), )


@MODELS.register_module()
class DirectionUNet(BaseModule):
    """Down to an eighth of the size and back to half of it, with shortcuts.

    Made for :class:`DirectionHeatmapHead`, with which it has 99,427
    parameters by default: the map keeps the places that
    :class:`DirectionCNN` pools away.

    Args:
        widths (Sequence[int]): Channels of the blocks on the way down, all
            but the last of which halve the size. Defaults to (16, 32, 64,
            64).
        out_channels (int): Channels of the map. Defaults to 32.
        in_channels (int): Channels of the image. Defaults to 1.
        init_cfg (dict, optional): As in MMEngine. Defaults to None.
    """

    def __init__(self,
                 widths: Sequence[int] = (16, 32, 64, 64),
                 out_channels: int = 32,
                 in_channels: int = 1,
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(init_cfg)
        sizes = [in_channels, *widths]
        self.down = nn.ModuleList(
            _ConvBlock(before, after, pool=i < len(widths) - 1)
            for i, (before, after) in enumerate(
                zip(sizes, widths, strict=False)))
        self.up = nn.ModuleList()
        self.lateral = nn.ModuleList()
        channels = widths[-1]
        for width in reversed(widths[:-2]):
            self.lateral.append(nn.Conv2d(width, out_channels, 1))
            self.up.append(
                _ConvBlock(channels, out_channels, pool=False))
            channels = out_channels
        self.merge = _ConvBlock(out_channels, out_channels, pool=False)
        self.to(memory_format=torch.channels_last)

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        """Map images (B, C, H, W) to a map (B, out_channels, H/2, W/2)."""
        levels = []
        features = inputs
        for block in self.down:
            features = block(features)
            levels.append(features)
        # the last two levels have one size; shortcuts come from the others
        shortcuts = reversed(levels[:-2])
        for block, lateral, shortcut in zip(
                self.up, self.lateral, shortcuts, strict=True):
            features = F.interpolate(
                block(features), shortcut.shape[-2:], mode='bilinear',
                align_corners=False) + lateral(shortcut)
        return (self.merge(features), )
