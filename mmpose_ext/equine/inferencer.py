"""Poses of horses, in Python.

The family's part of :class:`mmpose_ext.inferencer.Inferencer`.
"""
from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import nn

from mmpose_ext.equine.inference import (
    BATCH,
    DETECTION_SCORE,
    Poses,
    estimate_poses,
    load_detector,
    load_model,
)
from mmpose_ext.equine.sources import (
    Detector,
    Picture,
    locate_horses,
    open_source,
)
from mmpose_ext.inferencer import iterate_some
from mmpose_ext.storage import DataError
from mmpose_ext.training import choose_device

Array = np.ndarray

NOWHERE = Path()  # where a picture lies that is an array


def load(config: Config, checkpoint: str | Path,
         device: str | torch.device = 'auto', *,
         det_config: str | Path | None = None,
         det_checkpoint: str | Path | None = None,
         det_score_thr: float = DETECTION_SCORE) -> HorseInferencer:
    """Make an inferencer of a trained model.

    Args:
        config (Config): Of the training.
        checkpoint (str | Path): Its weights.
        device (str | torch.device): Defaults to ``auto``.
        det_config (str | Path, optional): MMDetection config of a detector
            to find the horses with. Defaults to None: there is none.
        det_checkpoint (str | Path, optional): The detector's weights.
            Defaults to None.
        det_score_thr (float): Score from which a detection counts. Defaults
            to .5.

    Raises:
        DataError: If the weights are those of another model, or the detector
            cannot be loaded.
    """
    chosen = choose_device(str(device))
    detector = None
    if det_config is not None:
        detector = load_detector(
            Path(det_config), _path_of(det_checkpoint), chosen,
            det_score_thr)
    return HorseInferencer(load_model(config, checkpoint, chosen), config,
                           chosen, detector)


class HorseInferencer:
    """Estimates the poses of the horses in pictures.

    Args:
        model (nn.Module): As ``load_model`` gives it.
        config (Config): What it was built from.
        device (torch.device): Where it is.
        detector (Detector, optional): Finds the horses. Defaults to None.

    Attributes:
        model (nn.Module): The network, which MMPose's ``inference_topdown``
            takes too.
        device (torch.device): Where it runs.
    """

    def __init__(self, model: nn.Module, config: Config,
                 device: torch.device,
                 detector: Detector | None = None) -> None:
        self.model, self.device = model, device
        self._config, self._detector = config, detector

    def __call__(self, inputs: Any, batch_size: int | None = None, *,
                 bboxes: Any = None,
                 bbox_file: str | Path | None = None,
                 image_root: str | Path | None = None,
                 skip_unreadable: bool = False) -> Iterator[PoseDataSample]:
        """Estimate the poses of picture after picture.

        Args:
            inputs (ndarray | str | Path | Iterable): A picture (H, W, 3) BGR
                uint8; a picture, a folder, a video or a COCO keypoint file;
                or an iterable of these.
            batch_size (int, optional): Horses at a time. Defaults to None:
                32.
            bboxes (array_like | Iterable, optional): Boxes (N, 4) x1, y1,
                x2, y2 px of every picture, or an iterable with such an array
                for each. Defaults to None: what the detector finds, without
                one those of a COCO file, else the whole picture.
            bbox_file (str | Path, optional): As ``--bbox-file`` of the
                command, where `inputs` is a path. Defaults to None.
            image_root (str | Path, optional): Folder of the pictures of a
                COCO file. Defaults to None.
            skip_unreadable (bool): Leave damaged pictures of a folder, a
                video or a COCO file out. Defaults to False.

        Yields:
            PoseDataSample: Of a picture. ``pred_instances`` has a row a
            horse: ``keypoints`` (N, 26, 2) px, ``keypoint_scores`` (N, 26),
            ``bboxes`` (N, 4) and ``bbox_scores`` (N,). Metainfo:
            ``img_path`` (None of an array), ``img_id``, ``frame`` of a video
            and ``ori_shape``.

        Raises:
            DataError: If an input is damaged or no picture.
        """
        detector = self._detector if bboxes is None else None
        is_path = isinstance(inputs, (str, PathLike))
        if bbox_file is not None and (not is_path or bboxes is not None):
            raise ValueError('bbox_file: expected with the path of pictures '
                             'and without bboxes')

        def open_path(path: str | PathLike[str]) -> Any:
            return open_source(
                Path(path), self._config, _path_of(image_root),
                _path_of(bbox_file), detector, skip_unreadable)

        def pictures_of(items: Iterator[Any]) -> Iterator[
                tuple[Picture, Array]]:
            number = 0
            for item in items:
                if isinstance(item, (str, PathLike)):
                    found: Any = open_path(item)
                else:
                    found = [_picture_of(item, number, detector)]
                for picture, image in found:
                    number += 1
                    yield replace(picture, image_id=number), image

        source: Iterable[tuple[Picture, Array]]
        if is_path:  # checked before anything is predicted
            source = open_path(inputs)
        elif isinstance(inputs, np.ndarray):
            source = [_picture_of(inputs, None, detector)]
        else:
            source = pictures_of(iterate_some(inputs))
        if bboxes is not None:
            source = _with_boxes(source, bboxes)
        return map(_sample_of, estimate_poses(self.model, source,
                                              batch_size or BATCH))


def _path_of(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


def _picture_of(image: Any, number: int | None,
                detector: Detector | None) -> tuple[Picture, Array]:
    """An array as the `number`-th picture of an iterable."""
    name = 'inputs' if number is None else f'inputs[{number}]'
    if (not isinstance(image, np.ndarray) or image.dtype != np.uint8
            or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape):
        raise DataError(
            name, 'picture', 'an array (H, W, 3) BGR uint8, or a path',
            f'{image.dtype} {image.shape}' if isinstance(
                image, np.ndarray) else type(image).__name__)
    picture = Picture(name, (number or 0) + 1, NOWHERE)
    return locate_horses(picture, image, detector), image


def _with_boxes(source: Iterable[tuple[Picture, Array]],
                bboxes: Any) -> Iterator[tuple[Picture, Array]]:
    """Pictures with boxes that are given, for all of them or for each."""
    if isinstance(bboxes, np.ndarray):
        is_for_all = bboxes.ndim == 2
    else:
        is_for_all = (isinstance(bboxes, (list, tuple)) and len(bboxes) > 0
                      and np.ndim(bboxes[0]) == 1)
    each = (itertools.repeat(_boxes_of(bboxes, 'bboxes')) if is_for_all
            else (_boxes_of(boxes, f'bboxes[{number}]')
                  for number, boxes in enumerate(bboxes)))
    for picture, image in source:
        boxes = next(each, None)
        if boxes is None:
            raise DataError('bboxes', picture.name, 'boxes', 'no more')
        yield replace(picture, boxes=boxes, truth=None,
                      box_scores=np.ones(len(boxes), np.float32)), image


def _boxes_of(boxes: Any, name: str) -> Array:
    """Boxes (N, 4) float32."""
    try:
        array = np.asarray(boxes, np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(name, 'boxes', 'numbers (N, 4)', str(error)) from error
    if array.ndim != 2 or array.shape[1] != 4:
        raise DataError(name, 'boxes', 'shape (N, 4): x1, y1, x2, y2',
                        f'shape {array.shape}')
    if not np.isfinite(array).all() or (array[:, 2:] <= array[:, :2]).any():
        raise DataError(name, 'boxes', 'x1 < x2 and y1 < y2',
                        f'{array.tolist()!r:.100}')
    return array


def _sample_of(poses: Poses) -> PoseDataSample:
    picture = poses.picture
    sample = PoseDataSample(metainfo=dict(
        img_path=None if picture.path == NOWHERE else str(picture.path),
        img_id=picture.image_id, frame=picture.frame,
        ori_shape=poses.image.shape[:2]))
    sample.pred_instances = InstanceData(
        keypoints=poses.keypoints, keypoint_scores=poses.scores,
        bboxes=picture.boxes, bbox_scores=picture.box_scores)
    return sample
