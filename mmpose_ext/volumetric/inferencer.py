"""Poses and centres of mass of time points, in Python.

The family's part of :class:`mmpose_ext.inferencer.Inferencer`.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.inferencer import iterate_some
from mmpose_ext.storage import DataError
from mmpose_ext.training import choose_device, in_batches
from mmpose_ext.volumetric.com_inference import ComLocator
from mmpose_ext.volumetric.estimator import DannceEstimator
from mmpose_ext.volumetric.inference import DanncePredictor, load_model
from mmpose_ext.volumetric.prediction_plan import (
    choose_rows,
    open_for_prediction,
)
from mmpose_ext.volumetric.recordings import Recording
from mmpose_ext.volumetric.streaming import (
    AHEAD,
    BATCH,
    MIN_VIEWS,
    Views,
    read_batches,
)

Array = np.ndarray


def load(config: Config, checkpoint: str | Path,
         device: str | torch.device = 'auto') -> TimePointInferencer:
    """Make an inferencer of a trained model.

    Args:
        config (Config): Of the training.
        checkpoint (str | Path): Its weights.
        device (str | torch.device): Defaults to ``auto``.

    Raises:
        DataError: If the weights are those of another model.
    """
    chosen = choose_device(str(device))
    return TimePointInferencer(
        load_model(config, checkpoint, chosen), config, chosen)


@dataclass(frozen=True, eq=False)
class TimePoint:
    """What is known of a time point.

    Attributes:
        views: V images (H, W, 3) uint8 BGR, None for one that is missing;
            None if too few are there.
        com: (I, 3) mm, where the animals are; NaN unknown. None of a model
            that finds it.
        meta: Where it is from.
    """

    views: Views
    com: Array | None
    meta: dict[str, Any]


class TimePointInferencer:
    """Finds poses about centres of mass, or these, time point by time point.

    Args:
        model (DannceEstimator | nn.Module): As ``load_model`` gives it.
        config (Config): Of the training.
        device (torch.device): Where the model is.

    Attributes:
        model (nn.Module): The network.
        device (torch.device): Where it runs.
    """

    def __init__(self, model: Any, config: Config,
                 device: torch.device) -> None:
        self.model, self.config, self.device = model, config, device
        self.poses = isinstance(model, DannceEstimator)

    def __call__(self,
                 inputs: Any,
                 batch_size: int | None = None,
                 *,
                 cameras: Cameras | None = None,
                 com: Any = None,
                 start: int = 0,
                 stop: int | None = None,
                 every: int = 1,
                 turn_average: int = 1) -> Iterator[PoseDataSample]:
        """Predict time point by time point.

        Args:
            inputs (str | Path | Iterable): A folder with a recording; or
                time points, each a sequence of V images (H, W, 3) uint8 BGR,
                None for one that is missing. Fewer than two images give NaN.
            batch_size (int, optional): Time points at a time. Defaults to
                None: 4.
            cameras (Cameras, optional): Of time points, the V cameras of
                their images, with sizes. Defaults to None.
            com (str | Path | Iterable, optional): Of a model for poses, the
                centres of mass to look around: of a recording ``com3d.mat``,
                or of several animals a pattern such as
                ``instance*com3d.mat``; of time points (I, 3) mm for each,
                NaN unknown, as an array or iterable. Defaults to None: the
                recording's own.
            start (int): Of a recording, the first time point, counted from
                0. Defaults to 0.
            stop (int, optional): Of a recording, the time point to stop
                before. Defaults to None: the end.
            every (int): Of a recording, take each so many-th. Defaults to 1.
            turn_average (int): Of a model for poses, average over so many
                grids, turned about z. Defaults to 1.

        Yields:
            PoseDataSample: Of a time point. A model for poses gives
            ``pred_instances`` with ``keypoints`` (I, K, 3) world mm,
            ``keypoint_scores`` (I, K), ``spread_mm`` (I, K) and, if it
            refines them, ``initial_keypoints`` (I, K, 3); time points of a
            recording without a centre of mass are left out. One for centres
            of mass gives ``com`` (I, 3) mm, ``error_px`` (I,), ``num_views``
            (I,) and ``scores`` (I, V), animals in the order of its maps.
            Metainfo: ``time_point``, ``cameras``, ``blank_views``; of a
            recording ``recording``, ``source``, ``sample_id``, ``frames``
            (V,); of poses ``com`` and ``keypoint_names``.

        Raises:
            DataError: If an input is damaged or does not fit the model.
            ValueError: If an option is out of range or not of these inputs.
        """
        self._check_options(com is not None, start, every, turn_average)
        size = batch_size or BATCH
        if isinstance(inputs, (str, PathLike)):
            if cameras is not None:
                raise ValueError('cameras: expected None, for a recording '
                                 'has its own')
            recording = self._open(Path(inputs), com)
            rows, _ = choose_rows(recording, start, stop, every, self.poses)
            cameras = recording.cameras
            points = self._of_recording(recording, rows, size)
        else:
            self._check_time_points(cameras, com, start, stop, every)
            assert cameras is not None
            points = _of_images(inputs, cameras, com)
        predict = (self._pose_finder(cameras, turn_average) if self.poses
                   else self._com_finder(cameras))
        return (sample for batch in in_batches(points, size)
                for sample in predict(batch))

    def _check_options(self, has_com: bool, start: int, every: int,
                       turn_average: int) -> None:
        for name, value, least in (('start', start, 0), ('every', every, 1),
                                   ('turn_average', turn_average, 1)):
            if value < least:
                raise ValueError(f'{name}: expected at least {least}, found '
                                 f'{value}')
        if not self.poses and (has_com or turn_average > 1):
            raise ValueError(
                f'{"com" if has_com else "turn_average"}: expected a model '
                'for poses, found one for centres of mass')

    def _check_time_points(self, cameras: Cameras | None, com: Any,
                           start: int, stop: int | None,
                           every: int) -> None:
        if (start, stop, every) != (0, None, 1):
            raise ValueError('start, stop, every: expected a recording as '
                             'inputs, found time points')
        if cameras is None or cameras.sizes is None:
            raise ValueError('cameras: expected those of the time points, '
                             'with sizes, found none' + (
                                 '' if cameras is None else ' of these'))
        if self.poses and com is None:
            raise ValueError('com: expected where the animals are at each '
                             'time point, found none')

    def _open(self, folder: Path, com: Any) -> Recording:
        if com is not None and not isinstance(com, (str, PathLike)):
            raise ValueError('com: expected the file of a recording, found '
                             f'{type(com).__name__}')
        return open_for_prediction(
            self.config, folder, None if com is None else Path(com),
            self.poses)

    def _of_recording(self, recording: Recording, rows: Array,
                      ahead: int) -> Iterator[TimePoint]:
        """Time points of a recording, read some ahead."""
        with (closing(recording),
              closing(read_batches(recording, rows, 1, MIN_VIEWS,
                                   max(AHEAD, ahead))) as stream):
            for some in stream:
                row, views = int(some.rows[0]), some.images[0]
                if views is None:
                    raise some.errors[-1]
                yield TimePoint(
                    views, recording.com[row] if self.poses else None,
                    dict(time_point=row, recording=recording.name,
                         source=str(recording.folder),
                         sample_id=int(recording.sample_ids[row]),
                         frames=recording.frames[row]))

    def _pose_finder(self, cameras: Cameras, turns: int) -> Any:
        predictor = DanncePredictor(self.model, turns)

        def find(batch: list[TimePoint]) -> Iterator[PoseDataSample]:
            com = np.stack([np.asarray(point.com) for point in batch])
            poses = predictor.predict([point.views for point in batch],
                                      cameras, com)
            fields = dict(keypoints=poses.points, spread_mm=poses.spread,
                          keypoint_scores=poses.scores)
            if poses.initial is not None:
                fields['initial_keypoints'] = poses.initial
            for i, point in enumerate(batch):
                yield _pack(point, cameras, fields, i, com=com[i],
                            keypoint_names=predictor.keypoint_names)

        return find

    def _com_finder(self, cameras: Cameras) -> Any:
        locator = ComLocator(self.model, self.config)

        def find(batch: list[TimePoint]) -> Iterator[PoseDataSample]:
            fields = locator.locate([point.views for point in batch],
                                    cameras)._asdict()
            for i, point in enumerate(batch):
                yield _pack(point, cameras, fields, i)

        return find


def _pack(point: TimePoint, cameras: Cameras, fields: dict[str, Array],
          row: int, **meta: Any) -> PoseDataSample:
    views = point.views or [None] * len(cameras)
    sample = PoseDataSample(metainfo=dict(
        point.meta, **meta, cameras=cameras.names,
        blank_views=[view for view, image in enumerate(views)
                     if image is None]))
    sample.pred_instances = InstanceData(
        **{name: values[row] for name, values in fields.items()})
    return sample


def _of_images(inputs: Iterable[Any], cameras: Cameras,
               com: Iterable[Any] | None) -> Iterator[TimePoint]:
    """Time points as somebody hands them over."""
    centres = None if com is None else iter(com)
    individuals = None
    for number, images in enumerate(iterate_some(inputs)):
        name = f'inputs[{number}]'
        centre = None
        if centres is not None:
            centre = _check_com(next(centres, None), name, individuals)
            individuals = len(centre)
        views = _check_images(images, name, cameras)
        there = sum(view is not None for view in views)
        yield TimePoint(views if there >= min(MIN_VIEWS, len(cameras))
                        else None, centre, dict(time_point=number))


def _check_com(com: Any, name: str, individuals: int | None) -> Array:
    """Centres of mass (I, 3) of a time point.

    Raises:
        DataError: If they are none, or not of as many animals as before.
    """
    expected = (f'centres of mass ({individuals or "I"}, 3), mm')
    if com is None:
        raise DataError(name, 'com', expected, 'none')
    try:
        values = np.asarray(com, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(name, 'com', expected, str(error)) from error
    if values.ndim != 2 or values.shape[1] != 3 or not len(values) or (
            individuals is not None and len(values) != individuals):
        raise DataError(name, 'com', expected, f'shape {values.shape}')
    return values


def _check_images(images: Any, name: str,
                  cameras: Cameras) -> list[Array | None]:
    """Images of a time point, one a camera.

    Raises:
        DataError: If they are not those of the cameras.
    """
    count = len(images) if isinstance(images, (Sequence, np.ndarray)) else 0
    if count != len(cameras):
        raise DataError(
            name, 'images', f'{len(cameras)}, one a camera: '
            f'{", ".join(cameras.names)}', str(count) if count else
            type(images).__name__)
    assert cameras.sizes is not None
    for camera, image, (width, height) in zip(
            cameras.names, images, cameras.sizes.tolist(), strict=True):
        if image is None:
            continue
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or (
                image.shape != (height, width, 3)):
            found = (f'{image.dtype} {image.shape}' if isinstance(
                image, np.ndarray) else type(image).__name__)
            raise DataError(name, f'camera {camera}', 'a BGR image, uint8 '
                            f'{(height, width, 3)}, or None', found)
    return list(images)
