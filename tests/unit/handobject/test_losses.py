"""Losses of the hand: what they are 0 for, and what they do not see."""
from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import Tensor

import mmpose_ext.handobject  # noqa: F401
from mmpose_ext.handobject import losses
from mmpose_ext.handobject.branches import make_hand
from mmpose_ext.handobject.losses import batch_spread, masked_mean
from mmpose_ext.handobject.records import (
    HandObjectPrediction,
    HandObjectTargets,
    HandPose,
)
from mmpose_ext.registry import MODELS
from tests.unit.handobject.batches import SIZE, make_samples

HAND_LOSSES = ('Pixel', 'Depth', 'RootDepth', 'Relative', 'Absolute', 'Bone')


@pytest.fixture(autouse=True)
def scope() -> None:
    init_default_scope('mmpose')


@pytest.fixture
def targets() -> HandObjectTargets:
    return HandObjectTargets.stack(make_samples(4), SIZE)


def build(name: str, **settings: object) -> Callable[..., Tensor]:
    return MODELS.build(dict(type=f'mmpose_ext.HandObject{name}Loss',
                             **settings))


def true_hand(targets: HandObjectTargets) -> HandPose:
    depth = targets.joints[..., 2]
    return make_hand(targets.pixels.clone(), depth - depth[:, :1],
                     targets.root_rho.clone(), targets.view_camera, SIZE)


def predict(*hands: HandPose) -> HandObjectPrediction:
    return HandObjectPrediction(list(hands), torch.zeros(4, 21, 8, 8),
                                torch.zeros(4, 21))


def moved(hand: HandPose, targets: HandObjectTargets, **changes: Tensor
          ) -> HandPose:
    parts = {name: changes.get(name, 0.) + getattr(hand, name) for name in
             ('pixels', 'depth_offsets', 'root_rho')}
    return make_hand(*parts.values(), targets.view_camera, SIZE)


@pytest.mark.parametrize('name', HAND_LOSSES)
def test_the_truth_costs_nothing(name: str,
                                 targets: HandObjectTargets) -> None:
    loss = build(name)(predict(true_hand(targets)), targets)
    assert loss.item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize('name', HAND_LOSSES)
def test_what_has_no_weight_is_not_seen(name: str,
                                        targets: HandObjectTargets) -> None:
    hand = true_hand(targets)
    off = torch.zeros(4, 21, 2)
    off[0, 5:] = 30.
    depths = torch.zeros(4, 21)
    depths[0] = .2
    wrong = moved(hand, targets, pixels=off, depth_offsets=depths,
                  root_rho=torch.tensor([1., 0, 0, 0]))
    assert build(name)(predict(wrong), targets) > 1e-3
    targets.joint_weights[0] = 0
    targets.hand_valid[0] = 0
    targets.joints[0] = float('nan')  # labels of no hand
    loss = build(name)(predict(wrong), targets)
    assert loss.item() == pytest.approx(0, abs=1e-5)


def test_values_of_known_errors(targets: HandObjectTargets) -> None:
    hand = true_hand(targets)
    shifted = moved(hand, targets, pixels=torch.full((4, 21, 2), 3.2))
    # 5 % of the side in x and in y, linear beyond beta
    value = build('Pixel', beta=.001)(predict(shifted), targets)
    assert value.item() == pytest.approx(2 * (.05 - .0005), rel=1e-4)
    depths = torch.full((4, 21), .02)
    depths[:, 0] = 0
    deeper = moved(hand, targets, depth_offsets=depths)
    value = build('Depth')(predict(deeper), targets)
    assert value.item() == pytest.approx(.02 * 20 / 21, rel=1e-4)
    farther = moved(hand, targets, root_rho=torch.full((4, ), .1))
    value = build('RootDepth')(predict(farther), targets)
    assert value.item() == pytest.approx(.1, rel=1e-5)


def test_relative_loss_is_the_mean_distance(
        targets: HandObjectTargets) -> None:
    hand = copy.copy(true_hand(targets))
    generator = torch.Generator().manual_seed(0)
    hand.joints = hand.joints + .03 * torch.randn(4, 21, 3,
                                                  generator=generator)
    error = ((hand.joints - hand.joints[:, :1])
             - (targets.joints - targets.joints[:, :1])).norm(dim=-1)[:, 1:]
    value = build('Relative')(predict(hand), targets)
    assert value.item() == pytest.approx(error.mean().item(), rel=1e-4)
    # and does not see where the whole hand is
    hand.joints = hand.joints + torch.tensor([.1, -.2, .3])
    again = build('Relative')(predict(hand), targets)
    assert again.item() == pytest.approx(value.item(), rel=1e-4)
    tips = build('Relative', tip_weight=2.)(predict(hand), targets)
    weights = torch.ones(20)
    weights[[3, 7, 11, 15, 19]] = 2
    assert tips.item() == pytest.approx(
        ((error * weights).sum() / weights.sum() / 4).item(), rel=1e-4)


def test_every_step_counts_and_the_last_more(
        targets: HandObjectTargets) -> None:
    hand = true_hand(targets)
    wrong = moved(hand, targets, root_rho=torch.full((4, ), .1))
    loss = build('RootDepth', loss_weight=2., final_weight=1.5)
    assert loss(predict(wrong), targets).item() == pytest.approx(.2)
    assert loss(predict(wrong, wrong), targets).item() == pytest.approx(.5)
    assert loss(predict(wrong, hand), targets).item() == pytest.approx(.2)


def test_joints_far_outside_do_not_pull_pixels(
        targets: HandObjectTargets) -> None:
    hand = true_hand(targets)
    targets.pixels[0, 3] = 2. * SIZE
    loss = build('Pixel')(predict(hand), targets)
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_uncertainty_is_least_at_the_true_spread(
        targets: HandObjectTargets) -> None:
    hand = moved(true_hand(targets), targets,
                 pixels=torch.full((4, 21, 2), 3.2))
    loss = build('Uncertainty')
    spreads = torch.linspace(-5, 0, 51)
    values = []
    for spread in spreads:
        prediction = predict(hand)
        prediction.log_spread = torch.full((4, 21), spread.item())
        values.append(loss(prediction, targets).item())
    best = spreads[torch.tensor(values).argmin()].exp()
    assert best.item() == pytest.approx(.05, rel=.06)  # mean of two axes
    hand.pixels.requires_grad_()
    prediction = predict(hand)
    prediction.log_spread.requires_grad_()
    loss(prediction, targets).backward()
    assert hand.pixels.grad is None


def test_maps_are_compared_with_bumps(targets: HandObjectTargets) -> None:
    targets.pixels[:] = torch.rand(4, 21, 2) * (SIZE - 1)
    targets.pixels[0, 3] = -5.  # outside: no map can say so
    loss = build('Map', sigma=.05)
    centres = (torch.arange(8.) + .5) * SIZE / 8 - .5
    x, y = (targets.pixels[..., axis, None] - centres for axis in (0, 1))
    squares = (x[:, :, None].square() + y[..., None].square())
    prediction = predict(true_hand(targets))
    prediction.maps = -squares / (2 * (.05 * SIZE)**2) + 7.
    prediction.maps[0, 3] = torch.randn(8, 8)
    assert loss(prediction, targets).item() == pytest.approx(0, abs=1e-5)
    bumps = (-squares / (2 * (.05 * SIZE)**2)).flatten(2).softmax(-1)
    entropy = torch.distributions.Categorical(bumps).entropy()
    seen = torch.ones(4, 21, dtype=torch.bool)
    seen[0, 3] = False
    prediction.maps = torch.zeros(4, 21, 8, 8)
    expected = (torch.tensor(64.).log() - entropy)[seen].mean()
    assert loss(prediction, targets).item() == pytest.approx(expected.item(),
                                                             rel=1e-4)


def test_spread_is_root_relative(targets: HandObjectTargets) -> None:
    joints, valid = targets.joints, targets.hand_valid
    relative = joints - joints[:, :1]
    expected = (relative - relative.mean(0)).square().sum(-1).mean(0).sqrt()
    torch.testing.assert_close(batch_spread(joints, valid), expected,
                               atol=1e-5, rtol=1e-4)
    # hands that differ by where they are do not differ
    same = joints[:1] + torch.randn(4, 1, 3)
    assert batch_spread(same, valid).max() < 1e-5
    # one that is none is left out
    valid[3] = 0
    joints[3] = float('nan')
    assert torch.isfinite(batch_spread(joints, valid)).all()


def test_collapse_costs(targets: HandObjectTargets) -> None:
    hand, mean = true_hand(targets), copy.copy(true_hand(targets))
    mean.joints = targets.joints.mean(0, keepdim=True).expand(4, -1, -1)
    loss = build('VarianceMatch')
    assert loss(predict(hand), targets).item() == pytest.approx(0, abs=1e-3)
    assert loss(predict(mean), targets).item() == pytest.approx(1, abs=1e-3)
    hinge = build('DiversityHinge', margin=.02)
    assert hinge(predict(hand), targets).item() == 0
    assert hinge(predict(mean), targets).item() == pytest.approx(.02, rel=.01)


def test_limits_see_a_finger_bent_back(targets: HandObjectTargets) -> None:
    loss = build('JointLimit')
    prediction = predict(true_hand(targets))
    assert torch.isfinite(loss(prediction, targets))
    targets.hand_valid[:] = 0
    assert loss(prediction, targets).item() == 0


def test_mean_of_nothing_is_nothing() -> None:
    values = torch.tensor([1., float('nan')], requires_grad=True)
    mean = masked_mean(values, torch.zeros(2))
    mean.backward()
    assert mean.item() == 0
    assert torch.equal(values.grad, torch.zeros(2))
    mean = masked_mean(values, torch.tensor([2., 0.]))
    assert mean.item() == 1


def test_left_hands_are_no_right_ones(targets: HandObjectTargets) -> None:
    targets.chirality[1:] = -1
    prediction = predict(true_hand(targets))
    relative = targets.joints - targets.joints[:, :1]
    off = torch.tensor([0, .01, 0]).expand(4, 21, 3).clone()
    off[1:] = 1.
    prediction.mano_joints = (relative + off).requires_grad_()
    prediction.mano_shape = torch.full((4, 10), 2.)
    loss = build('Mano', shape_weight=.1)(prediction, targets)
    assert loss.item() == pytest.approx(.01 + .1 * 4, rel=1e-5)
    loss.backward()
    assert not prediction.mano_joints.grad[1:].any()


class Processes:
    """Threads that stand for two processes which reduce together."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.barrier = threading.Barrier(2, timeout=20)
        self.sent: dict[int, Tensor] = {}
        self.local = threading.local()
        monkeypatch.setattr(losses, 'all_reduce', self.all_reduce)
        monkeypatch.setattr(losses, 'get_world_size', lambda: 2)

    def all_reduce(self, tensor: Tensor, op: str) -> None:
        self.sent[self.local.rank] = tensor.detach().clone()
        self.barrier.wait()
        total = self.sent[0] + self.sent[1]
        self.barrier.wait()
        tensor.copy_(total if op == 'sum' else total / 2)

    def mean(self, of_rank: Callable[[int], Tensor]) -> Tensor:
        """Mean of what both get, as gradients are averaged."""

        def work(rank: int) -> Tensor:
            self.local.rank = rank
            return of_rank(rank)

        with ThreadPoolExecutor(2) as pool:
            return torch.stack(list(pool.map(work, range(2)))).mean(0)


HALVES = (slice(0, 5), slice(5, 8))  # of unlike size


def test_two_processes_mean_over_all_their_samples(
        monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    values, weights = torch.rand(8, 21), torch.rand(8, 21)
    weights[:3] = 0
    pooled = (values * weights).sum() / weights.sum()
    assert masked_mean(values, weights).item() == pytest.approx(pooled.item())
    found = Processes(monkeypatch).mean(
        lambda rank: masked_mean(values[HALVES[rank]], weights[HALVES[rank]]))
    assert found.item() == pytest.approx(pooled.item(), rel=1e-5)


def test_spread_of_two_processes_and_its_gradient(
        monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    joints, valid = torch.rand(8, 21, 3), torch.ones(8)
    valid[[2, 6]] = 0
    factor = torch.ones(21, requires_grad=True)  # what both learn

    def gradient_of(rows: slice) -> Tensor:
        spread = batch_spread(joints[rows] * factor[:, None], valid[rows])
        return torch.autograd.grad(spread.square().sum(), factor)[0]

    kept = joints[valid > 0] * factor[:, None]
    relative = kept - kept[:, :1]
    pooled = relative.var(0, correction=0).sum(-1)
    expected = torch.autograd.grad(pooled.sum(), factor)[0]
    torch.testing.assert_close(batch_spread(joints, valid).square(),
                               pooled.detach(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(gradient_of(slice(None)), expected)
    both = Processes(monkeypatch)
    spreads = both.mean(
        lambda rank: batch_spread(joints[HALVES[rank]], valid[HALVES[rank]]))
    torch.testing.assert_close(spreads.square(), pooled.detach(), atol=1e-5,
                               rtol=1e-4)
    found = both.mean(lambda rank: gradient_of(HALVES[rank]))
    torch.testing.assert_close(found, expected)
