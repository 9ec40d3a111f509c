"""Between pixels and the network's label space."""
from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from mmpose.codecs.base import BaseKeypointCodec

from mmpose_ext.registry import KEYPOINT_CODECS

T = TypeVar('T', np.ndarray, torch.Tensor)


@KEYPOINT_CODECS.register_module()
class CenteredRegressionLabel(BaseKeypointCodec):
    """Points relative to the image's middle: ``o = (p - S / 2) / (S / 2)``.

    Related to MMPose's ``RegressionLabel`` r by ``o = 2 r - 1``; a mean
    squared error in this space is four times that one. A pixel position p
    counts from the centre of the first pixel, so values lie in
    [-1, 1 - 2 / S].

    Args:
        input_size (tuple[int, int]): Width and height of the image, px.
    """

    label_mapping_table = dict(
        keypoint_labels='keypoint_labels', keypoint_weights='keypoint_weights')

    def __init__(self, input_size: tuple[int, int]) -> None:
        super().__init__()
        self.input_size = tuple(input_size)

    def encode(self,
               keypoints: np.ndarray,
               keypoints_visible: np.ndarray | None = None) -> dict[str, Any]:
        """Encode points of instances.

        Args:
            keypoints (ndarray): (N, K, 2), px.
            keypoints_visible (ndarray, optional): (N, K). Defaults to all
                visible.

        Returns:
            dict: ``keypoint_labels`` (N, K, 2) float32 and
            ``keypoint_weights`` (N, K) float32, 0 for invisible points and
            points outside of the image.
        """
        keypoints = np.asarray(keypoints)
        if keypoints_visible is None:
            keypoints_visible = np.ones(keypoints.shape[:2], np.float32)
        weights = self.is_inside(keypoints) & (keypoints_visible > .5)
        labels = np.where(np.isfinite(keypoints), keypoints, 0.)
        return dict(
            keypoint_labels=self.to_labels(labels).astype(np.float32),
            keypoint_weights=weights.astype(np.float32))

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decode labels (N, K, 2) to points in px and scores of one."""
        return self.to_pixels(encoded), np.ones(encoded.shape[:-1],
                                                np.float32)

    def to_labels(self, points: T) -> T:
        """Pixels (..., 2) to labels, array or tensor."""
        half = self._half(points)
        return (points - half) / half

    def to_pixels(self, labels: T) -> T:
        """Labels (..., 2) to pixels, array or tensor."""
        half = self._half(labels)
        return labels * half + half

    def is_inside(self, points: T) -> T:
        """Whether points (..., 2) lie on the image, up to its outer rim."""
        size = 2 * self._half(points)
        inside: T = (points >= -.5) & (points <= size - .5)
        return inside.all(-1)  # type: ignore[return-value]

    def _half(self, like: T) -> T:
        half = [side / 2 for side in self.input_size]
        if isinstance(like, torch.Tensor):
            return like.new_tensor(half)
        return np.asarray(half, dtype=np.result_type(like, np.float32))
