"""Losses against torch's own and against their formulas."""
from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from mmpose_ext.behavior.losses import (
    LisbetBinaryLoss,
    LisbetClassLoss,
    LisbetMultilabelLoss,
)
from mmpose_ext.storage import DataError

COUNTS = torch.tensor([10, 60, 30])


def logits_of(count: int = 8, classes: int = 3) -> Tensor:
    return torch.randn(count, classes,
                       generator=torch.Generator().manual_seed(0))


def test_binary_loss_is_cross_entropy_also_of_shares() -> None:
    logits, target = logits_of(8, 1), torch.rand(8, 1)
    chance = logits.sigmoid()
    wanted = -(target * chance.log() + (1 - target) * (1 - chance).log())
    torch.testing.assert_close(LisbetBinaryLoss()(logits, target),
                               wanted.mean())
    torch.testing.assert_close(
        LisbetBinaryLoss(label_smoothing=.2)(logits, torch.ones(8, 1)),
        LisbetBinaryLoss()(logits, torch.full((8, 1), .9)))


def test_squared_loss_compares_the_chance() -> None:
    logits, target = logits_of(8, 1), torch.rand(8, 1)
    torch.testing.assert_close(LisbetBinaryLoss('mse')(logits, target),
                               (logits.sigmoid() - target).square().mean())


def test_balanced_weights_are_the_published_ones() -> None:
    loss = LisbetClassLoss()
    loss.set_class_counts(COUNTS, 100)
    torch.testing.assert_close(loss.class_weight,
                               torch.tensor([100 / 30, 100 / 180, 100 / 90]))


@pytest.mark.parametrize('smoothing', [0., .1])
@pytest.mark.parametrize('ignored', [False, True])
def test_class_loss_is_the_weighted_mean_of_torch(smoothing: float,
                                                  ignored: bool) -> None:
    loss = LisbetClassLoss(label_smoothing=smoothing)
    loss.set_class_counts(COUNTS, 100)
    logits, target = logits_of(), torch.tensor([0, 1, 2, 1, 1, 2, 0, 1])
    if ignored:
        target[::3] = -1
    torch.testing.assert_close(loss(logits, target), F.cross_entropy(
        logits, target, loss.class_weight, ignore_index=-1,
        label_smoothing=smoothing))


def test_shares_of_annotators_mix_the_losses_of_their_labels() -> None:
    loss = LisbetClassLoss(class_weight=None)
    logits = logits_of(4)
    shares = torch.tensor([[.5, .5, 0], [1., 0, 0], [0, .25, .75], [0, 0, 1]])
    logp = logits.log_softmax(-1)
    torch.testing.assert_close(loss(logits, shares),
                               -(shares * logp).sum(-1).mean())
    labels = torch.tensor([0, 2, 1, 1])
    torch.testing.assert_close(
        loss(logits, F.one_hot(labels, 3).float()), loss(logits, labels))


def test_focal_loss_weighs_down_what_is_known() -> None:
    logits, target = logits_of(), torch.tensor([0, 1, 2, 1, 1, 2, 0, 1])
    chance = logits.softmax(-1).gather(1, target[:, None])[:, 0]
    torch.testing.assert_close(
        LisbetClassLoss(None, focal_gamma=2)(logits, target),
        -((1 - chance)**2 * chance.log()).mean())
    labels = torch.randint(0, 2, (8, 3)).float()
    chance = torch.where(labels > 0, logits.sigmoid(), 1 - logits.sigmoid())
    torch.testing.assert_close(
        LisbetMultilabelLoss('none', focal_gamma=2)(logits, labels),
        -((1 - chance)**2 * chance.log()).mean())


def test_published_weights_hold_for_positives_and_negatives() -> None:
    loss = LisbetMultilabelLoss('published')
    loss.set_class_counts(COUNTS, 100)
    logits, labels = logits_of(), torch.randint(0, 2, (8, 3)).float()
    weights = 100 / (2 * COUNTS + 1e-6)
    torch.testing.assert_close(
        loss(logits, labels),
        F.binary_cross_entropy_with_logits(logits, labels, weights))


def test_positives_balance_negatives() -> None:
    loss = LisbetMultilabelLoss()
    loss.set_class_counts(COUNTS, 100)
    torch.testing.assert_close(loss.class_weight,
                               torch.tensor([9., 2 / 3, 7 / 3]))
    # a constant answer is best where half of the weight is positive
    labels = (torch.arange(100)[:, None] < COUNTS).float()
    logits = torch.zeros(3, requires_grad=True)
    loss(logits.expand(100, 3), labels).backward()
    torch.testing.assert_close(logits.grad, torch.zeros(3), atol=1e-7, rtol=0)


def test_unknown_labels_do_not_count() -> None:
    loss = LisbetMultilabelLoss('none')
    logits, labels = logits_of(), torch.randint(0, 2, (8, 3)).float()
    partly = labels.clone()
    partly[2:] = -1
    torch.testing.assert_close(loss(logits, partly),
                               loss(logits[:2], labels[:2]))
    nothing = loss(logits, torch.full((8, 3), -1.))
    assert nothing == 0
    assert LisbetClassLoss(None)(
        logits, torch.full((8, ), -1)).item() == 0


@pytest.mark.parametrize('loss', [LisbetClassLoss(), LisbetMultilabelLoss()])
def test_class_that_never_occurs_is_named(loss: torch.nn.Module) -> None:
    with pytest.raises(DataError, match='none of mount'):
        loss.set_class_counts(torch.tensor([3, 0, 4]), 7,
                              ('attack', 'mount', 'other'))


@pytest.mark.parametrize('loss', [LisbetClassLoss(), LisbetMultilabelLoss()])
def test_balance_without_counts_is_an_error(loss: torch.nn.Module) -> None:
    target = (torch.zeros(8, dtype=torch.long)
              if isinstance(loss, LisbetClassLoss) else torch.zeros(8, 3))
    with pytest.raises(DataError, match='LisbetClassBalanceHook'):
        loss(logits_of(), target)
    loss.set_class_counts(torch.tensor([1, 2]), 3)
    with pytest.raises(DataError, match='2 classes'):
        loss(logits_of(), target)


def test_weights_are_no_part_of_a_checkpoint() -> None:
    loss = LisbetClassLoss()
    loss.set_class_counts(COUNTS, 100)
    assert not loss.state_dict()


def test_two_processes_share_the_weights_of_a_batch(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """Halves divided by one denominator, as their gradients are averaged."""
    loss = LisbetClassLoss([1., 5., 2.])
    logits, target = logits_of(), torch.tensor([0, 1, 2, 1, -1, 2, 0, 1])
    whole = loss(logits, target)
    weights = loss.class_weight[target] * (target >= 0)
    monkeypatch.setattr(dist, 'is_initialized', lambda: True)
    monkeypatch.setattr(dist, 'get_world_size', lambda: 2)
    monkeypatch.setattr(dist, 'all_reduce',
                        lambda total: total.fill_(weights.sum()))
    halves = [loss(logits[part], target[part])
              for part in (slice(0, 3), slice(3, 8))]
    torch.testing.assert_close(sum(halves) / 2, whole)
