"""Losses of the horse models."""
from __future__ import annotations

from mmpose.models.losses import KLDiscretLoss
from torch import Tensor

from mmpose_ext.registry import MODELS


@MODELS.register_module()
class HorseKLDiscretLoss(KLDiscretLoss):
    """``KLDiscretLoss`` as a mean over the samples.

    MMPose's is a sum over the batch. Gradients then grow with the batch, and
    two processes, which average theirs, train with half the gradient of one
    process and the same batch in all. Arguments are the same.
    """

    def forward(self, pred_simcc: tuple[Tensor, Tensor],
                gt_simcc: tuple[Tensor, Tensor],
                target_weight: Tensor) -> Tensor:
        """Divergence of predicted from true distributions along x and y.

        Args:
            pred_simcc (tuple[Tensor, Tensor]): (B, K, bins) each, logits.
            gt_simcc (tuple[Tensor, Tensor]): (B, K, bins) each.
            target_weight (Tensor): (B, K).

        Returns:
            Tensor: Mean over samples, keypoints and bins, sum of x and y.
        """
        total = super().forward(pred_simcc, gt_simcc, target_weight)
        return total / len(pred_simcc[0])
