"""The estimator: MMPose's, for crops that are more than a box."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.structures import InstanceData
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.structures import PoseDataSample

from mmpose_ext.registry import MODELS


@MODELS.register_module()
class HandObjectEstimator(TopdownPoseEstimator):
    """``TopdownPoseEstimator`` whose head answers in the photograph's frame.

    MMPose scales and shifts predictions from the crop to the photograph.
    Here a crop may be turned, mirrored or seen by a camera of its own, and
    the head has undone that.
    """

    def add_pred_to_datasample(
            self, batch_pred_instances: Sequence[InstanceData],
            batch_pred_fields: Any,
            batch_data_samples: Sequence[PoseDataSample]
    ) -> Sequence[PoseDataSample]:
        """Put the predictions into the samples as they are.

        Args:
            batch_pred_instances (Sequence[InstanceData]): The head's.
            batch_pred_fields (Any): None; the head gives no maps.
            batch_data_samples (Sequence[PoseDataSample]): The batch.
        """
        for instances, sample in zip(batch_pred_instances,
                                     batch_data_samples, strict=True):
            instances.keypoints_visible = instances.keypoint_scores
            if 'gt_instances' in sample:
                for name in ('bboxes', 'bbox_scores'):
                    if name in sample.gt_instances:
                        instances.set_field(sample.gt_instances[name], name)
            sample.pred_instances = instances
        return batch_data_samples
