"""Pictures of what the network sees and is asked for.

Each sample is drawn twice. On the left the photograph with the box and, in
yellow, the part that is cut out; on the right the crop as it enters the
network, with its points and with the places that the targets decode to.
"""
from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose

from mmpose_ext.browsing import (
    add_browse_arguments,
    check_browse_arguments,
    track_drawing,
    write_sheets,
)
from mmpose_ext.drawing.grid import BACKGROUND
from mmpose_ext.equine.sources import read_image
from mmpose_ext.equine.visualizer import draw_poses
from mmpose_ext.storage import DataError
from mmpose_ext.training import build_serial_loader

Array = np.ndarray

SHEET_TILES = 12
HEIGHT = 320  # px, of a tile
WIDEST = 1.6  # of a photograph, in heights
MEANING = ('blue: left   orange: right   ring: occluded   '
           'green +: decoded target   red x: weight 0')
TARGET, UNTRAINED, CROP = (80, 255, 80), (60, 60, 255), (60, 230, 255)


@dataclass(frozen=True)
class SeenSample:
    """A sample as the pipeline leaves it.

    Attributes:
        path: The photograph.
        box: x1, y1, x2, y2 in the photograph, px, (4,).
        labels: Points and visibility 0, 1, 2 in the photograph, (K, 3).
        crop: (H, W, 3) BGR uint8.
        points: In the crop, px, (K, 2).
        sources: The same points in the photograph, px, (K, 2).
        visibility: 0, 1, 2 of the points in the crop, (K,).
        weights: Of the points in the loss, (K,).
        targets: Where the targets decode to, px of the crop, (K, 2); None
            if the pipeline makes none.
        flipped: Whether left and right were exchanged.
    """

    path: Path
    box: Array
    labels: Array
    crop: Array
    points: Array
    sources: Array
    visibility: Array
    weights: Array
    targets: Array | None
    flipped: bool

    def crop_outline(self) -> Array | None:
        """Corners (4, 2) of the crop in the photograph, px.

        They follow from where the labels went, however that was done; None
        if fewer than three labels tell.
        """
        known = self.visibility > 0
        places = self.points[known]
        if len(places) < 3 or np.linalg.matrix_rank(
                places - places.mean(0), tol=1.) < 2:
            return None
        source = np.c_[places, np.ones(len(places))]
        into = np.linalg.lstsq(source, self.sources[known], rcond=None)[0]
        height, width = self.crop.shape[:2]
        corners = np.array([[0, 0], [width, 0], [width, height],
                            [0, height]]) - .5
        return np.c_[corners, np.ones(4)] @ into


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``tools/browse_dataset.py`` for this family."""
    add_browse_arguments(parser, 24)
    parser.add_argument(
        '--phase', type=int, metavar='K', default=1,
        help='phase of the training whose augmentation is shown, from 1')


def run(config: Config, arguments: Namespace) -> None:
    """Draw the first samples that training, or a test, would draw."""
    out = check_browse_arguments(config, arguments)
    samples = iter_seen(config, arguments.split, arguments.number,
                        arguments.phase)
    tiles, captions = [], []
    for sample in track_drawing(samples, arguments.number):
        tiles.append(draw_sample(sample))
        captions.append(_describe(sample))
    name = arguments.split
    if name == 'train' and _switches(config):
        name += f'_phase{arguments.phase}'
    write_sheets(out / name, tiles, captions, MEANING, 2, SHEET_TILES)


def iter_seen(config: Config, split: str, number: int,
              phase: int = 1) -> Iterator[SeenSample]:
    """Samples in the order and with the draws of the first epoch.

    Args:
        config (Config): Of a training.
        split (str): ``train``, ``val`` or ``test``.
        number (int): How many at most.
        phase (int): Of the augmentation, from 1. Defaults to 1.

    Yields:
        SeenSample: Each with what the pipeline did to it.

    Raises:
        DataError: If the config has no such phase or no such data.
    """
    switches = _switches(config) if split == 'train' else []
    if not 1 <= phase <= max(len(switches), 1):
        raise DataError(config.filename, '--phase',
                        f'1 to {max(len(switches), 1)}', str(phase))
    loader = build_serial_loader(config, split)
    dataset: Any = loader.dataset
    if switches:
        dataset.pipeline = Compose(switches[phase - 1]['pipeline'])
    if not getattr(dataset, 'pipeline', None):
        raise DataError(config.filename, f'{split}_dataloader.dataset',
                        'a data set with a pipeline', type(dataset).__name__)
    steps = dataset.pipeline.transforms
    # Packing comes last and drops what is drawn here.
    dataset.pipeline = Compose([
        step for step in steps if type(step).__name__ != 'PackPoseInputs'])
    encoder = next((step.encoder for step in steps
                    if hasattr(step, 'encoder')), None)
    for index in islice(iter(loader.sampler), number):
        yield _read_sample(dataset[index], encoder)


def draw_sample(sample: SeenSample) -> Array:
    """Photograph and crop side by side, (HEIGHT, W, 3) BGR uint8."""
    photograph = read_image(sample.path)
    height, width = photograph.shape[:2]
    scale = min(HEIGHT / height, WIDEST * HEIGHT / width)
    left = _enlarge(photograph, scale)
    shown = _move(np.where(sample.labels[:, 2:] > 0, sample.labels[:, :2],
                           np.nan), scale)
    left = draw_poses(left, shown[None],
                      (sample.labels[:, 2] == 2).astype(float)[None],
                      _move(sample.box.reshape(2, 2), scale).reshape(1, 4))
    outline = sample.crop_outline()
    if outline is not None:
        cv2.polylines(left, [np.rint(_move(outline, scale)).astype(np.int32)],
                      True, CROP, 1, cv2.LINE_AA)
    scale = HEIGHT / max(sample.crop.shape[:2])
    right = _enlarge(sample.crop, scale)
    known = sample.visibility > 0
    points = _move(np.where(known[:, None], sample.points, np.nan), scale)
    right = draw_poses(right, points[None],
                       (sample.visibility == 2).astype(float)[None])
    trained = sample.weights > 0
    for x, y in points[known & ~trained]:
        _mark(right, x, y, UNTRAINED, cv2.MARKER_TILTED_CROSS)
    if sample.targets is not None:
        for x, y in _move(sample.targets[trained], scale):
            _mark(right, x, y, TARGET, cv2.MARKER_CROSS)
    gap = np.full((HEIGHT, 4, 3), BACKGROUND, np.uint8)
    return np.hstack([_fill(left), gap, _fill(right)])


def _read_sample(results: dict[str, Any], encoder: Any) -> SeenSample:
    """What of the pipeline's results is drawn."""
    entry = results['raw_ann_info']
    labels = np.array(entry['keypoints'], float).reshape(-1, 3)
    flipped = bool(results.get('flip', False))
    visible = np.asarray(results['keypoints_visible'], float)
    visible = visible[..., 0] if visible.ndim == 3 else visible
    weights = results.get('keypoint_weights', visible)
    points = results.get('transformed_keypoints', results['keypoints'])
    x, y, width, height = entry['bbox']
    order = (np.array(results['flip_indices']) if flipped else
             np.arange(len(labels)))
    return SeenSample(
        path=Path(results['img_path']),
        box=np.array([x, y, x + width, y + height], float), labels=labels,
        crop=results['img'], points=np.asarray(points, float)[0],
        sources=labels[order, :2], visibility=labels[order, 2],
        weights=np.asarray(weights, float).reshape(-1)[:len(labels)],
        targets=_decode(results, encoder), flipped=flipped)


def _decode(results: Mapping[str, Any], encoder: Any) -> Array | None:
    """Places (K, 2) that the targets stand for, if there are any."""
    for keys in (('keypoint_x_labels', 'keypoint_y_labels'), ('heatmaps', ),
                 ('keypoint_labels', )):
        if encoder is not None and all(key in results for key in keys):
            places, _ = encoder.decode(*(results[key] for key in keys))
            return np.asarray(places, float).reshape(-1, 2)
    return None


def _switches(config: Config) -> list[dict[str, Any]]:
    """The phases of the augmentation, in their order; [] without phases."""
    return [
        switch for hook in config.get('custom_hooks') or []
        if str(hook['type']).split('.')[-1] == 'PhasedPipelineHook'
        for switch in hook['switches']]


def _describe(sample: SeenSample) -> str:
    labelled = int((sample.visibility > 0).sum())
    trained = int(((sample.visibility > 0) & (sample.weights > 0)).sum())
    text = f'{sample.path.name}: {trained} of {labelled} labelled points count'
    return text + (', flipped' if sample.flipped else '')


def _fill(image: Array) -> Array:
    """The image in the middle of a strip of HEIGHT px."""
    rest = HEIGHT - image.shape[0]
    return cv2.copyMakeBorder(image, rest // 2, rest - rest // 2, 0, 0,
                              cv2.BORDER_CONSTANT, value=BACKGROUND)


def _enlarge(image: Array, scale: float) -> Array:
    return cv2.resize(image, None, fx=scale, fy=scale,
                      interpolation=cv2.INTER_AREA if scale < 1
                      else cv2.INTER_CUBIC)


def _move(places: Array, scale: float) -> Array:
    """Pixel centres lie at integers."""
    return (places + .5) * scale - .5


def _mark(canvas: Array, x: float, y: float, color: tuple[int, int, int],
          kind: int) -> None:
    if abs(x) < 2**15 and abs(y) < 2**15:
        cv2.drawMarker(canvas, (round(x), round(y)), color, kind, 9, 1,
                       cv2.LINE_AA)
