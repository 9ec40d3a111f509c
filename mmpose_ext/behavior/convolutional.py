"""A convolutional network that reads windows of pose tracks."""
from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmpose_ext.behavior.network import freeze_stages
from mmpose_ext.registry import MODELS


class _CausalBlock(nn.Module):
    """Two dilated convolutions over the past, with a shortcut."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int,
                 dilation: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(in_channels, out_channels, kernel_size,
                               dilation=dilation)
        self.conv2 = nn.Conv1d(out_channels, out_channels, kernel_size,
                               dilation=dilation)
        self.dropout = nn.Dropout(dropout)
        self.downsample = (
            nn.Identity() if in_channels == out_channels else
            nn.Conv1d(in_channels, out_channels, 1))
        self.past = (kernel_size - 1) * dilation

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, W) to (B, C', W)."""
        hidden = x
        for convolution in (self.conv1, self.conv2):
            padded = F.pad(hidden, (self.past, 0))
            hidden = self.dropout(F.relu(convolution(padded)))
        return F.relu(hidden + self.downsample(x))


@MODELS.register_module()
class LisbetTCN(BaseModule):
    """Blocks of causal dilated convolutions.

    A token has seen its own frame and earlier ones, and is nowhere negative.
    With the defaults it has the published 75,808 parameters.

    Args:
        in_channels (int): Features of a frame, F. Defaults to 28.
        embed_dims (int): Features of a token, D. Defaults to 32.
        hidden_channels (int): Channels of all blocks but the last. Defaults
            to 64.
        num_blocks (int): Defaults to 2.
        kernel_size (int): Defaults to 8.
        dilation_base (int): Block i is dilated by its i-th power. Defaults
            to 16.
        dropout (float): Defaults to 0.
        frozen_stages (int): n freezes the first n + 1 blocks; -1 nothing.
            Defaults to -1.
        init_cfg (dict, optional): As in MMEngine. Defaults to None.
    """

    causal = True

    def __init__(self,
                 in_channels: int = 28,
                 embed_dims: int = 32,
                 hidden_channels: int = 64,
                 num_blocks: int = 2,
                 kernel_size: int = 8,
                 dilation_base: int = 16,
                 dropout: float = 0.,
                 frozen_stages: int = -1,
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(init_cfg)
        self.in_channels, self.embed_dims = in_channels, embed_dims
        widths = [in_channels, *[hidden_channels] * (num_blocks - 1),
                  embed_dims]
        self.network = nn.Sequential(*(
            _CausalBlock(widths[i], widths[i + 1], kernel_size,
                         dilation_base**i, dropout)
            for i in range(num_blocks)))
        freeze_stages(self, frozen_stages)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Map windows (B, W, F) to tokens (B, W, D)."""
        return (self.network(x.transpose(1, 2)).transpose(1, 2), )

    def get_stage_map(self) -> dict[str, list[str]]:
        """Stages for freezing and learning rates, earliest first."""
        return {f'layer{number + 1}': [f'network.{number}']
                for number in range(len(self.network))}
