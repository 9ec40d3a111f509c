"""Heads that turn features of a volume into points in the world."""
from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.convolutions import project
from mmpose_ext.volumetric.expectation import (
    VoxelMoments,
    moments_of,
    place_in_grid,
    place_in_world,
    softmax_moments,
)

Features = tuple[Tensor, ...]
Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class VolumetricEstimate:
    """Where the keypoints are and how far to trust it.

    Attributes:
        points: (M, K, 3) world mm.
        scores: (M, K) in [0, 1].
        spread: (M, K) root of the expected squared distance from the mean
            under the volume's softmax, mm.
    """

    points: Tensor
    scores: Tensor
    spread: Tensor


class VolumetricHead(BaseModule):
    """What the heads share: one volume of logits a keypoint.

    Args:
        in_channels (int): Channels of the finest features.
        num_keypoints (int): K.
        init_cfg (dict, optional): Defaults to Xavier-uniform weights and
            zero bias.
    """

    def __init__(self,
                 in_channels: int,
                 num_keypoints: int,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg or dict(
            type='Xavier', layer='Conv3d', distribution='uniform'))
        self.num_keypoints = num_keypoints
        self.final_layer = nn.Conv3d(in_channels, num_keypoints, 1)

    def forward(self, feats: Features) -> Tensor:
        """Logits (M, K, n, n, n), axes [y, x, z].

        Args:
            feats (tuple[Tensor]): Features, the finest last.
        """
        return project(feats[-1], self.final_layer)

    def estimate(self, logits: Tensor, inputs: Inputs,
                 as_graph: bool = False) -> VolumetricEstimate:
        """Locate the keypoints.

        Args:
            logits (Tensor): (M, K, n, n, n).
            inputs (dict[str, Tensor]): ``centres`` (M, 3), ``axes``
                (M, 3, 3) and ``offsets`` (n, ), mm.
            as_graph (bool): Whether to use plain operators, for an export.
                Defaults to False.
        """
        find = moments_of if as_graph else softmax_moments
        moments = find(logits, inputs['offsets'])
        local, scores = self.locate(logits, moments, inputs['offsets'])
        points = place_in_world(local, inputs['centres'], inputs['axes'])
        # a stretched grid has axes of another length than 1
        stretch = inputs['axes'].square().sum(-2).unsqueeze(1)
        spread = (moments.variance * stretch).sum(-1).sqrt()
        return VolumetricEstimate(points, scores, spread)

    @abstractmethod
    def locate(self, logits: Tensor, moments: VoxelMoments,
               offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Points (M, K, 3) in the grid's axes, and scores (M, K).

        Args:
            logits (Tensor): (M, K, n, n, n).
            moments (VoxelMoments): Of their softmax.
            offsets (Tensor): (n, ), voxel centres along every axis, mm.
        """

    @abstractmethod
    def loss_of(self, logits: Tensor, target: Tensor,
                inputs: Inputs) -> tuple[dict[str, Tensor], Tensor]:
        """Losses of logits, and the points (M, K, 3) that they stand for.

        Args:
            logits (Tensor): (M, K, n, n, n).
            target (Tensor): (M, K, 3) world mm, NaN where unknown.
            inputs (dict[str, Tensor]): As of :meth:`estimate`.
        """

    def loss(self, feats: Features, inputs: Inputs,
             data_samples: list) -> dict[str, Tensor]:
        """Losses of a batch, and how far off its points are.

        Args:
            feats (tuple[Tensor]): Features, the finest last.
            inputs (dict[str, Tensor]): As of :meth:`estimate`.
            data_samples (list[PoseDataSample]): Their
                ``gt_instance_labels.keypoints`` (I, K, 3) are world mm, NaN
                where unknown.

        Returns:
            dict[str, Tensor]: ``loss_*``, and ``mpjpe_mm``, the mean
            distance of the fully labelled keypoints, where there are any.
        """
        logits = self(feats)
        target = self._target(data_samples, len(logits))
        # Coordinates to 0.01 mm need more than half precision.
        with torch.autocast(logits.device.type, enabled=False):
            losses, points = self.loss_of(logits, target, inputs)
            distance = torch.linalg.vector_norm(
                points.detach() - target, dim=-1)
            known = distance.isfinite()
            if known.any():
                losses['mpjpe_mm'] = distance[known].mean()
        return losses

    def predict(self, feats: Features, inputs: Inputs,
                data_samples: list) -> list[InstanceData]:
        """Predict the keypoints of every individual.

        Args:
            feats (tuple[Tensor]): Features, the finest last.
            inputs (dict[str, Tensor]): As of :meth:`estimate`.
            data_samples (list[PoseDataSample]): Their ``grid_centres``
                (I, 3) tell how many individuals each has.

        Returns:
            list[InstanceData]: One a sample, arrays: ``keypoints``
            (I, K, 3) world mm, ``keypoint_scores`` (I, K) in [0, 1] and
            ``spread_mm`` (I, K).
        """
        logits = self(feats)
        with torch.autocast(logits.device.type, enabled=False):
            found = self.estimate(logits, inputs)
        # one copy from the device for all
        table = torch.cat([
            found.points, found.scores.unsqueeze(-1),
            found.spread.unsqueeze(-1)
        ], -1).detach().cpu().numpy()
        instances, begin = [], 0
        for sample in data_samples:
            end = begin + len(sample.metainfo['grid_centres'])
            rows = table[begin:end]
            instances.append(InstanceData(
                keypoints=rows[..., :3],
                keypoint_scores=rows[..., 3],
                spread_mm=rows[..., 4]))
            begin = end
        return instances

    def _target(self, data_samples: list, count: int) -> Tensor:
        target = torch.cat([sample.gt_instance_labels.keypoints
                            for sample in data_samples])
        wanted = (count, self.num_keypoints, 3)
        if target.shape != wanted:
            raise DataError(
                'config', 'model.head.num_keypoints',
                f'labels of shape {wanted}', str(tuple(target.shape)),
                'the head and the data set need the same skeleton')
        return target.to(torch.float32)


@MODELS.register_module()
class DannceExpectationHead(VolumetricHead):
    """Expected position under a softmax over the voxels (AVG).

    Scores are the weight of the heaviest voxel.

    Args:
        in_channels (int): Channels of the finest features.
        num_keypoints (int): K.
        loss (dict): Config of the loss on points. Defaults to
            ``DannceL1Loss``.
        volume_loss (dict, optional): Config of a further loss on the
            volumes, ``DannceLikelihoodLoss``. Defaults to None.
        init_cfg (dict, optional): As of :class:`VolumetricHead`.
    """

    def __init__(self,
                 in_channels: int,
                 num_keypoints: int,
                 loss: dict | None = None,
                 volume_loss: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(in_channels, num_keypoints, init_cfg)
        self.point_loss = MODELS.build(
            loss or dict(type='mmpose_ext.DannceL1Loss'))
        self.volume_loss = (None if volume_loss is None
                            else MODELS.build(volume_loss))

    def locate(self, logits: Tensor, moments: VoxelMoments,
               offsets: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`VolumetricHead.locate`."""
        return moments.mean, moments.peak

    def loss_of(self, logits: Tensor, target: Tensor,
                inputs: Inputs) -> tuple[dict[str, Tensor], Tensor]:
        """See :meth:`VolumetricHead.loss_of`."""
        moments = softmax_moments(logits, inputs['offsets'])
        points = place_in_world(
            moments.mean, inputs['centres'], inputs['axes'])
        losses = dict(loss_points=self.point_loss(points, target))
        if self.volume_loss is not None:
            local = place_in_grid(target, inputs['centres'], inputs['axes'])
            at_label, known = voxel_of(logits, local, inputs['offsets'])
            losses['loss_volumes'] = self.volume_loss(
                at_label - moments.log_sum, known)
        return losses, points


@MODELS.register_module()
class DannceMaxHead(VolumetricHead):
    """Middle of the highest voxel, in absolute mm like any other (MAX).

    Volumes are trained towards a Gaussian about the label. Scores are the
    sigmoid of the highest logit.

    Args:
        in_channels (int): Channels of the finest features.
        num_keypoints (int): K.
        loss (dict): Config of the loss on volumes. Defaults to
            ``DannceGaussianLoss``.
        init_cfg (dict, optional): Defaults to Xavier-uniform weights and a
            bias under which voxels begin nearly empty, as most are to be.
    """

    def __init__(self,
                 in_channels: int,
                 num_keypoints: int,
                 loss: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(in_channels, num_keypoints, init_cfg or dict(
            type='Xavier', layer='Conv3d', distribution='uniform', bias=-4.))
        self.volume_loss = MODELS.build(
            loss or dict(type='mmpose_ext.DannceGaussianLoss'))

    def locate(self, logits: Tensor, moments: VoxelMoments,
               offsets: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`VolumetricHead.locate`."""
        side = logits.shape[-1]
        highest, place = logits.flatten(2).max(-1)
        z = place % side
        x = place.div(side, rounding_mode='floor') % side
        y = place.div(side * side, rounding_mode='floor')
        local = offsets[torch.stack([x, y, z], -1)]
        return local, highest.float().sigmoid()

    def loss_of(self, logits: Tensor, target: Tensor,
                inputs: Inputs) -> tuple[dict[str, Tensor], Tensor]:
        """See :meth:`VolumetricHead.loss_of`."""
        local = place_in_grid(target, inputs['centres'], inputs['axes'])
        losses = dict(loss_volumes=self.volume_loss(
            logits.float(), local, inputs['offsets']))
        with torch.no_grad():
            points = self.estimate(logits, inputs).points
        return losses, points


def voxel_of(logits: Tensor, local: Tensor,
             offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of the voxels that hold given points.

    Args:
        logits (Tensor): (M, K, n, n, n), axes [y, x, z].
        local (Tensor): (M, K, 3) x, y, z in the grid's axes, mm.
        offsets (Tensor): (n, ), voxel centres along every axis, mm.

    Returns:
        tuple[Tensor, Tensor]: (M, K) logits, and (M, K) bool: whether the
        point is known and inside; the logit means nothing if not.
    """
    side = len(offsets)
    place = ((local - offsets[0]) / (offsets[1] - offsets[0])).round()
    # comparisons with NaN are false
    inside = ((place >= 0) & (place < side)).all(-1)
    x, y, z = torch.where(
        inside.unsqueeze(-1), place, 0.).long().unbind(-1)
    flat = (y * side + x) * side + z
    return logits.flatten(2).gather(2, flat.unsqueeze(-1)).squeeze(-1), inside
