"""``tools/export_onnx.py`` for the direction tagger."""
from __future__ import annotations

import argparse
import inspect
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmpose_ext.direction.angles import direction_angles, wrap
from mmpose_ext.direction.estimator import DirectionEstimator
from mmpose_ext.direction.inference import (
    fold_batch_norm,
    load_estimator,
    normalisation,
)
from mmpose_ext.onnx_files import (
    check_name,
    open_session,
    packages_are_there,
    require_parity,
    save_checked,
)
from mmpose_ext.registry import DATASETS
from mmpose_ext.storage import DataError, atomic_file

OUTPUTS = ('points', 'angles', 'scores')
BATCH_SIZES = (1, 7)
TOLERANCE = 1e-4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--out', type=Path, required=True, help='.onnx file')
    parser.add_argument(
        '--uint8',
        action='store_true',
        help='the graph takes grey levels 0..255 and normalises them itself')
    parser.add_argument(
        '--tta',
        choices=('none', 'd4'),
        default='none',
        help='d4: average over the eight symmetries (default: none)')
    parser.add_argument(
        '--opset', type=int, default=17, help='(default: 17)')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Export, compare with torch, and keep the file only if equal."""
    if not packages_are_there():
        return 1
    check_name(arguments.out)
    model = load_estimator(config, arguments.checkpoint)
    tta = None if arguments.tta == 'none' else arguments.tta
    model.test_cfg = dict(model.test_cfg or {}, tta=tta)
    images, origin = parity_images(config, model)
    with atomic_file(arguments.out) as temporary:
        export(model, temporary, arguments.uint8, arguments.opset)
        differences = compare(model, temporary, images, arguments.uint8)
        text = require_parity(arguments.out, differences, TOLERANCE)
    print(f'largest differences on {origin}, batches of '
          f'{" and ".join(map(str, BATCH_SIZES))}: {text}\n{arguments.out}')
    return 0


class _Graph(nn.Module):
    """What is exported: image to points, angles and scores."""

    def __init__(self, model: DirectionEstimator, uint8: bool) -> None:
        super().__init__()
        self.model = fold_batch_norm(model)
        # augmentation and normalisation of a training batch
        self.model.data_preprocessor = nn.Identity()
        self.uint8 = uint8
        self.mean, self.std = normalisation(model)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.uint8:
            image = (image.float() - self.mean) / self.std
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


def vector_angle_in_graph(vectors: Tensor) -> Tensor:
    """``atan2(y, x)`` of vectors (..., 2), of operators that ONNX has.

    ONNX has no atan2. Half the angle is ``atan(y / (r + x))`` or, where that
    would cancel, ``atan((r - x) / y)``; a zero vector gives 0.
    """
    x, y = vectors[..., 0], vectors[..., 1]
    r = (x * x + y * y).sqrt()
    right = y / (r + x).clamp(min=torch.finfo(vectors.dtype).tiny)
    return 2 * torch.where(x >= 0, right, (r - x) / y).atan()


def export(model: DirectionEstimator,
           path: Path,
           uint8: bool = False,
           opset: int = 17) -> None:
    """Export an estimator with its metadata.

    The graph has the input ``image`` (B, 1, S, S), normalised float32 or
    uint8, and the outputs ``points`` (B, 3, 2) px, ``angles`` (B, 3) body,
    head and turn in radians, and ``scores`` (B, 3).

    Args:
        model (DirectionEstimator): Trained, on the CPU.
        path (Path): File to write.
        uint8 (bool): Normalise in the graph. Defaults to False.
        opset (int): ONNX operator set. Defaults to 17.
    """
    import onnx
    size = int(model.head.decoder.input_size[0])
    dtype = torch.uint8 if uint8 else torch.float32
    example = torch.zeros(2, 1, size, size, dtype=dtype)
    # The newer exporter knows no operator set below 18; torch before 2.5 has
    # no such choice.
    known = inspect.signature(torch.onnx.export).parameters
    older: dict[str, Any] = dict(dynamo=False) if 'dynamo' in known else {}
    with warnings.catch_warnings(), torch.no_grad():
        # of torch about its own older exporter
        warnings.simplefilter('ignore', DeprecationWarning)
        torch.onnx.export(
            _Graph(model, uint8).eval(), (example, ),
            str(path),
            input_names=['image'],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: 'B'} for name in ('image', *OUTPUTS)},
            opset_version=opset,
            **older)
    mean, std = normalisation(model)
    save_checked(
        onnx.load(str(path)), path,
        dict(
            convention='image: x right, y down, 0 right, clockwise, radians',
            angles='body, head, turn',
            points='base, neck, head; x, y px, pixel centres at integers',
            size=str(size),
            input='uint8 grey levels' if uint8 else
            'float32, (grey - mean) / std',
            normalisation=json.dumps(dict(mean=mean, std=std)),
            tta=str(model.test_cfg.get('tta'))))


def compare(model: DirectionEstimator, path: Path, images: np.ndarray,
            uint8: bool) -> dict[str, float]:
    """Largest difference between onnxruntime and torch for each output.

    Angles of vectors that are too short to have one are left out.

    Args:
        model (DirectionEstimator): What was exported.
        path (Path): The exported file.
        images (ndarray): At least 7 images (N, 1, S, S) uint8.
        uint8 (bool): As exported.
    """
    session = open_session(path)
    mean, std = normalisation(model)
    largest = dict.fromkeys(OUTPUTS, 0.)
    for count in BATCH_SIZES:
        batch = images[:count]
        normed = (batch.astype(np.float32) - mean) / std
        with torch.no_grad():
            wanted: Any = model.estimate(torch.from_numpy(normed))
        found = session.run(
            list(OUTPUTS), {'image': batch if uint8 else normed})
        for name, value in zip(OUTPUTS, found, strict=True):
            difference = value - getattr(wanted, name).numpy()
            if name == 'angles':
                difference = np.where(
                    _has_direction(wanted.points.numpy()), wrap(difference), 0)
            largest[name] = float(
                np.maximum(largest[name], np.abs(difference).max()))
    return largest


def parity_images(config: Config,
                  model: DirectionEstimator) -> tuple[np.ndarray, str]:
    """Images (7, 1, S, S) uint8 to compare on, and where they are from.

    They are the first of the config's test data, or noise where that is not
    at hand.
    """
    count, size = max(BATCH_SIZES), int(model.head.decoder.input_size[0])
    try:
        dataset = DATASETS.build(config.test_dataloader.dataset)
        images, _ = dataset.read(dataset.rows[:count])
        if images.shape == (count, size, size):
            return images[:, None].copy(), 'test images'
    except (DataError, AttributeError, TypeError):
        pass
    images = np.random.default_rng(0).integers(
        0, 256, (count, 1, size, size), np.uint8)
    return images, 'noise (the test data is not at hand)'


def _has_direction(points: np.ndarray) -> np.ndarray:
    """Whether body, head and turn angle (B, 3) are defined."""
    angles = direction_angles(points)
    return np.isfinite(
        np.stack([angles[name] for name in ('body', 'head', 'turn')], -1))
