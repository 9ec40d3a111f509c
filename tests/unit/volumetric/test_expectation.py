"""Moments of a softmax over voxels, against sums that list every voxel."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mmpose_ext.volumetric.expectation import (
    moments_of,
    place_in_grid,
    place_in_world,
    softmax_moments,
)


def offsets_of(side: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Voxel centres of a grid from -120 to 120 mm."""
    step = 240 / side
    return (torch.arange(side, dtype=torch.float64) * step + step / 2
            - 120).to(dtype)


def draw_logits(side: int, scale: float = 3., volumes: int = 2,
                keypoints: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(side)
    logits = scale * torch.randn(
        (volumes, keypoints, side, side, side), generator=generator)
    # a peak at another place in each, as a trained network has
    for number, volume in enumerate(logits.flatten(0, 1)):
        volume[number % side, -1 - number % side, side // 3] += 9
    return logits


def brute_force(logits: Tensor, offsets: Tensor) -> dict[str, np.ndarray]:
    """The same in float64, voxel by voxel."""
    flat = logits.detach().double().flatten(2).numpy()
    highest = flat.max(-1, keepdims=True)
    weights = np.exp(flat - highest)
    total = weights.sum(-1, keepdims=True)
    y, x, z = np.meshgrid(*[offsets.double().numpy()] * 3, indexing='ij')
    voxels = np.stack([x, y, z], -1).reshape(-1, 3)
    share = weights / total
    mean = share @ voxels
    return dict(
        mean=mean,
        variance=share @ voxels**2 - mean**2,
        log_sum=(highest + np.log(total))[..., 0],
        peak=share.max(-1))


@pytest.mark.parametrize('find', [softmax_moments, moments_of])
@pytest.mark.parametrize('side', [16, 48])
@pytest.mark.parametrize('scale', [.1, 3., 30.])
def test_moments_are_those_of_a_list_of_voxels(find, side, scale):
    logits, offsets = draw_logits(side, scale), offsets_of(side)
    found = find(logits, offsets)
    wanted = brute_force(logits, offsets)
    np.testing.assert_allclose(found.mean, wanted['mean'], atol=1e-4)
    np.testing.assert_allclose(
        found.variance, wanted['variance'], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found.log_sum, wanted['log_sum'], rtol=1e-6)
    np.testing.assert_allclose(found.peak, wanted['peak'], rtol=1e-4)


def test_full_size_volume_is_exact():
    logits, offsets = draw_logits(80, 2., 1, 2), offsets_of(80)
    found = softmax_moments(logits, offsets).mean
    np.testing.assert_allclose(
        found, brute_force(logits, offsets)['mean'], atol=1e-4)


def test_gradients_are_those_of_finite_differences():
    logits = draw_logits(4, 1.).double().requires_grad_()
    offsets = offsets_of(4, torch.float64) / 40

    def compute(values: Tensor) -> tuple[Tensor, ...]:
        return softmax_moments(values, offsets)[:3]

    assert torch.autograd.gradcheck(compute, logits)


@pytest.mark.parametrize('part', ['mean', 'variance', 'log_sum'])
def test_gradients_are_those_of_plain_operators(part):
    ours = draw_logits(16).requires_grad_()
    plain = ours.detach().clone().requires_grad_()
    offsets = offsets_of(16)
    for logits, find in ((ours, softmax_moments), (plain, moments_of)):
        value = getattr(find(logits, offsets), part)
        pull = torch.linspace(-1, 2, value.numel()).view_as(value)
        (value * pull).sum().backward()
    torch.testing.assert_close(ours.grad, plain.grad, rtol=1e-4, atol=1e-5)


def test_gradients_do_not_depend_on_the_order_in_memory():
    plain = draw_logits(8)
    other = plain.to(memory_format=torch.channels_last_3d)
    found = []
    for logits in (plain, other):
        logits.requires_grad_()
        softmax_moments(logits, offsets_of(8)).mean.square().sum().backward()
        found.append(logits.grad)
    torch.testing.assert_close(*found)


def test_only_the_logits_are_kept_for_the_gradient():
    logits = draw_logits(16).requires_grad_()
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: kept.append(tensor) or tensor, lambda kept: kept):
        softmax_moments(logits, offsets_of(16))
    large = [tensor for tensor in kept if tensor.numel() >= 16**3]
    assert [tensor.data_ptr() for tensor in large] == [logits.data_ptr()]


def test_half_precision_logits_are_summed_in_float32():
    logits, offsets = draw_logits(32).bfloat16(), offsets_of(32)
    logits.requires_grad_()
    found = softmax_moments(logits, offsets)
    assert found.mean.dtype == torch.float32
    np.testing.assert_allclose(
        found.mean.detach(), brute_force(logits, offsets)['mean'], atol=1e-4)
    found.mean.sum().backward()
    assert logits.grad.dtype == torch.bfloat16


def test_a_single_voxel_gives_its_centre_and_no_spread():
    offsets = offsets_of(80)
    logits = torch.zeros(1, 1, 80, 80, 80)
    logits[0, 0, 70, 2, 33] = 1e4
    found = softmax_moments(logits, offsets)
    assert found.mean[0, 0].tolist() == [
        offsets[2].item(), offsets[70].item(), offsets[33].item()]
    assert found.variance.max() < 1e-6
    assert found.peak.item() == 1


@pytest.mark.parametrize('mirror, scale', [(1., 1.), (-1., 1.), (-1., 1.2)])
@pytest.mark.parametrize('angle', [0., .3, np.pi / 2, 4.])
def test_turned_grids_place_points_in_the_world(angle, mirror, scale):
    cosine, sine = np.cos(angle), np.sin(angle)
    axes = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    axes = scale * axes @ np.diag([1, mirror, 1])
    local = np.random.default_rng(0).uniform(-120, 120, (2, 5, 3))
    centres = np.array([[300., -20, 40], [0, 0, 0]])
    wanted = np.einsum('ij,mkj->mki', axes, local) + centres[:, None]
    tensors = [torch.from_numpy(value).float() for value in (
        local, centres, np.stack([axes, axes]))]
    found = place_in_world(*tensors)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    np.testing.assert_allclose(
        place_in_grid(found, *tensors[1:]), local, atol=1e-4)


def test_turning_volume_and_grid_together_moves_no_point():
    """A right angle about z: the volume's y and x change places."""
    logits, offsets = draw_logits(16), offsets_of(16)
    centres = torch.tensor([[10., 20, 30], [1, 2, 3]])
    straight = torch.eye(3).expand(2, 3, 3)
    # the turned grid's x looks along the world's y, its y along minus x
    turn = torch.tensor([[0., -1, 0], [1, 0, 0], [0, 0, 1]]).expand(2, 3, 3)
    turned = logits.transpose(2, 3).flip(2)
    wanted = place_in_world(
        softmax_moments(logits, offsets).mean, centres, straight)
    found = place_in_world(
        softmax_moments(turned, offsets).mean, centres, turn)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
