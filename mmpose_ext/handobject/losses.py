"""Losses of the hand, each over the joints that are labelled.

Metres, and pixels as shares of the crop's side. Every loss has a
``loss_weight``, which ``LossWeightHook`` may move; nothing is scheduled here.
"""
from __future__ import annotations

from typing import ClassVar, Literal

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn
from torch.nn import functional as F

from mmpose_ext.handobject.decoder import patch_centres
from mmpose_ext.handobject.hand import BONES, TIPS, WRIST, root_relative
from mmpose_ext.handobject.joint_limits import joint_limit_violation
from mmpose_ext.handobject.records import (
    HandObjectPrediction,
    HandObjectTargets,
    HandPose,
)
from mmpose_ext.registry import MODELS

_PARENTS = [parent for parent, _ in BONES]
_CHILDREN = [child for _, child in BONES]


def masked_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean over the batch of all processes.

    Args:
        values (Tensor): Any shape, the batch first.
        weights (Tensor): The same shape; 0 leaves a value out, whatever it
            is.

    Returns:
        Tensor: A scalar; 0 if nothing counts. The mean of it over the
        processes, which is what they average gradients to, is the mean over
        all their samples.
    """
    total = (torch.where(weights > 0, values, 0.) * weights).sum()
    count = weights.detach().sum().float().clone()
    all_reduce(count, 'mean')
    return total / count.clamp(min=1e-6)


class HandObjectLoss(nn.Module):
    """Base of the losses.

    Args:
        loss_weight (float): Factor on it. Defaults to 1.

    Attributes:
        needs ('objects' | 'contact' | 'mano', optional): What the head must
            predict beside the hand; None for nothing.
    """

    needs: ClassVar[Literal['objects', 'contact', 'mano'] | None] = None

    def __init__(self, loss_weight: float = 1.) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, prediction: HandObjectPrediction,
                targets: HandObjectTargets) -> Tensor:
        """The weighted loss, a scalar."""
        return self.loss_weight * self.measure(prediction, targets)

    def measure(self, prediction: HandObjectPrediction,
                targets: HandObjectTargets) -> Tensor:
        """The loss itself, a scalar."""
        raise NotImplementedError


class HandObjectStepLoss(HandObjectLoss):
    """Base of losses that count at every step of the hand.

    Args:
        loss_weight (float): Factor on it. Defaults to 1.
        final_weight (float): Factor on the last step, if there are several.
            Defaults to 1.2.
    """

    def __init__(self, loss_weight: float = 1.,
                 final_weight: float = 1.2) -> None:
        super().__init__(loss_weight)
        self.final_weight = final_weight

    def measure(self, prediction: HandObjectPrediction,
                targets: HandObjectTargets) -> Tensor:
        """Sum over the steps."""
        steps = [self.of_step(hand, targets) for hand in prediction.hands]
        if len(steps) > 1:
            steps[-1] = steps[-1] * self.final_weight
        return torch.stack(steps).sum()

    def of_step(self, hand: HandPose, targets: HandObjectTargets) -> Tensor:
        """The loss of one step, a scalar."""
        raise NotImplementedError


@MODELS.register_module()
class HandObjectPixelLoss(HandObjectStepLoss):
    """Smooth L1 of the joints' pixels, as a share of the crop's side.

    Joints further outside the crop than a quarter of it do not count.

    Args:
        loss_weight (float): Factor on it. Defaults to 1.
        final_weight (float): Factor on the last step. Defaults to 1.2.
        beta (float): Share of the side below which the error is squared.
            Defaults to 0.005, about a pixel.
    """

    def __init__(self, loss_weight: float = 1., final_weight: float = 1.2,
                 beta: float = .005) -> None:
        super().__init__(loss_weight, final_weight)
        self.beta = beta

    def of_step(self, hand: HandPose, targets: HandObjectTargets) -> Tensor:
        """The loss of one step."""
        size = targets.crop_size
        true = targets.pixels / size
        error = F.smooth_l1_loss(hand.pixels / size, true, reduction='none',
                                 beta=self.beta).sum(-1)
        near = ((true > -.25) & (true < 1.25)).all(-1)
        return masked_mean(error, targets.joint_weights * near)


class HandObjectBumpLoss(HandObjectLoss):
    """Base of losses of maps that shall be a bump about a pixel.

    The expectation over a map, which the other losses see, is right for many
    maps; this one says which. Networks without pretrained weights learn much
    sooner with it.

    Args:
        loss_weight (float): Factor on it. Defaults to 1.
        sigma (float): Of the bump, as a share of the crop's side. Defaults
            to 0.03.
    """

    def __init__(self, loss_weight: float = 1., sigma: float = .03) -> None:
        super().__init__(loss_weight)
        self.sigma = sigma

    def of_maps(self, maps: Tensor, pixels: Tensor, weights: Tensor,
                size: int) -> Tensor:
        """Mean Kullback-Leibler divergence of maps from bumps, a scalar.

        Args:
            maps (Tensor): (..., H, W) logits over the crop.
            pixels (Tensor): (..., 2) px, the middles of the bumps. Those
                outside the crop do not count.
            weights (Tensor): (...)
            size (int): Side of the crop, px.
        """
        height, width = maps.shape[-2:]
        centres = patch_centres(height, width, size, maps.device)
        distance = (pixels[..., None, :] - centres).square().sum(-1)
        bump = (-distance / (2 * (self.sigma * size)**2)).softmax(-1)
        divergence = F.kl_div(maps.flatten(-2).log_softmax(-1), bump,
                              reduction='none').sum(-1)
        inside = ((pixels >= 0) & (pixels <= size - 1)).all(-1)
        return masked_mean(divergence, weights * inside)


@MODELS.register_module()
class HandObjectMapLoss(HandObjectBumpLoss):
    """Divergence of the joints' maps from a bump about the true pixels.

    Args:
        loss_weight (float): Factor on it. Defaults to 1.
        sigma (float): Of the bump, as a share of the crop's side. Defaults
            to 0.03.
    """

    def measure(self, prediction: HandObjectPrediction,
                targets: HandObjectTargets) -> Tensor:
        """Mean over the joints that lie in the crop."""
        return self.of_maps(prediction.maps, targets.pixels,
                            targets.joint_weights, targets.crop_size)


@MODELS.register_module()
class HandObjectDepthLoss(HandObjectStepLoss):
    """L1 of the joints' depths behind the wrist, m."""

    def of_step(self, hand: HandPose, targets: HandObjectTargets) -> Tensor:
        """The loss of one step."""
        true = root_relative(targets.joints)[..., 2]
        return masked_mean((hand.depth_offsets - true).abs(),
                           targets.joint_weights)


@MODELS.register_module()
class HandObjectRootDepthLoss(HandObjectStepLoss):
    """L1 of rho, the log of the wrist's depth."""

    def of_step(self, hand: HandPose, targets: HandObjectTargets) -> Tensor:
        """The loss of one step."""
        return masked_mean((hand.root_rho - targets.root_rho).abs(),
                           targets.hand_valid)


@MODELS.register_module()
class HandObjectRelativeLoss(HandObjectStepLoss):
    """Mean distance of the joints with both wrists in the origin, m.

    Args:
        loss_weight (float): Factor on it. Defaults to 1.
        final_weight (float): Factor on the last step. Defaults to 1.2.
        tip_weight (float): Weight of fingertips beside other joints.
            Defaults to 1.
    """

    def __init__(self, loss_weight: float = 1., final_weight: float = 1.2,
                 tip_weight: float = 1.) -> None:
        super().__init__(loss_weight, final_weight)
        self.tip_weight = tip_weight

    def of_step(self, hand: HandPose, targets: HandObjectTargets) -> Tensor:
        """The loss of one step."""
        error = lengths(root_relative(hand.joints)
                        - root_relative(targets.joints))
        weights = targets.joint_weights.clone()
        weights[:, list(TIPS)] *= self.tip_weight
        weights[:, WRIST] = 0  # right by definition
        return masked_mean(error, weights)


@MODELS.register_module()
class HandObjectAbsoluteLoss(HandObjectStepLoss):
    """Mean distance of the joints in the camera's frame, m."""

    def of_step(self, hand: HandPose, targets: HandObjectTargets) -> Tensor:
        """The loss of one step."""
        return masked_mean(lengths(hand.joints - targets.joints),
                           targets.joint_weights)


@MODELS.register_module()
class HandObjectBoneLoss(HandObjectStepLoss):
    """L1 of the lengths of the 20 bones, m."""

    def of_step(self, hand: HandPose, targets: HandObjectTargets) -> Tensor:
        """The loss of one step."""
        weights = targets.joint_weights
        return masked_mean(
            (_bone_lengths(hand.joints)
             - _bone_lengths(targets.joints)).abs(),
            weights[:, _PARENTS] * weights[:, _CHILDREN])


@MODELS.register_module()
class HandObjectJointLimitLoss(HandObjectStepLoss):
    """How far fingers bend beyond what a hand can."""

    def of_step(self, hand: HandPose, targets: HandObjectTargets) -> Tensor:
        """The loss of one step."""
        excess = joint_limit_violation(hand.joints, targets.chirality)
        return masked_mean(excess, targets.hand_valid)


@MODELS.register_module()
class HandObjectUncertaintyLoss(HandObjectLoss):
    """Likelihood of the last step's pixel errors under what was expected.

    A Laplace distribution whose spread is predicted a joint; the pixels
    themselves are constants here, so that the other losses alone move them.
    """

    def measure(self, prediction: HandObjectPrediction,
                targets: HandObjectTargets) -> Tensor:
        """Negative log likelihood over the labelled joints."""
        size = targets.crop_size
        error = (prediction.hands[-1].pixels.detach() - targets.pixels
                 ).abs().sum(-1) / size
        spread = prediction.log_spread.clamp(-7., 3.)
        return masked_mean(error * (-spread).exp() + 2 * spread,
                           targets.joint_weights)


@MODELS.register_module()
class HandObjectVarianceMatchLoss(HandObjectLoss):
    """How much less than the truth the last step's joints vary in a batch.

    Per joint, the hinge of 1 - predicted / true spread with both wrists in
    the origin: the spread cannot be had by moving the whole hand about.
    """

    def measure(self, prediction: HandObjectPrediction,
                targets: HandObjectTargets) -> Tensor:
        """Mean over the joints but the wrist."""
        valid = targets.hand_valid
        predicted = batch_spread(prediction.hands[-1].joints, valid)
        true = batch_spread(targets.joints, valid)
        return F.relu(1 - predicted / true.clamp(min=1e-4))[1:].mean()


@MODELS.register_module()
class HandObjectDiversityHingeLoss(HandObjectLoss):
    """Hinge of the distances between the hands of a batch.

    Within a process. It rewards difference, true or not; a matched variance
    (:class:`HandObjectVarianceMatchLoss`) is the better guard.

    Args:
        loss_weight (float): Factor on it. Defaults to 1.
        margin (float): Mean distance of joints, wrists in the origin, from
            which on two hands count as different, m. Defaults to 0.01.
    """

    def __init__(self, loss_weight: float = 1., margin: float = .01) -> None:
        super().__init__(loss_weight)
        self.margin = margin

    def measure(self, prediction: HandObjectPrediction,
                targets: HandObjectTargets) -> Tensor:
        """Mean over the pairs of valid hands."""
        joints = root_relative(prediction.hands[-1].joints)
        distance = lengths(joints[:, None] - joints[None]).mean(-1)
        valid = targets.hand_valid
        pairs = torch.triu(valid[:, None] * valid[None], diagonal=1)
        return masked_mean(F.relu(self.margin - distance), pairs)


@MODELS.register_module()
class HandObjectManoLoss(HandObjectLoss):
    """The parametric hand: its joints behind the wrist, and a small shape.

    It is a right hand: crops that show a left one do not count.

    Args:
        loss_weight (float): Factor on it. Defaults to 1.
        shape_weight (float): Of the squared shape coefficients beside the
            joints' distances in m. Defaults to 1e-4.
    """

    needs = 'mano'

    def __init__(self, loss_weight: float = 1.,
                 shape_weight: float = 1e-4) -> None:
        super().__init__(loss_weight)
        self.shape_weight = shape_weight

    def measure(self, prediction: HandObjectPrediction,
                targets: HandObjectTargets) -> Tensor:
        """Mean distance of the joints, and the shape's square."""
        joints, shape = prediction.mano_joints, prediction.mano_shape
        assert joints is not None and shape is not None  # the head sees to it
        is_right = targets.chirality > 0
        error = lengths(joints - root_relative(targets.joints))
        distance = masked_mean(error,
                               targets.joint_weights * is_right[:, None])
        return distance + self.shape_weight * masked_mean(
            shape.square().mean(-1), targets.hand_valid * is_right)


def lengths(vectors: Tensor) -> Tensor:
    """Lengths (...) of vectors (..., 3) in m, of finite gradient at 0.

    What is shorter than 1e-8 m counts as that long.
    """
    return (vectors.square().sum(-1) + 1e-16).sqrt()


def batch_spread(joints: Tensor, valid: Tensor) -> Tensor:
    """Standard deviation of each joint over the hands of all processes.

    Args:
        joints (Tensor): (B, K, 3) m.
        valid (Tensor): (B,) 0 leaves a hand out.

    Returns:
        Tensor: (K,) m, with the wrists in the origin.
    """
    with torch.autocast(joints.device.type, enabled=False):
        relative = torch.where(valid[:, None, None] > 0, root_relative(
            joints.float()), 0.) * valid[:, None, None]
        count = _sum_over_processes(valid.sum()[None])
        # at the mean, the sum of squares about it does not depend on it
        mean = _sum_over_processes(
            relative.detach().sum(0)) / count.clamp(min=1.)
        centred = (relative - mean) * valid[:, None, None]
        square = _sum_over_processes(centred.square().sum((0, 2)))
        return (square / count.clamp(min=1.) + 1e-12).sqrt()


def _sum_over_processes(local: Tensor) -> Tensor:
    """The sum, of whose gradients the mean over the processes is right."""
    world = get_world_size()
    if world == 1:
        return local
    total = local.detach().clone()
    all_reduce(total, 'sum')
    return total + world * (local - local.detach())


def _bone_lengths(joints: Tensor) -> Tensor:
    return lengths(joints[:, _CHILDREN] - joints[:, _PARENTS])
