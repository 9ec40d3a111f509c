"""Losses on volumes, against sums over their voxels."""
from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mmpose_ext.volumetric.expectation import softmax_moments
from mmpose_ext.volumetric.volume_losses import (
    DannceGaussianLoss,
    DannceGaussianRegLoss,
    DannceLikelihoodLoss,
    DannceVarianceLoss,
)


def test_likelihood_counts_known_labels_alone():
    log_share = torch.tensor([[-1., -3.], [-math.inf, -5.]],
                             requires_grad=True)
    known = torch.tensor([[True, True], [False, True]])
    loss = DannceLikelihoodLoss(.01)(log_share, known)
    assert loss.item() == pytest.approx(.01 * 3)
    loss.backward()
    torch.testing.assert_close(
        log_share.grad, -.01 / 3 * known.float())


@pytest.mark.parametrize('kind', ['bce', 'mse'])
def test_gaussian_is_compared_voxel_by_voxel(kind):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn((2, 3, 8, 8, 8), generator=generator).double()
    logits.requires_grad_()
    offsets = torch.arange(8).double() * 5 - 17.5
    local = 10 * torch.randn((2, 3, 3), generator=generator).double()
    local[0, 1, 2] = math.nan
    found = DannceGaussianLoss(10., kind, 2.)(logits, local, offsets)

    y, x, z = torch.meshgrid(offsets, offsets, offsets, indexing='ij')
    voxels = torch.stack([x, y, z], -1)
    distance = (voxels - local[:, :, None, None, None]).norm(dim=-1)
    target = torch.exp(-distance**2 / 200)
    if kind == 'bce':
        error = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, target.nan_to_num(), reduction='none')
        whole = (10 * math.sqrt(2 * math.pi) / 5)**3
    else:
        error = (logits.sigmoid() - target.nan_to_num())**2
        whole = (10 * math.sqrt(math.pi) / 5)**3
    each = error.sum((2, 3, 4)) / whole
    each = torch.where(local.isfinite().all(-1), each, 0.)
    wanted = 2 * each.sum() / 5
    torch.testing.assert_close(found, wanted, check_dtype=False)
    torch.testing.assert_close(
        *(torch.autograd.grad(value, logits)[0]
          for value in (found, wanted)), rtol=1e-5, atol=1e-9)


def test_gaussian_makes_no_volume_of_its_target():
    logits = torch.zeros(1, 2, 16, 16, 16, requires_grad=True)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: kept.append(tensor) or tensor, lambda kept: kept):
        DannceGaussianLoss()(logits, torch.zeros(1, 2, 3),
                             torch.arange(16.) - 7.5)
    large = {tensor.data_ptr() for tensor in kept if tensor.numel() > 4096}
    assert large <= {logits.data_ptr()}


def draw_volumes() -> tuple[Tensor, Tensor, Tensor]:
    """Logits, offsets and where the voxels are."""
    generator = torch.Generator().manual_seed(2)
    logits = 2 * torch.randn((2, 3, 6, 6, 6), generator=generator).double()
    offsets = torch.arange(6).double() * 4 - 10
    y, x, z = torch.meshgrid(offsets, offsets, offsets, indexing='ij')
    return (logits.requires_grad_(), offsets,
            torch.stack([x, y, z], -1).reshape(-1, 3))


def test_variance_is_summed_voxel_by_voxel():
    logits, offsets, voxels = draw_volumes()
    found = DannceVarianceLoss(.5)(
        logits, softmax_moments(logits, offsets), offsets)
    share = logits.flatten(2).softmax(-1)
    middle = share @ voxels
    squared = (voxels - middle.unsqueeze(-2)).square().sum(-1)
    wanted = .5 * (share * squared).sum(-1).mean()
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(
        *(torch.autograd.grad(value, logits)[0]
          for value in (found, wanted)))


def test_variance_of_an_empty_volume_is_a_quarter_of_its_side_squared():
    offsets = torch.arange(40.) * 3 - 58.5
    logits = torch.zeros(1, 1, 40, 40, 40)
    loss = DannceVarianceLoss(1.)(
        logits, softmax_moments(logits, offsets), offsets)
    assert loss.item() == pytest.approx(3600, rel=1e-2)


@pytest.mark.parametrize('kind', ['bce', 'mse'])
def test_regularising_gaussian_stays_at_the_prediction(kind):
    """The same as a label there, in value and gradient: nothing moves it."""
    logits, offsets, voxels = draw_volumes()
    found = DannceGaussianRegLoss(5., kind, .3)(
        logits, softmax_moments(logits, offsets), offsets)
    middle = (logits.detach().flatten(2).softmax(-1) @ voxels)
    wanted = .3 * DannceGaussianLoss(5., kind)(logits, middle, offsets)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(
        *(torch.autograd.grad(value, logits)[0]
          for value in (found, wanted)))


@pytest.mark.parametrize('loss', [
    DannceVarianceLoss(1.), DannceGaussianRegLoss(5., loss_weight=100.)])
def test_volumes_become_compact_without_labels(loss):
    logits, offsets, _ = draw_volumes()
    spread = [softmax_moments(logits, offsets).variance.sum(-1)]
    for _ in range(20):
        moments = softmax_moments(logits, offsets)
        gradient, = torch.autograd.grad(
            loss(logits, moments, offsets), logits)
        logits = (logits - gradient).detach().requires_grad_()
    spread.append(softmax_moments(logits, offsets).variance.sum(-1))
    assert (spread[1] < .9 * spread[0]).all()


def test_an_unknown_comparison_is_an_error():
    with pytest.raises(ValueError, match="'l1'"):
        DannceGaussianRegLoss(kind='l1')
