"""Features between voxels, against torch's sampling and closed forms."""
from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmpose_ext.volumetric.feature_sampling import sample_features

SIDE, STEP = 16, 5.
OFFSETS = (torch.arange(SIDE) + .5) * STEP - SIDE * STEP / 2
HALF = SIDE * STEP / 2


def draw(side: int = SIDE, channels: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(side)
    features = torch.randn((2, channels, side, side, side),
                           generator=generator)
    points = (2 * torch.rand((2, 30, 3), generator=generator) - 1) * HALF
    return features, points


def torch_sample(features: Tensor, points: Tensor) -> Tensor:
    """The library's, for which the last axis is the first coordinate."""
    x, y, z = (points / HALF).unbind(-1)
    grid = torch.stack([z, x, y], -1)[:, :, None, None]
    found = F.grid_sample(features, grid, padding_mode='zeros',
                          align_corners=False)
    return found[..., 0, 0].transpose(1, 2)


@pytest.mark.parametrize('side', [16, 8, 4])
def test_every_level_agrees_with_torch_in_values_and_gradients(side):
    features, points = draw(side)
    points = 1.1 * points  # some outside
    results = []
    for sample in (lambda f, p: sample_features(f, p, OFFSETS),
                   torch_sample):
        f, p = features.clone(), points.clone()
        found = sample(f.requires_grad_(), p.requires_grad_())
        found.square().sum().backward()
        results.append((found, f.grad, p.grad))
    for ours, other in zip(*results, strict=True):
        torch.testing.assert_close(ours, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('side', [16, 8, 4])
def test_a_ramp_over_the_cube_gives_the_coordinates_in_mm(side):
    """No level is shifted against the others, by however little."""
    centres = (torch.arange(side) + .5) * (2 * HALF / side) - HALF
    y, x, z = torch.meshgrid(centres, centres, centres, indexing='ij')
    features = torch.stack([x, y, z])[None]
    inside = HALF - HALF / side
    points = (2 * torch.rand(1, 50, 3) - 1) * inside
    torch.testing.assert_close(
        sample_features(features, points, OFFSETS), points,
        atol=1e-4, rtol=1e-5)


def test_a_voxel_centre_gives_the_voxel():
    features, _ = draw()
    places = torch.tensor([[0, 0, 0], [15, 15, 15], [3, 7, 12]])
    found = sample_features(features[:1], OFFSETS[places][None], OFFSETS)
    for row, (x, y, z) in zip(found[0], places.tolist(), strict=True):
        torch.testing.assert_close(row, features[0, :, y, x, z])


def test_features_are_zero_outside():
    features, _ = draw()
    points = torch.tensor([[[HALF + STEP, 0., 0.], [0., -1e6, 0.]]] * 2)
    points.requires_grad_()
    found = sample_features(features, points, OFFSETS)
    found.sum().backward()
    assert not found.any() and not points.grad.any()


def test_an_unknown_point_reads_nothing():
    """And no voxel that is not there, which would end a run on a GPU."""
    features, points = draw()
    features.requires_grad_()
    wanted = sample_features(features, points, OFFSETS).detach()
    points[1, 3:] = torch.nan
    points[0, 0, 2] = torch.inf
    found = sample_features(features, points, OFFSETS)
    found.sum().backward()
    assert not found[1, 3:].any() and not found[0, 0].any()
    torch.testing.assert_close(found[0, 1:], wanted[0, 1:])
    assert features.grad.isfinite().all()


def test_slow_sums_over_all_voxels_agree():
    """Each voxel counts by the product of its tents along the axes."""
    features, points = draw(4, 2)
    centres = (torch.arange(4) + .5) * (2 * HALF / 4) - HALF
    wanted = torch.zeros(2, 30, 2)
    for y, x, z in itertools.product(range(4), repeat=3):
        voxel = torch.stack([centres[x], centres[y], centres[z]])
        tent = (1 - (points - voxel).abs() / (2 * HALF / 4)).clamp(min=0)
        wanted += tent.prod(-1, keepdim=True) * features[:, None, :, y, x, z]
    torch.testing.assert_close(
        sample_features(features, points, OFFSETS), wanted,
        atol=1e-5, rtol=1e-4)


class _LargeResults(TorchDispatchMode):
    """Counts what is made anew and has the features' size."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.size, self.count = features.numel(), 0
        self.known = {features.untyped_storage().data_ptr()}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if isinstance(found, Tensor) and found.numel() >= self.size:
            self.count += (
                found.untyped_storage().data_ptr() not in self.known)
        return found


@pytest.mark.parametrize('order', [torch.contiguous_format,
                                   torch.channels_last_3d])
def test_volumes_of_either_order_are_never_copied(order):
    features, points = draw(channels=32)
    wanted = sample_features(features, points, OFFSETS)
    features = features.contiguous(memory_format=order)
    with _LargeResults(features) as mode:
        found = sample_features(features, points, OFFSETS)
    assert mode.count == 0
    torch.testing.assert_close(found, wanted)


def test_half_precision_features_are_weighed_in_float32():
    features, points = draw()
    found = sample_features(features.bfloat16(), points, OFFSETS)
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found, sample_features(features.bfloat16().float(), points, OFFSETS))


def test_gradients_agree_with_differences():
    features, points = draw(4)
    assert torch.autograd.gradcheck(
        lambda f, p: sample_features(f, p, OFFSETS.double()),
        (features.double().requires_grad_(),
         points[:, :4].double().requires_grad_()), fast_mode=True)
