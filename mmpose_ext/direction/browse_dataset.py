"""Pictures of what the network sees and is asked for."""
from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData

from mmpose_ext.browsing import (
    add_browse_arguments,
    check_browse_arguments,
    track_drawing,
    write_shown,
)
from mmpose_ext.direction.codec import CenteredRegressionLabel
from mmpose_ext.direction.label_sheet import draw_label_sheet, draw_labels
from mmpose_ext.drawing import write_picture
from mmpose_ext.registry import MODELS
from mmpose_ext.training import build_serial_loader

Array = np.ndarray

SHEET_TILES = 64


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``tools/browse_dataset.py`` for this family."""
    add_browse_arguments(parser, 64)
    parser.add_argument(
        '--mode', choices=('augmented', 'raw'), default='augmented',
        help='images as the network gets them in the first epoch, or before '
        'augmentation (default: augmented)')
    parser.add_argument('--tiles', action='store_true',
                        help='also a picture for each image')


def run(config: Config, arguments: Namespace) -> None:
    """Draw the first images that training would draw."""
    out = check_browse_arguments(config, arguments)
    seen = iter_seen(config, arguments.split, arguments.number,
                     arguments.mode == 'augmented')
    drawn = list(track_drawing(seen, arguments.number))
    name = f'{arguments.split}_{arguments.mode}'
    for start in range(0, len(drawn), SHEET_TILES):
        images, points, weights = (
            np.stack(part)
            for part in zip(*drawn[start:start + SHEET_TILES], strict=True))
        write_shown(out / f'{name}_{start // SHEET_TILES:03d}.png',
                    draw_label_sheet(images, points, weights))
    if arguments.tiles:
        for i, (image, points, weights) in enumerate(drawn):
            write_picture(out / f'{name}_{i:05d}.png',
                          draw_labels(image, points, weights, 400))


def iter_seen(config: Config, split: str, number: int,
              augmented: bool) -> Iterator[tuple[Array, Array, Array]]:
    """Images and targets in the order and with the draws of the first epoch.

    Args:
        config (Config): Of a training.
        split (str): ``train``, ``val`` or ``test``.
        number (int): How many at most.
        augmented (bool): Whether the data preprocessor augments, as it does
            in training; never in the other splits.

    Yields:
        tuple: Image (S, S) uint8, points (3, 2) px, weights (3,).
    """
    batches = build_serial_loader(config, split)
    preprocessor = MODELS.build(config.model.data_preprocessor)
    training = split == 'train'
    if not augmented:
        preprocessor.batch_augments = None
    count = 0
    for batch in batches:
        with torch.no_grad():
            seen = preprocessor(batch, training=training)
        images = _to_grey_levels(seen['inputs'], preprocessor)
        labels = [sample.gt_instance_labels
                  for sample in seen['data_samples']]
        codec = CenteredRegressionLabel(images.shape[:0:-1])
        points = codec.to_pixels(_join(labels, 'keypoint_labels'))
        weights = _join(labels, 'keypoint_weights')
        for item in zip(images, points, weights, strict=True):
            if count == number:
                return
            count += 1
            yield item


def _to_grey_levels(inputs: torch.Tensor, preprocessor: Any) -> Array:
    """Undo the normalisation: (B, S, S) uint8."""
    values = inputs * preprocessor.std + preprocessor.mean
    return values[:, 0].round().clamp(0, 255).byte().cpu().numpy()


def _join(labels: list[InstanceData], name: str) -> Array:
    """Labels (B, ...) of data samples that hold one image or a batch."""
    return torch.cat([getattr(label, name) for label in labels]).cpu().numpy()
