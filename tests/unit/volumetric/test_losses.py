"""Losses on points in mm, against loops over their coordinates."""
from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from mmpose_ext.volumetric import losses
from mmpose_ext.volumetric.losses import (
    DannceGaussianLoss,
    DannceL1Loss,
    DannceL2Loss,
    DannceLikelihoodLoss,
)

KINDS = {DannceL1Loss: abs, DannceL2Loss: lambda error: error**2}


def draw_points(known: str, volumes: int = 4,
                keypoints: int = 5) -> tuple[Tensor, Tensor]:
    """Predictions and labels of which all, some or none are known."""
    generator = torch.Generator().manual_seed(0)
    points, target = 20 * torch.randn(
        (2, volumes, keypoints, 3), generator=generator)
    if known == 'some':
        target[torch.rand(target.shape, generator=generator) < .4] = math.nan
        target[:, 2] = math.nan  # one keypoint nobody labelled
        target[0, 0] = torch.tensor([1., math.nan, 2.])
    elif known == 'none':
        target[:] = math.nan
    return points.requires_grad_(), target


def slow_mean(kind: type, points: Tensor, target: Tensor) -> float:
    errors = [KINDS[kind](float(p) - float(t)) for p, t in zip(
        points.flatten().tolist(), target.flatten().tolist(), strict=True)
        if not math.isnan(t)]
    return sum(errors) / max(len(errors), 1)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('known', ['all', 'some', 'none'])
def test_mean_over_labelled_coordinates(kind, known):
    points, target = draw_points(known)
    loss = kind(loss_weight=.5)(points, target)
    assert loss.item() == pytest.approx(
        .5 * slow_mean(kind, points, target), rel=1e-5)
    loss.backward()
    count = max(int(target.isfinite().sum()), 1)
    wanted = torch.zeros_like(target)
    mask = target.isfinite()
    error = (points - target)[mask].detach()
    wanted[mask] = (error.sign() if kind is DannceL1Loss else 2 * error
                    ) * .5 / count
    torch.testing.assert_close(points.grad, wanted)


@pytest.mark.parametrize('kind', KINDS)
def test_joint_weights_average_keypoints_first(kind):
    points, target = draw_points('some')
    loss = kind(joint_weights=[(0, 3.), (4, .5)])(points, target)
    weights = [3., 1., 1., 1., .5]
    wanted = np.mean([
        weight * slow_mean(kind, points[:, joint], target[:, joint])
        for joint, weight in enumerate(weights)])
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    loss.backward()
    assert points.grad.isfinite().all()
    assert not points.grad[:, 2].any()


def test_a_joint_weight_beyond_the_skeleton_is_an_error():
    points, target = draw_points('all')
    with pytest.raises(ValueError, match='below 5'):
        DannceL1Loss(joint_weights=[(5, 1.)])(points, target)


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


def losses_of(points: Tensor, target: Tensor) -> Tensor:
    """All losses, each multiplied so that it shows in the sum."""
    local = (target / 4).detach()
    offsets = torch.arange(8.) - 3.5
    logits = points[..., :1, None, None].expand(-1, -1, 8, 8, 8)
    known = target.isfinite().all(-1)
    return (DannceL1Loss()(points, target)
            + .1 * DannceL2Loss()(points, target)
            + DannceL1Loss(joint_weights=[(0, 3.)])(points, target)
            + DannceLikelihoodLoss()(points[..., 0], known)
            + .01 * DannceGaussianLoss(2.)(logits, local, offsets))


class Meeting:
    """Stands for the process group of threads that each are a process."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size, timeout=60)
        self.lock = threading.Lock()
        self.total: Tensor | None = None

    def all_reduce(self, value: Tensor) -> None:
        with self.lock:
            self.total = value if self.total is None else self.total + value
        self.barrier.wait()
        total = self.total
        if self.barrier.wait() == 0:
            self.total = None
        self.barrier.wait()
        value.copy_(total)


def test_two_processes_with_half_the_batch_are_one(monkeypatch):
    points, target = draw_points('some')
    target[3] = math.nan  # the second process has fewer labels
    whole = losses_of(points, target)
    whole.backward()

    meeting = Meeting(2)
    monkeypatch.setattr(losses, 'all_reduce', meeting.all_reduce)
    monkeypatch.setattr(losses, 'get_world_size', lambda: 2)

    def train(rank: int) -> tuple[float, Tensor]:
        rows = slice(2 * rank, 2 * rank + 2)
        own = points.detach()[rows].requires_grad_()
        loss = losses_of(own, target[rows])
        loss.backward()
        return loss.item(), own.grad

    with ThreadPoolExecutor(2) as threads:
        halves = list(threads.map(train, range(2)))
    assert np.mean([value for value, _ in halves]) == pytest.approx(
        whole.item(), rel=1e-5)
    # processes average their gradients; each has its own samples
    both = torch.cat([gradient for _, gradient in halves]) / 2
    torch.testing.assert_close(both, points.grad)
