"""The pinhole camera with lens distortion, in arithmetic alone.

Every formula works on NumPy arrays and on torch tensors alike, in the
precision of its arguments, and broadcasts.

Conventions: world and camera coordinates in mm, x right, y down, z ahead of
the camera; pixel centres lie at integers, the first at (0, 0). Distortion is
that of OpenCV and MATLAB, (k1, k2, p1, p2, k3): polynomial along the radius,
and tangential.
"""
from __future__ import annotations

from typing import TypeVar

import numpy as np
from torch import Tensor

Numbers = TypeVar('Numbers', np.ndarray, Tensor)


def distort(x: Numbers, y: Numbers,
            coefficients: Numbers) -> tuple[Numbers, Numbers]:
    """Bend normalised coordinates as the lens does.

    Args:
        x (ndarray | Tensor): x / z in the camera's frame.
        y (ndarray | Tensor): y / z.
        coefficients (ndarray | Tensor): (..., 5) k1, k2, p1, p2, k3; the
            leading axes broadcast against those of x.

    Returns:
        tuple: x and y as distorted.
    """
    k1, k2, p1, p2, k3 = (coefficients[..., i] for i in range(5))
    square = x * x + y * y
    radial = 1 + square * (k1 + square * (k2 + square * k3))
    cross = 2 * x * y
    return (x * radial + p1 * cross + p2 * (square + 2 * x * x),
            y * radial + p2 * cross + p1 * (square + 2 * y * y))


def distortion_jacobian(
        x: Numbers, y: Numbers, coefficients: Numbers
) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Derivatives of :func:`distort`.

    Returns:
        tuple: dx'/dx, dx'/dy, dy'/dx and dy'/dy; the two mixed ones are
        equal.
    """
    k1, k2, p1, p2, k3 = (coefficients[..., i] for i in range(5))
    square = x * x + y * y
    radial = 1 + square * (k1 + square * (k2 + square * k3))
    slope = 2 * (k1 + square * (2 * k2 + square * 3 * k3))
    mixed = slope * x * y + 2 * p1 * x + 2 * p2 * y
    return (radial + slope * x * x + 2 * p1 * y + 6 * p2 * x, mixed, mixed,
            radial + slope * y * y + 2 * p2 * x + 6 * p1 * y)


def to_pixels(x: Numbers, y: Numbers,
              intrinsics: Numbers) -> tuple[Numbers, Numbers]:
    """Normalised coordinates to pixels.

    Args:
        x (ndarray | Tensor): x / z, distorted.
        y (ndarray | Tensor): y / z, distorted.
        intrinsics (ndarray | Tensor): (..., 3, 3) [[fx, skew, cx],
            [0, fy, cy], [0, 0, 1]].
    """
    return (x * intrinsics[..., 0, 0] + y * intrinsics[..., 0, 1]
            + intrinsics[..., 0, 2],
            y * intrinsics[..., 1, 1] + intrinsics[..., 1, 2])


def to_normalised(u: Numbers, v: Numbers,
                  intrinsics: Numbers) -> tuple[Numbers, Numbers]:
    """Pixels to normalised coordinates, distorted as the pixels are."""
    y = (v - intrinsics[..., 1, 2]) / intrinsics[..., 1, 1]
    x = u - intrinsics[..., 0, 2] - y * intrinsics[..., 0, 1]
    return x / intrinsics[..., 0, 0], y
