"""Losses on points in world mm, of which any coordinate may be unknown.

Sums are divided by what is labelled in the batches of all processes, so that
processes that share a batch compute what one does.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn

from mmpose_ext.registry import MODELS


def share_of(mask: Tensor, dim: int | tuple[int, ...] | None = None) -> Tensor:
    """Factor that turns a sum over what is valid here into a common mean.

    Processes average their gradients. A sum here times this factor is, on
    the average over the processes, the sum over all of them by the number of
    valid entries of all of them. Every process has to call it.

    Args:
        mask (Tensor): Bool, True for what is valid.
        dim (int | tuple[int], optional): What is counted over. Defaults to
            None, all.

    Returns:
        Tensor: float32, ``processes / valid entries of all processes``, of
        the dimensions that are not counted over; where nothing is valid,
        the sum is 0 and so is the mean.
    """
    dims = tuple(range(mask.dim())) if dim is None else dim
    count = mask.sum(dims).float()
    all_reduce(count)
    return get_world_size() / count.clamp(min=1)


class VolumetricPointLoss(nn.Module):
    """What the losses on points share: the mask, the weights and the mean.

    A keypoint of which one coordinate is unknown still teaches the other two.

    Args:
        loss_weight (float): Defaults to 1.
        joint_weights (Sequence[tuple[int, float]], optional): Index and
            weight of the keypoints that do not weigh 1. If given, errors are
            averaged for each keypoint first and over all keypoints then, of
            which those without a label add 0. Defaults to None: the mean
            over all labelled coordinates.
    """

    def __init__(
            self,
            loss_weight: float = 1.,
            joint_weights: Sequence[tuple[int, float]] | None = None) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.joint_weights = None if joint_weights is None else {
            int(index): float(weight) for index, weight in joint_weights}

    def error(self, difference: Tensor) -> Tensor:
        """Error of coordinates from their difference, mm."""
        raise NotImplementedError

    def forward(self, points: Tensor, target: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            points (Tensor): Predicted (M, K, 3), mm.
            target (Tensor): Labelled (M, K, 3), mm, NaN where unknown.

        Returns:
            Tensor: Scalar; 0, with gradients of 0, if nothing is labelled.
        """
        known = target.isfinite()
        # where, not a product: 0 times NaN is NaN, in gradients too
        difference = torch.where(known, points - target, 0.)
        error = self.error(difference)
        if self.joint_weights is None:
            return self.loss_weight * share_of(known) * error.sum()
        mean = error.sum((0, 2)) * share_of(known, (0, 2))
        return self.loss_weight * (mean * self._weights(mean)).mean()

    def _weights(self, like: Tensor) -> Tensor:
        weights = torch.ones_like(like)
        for index, weight in (self.joint_weights or {}).items():
            if not 0 <= index < len(like):
                raise ValueError(
                    f'joint_weights: expected an index below {len(like)}, '
                    f'the number of keypoints, found {index}')
            weights[index] = weight
        return weights


@MODELS.register_module()
class DannceL1Loss(VolumetricPointLoss):
    """Mean absolute error of the labelled coordinates, mm.

    Arguments are those of :class:`VolumetricPointLoss`.
    """

    def error(self, difference: Tensor) -> Tensor:
        """See :meth:`VolumetricPointLoss.error`."""
        return difference.abs()


@MODELS.register_module()
class DannceL2Loss(VolumetricPointLoss):
    """Mean squared error of the labelled coordinates, mm^2.

    Arguments are those of :class:`VolumetricPointLoss`.
    """

    def error(self, difference: Tensor) -> Tensor:
        """See :meth:`VolumetricPointLoss.error`."""
        return difference.square()


@MODELS.register_module()
class DannceHuberLoss(VolumetricPointLoss):
    """Mean Huber error of the labelled coordinates, mm.

    Squared near 0 and of slope 1 far away: a wrong label pulls no more than
    under L1, and small errors settle.

    Differs from the original, which knows neither weight nor missing labels.

    Args:
        beta (float): mm, where the square ends. Defaults to 5.
        loss_weight (float): Defaults to 1.
        joint_weights (Sequence[tuple[int, float]], optional): As of
            :class:`VolumetricPointLoss`. Defaults to None.
    """

    def __init__(
            self,
            beta: float = 5.,
            loss_weight: float = 1.,
            joint_weights: Sequence[tuple[int, float]] | None = None) -> None:
        super().__init__(loss_weight, joint_weights)
        if not beta > 0:
            raise ValueError(f'beta: expected more than 0, found {beta!r}')
        self.beta = beta

    def error(self, difference: Tensor) -> Tensor:
        """See :meth:`VolumetricPointLoss.error`."""
        return nn.functional.smooth_l1_loss(
            difference, torch.zeros_like(difference), reduction='none',
            beta=self.beta)
