"""Embeddings and behaviours of tracks, in Python.

The family's part of :class:`mmpose_ext.inferencer.Inferencer`.
"""
from __future__ import annotations

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

from mmpose_ext.behavior.annotation_files import decide
from mmpose_ext.behavior.inference import load_model
from mmpose_ext.behavior.packing import pack_tracks
from mmpose_ext.behavior.record_predictor import (
    EXACT,
    STRIDED,
    RecordPredictor,
    TrainedModel,
)
from mmpose_ext.behavior.recordings import (
    Recordings,
    check_names_of,
    join_recordings,
    open_recordings,
    record_options,
)
from mmpose_ext.inferencer import iterate_some
from mmpose_ext.storage import DataError, PoseTracks
from mmpose_ext.training import choose_device, keypoint_names

Array = np.ndarray


def load(config: Config, checkpoint: str | Path,
         device: str | torch.device = 'auto') -> TrackInferencer:
    """Make an inferencer of a trained model.

    Args:
        config (Config): Of the training.
        checkpoint (str | Path): Its weights.
        device (str | torch.device): Defaults to ``auto``.

    Raises:
        DataError: If the weights are those of another model.
    """
    chosen = choose_device(str(device))
    path = Path(checkpoint)
    return TrackInferencer(TrainedModel(
        *load_model(config, path, chosen), config, path), chosen)


class TrackInferencer:
    """Embeds the frames of records, and tells what the animals do in them.

    Args:
        trained (TrainedModel): The model.
        device (torch.device): Where it is.

    Attributes:
        model (nn.Module): The network.
        device (torch.device): Where it runs.
    """

    def __init__(self, trained: TrainedModel, device: torch.device) -> None:
        self.trained = trained
        self.model, self.device = trained.model, device

    def __call__(self,
                 inputs: Any,
                 batch_size: int | None = None,
                 *,
                 mode: str | None = None,
                 stride: int = 1,
                 threshold: float = .5,
                 embeddings: bool = True,
                 fps: float | None = None,
                 image_size: tuple[float, ...] | None = None
                 ) -> Iterator[PoseDataSample]:
        """Predict record by record.

        Files are treated as the config's test data. An array has coordinates
        as such a file has them: NaN where a point is missing or not to be
        trusted, individuals, keypoints and axes in the order of the
        training.

        Args:
            inputs (str | Path | ndarray | Iterable): A folder of records or
                a file of tracks; an array (T, N, K, S); or an iterable of
                these.
            batch_size (int, optional): Windows at a time. Defaults to None:
                32, or 1024 on a GPU.
            mode (str, optional): ``exact``, ``strided``, ``dense`` or
                ``causal``, see ``LisbetStreamer``. Defaults to None:
                ``exact``, or ``strided`` where there is a stride.
            stride (int): Frames from one window to the next, of ``strided``.
                Defaults to 1.
            threshold (float): From which probability a behaviour holds,
                where several may. Defaults to .5.
            embeddings (bool): Whether to keep embeddings, of a model that
                tells behaviours. Defaults to True.
            fps (float, optional): Frames per second of arrays. Defaults to
                None: unknown.
            image_size (tuple[float, ...], optional): Size of the arena along
                each axis, in the unit of the arrays, where a file would
                state it. Defaults to None.

        Yields:
            PoseDataSample: Of a record: ``pred_instances`` has a row a
            frame: ``embeddings`` (T, D) float32 and, of a model that tells
            behaviours, ``scores`` (T, C) float32 and ``labels`` (T, C)
            uint8. Metainfo: ``record``, ``source``, ``frames`` (T,), ``fps``
            (None unknown), ``classes``, ``individuals``, ``keypoints``,
            ``mode`` and ``stride``.

        Raises:
            DataError: If an input is damaged or does not fit the model.
            ValueError: If an option is out of range.
        """
        if stride < 1:
            raise ValueError(f'stride: expected at least 1, found {stride}')
        if not 0 < threshold < 1:
            raise ValueError('threshold: expected between 0 and 1, found '
                             f'{threshold}')
        chosen = mode or (STRIDED if stride > 1 else EXACT)
        if stride > 1 and chosen != STRIDED:
            raise ValueError(f'stride: expected 1 in mode {chosen!r}, found '
                             f'{stride}')

        def predictor_of(item: Any, name: str) -> RecordPredictor:
            recordings = self._open(item, name, fps, image_size)
            check_names_of(recordings, self.trained.meta,
                           self.trained.checkpoint)
            return RecordPredictor.prepare(self.trained, recordings, chosen,
                                           stride, batch_size)

        predictors: Iterable[RecordPredictor]
        if isinstance(inputs, (str, PathLike, np.ndarray)):
            # checked before anything is predicted
            predictors = [predictor_of(inputs, 'inputs')]
        else:
            predictors = (predictor_of(item, f'inputs[{number}]') for
                          number, item in enumerate(iterate_some(inputs)))
        return (self._predict(predictor, index, threshold, embeddings)
                for predictor in predictors
                for index in range(len(predictor.recordings.store)))

    def _open(self, item: Any, name: str, fps: float | None,
              image_size: tuple[float, ...] | None) -> Recordings:
        if isinstance(item, (str, PathLike)):
            return open_recordings(self.trained.config, Path(item))
        config = self.trained.config
        # names are those of the training, and an array has no confidence
        options = replace(record_options(config), select='', rename='',
                          confidence_threshold=0.)
        tracks = self._tracks_of(item, name,
                                 options.fps if fps is None else fps,
                                 image_size)
        return join_recordings(config, pack_tracks(tracks, options))

    def _tracks_of(self, item: Any, name: str, fps: float | None,
                   image_size: tuple[float, ...] | None) -> PoseTracks:
        """An array with the names of the training.

        Raises:
            DataError: If it has another shape, or no numbers.
        """
        meta = self.trained.meta
        keypoints = keypoint_names(meta)
        individuals = tuple(map(str, meta.get('individuals') or ()))
        axes = tuple(meta.get('axes') or ())
        shape = '(T, {}, {}, {})'.format(
            len(individuals) or 'N', len(keypoints) or 'K',
            len(axes) or '2 or 3')
        if (not isinstance(item, np.ndarray) or item.dtype.kind not in 'fiu'
                or item.ndim != 4 or 0 in item.shape
                or any(names and len(names) != count for names, count in zip(
                    (individuals, keypoints, axes), item.shape[1:],
                    strict=True)) or item.shape[3] not in (2, 3)):
            found = (f'{item.dtype} {item.shape}' if isinstance(
                item, np.ndarray) else type(item).__name__)
            raise DataError(name, 'tracks', f'an array of numbers {shape}, '
                            'or the path of a file', found)
        _, n, k, s = item.shape
        return PoseTracks(
            Path(name),
            individuals or tuple(f'individual_{i}' for i in range(n)),
            keypoints or tuple(f'keypoint_{i}' for i in range(k)),
            axes or tuple('xyz'[:s]), np.array(item, np.float32), None,
            np.arange(len(item), dtype=np.int64), fps, image_size, {})

    def _predict(self, predictor: RecordPredictor, index: int,
                 threshold: float, embeddings: bool) -> PoseDataSample:
        """Everything about a record."""
        blocks, scores = [], []
        keep = embeddings or predictor.head is None
        for block in predictor.embed(index):
            if keep:
                blocks.append(block)
            if predictor.head is not None:
                scores.append(predictor.score(block))
        found = InstanceData()
        if keep:
            found.embeddings = np.concatenate(blocks)
        if scores:
            found.scores = np.concatenate(scores)
            found.labels = decide(found.scores, predictor.multilabel,
                                  threshold)
        recordings = predictor.recordings
        store = recordings.store
        sample = PoseDataSample(metainfo=dict(
            record=store.ids[index], source=str(store.source),
            frames=(np.arange(store.lengths[index])
                    + int(store.first_frames[index])),
            fps=recordings.fps(index), classes=predictor.classes,
            individuals=store.individuals, keypoints=store.keypoints,
            mode=predictor.mode, stride=predictor.stride))
        sample.pred_instances = found
        return sample
