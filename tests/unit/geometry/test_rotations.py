"""Rotations, against SciPy's."""
from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mmpose_ext.geometry.rotations import (
    rotation_angle,
    rotation_from_6d,
    rotation_to_ray,
)


def random_rotations(count: int, seed: int = 0) -> torch.Tensor:
    rotations = Rotation.random(count, random_state=seed)
    return torch.from_numpy(rotations.as_matrix())


def test_columns_of_a_rotation_come_back() -> None:
    rotations = random_rotations(50)
    columns = torch.cat([rotations[..., 0], rotations[..., 1]], -1)
    torch.testing.assert_close(rotation_from_6d(columns), rotations)


def test_any_six_numbers_are_a_proper_rotation() -> None:
    six = torch.randn(200, 6, generator=torch.Generator().manual_seed(0)) * 10
    rotations = rotation_from_6d(six).double()
    eye = torch.eye(3, dtype=torch.float64).expand(200, 3, 3)
    torch.testing.assert_close(rotations @ rotations.mT, eye, atol=1e-5,
                               rtol=0)
    assert (torch.linalg.det(rotations) > 0).all()
    # the first column is the first vector, and no row
    first = torch.nn.functional.normalize(six[:, :3], dim=-1)
    torch.testing.assert_close(rotations[..., 0].float(), first)


@pytest.mark.parametrize('six', [
    torch.zeros(6), torch.tensor([1., 0, 0, 2., 0, 0])])
def test_degenerate_vectors_stay_finite(six: torch.Tensor) -> None:
    six.requires_grad_()
    rotation_from_6d(six).sum().backward()
    assert torch.isfinite(six.grad).all()


def test_angle_is_scipys() -> None:
    first, second = random_rotations(100), random_rotations(100, 1)
    expected = (Rotation.from_matrix(first).inv()
                * Rotation.from_matrix(second)).magnitude()
    np.testing.assert_allclose(rotation_angle(first, second), expected,
                               atol=1e-6)


@pytest.mark.parametrize('angle', [0., 1e-4, math.pi - 1e-4, math.pi])
def test_gradient_of_the_angle_is_finite_at_its_ends(angle: float) -> None:
    turned = torch.from_numpy(
        Rotation.from_rotvec([0, angle, 0]).as_matrix()).requires_grad_()
    found = rotation_angle(torch.eye(3, dtype=torch.float64), turned)
    found.backward()
    assert found.item() == pytest.approx(angle, abs=2e-6)
    assert torch.isfinite(turned.grad).all()


def test_ray_rotation_is_the_shortest_from_the_axis() -> None:
    rays = torch.tensor([[0., 0, 1], [.3, -.2, 1], [-2, 1, .5]],
                        dtype=torch.float64)
    units = rays / rays.norm(dim=-1, keepdim=True)
    rotations = rotation_to_ray(rays)
    torch.testing.assert_close(rotations[..., 2], units)
    angles = Rotation.from_matrix(rotations).magnitude()
    np.testing.assert_allclose(np.cos(angles), units[:, 2], atol=1e-12)
    assert np.allclose(np.linalg.det(rotations), 1)
