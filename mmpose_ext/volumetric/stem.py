"""What joins the views before the network: a stem for any number of them."""
from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmpose_ext.registry import MODELS
from mmpose_ext.volumetric.norms import build_norm


@MODELS.register_module()
class DannceViewPoolingStem(BaseModule):
    """One convolution for all views, then their mean and maximum.

    Weights do not depend on the number or the order of the views, so that a
    network with this stem moves to another rig as it is.

    Args:
        view_channels (int): Channels of a view. Defaults to 3.
        width (int): Channels a view is mapped to; the result has twice as
            many. Defaults to 16.
        norm (str): As in :func:`build_norm`. Defaults to 'layer'.
        init_cfg (dict, optional): As in MMEngine. Defaults to None.
    """

    def __init__(self,
                 view_channels: int = 3,
                 width: int = 16,
                 norm: str = 'layer',
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(init_cfg)
        self.view_channels = view_channels
        self.out_channels = 2 * width
        self.conv = nn.Conv3d(view_channels, width, 3, padding=1)
        self.norm = build_norm(norm, width)

    def forward(self, volumes: Tensor,
                view_mask: Tensor | None = None) -> Tensor:
        """Join the views.

        Args:
            volumes (Tensor): (B, V * view_channels, n, n, n).
            view_mask (Tensor, optional): Bool (B, V), False for views that
                are not to be looked at. Defaults to None: all are.

        Returns:
            Tensor: (B, 2 * width, n, n, n): mean, then maximum over the
            views; 0 where there is none.
        """
        views = volumes.split(self.view_channels, 1)
        if view_mask is None:
            view_mask = volumes.new_ones(len(volumes), len(views)).bool()
        total: Tensor | None = None
        most: Tensor | None = None
        for number, view in enumerate(views):
            seen = view_mask[:, number].view(-1, 1, 1, 1, 1)
            # not negative, so that 0 stands for nothing seen in both
            features = torch.relu(self.norm(self.conv(view))) * seen
            total = features if total is None else total + features
            most = features if most is None else torch.maximum(
                most, features)
        assert total is not None and most is not None
        count = view_mask.sum(1).clamp(min=1).view(-1, 1, 1, 1, 1)
        return torch.cat([total / count, most], 1)
