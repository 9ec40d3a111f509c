"""From recordings to what the preprocessor takes: frames, crops, packing.

Nothing is drawn at random here: a volume is turned, mirrored and moved where
it is built, on the device. A crop leaves room for all of that.
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.registry import TRANSFORMS

Array = np.ndarray

META_KEYS = ('id', 'img_id', 'sample_id', 'recording', 'recording_index',
             'frames', 'cameras', 'com', 'turn', 'draw_seed', 'fps',
             'chunk_length', 'flip_indices', 'keypoint_names',
             'skeleton_links')
_CORNERS = 16
_MARGIN_PX = 2


def crop_boxes(cameras: Cameras, com: Array, reach_mm: float) -> Array:
    """Parts of the images that volumes about given middles can show.

    A volume with room to move, turned by any angle about z, stays in a
    cylinder; its outline is projected. A view in which that lies beside the
    image keeps the nearest row or column, as sampling beyond the border
    would find it there. A view that the cylinder surrounds, or whose
    lens folds before its outline, keeps all.

    Args:
        cameras (Cameras): V cameras with sizes.
        com (ndarray): (I, 3) middles, mm.
        reach_mm (float): Half of the volume's side and how far its middle may
            move along an axis, together.

    Returns:
        ndarray: (V, 4) int64 first column and row, and those after the last.
    """
    assert cameras.sizes is not None
    angles = np.arange(_CORNERS) * (2 * np.pi / _CORNERS)
    radius = math.sqrt(2) * reach_mm / math.cos(np.pi / _CORNERS)
    outline = np.stack([
        np.stack([radius * np.cos(angles), radius * np.sin(angles),
                  np.full(_CORNERS, height)], -1)
        for height in (-reach_mm, 0., reach_mm)
    ]).reshape(-1, 3)
    pixels, _ = cameras.project((com[:, None] + outline).reshape(-1, 3))
    whole = ~np.isfinite(pixels).all((1, 2))
    pixels[whole] = 0
    first = np.floor(pixels.min(1)) - _MARGIN_PX
    last = np.ceil(pixels.max(1)) + _MARGIN_PX
    # of lines bent by the lens, the outline has the corners alone
    slack = np.ceil(.01 * (last - first))
    size = cameras.sizes
    first = np.clip(first - slack, 0, size - 1)
    last = np.clip(last + slack, first, size - 1)
    boxes = np.concatenate([first, last + 1], 1).astype(np.int64)
    boxes[whole, :2], boxes[whole, 2:] = 0, size[whole]
    return boxes


@TRANSFORMS.register_module()
class DannceLoadFrames(BaseTransform):
    """Read the pictures of a time point.

    Required keys: ``read_frames``, which returns V pictures and the first
    column and row (V, 2) of each in its image; ``cameras``. Added:
    ``images``, V arrays (H, W, 3) uint8, BGR. Changed: ``cameras``.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read them."""
        images, corners = results['read_frames']()
        results['images'] = images
        results['cameras'] = results['cameras'].crop(
            corners, np.array([image.shape[1::-1] for image in images]))
        return results


@TRANSFORMS.register_module()
class DannceCropToVolume(BaseTransform):
    """Keep of each picture what the volume can show, see `crop_boxes`.

    Required keys: ``images``, ``cameras``, ``com``. Changed: ``images``,
    ``cameras``.

    Args:
        reach_mm (float): Half of the volume's side and how far augmentation
            may move its middle along an axis, together; times the largest
            scale.
    """

    def __init__(self, reach_mm: float) -> None:
        if not 0 < reach_mm < math.inf:
            raise ValueError(f'reach_mm: expected above 0, found {reach_mm}')
        self.reach_mm = reach_mm

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop them."""
        boxes = crop_boxes(results['cameras'], results['com'], self.reach_mm)
        results['images'] = [
            image[top:bottom, left:right] for image, (
                left, top, right, bottom) in zip(
                    results['images'], boxes, strict=True)
        ]
        results['cameras'] = results['cameras'].crop(
            boxes[:, :2], boxes[:, 2:] - boxes[:, :2])
        return results


@TRANSFORMS.register_module()
class DanncePackInputs(BaseTransform):
    """Pack pictures and labels of a time point.

    Gives ``inputs``, V uint8 tensors (3, H, W), RGB, of sizes that may
    differ, and ``data_samples``: metainfo of ``META_KEYS``, and
    ``gt_instances`` with ``keypoints`` (I, K, 3) float32 mm, NaN where not
    labelled, and ``keypoints_visible`` (I, K) float32.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack them."""
        sample = PoseDataSample(
            metainfo={key: results[key] for key in META_KEYS})
        keypoints = np.asarray(results['keypoints'], np.float32)
        sample.gt_instances = InstanceData(
            keypoints=keypoints,
            keypoints_visible=np.isfinite(keypoints).all(-1).astype(
                np.float32))
        inputs = [
            torch.from_numpy(np.array(image.transpose(2, 0, 1)[::-1],
                                      order='C'))
            for image in results['images']
        ]
        return dict(inputs=inputs, data_samples=sample)
