"""The eight symmetries of a square image, exact in pixel space.

Symmetry ``g`` in 0..7 turns the image by ``g % 4`` quarter turns counter-
clockwise on the screen and then, if ``g >= 4``, flips it upside down.
Pixel centres lie at integers, x right, y down.
"""
from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch

T = TypeVar('T', np.ndarray, torch.Tensor)

SYMMETRIES = tuple(range(8))


def transform_image(image: T, symmetry: int) -> T:
    """Apply a symmetry to images.

    Args:
        image (ndarray | Tensor): (..., S, S).
        symmetry (int): 0..7.

    Returns:
        ndarray | Tensor: (..., S, S), possibly a view.
    """
    turns, flip = symmetry % 4, symmetry >= 4
    if isinstance(image, torch.Tensor):
        # torch.rot90, of operators that can be exported to ONNX
        if turns % 2:
            image = image.transpose(-2, -1)
        # one flip upside down, one left to right, as the turns need them
        axes = [-2] * ((turns in (1, 2)) != flip) + [-1] * (turns > 1)
        return image.flip(axes) if axes else image
    turned = np.rot90(image, turns, (-2, -1))
    return turned[..., ::-1, :] if flip else turned


def transform_points(points: T, symmetry: int, size: int) -> T:
    """Move points along with :func:`transform_image`.

    Args:
        points (ndarray | Tensor): (..., 2) as x, y in px.
        symmetry (int): 0..7.
        size (int): Side S of the image, px.
    """
    turns, flip = symmetry % 4, symmetry >= 4
    for _ in range(turns):
        points = _stack(points[..., 1], size - 1 - points[..., 0])
    if flip:
        points = _stack(points[..., 0], size - 1 - points[..., 1])
    return points


def restore_points(points: T, symmetry: int, size: int) -> T:
    """Undo :func:`transform_points`."""
    turns, flip = symmetry % 4, symmetry >= 4
    if flip:
        points = transform_points(points, 4, size)
    return transform_points(points, -turns % 4, size)


def _stack(x: T, y: T) -> T:
    if isinstance(x, torch.Tensor):
        return torch.stack([x, y], -1)
    return np.stack([x, y], -1)
