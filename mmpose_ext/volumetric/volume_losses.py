"""Losses on volumes: sharp about their labels, or compact without any.

Those that need no labels are :class:`VolumePenalty`.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from mmpose_ext.registry import MODELS
from mmpose_ext.volumetric.expectation import VoxelMoments
from mmpose_ext.volumetric.losses import share_of


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


class VolumePenalty(nn.Module):
    """A loss on volumes that needs no labels.

    Means are over all keypoints of the volumes of all processes.

    Args:
        loss_weight (float): Defaults to 1.
    """

    def __init__(self, loss_weight: float = 1.) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, moments: VoxelMoments,
                offsets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits (Tensor): (M, K, n, n, n), axes [y, x, z].
            moments (VoxelMoments): Of their softmax.
            offsets (Tensor): (n, ), voxel centres along every axis, mm.

        Returns:
            Tensor: Scalar.
        """
        raise NotImplementedError


@MODELS.register_module()
class DannceVarianceLoss(VolumePenalty):
    """Expected squared distance from the expected position, mm^2.

    It is in the grid's own mm, which a stretched grid (augmentation `scale`)
    makes longer or shorter than those of the world. A volume without a peak
    begins at a quarter of the square of its side: 3600 mm^2 at 120 mm.

    Differs from the original, which is NaN and therefore replaced by 0.

    Args:
        loss_weight (float): Defaults to .001.
    """

    def __init__(self, loss_weight: float = .001) -> None:
        super().__init__(loss_weight)

    def forward(self, logits: Tensor, moments: VoxelMoments,
                offsets: Tensor) -> Tensor:
        """See :meth:`VolumePenalty.forward`."""
        variance = moments.variance.sum(-1)
        everything = torch.ones_like(variance, dtype=torch.bool)
        return self.loss_weight * share_of(everything) * variance.sum()


@MODELS.register_module()
class DannceGaussianRegLoss(VolumePenalty):
    """Volumes against a Gaussian about the position that they predict.

    No gradient moves the Gaussian: volumes become compact where they are.

    Differs from the original, whose target is ``exp(-d^2) / (2 sigma^2)``,
    for a sigma of 5 at most .02 and one voxel wide.

    Args:
        sigma (float): mm. Defaults to 5.
        kind (str): As of :class:`DannceGaussianLoss`. Defaults to ``bce``.
        loss_weight (float): Defaults to 1.
    """

    def __init__(self,
                 sigma: float = 5.,
                 kind: str = 'bce',
                 loss_weight: float = 1.) -> None:
        super().__init__(loss_weight)
        self.comparison = DannceGaussianLoss(sigma, kind)

    def forward(self, logits: Tensor, moments: VoxelMoments,
                offsets: Tensor) -> Tensor:
        """See :meth:`VolumePenalty.forward`."""
        return self.loss_weight * self.comparison(
            logits, moments.mean.detach(), offsets)


def _overlap(volume: Tensor, along: Tensor) -> Tensor:
    """Sum of volumes (M, K, y, x, z) times products of `along` (M, K, 3, n).

    One axis after the other: no temporary of the volume's size.
    """
    x, y, z = along.unbind(2)
    plane = (volume.flatten(2, 3) @ z.unsqueeze(-1)).unflatten(
        2, volume.shape[2:4])
    return ((plane.squeeze(-1) @ x.unsqueeze(-1)).squeeze(-1) * y).sum(-1)
