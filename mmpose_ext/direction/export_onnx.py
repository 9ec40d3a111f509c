"""``tools/export_onnx.py`` for the direction tagger."""
from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmpose_ext.direction.angles import ANGLES, direction_angles, wrap
from mmpose_ext.direction.datasets import DirectionDataset
from mmpose_ext.direction.estimator import TTAS, DirectionEstimator
from mmpose_ext.direction.inference import (
    fold_batch_norm,
    load_estimator,
    normalisation,
)
from mmpose_ext.onnx_files import (
    FREE_BATCHES,
    ExportGraph,
    add_export_options,
    run_export,
)
from mmpose_ext.registry import DATASETS
from mmpose_ext.storage import DataError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_export_options(parser, 'images', any_batch=True)
    parser.add_argument(
        '--uint8',
        action='store_true',
        help='the graph takes grey levels 0..255 and normalises them itself')
    parser.add_argument(
        '--tta',
        choices=TTAS,
        default='none',
        help='d4: average over the eight symmetries (default: none)')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Export, compare with torch, and keep the file only if equal."""
    return run_export(config, arguments, build_graph)


def build_graph(config: Config,
                arguments: argparse.Namespace) -> DirectionGraph:
    """What the command exports."""
    model = load_estimator(config, arguments.checkpoint)
    model.test_cfg = dict(model.test_cfg or {}, tta=arguments.tta)
    images = images_to_compare_on(config, model, arguments.batch)
    return DirectionGraph(model, arguments.uint8, images)


class DirectionGraph(ExportGraph):
    """What is exported: image to points, angles and scores.

    The input is ``image`` (B, 1, S, S), normalised float32 or uint8; the
    outputs are ``points`` (B, 3, 2) px, ``angles`` (B, 3) body, head and turn
    in radians, and ``scores`` (B, 3).

    Args:
        model (DirectionEstimator): Trained, on the CPU; it is copied.
        uint8 (bool): Normalise in the graph. Defaults to False.
        images (ndarray, optional): (N, 1, S, S) uint8 to compare on. Defaults
            to noise.
    """

    inputs = ('image', )
    outputs = ('points', 'angles', 'scores')

    def __init__(self, model: DirectionEstimator, uint8: bool = False,
                 images: np.ndarray | None = None) -> None:
        super().__init__()
        self.model = fold_batch_norm(model)
        # augmentation and normalisation of a training batch
        self.model.data_preprocessor = nn.Identity()
        self.trained = (model, )  # no part of what is exported
        self.uint8, self.images = uint8, images
        self.size = int(model.head.decoder.input_size[0])
        self.mean, self.std = normalisation(model)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs in the order of ``outputs``."""
        if self.uint8:
            image = self.normalise(image)
        found = self.model.estimate(image)
        points = found.points
        body = points[:, 1] - points[:, 0]
        head = points[:, 2] - points[:, 1]
        # the turn from body to head, by cross and dot product
        turn = torch.stack([(body * head).sum(-1),
                            body[:, 0] * head[:, 1] - body[:, 1] * head[:, 0]],
                           -1)
        angles = vector_angle_in_graph(torch.stack([body, head, turn], 1))
        return points, angles, found.scores

    def normalise(self, image: Tensor) -> Tensor:
        """Grey levels as the network takes them."""
        return (image.float() - self.mean) / self.std

    def example(self, batch: int, seed: int = 0) -> tuple[Tensor, ...]:
        """The images to compare on, or noise."""
        images = self.images
        if images is None or seed:
            images = np.random.default_rng(seed).integers(
                0, 256, (batch, 1, self.size, self.size), np.uint8)
        image = torch.from_numpy(images[:batch])
        return (image if self.uint8 else self.normalise(image), )

    def expected(self, *example: Tensor) -> Sequence[Tensor]:
        """What the model says as it was trained; angles of no length NaN."""
        image, = example
        found: Any = self.trained[0].estimate(
            self.normalise(image) if self.uint8 else image)
        angles = torch.where(
            torch.from_numpy(_has_direction(found.points.numpy())),
            found.angles, torch.nan)
        return found.points, angles, found.scores

    def difference(self, name: str, found: np.ndarray,
                   wanted: np.ndarray) -> float:
        """Of angles around the circle, where there are any."""
        if name != 'angles':
            return super().difference(name, found, wanted)
        gaps = np.abs(wrap(found - wanted))
        return float(np.where(np.isnan(wanted), 0, gaps).max())

    def metadata(self) -> dict[str, str]:
        """What a program has to know that uses the file alone."""
        return dict(
            convention='image: x right, y down, 0 right, clockwise, radians',
            angles='body, head, turn',
            points='base, neck, head; x, y px, pixel centres at integers',
            size=str(self.size),
            input='uint8 grey levels' if self.uint8 else
            'float32, (grey - mean) / std',
            normalisation=json.dumps(dict(mean=self.mean, std=self.std)),
            tta=(self.model.test_cfg or {}).get('tta') or 'none')


def vector_angle_in_graph(vectors: Tensor) -> Tensor:
    """``atan2(y, x)`` of vectors (..., 2), of operators that ONNX has.

    ONNX has no atan2. Half the angle is ``atan(y / (r + x))`` or, where that
    would cancel, ``atan((r - x) / y)``; a zero vector gives 0.
    """
    x, y = vectors[..., 0], vectors[..., 1]
    r = (x * x + y * y).sqrt()
    right = y / (r + x).clamp(min=torch.finfo(vectors.dtype).tiny)
    return 2 * torch.where(x >= 0, right, (r - x) / y).atan()


def images_to_compare_on(config: Config, model: DirectionEstimator,
                         batch: int | None) -> np.ndarray | None:
    """Images (N, 1, S, S) uint8 to compare on, the first of the test data.

    None where that is not at hand.
    """
    count = batch or max(FREE_BATCHES)
    size = int(model.head.decoder.input_size[0])
    settings = (config.get('test_dataloader') or {}).get('dataset')
    if settings is None:
        return None
    try:
        dataset = DATASETS.build(settings)
    except DataError:
        return None
    if not isinstance(dataset, DirectionDataset):
        return None
    images, _ = dataset.read(dataset.rows[:count])
    same = images.shape == (count, size, size)
    return images[:, None].copy() if same else None


def _has_direction(points: np.ndarray) -> np.ndarray:
    """Whether body, head and turn angle (B, 3) are defined."""
    angles = direction_angles(points)
    return np.isfinite(
        np.stack([angles[name] for name in ANGLES], -1))
