"""Losses on poses that belong together: copies, frames of a run, animals.

None needs labels. Which volumes belong together is told by the numbers of a
:class:`PoseBatch`, not by their order; a group may be of any size, and one
that is too small for its loss does not count.
"""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.body_plan import BodyPlan
from mmpose_ext.volumetric.losses import share_of
from mmpose_ext.volumetric.pose_batch import PoseBatch
from mmpose_ext.volumetric.pose_losses import PoseLoss


class DifferenceLoss(PoseLoss):
    """What the losses share that want differences of points to be small.

    Args:
        kind (str): ``l1``, the mean absolute coordinate of a difference, or
            ``l2``, its mean length. A length of 0 has a gradient of 0.
            Defaults to ``l1``.
        loss_weight (float): Defaults to 1.
    """

    def __init__(self, kind: str = 'l1', loss_weight: float = 1.) -> None:
        super().__init__(loss_weight)
        if kind not in ('l1', 'l2'):
            raise ValueError(f"kind: expected 'l1' or 'l2', found {kind!r}")
        self.kind = kind

    def mean_size(self, difference: Tensor, counts: Tensor) -> Tensor:
        """Weighted mean size of what counts in all processes.

        Args:
            difference (Tensor): (N, K, 3), mm.
            counts (Tensor): (N,) bool.

        Returns:
            Tensor: Scalar.
        """
        mask = counts[:, None, None].expand_as(difference)
        size = torch.where(mask, difference, 0.)
        if self.kind == 'l1':
            size = size.abs()
        else:
            # its gradient at 0 is 0, not NaN as that of a root would be
            size = torch.linalg.vector_norm(size, dim=-1)
            mask = mask[..., 0]
        return self.loss_weight * share_of(mask) * size.sum()


@MODELS.register_module()
class DannceConsistencyLoss(DifferenceLoss):
    """Deviation of an animal's copies from their mean, mm.

    Copies show the same moment in other grids, so they should agree. A
    group is all copies of an animal at a time point; one copy alone does
    not count.

    The groups are explicit, so this loss also covers what else asks for
    agreement of pairs: it makes no difference in which order the two animals
    of a pair stand in a copy.

    Differs from the original, which compares successive copies alone, takes
    the batch for one group if it is too small for its number of copies, and
    is NaN for a group of one. For copies with independent errors its l1 is
    1.63 times this one with four copies, and 2 times with two. Its l2 takes
    the root over copies, not over x, y, z.

    Args:
        kind (str): See :class:`DifferenceLoss`. Defaults to ``l1``.
        loss_weight (float): Defaults to .1.
    """

    compares = 'copies'

    def __init__(self, kind: str = 'l1', loss_weight: float = .1) -> None:
        super().__init__(kind, loss_weight)

    def forward(self, poses: PoseBatch) -> Tensor:
        """See :meth:`PoseLoss.forward`."""
        points = poses.points
        group = poses.numbers('samples', 'individuals')
        # At most as many groups as volumes: asking how many there are would
        # make the device wait.
        size = torch.zeros_like(points[:, 0, 0]).index_add(
            0, group, torch.ones_like(points[:, 0, 0]))
        total = torch.zeros_like(points).index_add(0, group, points)
        mean = total[group] / size[group, None, None]
        return self.mean_size(points - mean, size[group] > 1)


@MODELS.register_module()
class DannceTemporalLoss(DifferenceLoss):
    """How far points move, or how their movement changes, from frame to frame.

    A run is the frames of a chunk for one animal and one copy. Only frames
    that follow each other (their times differ by 1) are compared.

    Differs from the original, which takes every batch for runs of one length
    in order, whatever frames it holds, and knows the first order alone.

    Args:
        kind (str): See :class:`DifferenceLoss`. Defaults to ``l1``.
        order (int): 1 for the difference of two frames, 2 for the second
            difference of three, which leaves even movement free. Defaults
            to 1.
        loss_weight (float): Defaults to 1.

    Reference:
        Li et al., International Journal of Computer Vision, 2023.
    """

    compares = 'frames'

    def __init__(self, kind: str = 'l1', order: int = 1,
                 loss_weight: float = 1.) -> None:
        super().__init__(kind, loss_weight)
        if order not in (1, 2):
            raise ValueError(f'order: expected 1 or 2, found {order!r}')
        self.order = order

    def forward(self, poses: PoseBatch) -> Tensor:
        """See :meth:`PoseLoss.forward`."""
        run = poses.numbers('chunks', 'individuals', 'copies')
        by_time = poses.times.argsort(stable=True)
        rows = by_time[run[by_time].argsort(stable=True)]
        run, times = run[rows], poses.times[rows]
        counts = (run[1:] == run[:-1]) & (times[1:] - times[:-1] == 1)
        points = poses.points[rows]
        change = points[1:] - points[:-1]
        if self.order == 2:
            change = change[1:] - change[:-1]
            counts = counts[1:] & counts[:-1]
        return self.mean_size(change, counts)


class ClosenessLoss(PoseLoss):
    """What the losses share that keep points apart.

    Args:
        distance_mm (float): From which on points are far enough apart.
            Defaults to 5.
        loss_weight (float): Defaults to 1.
    """

    def __init__(self, distance_mm: float = 5.,
                 loss_weight: float = 1.) -> None:
        super().__init__(loss_weight)
        if not distance_mm > 0:
            raise ValueError(
                f'distance_mm: expected more than 0, found {distance_mm!r}')
        self.distance_mm = distance_mm

    def mean_shortfall(self, difference: Tensor, counts: Tensor) -> Tensor:
        """Weighted mean of what is missing from the distance.

        Points far enough apart are in the mean, as 0. Points in the very
        same place have no direction to part in, and no gradient.

        Args:
            difference (Tensor): (..., 3) between two points, mm.
            counts (Tensor): (...) bool.

        Returns:
            Tensor: Scalar.
        """
        difference = torch.where(counts.unsqueeze(-1), difference, 0.)
        distance = torch.linalg.vector_norm(difference, dim=-1)
        missing = torch.where(
            counts, (self.distance_mm - distance).clamp(min=0), 0.)
        return self.loss_weight * share_of(counts) * missing.sum()


@MODELS.register_module()
class DanncePairRepulsionLoss(ClosenessLoss):
    """Keypoints of one animal too near to those of another.

    All pairs of animals of the same time point and copy count, of any number
    of animals; one animal alone does not count.

    Differs from the original, which knows two animals that alternate in the
    batch.

    Args:
        distance_mm (float): From which on points are far enough apart.
            Defaults to 5.
        pairwise (bool): Whether to compare equal keypoints alone instead of
            each with all others. Defaults to False.
        loss_weight (float): Defaults to 1.
    """

    compares = 'animals'

    def __init__(self, distance_mm: float = 5., pairwise: bool = False,
                 loss_weight: float = 1.) -> None:
        super().__init__(distance_mm, loss_weight)
        self.pairwise = pairwise

    def forward(self, poses: PoseBatch) -> Tensor:
        """See :meth:`PoseLoss.forward`."""
        scene = poses.numbers('samples', 'copies')
        # All pairs of volumes, most of which do not count: to pick those
        # that do would make the device wait.
        first, second = torch.triu_indices(
            len(scene), len(scene), 1, device=scene.device)
        counts = scene[first] == scene[second]
        ours, theirs = poses.points[first], poses.points[second]
        if not self.pairwise:
            ours, theirs = ours.unsqueeze(2), theirs.unsqueeze(1)
        difference = ours - theirs
        while counts.dim() < difference.dim() - 1:
            counts = counts.unsqueeze(-1)
        return self.mean_shortfall(
            difference, counts.expand(difference.shape[:-1]))


@MODELS.register_module()
class DannceSeparationLoss(ClosenessLoss):
    """Keypoints of an animal too near to each other.

    All pairs of its keypoints have to keep the same distance, so it is to
    be shorter than the animal's shortest.

    Differs from the original, which holds a squared distance against the
    limit, and a keypoint against itself.

    Args:
        distance_mm (float): From which on points are far enough apart.
            Defaults to 5.
        loss_weight (float): Defaults to 1.
    """

    def prepare(self, plan: BodyPlan, labels: np.ndarray, file: str) -> None:
        """Check that labels keep the distance.

        Args:
            plan (BodyPlan): The skeleton.
            labels (ndarray): (N, K, 3) mm; NaN missing.
            file (str): The data set, for errors.

        Raises:
            DataError: If two keypoints are nearer in most of the labels.
        """
        for a, name in enumerate(plan.names):
            for b in range(a):
                distance = np.linalg.norm(labels[:, a] - labels[:, b], axis=-1)
                distance = distance[np.isfinite(distance)]
                if len(distance) and np.median(distance) < self.distance_mm:
                    raise DataError(
                        file, f'keypoints {plan.names[b]} and {name}',
                        f'{self.distance_mm:g} mm or more between them, the '
                        'distance_mm of DannceSeparationLoss',
                        f'{np.median(distance):.1f} mm in the middle of '
                        f'{len(distance)} labels',
                        'choose a shorter distance_mm')

    def forward(self, poses: PoseBatch) -> Tensor:
        """See :meth:`PoseLoss.forward`."""
        points = poses.points
        first, second = torch.triu_indices(
            points.shape[1], points.shape[1], 1, device=points.device)
        difference = points[:, first] - points[:, second]
        return self.mean_shortfall(
            difference, torch.ones_like(difference[..., 0], dtype=torch.bool))
