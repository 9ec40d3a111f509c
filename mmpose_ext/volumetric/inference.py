"""Poses from images of calibrated cameras, by a trained model."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from torch import nn

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.training import keypoint_names, load_whole
from mmpose_ext.volumetric.skeletons import load_skeleton
from mmpose_ext.volumetric.streaming import fill_blank
from mmpose_ext.volumetric.transforms import META_KEYS

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class VolumetricPoses:
    """Poses at T time points of I individuals; NaN without COM or images.

    Attributes:
        points: (T, I, K, 3) float32 world mm.
        scores: (T, I, K) float32, peak of each keypoint's distribution.
        spread: (T, I, K) float32 mm, its standard deviation.
        initial: (T, I, K, 3) float32 world mm before they were refined; None
            of a model that does not.
    """

    points: Array
    scores: Array
    spread: Array
    initial: Array | None = None


class DanncePredictor:
    """Predicts poses of images as they come, without gradients.

    Images go through the test pipeline of the model's config.

    Args:
        model (nn.Module): A ``DannceEstimator`` as :func:`load_model` gives
            it.
        turns (int): Poses are averaged over so many grids, turned evenly
            about z; the work grows with it. Defaults to 1.

    Raises:
        DataError: If nothing tells the names of the keypoints.

    Example:
        >>> model = load_model(config, 'best.pth', 'cuda')
        >>> poses = DanncePredictor(model).predict(
        ...     [images], recording.cameras, recording.com[:1])
    """

    def __init__(self, model: Any, turns: int = 1) -> None:
        self.model = model
        self.turns = [2 * np.pi * i / turns for i in range(turns)]
        self.pipeline = Compose(
            self.model.cfg.test_dataloader.dataset.pipeline)
        if self.model.dataset_meta is None:
            raise DataError(
                self.model.cfg.filename or 'config',
                'test_dataloader.dataset.skeleton', 'names of the keypoints, '
                'which the checkpoint has not', 'none')

    @property
    def refines(self) -> bool:
        """Whether the model refines its poses."""
        return getattr(self.model.head, 'refiner', None) is not None

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """K names, of the data set that was trained on."""
        return keypoint_names(self.model.dataset_meta)

    def predict(self, images: Sequence[Sequence[Array | None] | None],
                cameras: Cameras, com: Array) -> VolumetricPoses:
        """Predict a batch.

        Args:
            images (Sequence[Sequence[ndarray | None] | None]): T lists of V
                images (H, W, 3), uint8 BGR. None for a time point leaves it
                out; None for an image blanks the view.
            cameras (Cameras): V cameras of these images, with sizes.
            com (ndarray): (T, I, 3) mm, where the animals are; NaN unknown.
        """
        com = np.asarray(com, np.float64)
        known = np.isfinite(com).all(-1)
        known[[views is None for views in images]] = False
        shape = (*known.shape, len(self.keypoint_names))
        result = VolumetricPoses(
            np.full((*shape, 3), np.nan, np.float32),
            np.full(shape, np.nan, np.float32),
            np.full(shape, np.nan, np.float32),
            np.full((*shape, 3), np.nan, np.float32)
            if self.refines else None)
        rows = np.flatnonzero(known.any(1))
        batch = [sample for row in rows for sample in self._samples(
            cast(Sequence[Array | None], images[int(row)]), cameras,
            com[row, known[row]])]
        found = self._run(batch) if batch else []
        count = len(self.turns)
        targets = [getattr(result, name) for name in self._fields]
        for i, row in enumerate(rows):
            turned = found[i * count:(i + 1) * count]
            for target, *values in zip(targets, *turned, strict=True):
                target[row, known[row]] = np.mean(values, 0)
        return result

    @property
    def _fields(self) -> dict[str, str]:
        """What the model calls the fields of a result."""
        names = dict(points='keypoints', scores='keypoint_scores',
                     spread='spread_mm')
        if self.refines:
            names['initial'] = 'initial_keypoints'
        return names

    def _samples(self, images: Sequence[Array | None], cameras: Cameras,
                 com: Array) -> list[dict[str, Any]]:
        """A time point as a data set packs it, once a turn."""
        meta = self.model.dataset_meta
        assert cameras.sizes is not None
        pictures = fill_blank(images, cameras.sizes)
        blank = [view for view, image in enumerate(images) if image is None]
        names = self.keypoint_names
        packed = self.pipeline({
            **dict.fromkeys(META_KEYS), 'cameras': cameras, 'com': com,
            'turn': 0., 'draw_seed': 0, 'keypoint_names': names,
            'flip_indices': meta['flip_indices'],
            'skeleton_links': meta['skeleton_links'],
            'keypoints': np.full((len(com), len(names), 3), np.nan),
            'read_frames': lambda: (pictures, np.zeros((len(images), 2)))
        })
        samples = []
        for turn in self.turns:
            sample = packed['data_samples'].clone()
            sample.set_metainfo(dict(turn=turn, blank_views=blank))
            samples.append(dict(inputs=packed['inputs'],
                                data_samples=sample))
        return samples

    def _run(self, batch: list[dict[str, Any]]) -> list[tuple[Array, ...]]:
        """The fields of a result for each sample."""
        with torch.inference_mode():
            samples = self.model.test_step(pseudo_collate(batch))
        return [
            tuple(np.asarray(sample.pred_instances[name])
                  for name in self._fields.values())
            for sample in samples
        ]


def load_model(config: Config,
               checkpoint: str | Path,
               device: torch.device | str = 'cpu') -> nn.Module:
    """Build the config's estimator with trained weights.

    Args:
        config (Config): Config of the training.
        checkpoint (str | Path): Of this model; all weights must fit.
        device (torch.device | str): Defaults to ``cpu``.

    Returns:
        nn.Module: In evaluation mode, with ``cfg`` and ``dataset_meta``: the
        checkpoint's, else that of the config's skeleton, else None.

    Raises:
        DataError: If the checkpoint cannot be loaded or is of another model.
    """
    model = MODELS.build(config.model)
    loaded = load_whole(model, checkpoint, config)
    meta = (loaded.get('meta') or {}).get('dataset_meta')
    dataset = config.test_dataloader.dataset
    if meta is None and dataset.get('skeleton') is not None:
        meta = load_skeleton(dataset.skeleton, dataset.get('data_root', '.'))
    model.cfg, model.dataset_meta = config, meta
    return model.to(device).eval()
