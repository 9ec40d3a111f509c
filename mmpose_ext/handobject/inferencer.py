"""Hands and objects in photographs, in Python.

The family's part of :class:`mmpose_ext.inferencer.Inferencer`.
"""
from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmpose.structures import PoseDataSample
from torch import nn

from mmpose_ext.geometry.crop_views import intrinsic_matrix
from mmpose_ext.handobject.hand import SIDES
from mmpose_ext.handobject.inference import BATCH, HandObjectInferencer
from mmpose_ext.handobject.photographs import (
    Photograph,
    list_photographs,
    read_camera,
)
from mmpose_ext.handobject.tasks import INDEX_SUFFIX, open_index
from mmpose_ext.inferencer import iterate_some
from mmpose_ext.storage import DataError

Array = np.ndarray
Picture = tuple[Path | Array, str]  # a file or pixels, and its name


def load(config: Config, checkpoint: str | Path,
         device: str | torch.device = 'auto') -> PhotographInferencer:
    """Make an inferencer of a trained model.

    Args:
        config (Config): Of the training.
        checkpoint (str | Path): Its weights.
        device (str | torch.device): Defaults to ``auto``.

    Raises:
        DataError: If the weights are those of another model.
    """
    return PhotographInferencer(
        HandObjectInferencer(config, checkpoint, str(device)))


class PhotographInferencer:
    """Finds hands, and the objects about them, in photographs.

    Args:
        estimator (HandObjectInferencer): The model.

    Attributes:
        model (nn.Module): The network.
        device (torch.device): Where it runs.
    """

    def __init__(self, estimator: HandObjectInferencer) -> None:
        self._estimator = estimator
        self.model: nn.Module = estimator.model
        self.device = estimator.device

    def __call__(self,
                 inputs: Any,
                 batch_size: int | None = None,
                 *,
                 bboxes: Any = None,
                 camera: Any = None,
                 side: str | Iterable[Any] | None = None,
                 data_root: str | Path | None = None
                 ) -> Iterator[PoseDataSample]:
        """Find hand by hand.

        Args:
            inputs (ndarray | str | Path | Iterable): A photograph (H, W, 3)
                BGR uint8; a file or a folder of them; an index (``.npz``)
                that ``convert_dataset`` wrote, all of whose hands are
                looked at with their own boxes, cameras and sides; or an
                iterable of photographs and files.
            batch_size (int, optional): Hands at a time. Defaults to None:
                16.
            bboxes (array_like | Iterable, optional): A box (4,), left, top,
                right, bottom px, or one a hand (N, 4), of every picture, or
                an iterable with such an array for each. Defaults to None:
                the whole picture.
            camera (array_like | str | Path | Iterable, optional): Matrix
                (3, 3) of the whole photograph, or (4,) fx, fy, cx, cy px, or
                a file with them, of all; or an iterable with such for each.
                Defaults to None: guessed; then ``metric_depth`` is False,
                and of the points in space only what is relative to the wrist
                means something.
            side (str | Iterable, optional): ``right`` or ``left``; or an
                iterable with such, or one a hand, for each picture. Defaults
                to None: right.
            data_root (str | Path, optional): Of an index, the folder of its
                pictures. Defaults to None: the one above the index's folder
                if that is called ``index``, else the index's own.

        Yields:
            PoseDataSample: Of a hand. ``pred_instances`` has ``keypoints``
            (1, 21, 2) px, ``keypoint_scores`` (1, 21), ``keypoints_cam``
            (1, 21, 3) m in the photograph's camera frame, ``joints``
            (1, 21, 3) m about the wrist and, of models that have them,
            ``object_rotations`` (1, 21, 3, 3), ``object_translations``
            (1, 21, 3) m, ``object_scores`` and ``grasped_scores`` (1, 21) by
            class, and ``contact_scores`` (1, 21). Metainfo: ``img_path``
            (None of an array), ``img_id`` (counted over the hands, or the
            index's), ``bbox`` (4,), ``camera_matrix`` (3, 3),
            ``metric_depth``, and ``side``, 0 right or 1 left.

        Raises:
            DataError: If an input is damaged, or box, camera or side are not
                of it.
            ValueError: If an option is not of these inputs.
        """
        size = batch_size or BATCH
        is_path = isinstance(inputs, (str, PathLike))
        if is_path and Path(inputs).suffix.lower() == INDEX_SUFFIX:
            for name, value in (('bboxes', bboxes), ('camera', camera),
                                ('side', side)):
                if value is not None:
                    raise ValueError(f'{name}: expected None, for an index '
                                     'has its own')
            task = open_index(self._estimator.config, Path(inputs),
                              None if data_root is None else Path(data_root))
            return self._estimator.stream(task.photographs, size)
        if data_root is not None:
            raise ValueError('data_root: expected an index (.npz) as inputs')
        pictures: Iterable[Picture]
        if is_path:  # checked before anything is predicted
            pictures = list(_pictures_of(inputs, ''))
        elif isinstance(inputs, np.ndarray) and inputs.ndim != 4:
            pictures = _pictures_of(inputs, 'inputs')
        else:
            pictures = (picture for number, item in enumerate(
                iterate_some(inputs)) for picture in _pictures_of(
                    item, f'inputs[{number}]'))
        return self._estimator.stream(
            _photographs(pictures, _boxes_of_each(bboxes),
                         _matrices_of_each(camera), _sides_of_each(side)),
            size)


def _pictures_of(item: Any, name: str) -> Iterator[Picture]:
    """The pictures that an input stands for.

    Raises:
        DataError: If it is none.
    """
    if isinstance(item, (str, PathLike)):
        for found in list_photographs(Path(item), None, None, None, SIDES[0]):
            yield found.image, found.name
    elif isinstance(item, np.ndarray):
        yield item, name
    else:
        raise DataError(name, 'image', 'uint8 (H, W, 3), BGR, or a path',
                        type(item).__name__)


def _photographs(pictures: Iterable[Picture],
                 bboxes: Iterator[list[Array | None]],
                 matrices: Iterator[Array | None],
                 sides: Iterator[str | Sequence[str]]
                 ) -> Iterator[Photograph]:
    """Hands, one after another."""
    numbers = itertools.count()
    for place, (image, name) in enumerate(pictures):
        boxes = _next(bboxes, 'bboxes', place)
        matrix = _next(matrices, 'camera', place)
        given = _next(sides, 'side', place)
        hands = [given] * len(boxes) if isinstance(given, str) else given
        if len(hands) != len(boxes):
            raise DataError(f'side[{place}]', 'sides', f'{len(boxes)}, one a '
                            'box', str(len(hands)))
        for box, hand in zip(boxes, hands, strict=True):
            yield Photograph(image, box, matrix, hand, next(numbers), name)


def _next(values: Iterator[Any], name: str, place: int) -> Any:
    for value in values:
        return value
    raise DataError(name, f'inputs[{place}]', 'an entry a picture', 'no more')


def _boxes_of_each(bboxes: Any) -> Iterator[list[Array | None]]:
    if bboxes is None or 0 < _depth(bboxes) < 3:
        return itertools.repeat(_boxes_of(bboxes, 'bboxes'))
    return (_boxes_of(boxes, f'bboxes[{place}]')
            for place, boxes in enumerate(bboxes))


def _boxes_of(boxes: Any, name: str) -> list[Array | None]:
    """The boxes of a picture; None stands for all of it."""
    if boxes is None:
        return [None]
    values = _numbers(boxes, name, 'boxes (N, 4): left, top, right, bottom')
    if not values.size:
        return []
    if values.ndim > 2 or values.shape[-1] != 4:
        raise DataError(name, 'boxes', 'shape (4,) or (N, 4): left, top, '
                        'right, bottom', f'shape {values.shape}')
    return list(values.reshape(-1, 4))


def _matrices_of_each(camera: Any) -> Iterator[Array | None]:
    is_matrix = _depth(camera) == 2 and len(camera) == len(camera[0]) == 3
    if (camera is None or isinstance(camera, (str, PathLike)) or is_matrix
            or _depth(camera) == 1):
        return itertools.repeat(_matrix_of(camera, 'camera'))
    return (_matrix_of(one, f'camera[{place}]')
            for place, one in enumerate(camera))


def _matrix_of(camera: Any, name: str) -> Array | None:
    """The matrix (3, 3) of a camera; None if it is unknown."""
    if camera is None:
        return None
    if isinstance(camera, (str, PathLike)):
        return read_camera([str(camera)])
    values = _numbers(camera, name, 'a camera')
    if values.shape == (4, ):
        return intrinsic_matrix(values)
    if values.shape != (3, 3):
        raise DataError(name, 'camera', 'a matrix (3, 3), or fx, fy, cx, cy',
                        f'shape {values.shape}')
    return values


def _sides_of_each(side: Any) -> Iterator[str | Sequence[str]]:
    if side is None or isinstance(side, str):
        return itertools.repeat(side or SIDES[0])
    return (one if isinstance(one, str) else list(one) for one in side)


def _numbers(values: Any, name: str, expected: str) -> Array:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(name, 'values', f'numbers of {expected}',
                        str(error)) from error


def _depth(values: Any) -> int:
    """Axes of nested lists or of an array; 0 where an entry is missing."""
    if isinstance(values, np.ndarray):
        return values.ndim
    if not isinstance(values, (list, tuple)) or not values or (
            values[0] is None):
        return 0
    return 1 + _depth(values[0])
