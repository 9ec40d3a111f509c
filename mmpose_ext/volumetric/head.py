"""Heads that turn features of a volume into points in the world."""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
from mmpose_ext.volumetric.pose_batch import (
    BELONGING,
    PoseBatch,
    group_numbers,
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
        initial: (M, K, 3) world mm before the refinement; None without one.
    """

    points: Tensor
    scores: Tensor
    spread: Tensor
    initial: Tensor | None = None


class VolumetricHead(BaseModule):
    """What the heads share: one volume of logits a keypoint.

    Args:
        in_channels (int): Channels of the finest features.
        num_keypoints (int): K.
        init_cfg (dict, optional): Defaults to Xavier-uniform weights and
            zero bias.

    Attributes:
        in_channels: Channels of the features that it looks at, the finest
            last.
    """

    def __init__(self,
                 in_channels: int,
                 num_keypoints: int,
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(init_cfg or dict(
            type='Xavier', layer='Conv3d', distribution='uniform'))
        self.in_channels: tuple[int, ...] = (in_channels, )
        self.num_keypoints = num_keypoints
        self.final_layer = nn.Conv3d(in_channels, num_keypoints, 1)

    def forward(self, feats: Features) -> Tensor:
        """Logits (M, K, n, n, n), axes [y, x, z].

        Args:
            feats (tuple[Tensor]): Features, the finest last.
        """
        return project(feats[-1], self.final_layer)

    def estimate(self, feats: Features, logits: Tensor, inputs: Inputs,
                 as_graph: bool = False) -> VolumetricEstimate:
        """Locate the keypoints.

        Args:
            feats (tuple[Tensor]): Features, the finest last.
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
        refined = self.refine(feats, local, inputs)
        if refined is None:
            return VolumetricEstimate(points, scores, spread)
        return VolumetricEstimate(refined, scores, spread, points)

    def refine(self, feats: Features, local: Tensor,
               inputs: Inputs) -> Tensor | None:
        """Points (M, K, 3) in the world after a refinement, if there is one.

        Args:
            feats (tuple[Tensor]): Features, the finest last.
            local (Tensor): (M, K, 3) in the grid's axes, mm.
            inputs (dict[str, Tensor]): As of :meth:`estimate`.
        """
        return None

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
    def loss_of(self, feats: Features, logits: Tensor, target: Tensor,
                inputs: Inputs) -> tuple[dict[str, Tensor], Tensor]:
        """Losses of logits, and the points (M, K, 3) that they stand for.

        Args:
            feats (tuple[Tensor]): Features, the finest last.
            logits (Tensor): (M, K, n, n, n).
            target (Tensor): (M, K, 3) world mm, NaN where unknown.
            inputs (dict[str, Tensor]): As of :meth:`estimate`.
        """

    def loss(self, feats: Features, inputs: Inputs,
             data_samples: list[Any]) -> dict[str, Tensor]:
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
            losses, points = self.loss_of(feats, logits, target, inputs)
            distance = torch.linalg.vector_norm(
                points.detach() - target, dim=-1)
            known = distance.isfinite()
            if known.any():
                losses['mpjpe_mm'] = distance[known].mean()
        return losses

    def predict(self, feats: Features, inputs: Inputs,
                data_samples: list[Any]) -> list[InstanceData]:
        """Predict the keypoints of every individual.

        Args:
            feats (tuple[Tensor]): Features, the finest last.
            inputs (dict[str, Tensor]): As of :meth:`estimate`.
            data_samples (list[PoseDataSample]): Their ``grid_centres``
                (I, 3) tell how many individuals each has.

        Returns:
            list[InstanceData]: One a sample, arrays: ``keypoints``
            (I, K, 3) world mm, ``keypoint_scores`` (I, K) in [0, 1] and
            ``spread_mm`` (I, K); of a head that refines also
            ``initial_keypoints`` (I, K, 3).
        """
        logits = self(feats)
        with torch.autocast(logits.device.type, enabled=False):
            found = self.estimate(feats, logits, inputs)
        # one copy from the device for all
        columns = [found.points, found.scores.unsqueeze(-1),
                   found.spread.unsqueeze(-1)]
        if found.initial is not None:
            columns.append(found.initial)
        table = torch.cat(columns, -1).detach().cpu().numpy()
        instances, begin = [], 0
        for sample in data_samples:
            end = begin + len(sample.metainfo['grid_centres'])
            rows = table[begin:end]
            instances.append(InstanceData(
                keypoints=rows[..., :3],
                keypoint_scores=rows[..., 3],
                spread_mm=rows[..., 4]))
            if found.initial is not None:
                instances[-1].initial_keypoints = rows[..., 5:]
            begin = end
        return instances

    def _target(self, data_samples: list[Any], count: int) -> Tensor:
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

    With a refiner and losses that need no labels it is the head of s-DANNCE.
    Scores are the weight of the heaviest voxel.

    Args:
        in_channels (int | Sequence[int]): Channels of the finest features,
            or of all levels, the finest last, which a refiner asks for.
        num_keypoints (int): K.
        loss (dict): Config of the loss on points, the refined ones if they
            are. Defaults to ``DannceL1Loss``.
        volume_loss (dict, optional): Config of a further loss on the
            volumes, ``DannceLikelihoodLoss``. Defaults to None.
        refiner (dict, optional): Config of a ``DanncePoseGraph``, which
            shifts the points. Defaults to None.
        initial_loss (dict, optional): Config of a loss on the points before
            they are refined. Defaults to None.
        pose_losses (dict, optional): Name to config of losses on poses, such
            as ``DannceBoneLengthLoss``; logged as ``loss_<name>``. Defaults
            to None.
        volume_penalties (dict, optional): Name to config of losses on
            volumes that need no labels, such as ``DannceVarianceLoss``;
            likewise. Defaults to None.
        init_cfg (dict, optional): As of :class:`VolumetricHead`.

    Differs from the original: the refined points are judged in mm by the
    loss that the config names, not in voxels by another one.
    """

    def __init__(self,
                 in_channels: int | Sequence[int],
                 num_keypoints: int,
                 loss: dict[str, Any] | None = None,
                 volume_loss: dict[str, Any] | None = None,
                 refiner: dict[str, Any] | None = None,
                 initial_loss: dict[str, Any] | None = None,
                 pose_losses: dict[str, dict[str, Any]] | None = None,
                 volume_penalties: dict[str, dict[str, Any]] | None = None,
                 init_cfg: dict[str, Any] | None = None) -> None:
        levels = ((in_channels, ) if isinstance(in_channels, int)
                  else tuple(in_channels))
        super().__init__(levels[-1], num_keypoints, init_cfg)
        self.in_channels = levels
        if initial_loss is not None and refiner is None:
            raise ValueError('initial_loss: there is no refiner; the points '
                             'have one loss, `loss`')
        self.point_loss = MODELS.build(
            loss or dict(type='mmpose_ext.DannceL1Loss'))
        self.volume_loss = _build(volume_loss)
        self.initial_loss = _build(initial_loss)
        self.pose_losses = _build_all('pose_losses', pose_losses)
        self.volume_penalties = _build_all('volume_penalties',
                                           volume_penalties)
        self.refiner = _build(refiner and dict(
            in_channels=levels, num_keypoints=num_keypoints, **refiner))

    def locate(self, logits: Tensor, moments: VoxelMoments,
               offsets: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`VolumetricHead.locate`."""
        return moments.mean, moments.peak

    def refine(self, feats: Features, local: Tensor,
               inputs: Inputs) -> Tensor | None:
        """See :meth:`VolumetricHead.refine`."""
        if self.refiner is None:
            return None
        offsets, scenes = inputs['offsets'], None
        if 'samples' in inputs:
            scenes = group_numbers(inputs['samples'], inputs['copies'])
        shift = self.refiner(feats, local, offsets, scenes,
                             inputs['centres'], inputs['axes'])
        return place_in_world(local + shift * (offsets[1] - offsets[0]),
                              inputs['centres'], inputs['axes'])

    def loss_of(self, feats: Features, logits: Tensor, target: Tensor,
                inputs: Inputs) -> tuple[dict[str, Tensor], Tensor]:
        """See :meth:`VolumetricHead.loss_of`."""
        moments = softmax_moments(logits, inputs['offsets'])
        points = place_in_world(
            moments.mean, inputs['centres'], inputs['axes'])
        losses = {}
        if self.initial_loss is not None:
            losses['loss_initial'] = self.initial_loss(points, target)
        refined = self.refine(feats, moments.mean, inputs)
        if refined is not None:
            points = refined
        losses['loss_points'] = self.point_loss(points, target)
        if self.volume_loss is not None:
            local = place_in_grid(target, inputs['centres'], inputs['axes'])
            at_label, known = voxel_of(logits, local, inputs['offsets'])
            losses['loss_volumes'] = self.volume_loss(
                at_label - moments.log_sum, known)
        for name, penalty in self.volume_penalties.items():
            losses[f'loss_{name}'] = penalty(
                logits, moments, inputs['offsets'])
        if self.pose_losses:
            poses = pose_batch(points, target, inputs)
            for name, loss in self.pose_losses.items():
                losses[f'loss_{name}'] = loss(poses)
        return losses, points


def pose_batch(points: Tensor, target: Tensor, inputs: Inputs) -> PoseBatch:
    """Poses with the animal's true left and right.

    Args:
        points (Tensor): (M, K, 3) world mm, predicted.
        target (Tensor): (M, K, 3) world mm, NaN where unknown. In a mirrored
            volume left and right are exchanged in both.
        inputs (dict[str, Tensor]): With ``mirrored`` (M, ), ``flip_indices``
            (K, ) and the columns of :class:`PoseBatch`.
    """
    mirrored = inputs['mirrored'][:, None, None]
    flip = inputs['flip_indices']
    return PoseBatch(
        torch.where(mirrored, points[:, flip], points),
        torch.where(mirrored, target[:, flip], target),
        **{name: inputs[name] for name in BELONGING})


def _build(config: dict[str, Any] | None) -> nn.Module | None:
    return None if config is None else MODELS.build(config)


def _build_all(where: str,
               configs: dict[str, dict[str, Any]] | None) -> nn.ModuleDict:
    taken = {'points', 'initial', 'volumes'} & set(configs or ())
    if taken:
        raise DataError('config', f'model.head.{where}', 'names of losses '
                        'that the head has not', ', '.join(sorted(taken)))
    return nn.ModuleDict({
        name: MODELS.build(config)
        for name, config in (configs or {}).items()})


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
                 loss: dict[str, Any] | None = None,
                 init_cfg: dict[str, Any] | None = None) -> None:
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

    def loss_of(self, feats: Features, logits: Tensor, target: Tensor,
                inputs: Inputs) -> tuple[dict[str, Tensor], Tensor]:
        """See :meth:`VolumetricHead.loss_of`."""
        local = place_in_grid(target, inputs['centres'], inputs['axes'])
        losses = dict(loss_volumes=self.volume_loss(
            logits.float(), local, inputs['offsets']))
        with torch.no_grad():
            points = self.estimate(feats, logits, inputs).points
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
