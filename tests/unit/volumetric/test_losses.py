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
from mmpose_ext.volumetric.expectation import softmax_moments
from mmpose_ext.volumetric.losses import (
    DannceHuberLoss,
    DannceL1Loss,
    DannceL2Loss,
)
from mmpose_ext.volumetric.volume_losses import (
    DannceGaussianLoss,
    DannceGaussianRegLoss,
    DannceLikelihoodLoss,
    DannceVarianceLoss,
)


def slow_huber(error: float) -> float:
    return error**2 / 10 if abs(error) < 5 else abs(error) - 2.5


KINDS = {DannceL1Loss: abs, DannceL2Loss: lambda error: error**2,
         DannceHuberLoss: slow_huber}
SLOPES = {DannceL1Loss: torch.sign, DannceL2Loss: lambda error: 2 * error,
          DannceHuberLoss: lambda error: (error / 5).clamp(-1, 1)}


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
    wanted[mask] = SLOPES[kind](error) * .5 / count
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


def test_huber_is_squared_near_zero_and_straight_beyond():
    points = torch.tensor([[[0., 2., 30.]]], requires_grad=True)
    target = torch.tensor([[[math.nan, 0., 0.]]])
    loss = DannceHuberLoss(beta=10., loss_weight=.5)(points, target)
    assert loss.item() == pytest.approx(.5 * (2**2 / 20 + 30 - 5) / 2)
    loss.backward()
    torch.testing.assert_close(
        points.grad, torch.tensor([[[0., .5 * .2 / 2, .5 * 1 / 2]]]))


def test_huber_without_a_square_is_an_error():
    with pytest.raises(ValueError, match='beta'):
        DannceHuberLoss(beta=0.)


def losses_of(points: Tensor, target: Tensor) -> Tensor:
    """All losses, each multiplied so that it shows in the sum."""
    local = (target / 4).detach()
    offsets = torch.arange(8.) - 3.5
    logits = points[..., :1, None, None].expand(-1, -1, 8, 8, 8)
    sloped = .02 * logits * offsets
    moments = softmax_moments(sloped, offsets)
    known = target.isfinite().all(-1)
    return (DannceL1Loss()(points, target)
            + .1 * DannceL2Loss()(points, target)
            + DannceHuberLoss()(points, target)
            + DannceVarianceLoss(1.)(sloped, moments, offsets)
            + .1 * DannceGaussianRegLoss(2.)(sloped, moments, offsets)
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
