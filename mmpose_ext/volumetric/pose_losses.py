"""What losses on whole poses share."""
from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from mmpose_ext.volumetric.body_plan import BodyPlan
from mmpose_ext.volumetric.pose_batch import PoseBatch


class PoseLoss(nn.Module):
    """A loss on the poses of a batch, mm; most need no labels.

    Args:
        loss_weight (float): Defaults to 1.

    Attributes:
        compares: What the loss compares volumes of, so that without several
            it would be 0: ``copies``, ``frames`` or ``animals``; None if it
            looks at each volume by itself.
    """

    compares: str | None = None

    def __init__(self, loss_weight: float = 1.) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def prepare(self, plan: BodyPlan, labels: np.ndarray, file: str) -> None:
        """Learn before a training what the data set knows.

        Args:
            plan (BodyPlan): Its skeleton.
            labels (ndarray): (N, K, 3) all labelled poses, mm; NaN missing.
            file (str): The data set, for errors.

        Raises:
            DataError: If the loss does not fit them.
        """

    def forward(self, poses: PoseBatch) -> Tensor:
        """Compute the loss.

        Args:
            poses (PoseBatch): The batch.

        Returns:
            Tensor: Scalar; 0, with gradients of 0, if nothing counts.
        """
        raise NotImplementedError
