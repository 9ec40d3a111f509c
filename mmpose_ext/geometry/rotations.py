"""Rotations as networks predict and compare them, on torch tensors.

Matrices act on column vectors. Everything is computed in float32 at least,
under autocast too.
"""
from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_TINY = 1e-12


def rotation_from_6d(six: Tensor) -> Tensor:
    """Rotation matrices of two column vectors, made orthonormal.

    The representation is continuous (Zhou et al., CVPR 2019). PyTorch3D
    takes the two for rows: its matrices are the transposes of these.

    Args:
        six (Tensor): (..., 6), the first column and then the second, of any
            length and angle.

    Returns:
        Tensor: (..., 3, 3), proper rotations; finite for any input.
    """
    with torch.autocast(six.device.type, enabled=False):
        six = six if six.dtype == torch.float64 else six.float()
        first = F.normalize(six[..., :3], dim=-1, eps=1e-8)
        second = six[..., 3:]
        second = second - (first * second).sum(-1, keepdim=True) * first
        second = F.normalize(second, dim=-1, eps=1e-8)
        third = torch.cross(first, second, dim=-1)
        return torch.stack([first, second, third], -1)


def rotation_angle(first: Tensor, second: Tensor) -> Tensor:
    """Angle between rotations, the geodesic distance.

    By the arc tangent of sine and cosine, whose gradient is finite at 0 and
    at pi; that of the arc cosine is not.

    Args:
        first (Tensor): (..., 3, 3).
        second (Tensor): The same, broadcast.

    Returns:
        Tensor: (...) rad, 0 to pi.
    """
    relative = first.transpose(-1, -2) @ second
    axis = torch.stack([
        relative[..., 2, 1] - relative[..., 1, 2],
        relative[..., 0, 2] - relative[..., 2, 0],
        relative[..., 1, 0] - relative[..., 0, 1]
    ], -1)
    sine = ((axis * axis).sum(-1) + _TINY).sqrt() / 2
    cosine = (relative.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    return torch.atan2(sine, cosine)


def rotation_to_ray(directions: Tensor) -> Tensor:
    """The shortest rotation that turns the optical axis, +z, into a ray.

    An object's rotation behind it, ``rotation_to_ray(ray).T @ R``, is the
    allocentric one: what a crop shows of the object, wherever it lies in the
    picture.

    Args:
        directions (Tensor): (..., 3) rays with z > 0, of any length.

    Returns:
        Tensor: (..., 3, 3).
    """
    x, y, z = F.normalize(directions, dim=-1, eps=1e-8).unbind(-1)
    shared = 1 / (1 + z)
    rows = [
        torch.stack([1 - x * x * shared, -x * y * shared, x], -1),
        torch.stack([-x * y * shared, 1 - y * y * shared, y], -1),
        torch.stack([-x, -y, z], -1)
    ]
    return torch.stack(rows, -2)
