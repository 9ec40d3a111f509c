"""Losses beside closed forms."""
import math

import pytest
import torch
from torch.distributions import Laplace

from mmpose_ext.direction.losses import (
    DirectionAngleLoss,
    DirectionLikelihoodLoss,
    DirectionPointLoss,
)

ONE = torch.ones(1, 3)


def test_mse_is_torch_mse_without_hidden_points():
    torch.manual_seed(0)
    labels, target = torch.randn(2, 5, 3, 2).unbind(0)
    loss = DirectionPointLoss('mse')
    torch.testing.assert_close(
        loss(labels, None, target, torch.ones(5, 3)),
        torch.nn.functional.mse_loss(labels, target))
    weight = torch.ones(5, 3)
    weight[:, 1] = 0
    changed = labels.clone()
    changed[:, 1] += 100
    torch.testing.assert_close(
        loss(labels, None, target, weight), loss(changed, None, target,
                                                 weight))


def test_unknown_kind():
    with pytest.raises(ValueError, match="'l7'"):
        DirectionPointLoss('l7')


def test_likelihood_is_that_of_a_laplace_distribution():
    torch.manual_seed(0)
    labels, target = torch.randn(2, 4, 3, 2).unbind(0)
    sigma = torch.rand(4, 3) + .1
    scale = (sigma / math.sqrt(2)).unsqueeze(-1).expand(4, 3, 2)
    expected = -Laplace(labels, scale).log_prob(target).mean()
    found = DirectionLikelihoodLoss(floor=0.)(labels, sigma, target,
                                              torch.ones(4, 3))
    # the constant log 2 teaches nothing and is left out
    torch.testing.assert_close(found + math.log(2), expected)


def test_likelihood_is_least_at_the_true_sigma():
    generator = torch.Generator().manual_seed(0)
    error = .3 * torch.randn(20_000, 3, 2, generator=generator)
    target = torch.zeros(20_000, 3, 2)
    weight = torch.ones(20_000, 3)
    loss = DirectionLikelihoodLoss(floor=0.)
    sigmas = [.15, .33, .7]
    values = [loss(error, torch.full((20_000, 3), sigma), target,
                   weight).item() for sigma in sigmas]
    assert values[1] == min(values)


@pytest.mark.parametrize('degrees', [0, 30, 90, 180])
def test_angle_loss_is_one_minus_cosine(degrees):
    angle = math.radians(degrees)
    target = torch.tensor([[[0., 0.], [.4, 0.], [.8, 0.]]])
    turned = torch.tensor([[[0., 0.], [.4, 0.],
                            [.4 + .2 * math.cos(angle),
                             .2 * math.sin(angle)]]])
    loss = DirectionAngleLoss(loss_weight=1.)(turned, target, ONE)
    assert loss.item() == pytest.approx((1 - math.cos(angle)) / 2, abs=1e-6)


def test_angle_loss_has_a_finite_gradient_for_a_vanishing_vector():
    labels = torch.zeros(1, 3, 2, requires_grad=True)
    target = torch.tensor([[[0., 0.], [.4, 0.], [.8, 0.]]])
    DirectionAngleLoss()(labels, target, ONE).backward()
    assert torch.isfinite(labels.grad).all()


def test_angle_loss_needs_both_ends():
    labels, target = torch.rand(2, 1, 3, 2).unbind(0)
    weight = torch.tensor([[1., 0., 1.]])
    assert DirectionAngleLoss()(labels, target, weight) == 0
