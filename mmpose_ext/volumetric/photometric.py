"""Light and colour of whole images, before they are cast into volumes.

Brightness, contrast and hue of a view are one affine map of its colours, so
that an image is read and written once and clipped once.
"""
from __future__ import annotations

import math

import torch
from torch import Tensor

_LUMA = (.2125, .7154, .0721)
_MIDDLE = 127.5


def to_grey(image: Tensor) -> Tensor:
    """Luma of an image.

    Args:
        image (Tensor): (3, H, W) RGB of 0..255, or (1, H, W).

    Returns:
        Tensor: float32 (1, H, W) of 0..255.
    """
    if len(image) == 1:
        return image.float()
    weights = torch.tensor([_LUMA], device=image.device)
    return (weights @ image.flatten(1).float()).view(1, *image.shape[1:])


def color_map(brightness: float, contrast: float,
              hue: float) -> tuple[Tensor, float]:
    """An affine map of RGB colours.

    Args:
        brightness (float): Factor.
        contrast (float): Factor about mid-grey, after the brightness.
        hue (float): Turn about the axis of the greys, of a full circle.

    Returns:
        tuple[Tensor, float]: Matrix (3, 3) and what is added to each
        channel, for colours of 0..255.
    """
    cos, sin = math.cos(2 * math.pi * hue), math.sin(2 * math.pi * hue)
    across = torch.tensor([[0., -1., 1.], [1., 0., -1.], [-1., 1., 0.]])
    turn = (cos * torch.eye(3) + (1 - cos) / 3 * torch.ones(3, 3)
            + sin / math.sqrt(3) * across)
    return contrast * brightness * turn, _MIDDLE * (1 - contrast)


def change_colors(image: Tensor, brightness: float, contrast: float,
                  hue: float) -> Tensor:
    """Change an image as :func:`color_map` says.

    Args:
        image (Tensor): uint8 (3, H, W) RGB, or (1, H, W) grey, which has no
            hue.
        brightness (float): Factor.
        contrast (float): Factor about mid-grey.
        hue (float): Turn, of a full circle.

    Returns:
        Tensor: uint8, rounded and clipped.
    """
    matrix, added = color_map(brightness, contrast, hue)
    values = image.flatten(1).float()
    if len(image) == 3:
        values = matrix.to(image.device) @ values
    else:
        values.mul_(brightness * contrast)
    values.add_(added).round_().clamp_(0, 255)
    return values.to(torch.uint8).view(image.shape)
