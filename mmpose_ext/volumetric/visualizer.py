"""MMPose's ``--show-dir`` for samples of several views."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmpose.structures import PoseDataSample

from mmpose_ext.drawing.hook import BatchVisualizationHook, to_image
from mmpose_ext.drawing.lettering import EDGE, TEXT, write_line
from mmpose_ext.drawing.visualizer import PictureVisualizer
from mmpose_ext.registry import HOOKS, VISUALIZERS
from mmpose_ext.volumetric.mosaic import Mosaic, Scene
from mmpose_ext.volumetric.pose_drawing import (
    TRUTH,
    PoseStyle,
)
from mmpose_ext.volumetric.space_panel import place_of_interest

Array = np.ndarray

_COM_SIDE = 480  # px, about, of a picture


@HOOKS.register_module()
class VolumetricVisualizationHook(BatchVisualizationHook):
    """MMPose's ``--show-dir`` for time points of V views.

    Hands all views of a sample to the visualizer, a
    :class:`VolumetricPoseVisualizer`. Arguments are those of
    ``PoseVisualizationHook``.
    """

    def image_of(self, data_batch: dict[str, Any], index: int) -> list[Array]:
        """The views (H, W, 3) of a sample."""
        return [to_image(batch[index]) for batch in data_batch['inputs']]


@VISUALIZERS.register_module()
class VolumetricPoseVisualizer(PictureVisualizer):
    """Poses in all views and in space; arguments: ``PoseLocalVisualizer``'s.
    """

    def draw_picture(self, image: Sequence[Array], data_sample: PoseDataSample,
                     draw_gt: bool, draw_pred: bool,
                     kpt_thr: float) -> Array:
        """See :func:`draw_sample`; the views (H, W, 3) come as RGB.

        `kpt_thr` changes nothing: the peak of a keypoint's distribution in a
        volume is small where there are many voxels.
        """
        return draw_sample(image, data_sample, draw_gt, draw_pred)


@VISUALIZERS.register_module()
class ComVisualizer(PictureVisualizer):
    """Centres of mass in a picture: found a cross, labelled a ring.

    Arguments are those of ``PoseLocalVisualizer``. Pictures come as the
    network gets them, (H, W, 3) BGR, from ``BatchVisualizationHook``.
    """

    def draw_picture(self, image: Array, data_sample: PoseDataSample,
                     draw_gt: bool, draw_pred: bool,
                     kpt_thr: float) -> Array:
        """See :func:`draw_com_sample`; `kpt_thr` changes nothing."""
        return draw_com_sample(image, data_sample, draw_gt, draw_pred)


def draw_com_sample(image: Array, sample: PoseDataSample,
                    draw_gt: bool = True, draw_pred: bool = True) -> Array:
    """Draw where centres of mass are found in a picture, and are.

    Args:
        image (ndarray): (H, W, 3) BGR, the network's input.
        sample (PoseDataSample): As ``PackPoseInputs`` makes it, and
            ``pred_instances``; points in px of the reduced frame.
        draw_gt (bool): Whether to draw labels. Defaults to True.
        draw_pred (bool): Whether to draw the prediction. Defaults to True.

    Returns:
        ndarray: (H', W', 3) uint8 BGR, enlarged.
    """
    factor = max(1, round(_COM_SIDE / max(image.shape[:2])))
    canvas = cv2.resize(image, None, fx=factor, fy=factor,
                        interpolation=cv2.INTER_CUBIC)

    def place(points: Array) -> list[list[int]]:
        moved = (points.reshape(-1, 2) - sample.input_center) / (
            sample.input_scale) + .5
        # the scale goes from the first pixel's centre to the last's
        last = np.array(image.shape[1::-1]) - 1
        pixels = (moved * last + .5) * factor - .5
        return np.rint(pixels).astype(int).tolist()

    caption = str(sample.get('img_path', ''))
    truth = sample.get('gt_instances') if draw_gt else None
    if truth is not None:
        seen = np.asarray(truth.keypoints_visible).reshape(-1) > 0
        for centre in place(np.asarray(truth.keypoints).reshape(-1, 2)[seen]):
            cv2.circle(canvas, centre, 9, TRUTH, 1, cv2.LINE_AA)
    found = sample.get('pred_instances') if draw_pred else None
    if found is not None:
        scores = np.asarray(found.keypoint_scores).reshape(-1)
        for centre in place(np.asarray(found.keypoints)):
            for color, width in ((EDGE, 3), (TEXT, 1)):
                cv2.drawMarker(canvas, centre, color, cv2.MARKER_CROSS, 15,
                               width, cv2.LINE_AA)
        caption += '   score ' + ', '.join(f'{score:.2f}' for score in scores)
    write_line(canvas, caption, 8, 18, .4)
    return canvas


def draw_sample(views: Sequence[Array], sample: PoseDataSample,
                draw_gt: bool = True, draw_pred: bool = True) -> Array:
    """Draw a data sample.

    Args:
        views (Sequence[ndarray]): V pictures (H, W, 3), RGB.
        sample (PoseDataSample): As :class:`DanncePackInputs` makes it, and
            ``pred_instances``.
        draw_gt (bool): Whether to draw labels. Defaults to True.
        draw_pred (bool): Whether to draw the prediction. Defaults to True.

    Returns:
        ndarray: (H, W, 3) uint8 BGR.
    """
    style = PoseStyle.from_names(sample.keypoint_names,
                                 sample.skeleton_links)
    truth = _points(sample, 'gt_instances') if draw_gt else None
    found = _points(sample, 'pred_instances') if draw_pred else None
    if truth is not None and not np.isfinite(truth).any():
        truth = None
    com = np.asarray(sample.com, np.float64)
    if found is None:  # then the labels are what is to be seen
        found, truth = truth, None
    if found is None:
        found = np.full((len(com), len(sample.keypoint_names), 3), np.nan)
    seen = [found, *([] if truth is None else [truth]), com]
    middle, reach = place_of_interest(seen)
    heights = np.concatenate([part[..., 2].ravel() for part in seen])
    turn = round(math.degrees(sample.get('turn', 0.)))
    caption = f'{sample.recording}   sampleID {sample.sample_id}'
    if turn:
        caption += f'   volume turned by {turn} deg'
    scene = Scene([view[..., ::-1] for view in views], sample.cameras, found,
                  truth, caption)
    return Mosaic(style, len(views), reach, float(np.nanmin(heights))).draw(
        scene, middle)


def _points(sample: PoseDataSample, name: str) -> Array | None:
    """Points (I, K, 3) of a sample's instances, on any device."""
    instances: Any = sample.get(name)
    if instances is None or 'keypoints' not in instances:
        return None
    return torch.as_tensor(instances.keypoints).detach().double().cpu().numpy()
