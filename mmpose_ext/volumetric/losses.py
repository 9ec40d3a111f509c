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
class DannceLikelihoodLoss(nn.Module):
    """``-log p`` of the voxel that holds the label: sharpens the volumes.

    The expected position alone is as right for a volume of two far peaks as
    for one in the middle.

    Args:
        loss_weight (float): Defaults to .01.
    """

    def __init__(self, loss_weight: float = .01) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, log_share: Tensor, known: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            log_share (Tensor): (M, K), log p at the labels.
            known (Tensor): (M, K) bool, whether there is a label in the grid.
        """
        log_share = torch.where(known, log_share, 0.)
        return -self.loss_weight * share_of(known) * log_share.sum()


@MODELS.register_module()
class DannceGaussianLoss(nn.Module):
    """Volumes against a Gaussian about each label, the target of MAX.

    The error is summed over the voxels and divided by what the Gaussian
    itself sums to, so that neither voxel size nor sigma changes its scale.
    The Gaussian is separable: it is never made as a volume.

    Args:
        sigma (float): mm. Defaults to 10.
        kind (str): ``bce``, cross-entropy, whose gradient does not vanish
            while all voxels are empty, or ``mse`` of the sigmoid, as
            published. Defaults to ``bce``.
        loss_weight (float): Defaults to 1.
    """

    def __init__(self,
                 sigma: float = 10.,
                 kind: str = 'bce',
                 loss_weight: float = 1.) -> None:
        super().__init__()
        if kind not in ('bce', 'mse'):
            raise ValueError(f"kind: expected 'bce' or 'mse', found {kind!r}")
        self.sigma, self.kind, self.loss_weight = sigma, kind, loss_weight

    def forward(self, logits: Tensor, local: Tensor,
                offsets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits (Tensor): (M, K, n, n, n), axes [y, x, z].
            local (Tensor): Labels (M, K, 3), x, y, z mm in the grid's own
                axes from its middle. One that lacks a coordinate has no
                Gaussian and does not count.
            offsets (Tensor): (n, ), voxel centres along every axis, mm.
        """
        known = local.isfinite().all(-1)
        step = (offsets[1] - offsets[0]).abs()
        distance = local.nan_to_num().unsqueeze(-1) - offsets
        along = (-.5 * (distance / self.sigma).square()).exp()
        if self.kind == 'bce':
            empty = nn.functional.softplus(logits).sum((2, 3, 4))
            error = empty - _overlap(logits, along)
            width = self.sigma * (2 * torch.pi)**.5
        else:
            found = logits.sigmoid()
            gaussian = along.square().sum(-1).prod(-1)
            error = (found.square().sum((2, 3, 4)) + gaussian
                     - 2 * _overlap(found, along))
            width = self.sigma * torch.pi**.5
        error = torch.where(known, error, 0.) / (width / step)**3
        return self.loss_weight * share_of(known) * error.sum()


def _overlap(volume: Tensor, along: Tensor) -> Tensor:
    """Sum of volumes (M, K, y, x, z) times products of `along` (M, K, 3, n).

    One axis after the other: no temporary of the volume's size.
    """
    x, y, z = along.unbind(2)
    plane = (volume.flatten(2, 3) @ z.unsqueeze(-1)).unflatten(
        2, volume.shape[2:4])
    return ((plane.squeeze(-1) @ x.unsqueeze(-1)).squeeze(-1) * y).sum(-1)
