"""The network that finds an animal's middle in a picture."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmpose_ext.registry import MODELS
from mmpose_ext.volumetric.norms import build_norm

_FLAT_NORMS = dict(batch=nn.BatchNorm2d, instance=nn.InstanceNorm2d)


class _Block(nn.Sequential):
    """Twice: 3x3 convolution, norm, ReLU."""

    def __init__(self, before: int, width: int, norm: str) -> None:
        layers: list[nn.Module] = []
        for channels in (before, width):
            layers += [nn.Conv2d(channels, width, 3, padding=1),
                       _norm(norm, width), nn.ReLU(inplace=True)]
        super().__init__(*layers)


@MODELS.register_module()
class ComUNet(BaseModule):
    """Down to a sixteenth of the size and back to all of it, with shortcuts.

    To be followed by a ``HeatmapHead`` without deconvolutions. With the
    default widths and a head of one keypoint it has 7,760,133 parameters.
    Images of any size: they are padded at the right and at the bottom, by
    their last column and row, to what can be halved often enough, and the
    features are cut to the size of the images.

    Args:
        widths (Sequence[int]): Channels of the levels, finest first; each
            has half the size of the one before. Defaults to
            (32, 64, 128, 256, 512).
        in_channels (int): Channels of the image. Defaults to 3.
        norm ('layer' | 'batch' | 'instance' | 'group'): See
            :func:`~mmpose_ext.volumetric.norms.build_norm`. Defaults to
            'layer'.
        init_cfg (dict, optional): As in MMEngine. Defaults to None, which
            keeps torch's initialisation.

    Attributes:
        out_channels (int): Channels of the features.
    """

    def __init__(self,
                 widths: Sequence[int] = (32, 64, 128, 256, 512),
                 in_channels: int = 3,
                 norm: str = 'layer',
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(init_cfg)
        if len(widths) < 2:
            raise ValueError('widths: expected two levels or more, found '
                             f'{tuple(widths)}')
        self.out_channels = widths[0]
        self.down = nn.ModuleList(
            _Block(before, width, norm) for before, width in zip(
                (in_channels, *widths), widths, strict=False))
        coarse, fine = widths[:0:-1], widths[-2::-1]
        self.rise = nn.ModuleList(
            nn.ConvTranspose2d(before, width, 2, stride=2)
            for before, width in zip(coarse, fine, strict=True))
        self.up = nn.ModuleList(
            _Block(2 * width, width, norm) for width in fine)

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        """Map images (B, C, H, W) to features (B, widths[0], H, W)."""
        height, width = inputs.shape[-2:]
        step = 2**len(self.up)
        x = F.pad(inputs, (0, -width % step, 0, -height % step), 'replicate')
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            if level:
                x = F.max_pool2d(x, 2)
            x = block(x)
            skips.append(x)
        skips.pop()
        for rise, block in zip(self.rise, self.up, strict=True):
            x = block(torch.cat([rise(x), skips.pop()], 1))
        return (x[..., :height, :width], )


def _norm(kind: str, width: int) -> nn.Module:
    flat = _FLAT_NORMS.get(kind)
    return build_norm(kind, width) if flat is None else flat(width)
