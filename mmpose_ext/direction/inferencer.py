"""Directions of crops, in Python.

The family's part of :class:`mmpose_ext.inferencer.Inferencer`.
"""
from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_ext.direction.crops import crop_to_frame
from mmpose_ext.direction.estimator import TTAS, split_estimate
from mmpose_ext.direction.frames import CropSource, open_source
from mmpose_ext.direction.inference import (
    DirectionTagger,
    choose_batch,
    load_tagger,
)
from mmpose_ext.inferencer import iterate_some
from mmpose_ext.storage import DataError
from mmpose_ext.training import in_batches

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class _Crop:
    """What one sample is made of.

    Attributes:
        meta: Metainfo of the sample.
        image: (S, S) uint8; None of a frame without an animal.
        origin: (2,) px of the frame where the crop begins.
        side: Side of the crop in its frame, px.
    """

    meta: dict[str, Any]
    image: Array | None
    origin: Array
    side: int


def load(config: Config, checkpoint: str | Path,
         device: str | torch.device = 'auto', *,
         tta: str = 'none') -> DirectionInferencer:
    """Make an inferencer of a trained model.

    Args:
        config (Config): Of the training.
        checkpoint (str | Path): Its weights.
        device (str | torch.device): Defaults to ``auto``.
        tta (str): ``d4`` averages over the eight symmetries; their spread
            gives a confidence to models without. Defaults to ``none``.

    Raises:
        DataError: If the weights are those of another model.
    """
    if tta not in TTAS:
        raise ValueError(f'tta: expected one of {", ".join(TTAS)}, found '
                         f'{tta!r}')
    return DirectionInferencer(
        load_tagger(config, checkpoint, str(device), tta))


class DirectionInferencer:
    """Tags crops.

    Args:
        tagger (DirectionTagger): The model.

    Attributes:
        model (nn.Module): The network, batch normalisation folded away.
        device (torch.device): Where it runs.
    """

    def __init__(self, tagger: DirectionTagger) -> None:
        self._tagger = tagger
        self.model, self.device = tagger.model, tagger.device

    def __call__(self, inputs: Any, batch_size: int | None = None, *,
                 crop: str | Path | None = None,
                 crop_side: int | None = None,
                 individual: str | None = None) -> Iterator[PoseDataSample]:
        """Tag crop by crop.

        Args:
            inputs (ndarray | str | Path | Iterable): Crops (S, S) or
                (N, S, S) uint8; an npz file with ``images``, a folder of
                images or a video; or an iterable of these.
            batch_size (int, optional): Crops at a time. Defaults to None:
                64, or 512 on a GPU.
            crop (str | Path, optional): Files hold full frames: ``bg`` finds
                the animal by background subtraction, a table tells its
                centre. Defaults to None.
            crop_side (int, optional): Side of the crop in the full frame,
                px. Defaults to None: S.
            individual (str, optional): Animal to follow, if the table has
                several. Defaults to None.

        Yields:
            PoseDataSample: Of a crop or frame. ``pred_instances`` has
            ``keypoints`` (1, 3, 2) base, neck and head, px of the image;
            ``keypoint_scores`` (1, 3) in [0, 1]; ``body_angle``,
            ``head_angle`` and ``turn_angle`` (1,), radians, 0 right,
            clockwise; ``angle_conf`` (1,) in [0, 1]. It is empty for a frame
            without an animal. Metainfo: ``img_path`` (None of an array) and
            ``frame``, counted from 0 in its input.

        Raises:
            DataError: If an input is damaged or of another size.
        """

        def crops_of(item: Any, number: int | None = None) -> Iterator[_Crop]:
            if not isinstance(item, (str, PathLike)):
                return self._crops_of_array(item, number)
            return _crops_of_source(open_source(
                Path(item), self._tagger.size,
                None if crop is None else str(crop), crop_side, individual),
                size)

        size = batch_size or choose_batch(self.device)
        if isinstance(inputs, (str, PathLike, np.ndarray)):
            # checked before anything is predicted
            return self._predict(crops_of(inputs), size)
        return self._predict(itertools.chain.from_iterable(
            crops_of(item, number) for number, item
            in enumerate(iterate_some(inputs))), size)

    def _crops_of_array(self, images: Any,
                        number: int | None) -> Iterator[_Crop]:
        """Crops of an array, the `number`-th of an iterable."""
        side = self._tagger.size
        found = (f'{images.dtype} {images.shape}' if isinstance(
            images, np.ndarray) else type(images).__name__)
        if (not isinstance(images, np.ndarray) or images.dtype != np.uint8
                or images.ndim not in (2, 3) or 0 in images.shape
                or images.shape[-2:] != (side, side)):
            raise DataError(
                'inputs' if number is None else f'inputs[{number}]', 'images',
                f'crops ({side}, {side}) or (N, {side}, {side}) uint8, or '
                'the path of a file or folder', found)
        single = images.ndim == 2
        return (_Crop(dict(img_path=None, frame=(number or 0) if single
                           else frame), image, np.zeros(2), side)
                for frame, image in enumerate(
                    images[None] if single else images))

    def _predict(self, crops: Iterator[_Crop],
                 batch_size: int) -> Iterator[PoseDataSample]:
        for group in in_batches(crops, batch_size):
            images = [crop.image for crop in group if crop.image is not None]
            found = iter(split_estimate(self._tagger.estimate(
                np.stack(images))) if images else [])
            for crop in group:
                sample = PoseDataSample(metainfo=crop.meta)
                if crop.image is None:
                    sample.pred_instances = _no_instances()
                else:
                    instances = next(found)
                    instances.keypoints = crop_to_frame(
                        instances.keypoints, crop.origin, crop.side,
                        self._tagger.size).astype(np.float32)
                    sample.pred_instances = instances
                yield sample


def _crops_of_source(source: CropSource, batch_size: int) -> Iterator[_Crop]:
    """Crops of all frames, those without an animal included."""

    def missing(begin: int, end: int) -> Iterator[_Crop]:
        for frame in range(begin, end):
            yield _Crop(dict(img_path=str(source.path), frame=frame), None,
                        np.zeros(2), source.side)

    done = 0
    for batch in source.batches(batch_size):
        for image, number, origin in zip(batch.images, batch.frames.tolist(),
                                         batch.origins, strict=True):
            yield from missing(done, number)
            yield _Crop(dict(img_path=str(source.path), frame=number), image,
                        origin, source.side)
            done = number + 1
    yield from missing(done, source.count)


def _no_instances() -> InstanceData:
    """What is known of a frame without an animal."""
    empty = np.empty(0, np.float32)
    return InstanceData(
        keypoints=np.empty((0, 3, 2), np.float32),
        keypoint_scores=np.empty((0, 3), np.float32), body_angle=empty,
        head_angle=empty, turn_angle=empty, angle_conf=empty)
