"""Middles of animals in new recordings, by a trained network."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from torch import nn

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.com_frames import FrameReduction, image_sample
from mmpose_ext.volumetric.com_metric import join_views
from mmpose_ext.volumetric.identity_linking import link_identities
from mmpose_ext.volumetric.streaming import fill_blank

Array = np.ndarray

_SETTINGS = ('threshold_px', 'min_score', 'min_views', 'shared_map')


class LocatedCom(NamedTuple):
    """Middles of I animals at T time points seen in V views.

    Attributes:
        com: (T, I, 3) float64 mm, NaN where too few views agree.
        error_px: (T, I) float32, root mean square of the distances between a
            middle's projections and where the views see it, in px of the
            frames.
        num_views: (T, I) int16, views that agree.
        scores: (T, I, V) float32, peaks of the views' maps, about 1 when
            sure; of a map that animals share, 0 in views that are not used.
    """

    com: Array
    error_px: Array
    num_views: Array
    scores: Array


class ComLocator:
    """Finds the middles of animals in frames of several views.

    Frames are reduced as those that the network was tested on. Where a view
    sees an animal is read off its map between the pixels; views that
    contradict the others are left out. Animals that share a map come in any
    order; see :func:`~mmpose_ext.volumetric.identity_linking.link_identities`.

    Args:
        model (nn.Module): A trained estimator, on its device.
        config (Config): Config of the training; ``test_dataloader`` says how
            frames are reduced, its evaluator how views are joined.
        batch_size (int): Pictures at a time. Defaults to 32.

    Raises:
        DataError: If the config is not that of a network for middles.
    """

    def __init__(self, model: nn.Module, config: Config,
                 batch_size: int = 32) -> None:
        dataset = config.get('test_dataloader', {}).get('dataset', {})
        if not dataset.get('type', '').endswith('ComImageDataset'):
            raise DataError(config.filename or 'config',
                            'test_dataloader.dataset.type',
                            'mmpose_ext.ComImageDataset',
                            repr(dataset.get('type')))
        self.model: Any = model.eval()
        self.reduction = FrameReduction(dataset.get('factor', 1),
                                        dataset.get('crop'))
        self.settings = _view_settings(config)
        self.pipeline = Compose(dataset.pipeline)
        self.batch_size = batch_size

    def locate(self, images: Sequence[Sequence[Array | None] | None],
               cameras: Cameras) -> LocatedCom:
        """Find the middles at some time points.

        Args:
            images (Sequence[Sequence[ndarray | None] | None]): T lists of V
                frames, each (H, W, 3) uint8, BGR; None for a frame, or a
                time point, that cannot be read.
            cameras (Cameras): The V cameras, with sizes.

        Returns:
            LocatedCom: Middles, errors, views and scores.
        """
        reduced = self.reduction.reduce_cameras(cameras)
        assert cameras.sizes is not None
        frames = [[None] * len(cameras) if views is None else views
                  for views in images]
        pixels, scores = self._find([
            frame for views in frames
            for frame in fill_blank(views, cameras.sizes)])
        scores[[frame is None for views in frames for frame in views]] = 0
        shape = (len(images), len(cameras), *scores.shape[1:])
        pixels = np.moveaxis(pixels.reshape(*shape, 2), 1, 0)
        scores = np.moveaxis(scores.reshape(shape), 1, 0)
        found, scores = join_views(reduced, pixels, scores,
                                   self.reduction.factor, **self.settings)
        return LocatedCom(
            np.asarray(found.points, np.float64),
            np.asarray(found.errors_px, np.float32),
            found.used.sum(0).astype(np.int16),
            np.moveaxis(scores, 0, -1).astype(np.float32))

    def _find(self, frames: Sequence[Array]) -> tuple[Array, Array]:
        """Pixels (N, I, 2) of reduced frames and scores (N, I)."""
        pixels, scores = [], []
        for batch in self._batches(frames):
            with torch.inference_mode():
                results = self.model.test_step(pseudo_collate(batch))
            for result in results:
                found = result.pred_instances
                pixels.append(np.asarray(found.keypoints, np.float64)[0])
                scores.append(
                    np.asarray(found.keypoint_scores, np.float64)[0])
        return np.stack(pixels), np.stack(scores)

    def _batches(self, frames: Sequence[Array]) -> Iterator[list[Any]]:
        meta = getattr(self.model, 'dataset_meta', None) or {}
        for first in range(0, len(frames), self.batch_size):
            yield [
                self.pipeline({
                    **meta,
                    **image_sample(self.reduction.reduce_frame(frame))})
                for frame in frames[first:first + self.batch_size]]


class LinkedCom(NamedTuple):
    """Middles of I animals at T time points, sorted by animal.

    Attributes:
        found: Arrays (T, I, ...) by name.
        notes: What else is worth keeping: ``map_of_animal`` (T, I), the
            number of the map, from 1, that an animal was read from, if each
            has its own; ``doubtful_sampleID``, from which on animals may
            have been taken for each other.
        text: How often they were exchanged back, for the user.
    """

    found: dict[str, Array]
    notes: dict[str, Array]
    text: str


def link_com(found: Mapping[str, Array], config: Config,
             labels: Array) -> LinkedCom:
    """Sort what was located by animal, over the whole recording.

    Animals that share a map are numbered as the labels number them, or, where
    there are none, in any way.

    Args:
        found (Mapping[str, ndarray]): ``sample_ids`` (T,), ``com`` (T, I, 3)
            mm, and other arrays (T, I, ...), which are sorted likewise.
        config (Config): Config of the training.
        labels (ndarray): (T, I, 3) centroids of labels, mm; NaN where there
            are none. With another number of animals they do not count.
    """
    com = found['com']
    named = not _view_settings(config).get('shared_map', False)
    linked = link_identities(com, found['sample_ids'], named,
                             labels if labels.shape == com.shape else None)
    animals = com.shape[1]
    values = {
        name: linked.sort(array) if array.shape[1:2] == (animals, ) else
        array for name, array in found.items()}
    ids = found['sample_ids'][linked.doubtful]
    notes = dict(doubtful_sampleID=ids)
    text = f'{len(ids)} doubtful links'
    if named:
        notes['map_of_animal'] = linked.order + 1
        known = np.isfinite(values['com']).all(-1)
        exchanged = ((linked.order != np.arange(animals)) & known).any(1)
        text = (f'exchanged back at {exchanged.sum()} of {len(com)} time '
                f'points, {text}')
    return LinkedCom(values, notes, text)


def _view_settings(config: Config) -> dict[str, Any]:
    """How the config's metric joins views."""
    evaluators = config.get('test_evaluator') or []
    if isinstance(evaluators, dict):
        evaluators = [evaluators]
    metrics = [item for item in evaluators
               if item['type'].endswith('ComMetric')]
    return {key: item[key] for item in metrics[:1] for key in _SETTINGS
            if key in item}
