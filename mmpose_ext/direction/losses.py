"""Losses on points in label space, half the image's side being one.

All average over the whole batch, hidden points counted as zeros, so that
processes that share a batch compute what one process does.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmpose_ext.registry import MODELS


@MODELS.register_module()
class DirectionPointLoss(nn.Module):
    """Distance between predicted and labelled coordinates.

    Args:
        kind (str): ``mse`` as published, or ``smooth_l1``. Defaults to
            ``smooth_l1``.
        beta (float): Where smooth L1 turns from square to linear, label
            space. Defaults to .04, one pixel of fifty.
        loss_weight (float): Defaults to 1.
    """

    def __init__(self,
                 kind: str = 'smooth_l1',
                 beta: float = .04,
                 loss_weight: float = 1.) -> None:
        super().__init__()
        if kind not in ('mse', 'smooth_l1'):
            raise ValueError(f"kind: expected 'mse' or 'smooth_l1', found "
                             f'{kind!r}')
        self.kind, self.beta, self.loss_weight = kind, beta, loss_weight

    def forward(self, labels: Tensor, sigma: Tensor | None, target: Tensor,
                weight: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            labels (Tensor): Predicted coordinates (B, K, 2).
            sigma (Tensor, optional): Not used.
            target (Tensor): Labelled coordinates (B, K, 2).
            weight (Tensor): (B, K), 0 for hidden points.
        """
        if self.kind == 'mse':
            error = (labels - target).square()
        else:
            error = F.smooth_l1_loss(
                labels, target, reduction='none', beta=self.beta)
        return self.loss_weight * (error * weight.unsqueeze(-1)).mean()


@MODELS.register_module()
class DirectionLikelihoodLoss(nn.Module):
    """Negative log-likelihood of a Laplace distribution per coordinate.

    Teaches the head an honest sigma for each point: the loss is least when
    sigma equals the error that is to be expected.

    Args:
        floor (float): Least sigma, label space; keeps the loss bounded.
            Defaults to .01, a quarter pixel of fifty.
        loss_weight (float): Defaults to 1.
    """

    def __init__(self, floor: float = .01, loss_weight: float = 1.) -> None:
        super().__init__()
        self.floor, self.loss_weight = floor, loss_weight

    def forward(self, labels: Tensor, sigma: Tensor | None, target: Tensor,
                weight: Tensor) -> Tensor:
        """Compute the loss; arguments as in :class:`DirectionPointLoss`."""
        if sigma is None:
            raise ValueError(
                'DirectionLikelihoodLoss needs a head that predicts sigma: '
                'DirectionRegressionHead(predict_sigma=True) or '
                'DirectionHeatmapHead')
        # A Laplace distribution of standard deviation s has scale s/sqrt(2).
        scale = (sigma + self.floor).unsqueeze(-1) / 2**.5
        nll = (labels - target).abs() / scale + scale.log()
        return self.loss_weight * (nll * weight.unsqueeze(-1)).mean()


@MODELS.register_module()
class DirectionAngleLoss(nn.Module):
    """``1 - cos`` of the angle between predicted and labelled vectors.

    Args:
        links (Sequence[tuple[int, int]]): Point pairs that span the vectors.
            Defaults to body (0, 1) and head (1, 2).
        loss_weight (float): Defaults to .1.
    """

    def __init__(self,
                 links: Sequence[tuple[int, int]] = ((0, 1), (1, 2)),
                 loss_weight: float = .1) -> None:
        super().__init__()
        self.starts = [start for start, _ in links]
        self.ends = [end for _, end in links]
        self.loss_weight = loss_weight

    def forward(self, labels: Tensor, target: Tensor,
                weight: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            labels (Tensor): Predicted coordinates (B, K, 2).
            target (Tensor): Labelled coordinates (B, K, 2).
            weight (Tensor): (B, K); a vector counts if both ends do.
        """
        predicted = labels[:, self.ends] - labels[:, self.starts]
        wanted = target[:, self.ends] - target[:, self.starts]
        # eps: a vector shorter than a quarter pixel has no direction to mend
        cosine = torch.cosine_similarity(predicted, wanted, dim=-1, eps=1e-4)
        both = weight[:, self.ends] * weight[:, self.starts]
        return self.loss_weight * ((1 - cosine) * both).mean()
