"""A recurrent network that reads windows of pose tracks frame by frame."""
from __future__ import annotations

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmpose_ext.behavior.network import freeze_stages
from mmpose_ext.registry import MODELS


@MODELS.register_module()
class LisbetLSTM(BaseModule):
    """Linear layer, LSTM and linear layer, for every frame.

    A token has seen its own frame and the earlier ones. With the defaults it
    has the published 61,376 parameters.

    Args:
        in_channels (int): Features of a frame, F. Defaults to 28.
        embed_dims (int): Features of a token, D. Defaults to 32.
        hidden_channels (int): Width of the LSTM. Defaults to 64.
        num_layers (int): Defaults to 2.
        dropout (float): Between layers. Defaults to 0.
        frozen_stages (int): 0 freezes the embedder of frames, n also the
            first n layers; -1 freezes nothing. Defaults to -1.
        init_cfg (dict, optional): As in MMEngine. Defaults to None.
    """

    causal = True

    def __init__(self,
                 in_channels: int = 28,
                 embed_dims: int = 32,
                 hidden_channels: int = 64,
                 num_layers: int = 2,
                 dropout: float = 0.,
                 frozen_stages: int = -1,
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(init_cfg)
        self.in_channels, self.embed_dims = in_channels, embed_dims
        self.frame_embedder = nn.Linear(in_channels, embed_dims)
        self.lstm = nn.LSTM(embed_dims, hidden_channels, num_layers,
                            batch_first=True, dropout=dropout)
        self.output = nn.Linear(hidden_channels, embed_dims)
        freeze_stages(self, frozen_stages)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Map windows (B, W, F) to tokens (B, W, D)."""
        return (self.output(self.lstm(self.frame_embedder(x))[0]), )

    def get_stage_map(self) -> dict[str, list[str]]:
        """Stages for freezing and learning rates, earliest first."""
        stages = dict(embedder=['frame_embedder'])
        for number in range(self.lstm.num_layers):
            stages[f'layer{number + 1}'] = [
                f'lstm.{kind}_l{number}'
                for kind in ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')]
        stages[f'layer{self.lstm.num_layers}'].append('output')
        return stages
