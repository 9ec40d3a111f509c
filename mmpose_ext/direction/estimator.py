"""From images to points, angles and how far to trust them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from mmengine.structures import InstanceData
from mmpose.models.pose_estimators import TopdownPoseEstimator
from torch import Tensor, nn

from mmpose_ext.direction.head import DirectionHead, score_of
from mmpose_ext.geometry.symmetries import (
    SYMMETRIES,
    restore_points,
    transform_image,
)
from mmpose_ext.registry import MODELS

TTAS = ('none', 'd4')


@dataclass(frozen=True)
class DirectionEstimate:
    """What the model says about a batch of images.

    Attributes:
        points: (B, 3, 2) base, neck and head, px of the input image.
        scores: (B, 3) in [0, 1], ``exp(-sigma / 2 px)``; 1 where the head
            estimates no sigma and no symmetries are averaged.
        angles: (B, 3) body, head and turn angle, radians, convention
            ``image`` (see :mod:`mmpose_ext.direction.angles`).
        angle_conf: (B, ) in [0, 1], confidence of the head angle.
    """

    points: Tensor
    scores: Tensor
    angles: Tensor
    angle_conf: Tensor


@MODELS.register_module()
class DirectionEstimator(TopdownPoseEstimator):
    """MMPose's top-down estimator for whole square crops.

    ``test_cfg = dict(tta='d4')`` averages the predictions for the eight
    symmetries of the image; their spread then counts as uncertainty; 'none'
    and None do not. Other arguments are those of ``TopdownPoseEstimator``.
    """

    backbone: nn.Module
    head: DirectionHead
    data_preprocessor: nn.Module
    test_cfg: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = {'tta'}
        unknown = set(self.test_cfg) - known
        if unknown:
            raise ValueError(
                f'model.test_cfg: expected keys among {sorted(known)}, found '
                f'{sorted(unknown)}')
        if self.test_cfg.get('tta') not in (None, *TTAS):
            raise ValueError(f'model.test_cfg.tta: expected one of {TTAS}, '
                             f'found {self.test_cfg["tta"]!r}')

    def estimate(self, inputs: Tensor) -> DirectionEstimate:
        """Estimate points and angles.

        Args:
            inputs (Tensor): Normalised images (B, 1, S, S).
        """
        if self.test_cfg.get('tta') == 'd4':
            points, sigma = self._average_symmetries(inputs)
        else:
            points, sigma = self.head.estimate(self.extract_feat(inputs))
        return describe(points, sigma)

    def predict(self, inputs: Tensor, data_samples: list[Any]) -> list[Any]:
        """Predict as MMPose does, with angles beside the points.

        Args:
            inputs (Tensor): Normalised images (B, 1, S, S).
            data_samples (list[PoseDataSample]): One an image.

        Returns:
            list[PoseDataSample]: With ``pred_instances`` holding
            ``keypoints`` (1, 3, 2), ``keypoint_scores`` (1, 3),
            ``body_angle``, ``head_angle``, ``turn_angle`` and ``angle_conf``
            (1,).
        """
        return self.add_pred_to_datasample(
            split_estimate(self.estimate(inputs)), None, data_samples)

    def _average_symmetries(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        size = inputs.shape[-1]
        found = []
        for symmetry in SYMMETRIES:
            image = transform_image(inputs, symmetry)
            points, sigma = self.head.estimate(self.extract_feat(image))
            found.append((restore_points(points, symmetry, size), sigma))
        points, sigma = (torch.stack(values) for values in zip(*found,
                                                               strict=True))
        # law of total variance; per axis
        disagreement = points.var(0, correction=0).mean(-1)
        total = sigma.square().mean(0) + disagreement
        return points.mean(0), total.sqrt()


def split_estimate(estimate: DirectionEstimate) -> list[InstanceData]:
    """Instances as :meth:`DirectionEstimator.predict` gives them."""
    points, scores, angles, conf = (
        value.detach().float().cpu().numpy()
        for value in (estimate.points, estimate.scores, estimate.angles,
                      estimate.angle_conf))
    return [
        InstanceData(
            keypoints=points[i:i + 1],
            keypoint_scores=scores[i:i + 1],
            body_angle=angles[i:i + 1, 0],
            head_angle=angles[i:i + 1, 1],
            turn_angle=angles[i:i + 1, 2],
            angle_conf=conf[i:i + 1]) for i in range(len(points))
    ]


def describe(points: Tensor, sigma: Tensor) -> DirectionEstimate:
    """Derive scores and angles from points.

    Args:
        points (Tensor): (B, 3, 2), px.
        sigma (Tensor): (B, 3), px.
    """
    body = points[:, 1] - points[:, 0]
    head = points[:, 2] - points[:, 1]
    angles = [torch.atan2(v[:, 1], v[:, 0]) for v in (body, head)]
    turn = angles[1] - angles[0]
    turn = torch.atan2(turn.sin(), turn.cos())
    # error propagation: independent ends, seen from the length of the vector
    angle_sigma = (sigma[:, 1].square() + sigma[:, 2].square()).sqrt() / (
        head.square().sum(-1).sqrt().clamp(min=1e-3))
    return DirectionEstimate(
        points=points,
        scores=score_of(sigma),
        angles=torch.stack([*angles, turn], -1),
        angle_conf=torch.exp(-angle_sigma))
