"""Poses of horses in pictures, by a trained model.

For one picture in a notebook MMPose's ``inference_topdown`` does the same;
here pictures come from any iterable, instances are batched across pictures,
and no more of them than a batch are in memory.
"""
from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from mmpose.apis import init_model
from torch import nn

from mmpose_ext.command_options import add_device_option, check_least
from mmpose_ext.compat.placeholders import MMCV_EXT, is_placeholder
from mmpose_ext.equine.horse26 import DATASET_NAMES, NAMES
from mmpose_ext.equine.sources import (
    Detector,
    Picture,
    PictureSource,
    open_source,
)
from mmpose_ext.equine.transfer import point_names
from mmpose_ext.storage import DataError
from mmpose_ext.training import in_batches, load_whole

Array = np.ndarray

BATCH = 32  # horses
DETECTION_SCORE = .5


@dataclass(frozen=True, eq=False)
class Poses:
    """The horses of one picture.

    Attributes:
        picture: With its boxes.
        image: (H, W, 3) BGR uint8.
        keypoints: (N, K, 2) px of the picture, pixel centres at integers.
        scores: (N, K).
    """

    picture: Picture
    image: Array
    keypoints: Array
    scores: Array


def add_input_arguments(parser: argparse.ArgumentParser) -> None:
    """Add checkpoint, input and what says where the horses are."""
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument(
        'input', type=Path,
        help='picture, folder (with its subfolders), video, or COCO keypoint '
        'file')
    parser.add_argument(
        '--image-root', type=Path, metavar='DIR',
        help='folder of the pictures of a COCO file (default: that of the '
        'config, if it reads the file, else looked for round the file)')
    boxes = parser.add_mutually_exclusive_group()
    boxes.add_argument(
        '--bbox-file', type=Path,
        help='where the horses are: CSV with image,x,y,w,h[,frame,score], or '
        'JSON, a list of {"image" or "image_id", "bbox": [x, y, w, h]} '
        '(default: as a COCO file says, else the whole picture)')
    boxes.add_argument(
        '--det-config', type=Path,
        help='MMDetection config of a detector to find the horses with')
    parser.add_argument(
        '--det-checkpoint', type=Path, help="the detector's weights")
    parser.add_argument(
        '--det-score-thr', type=float, default=DETECTION_SCORE,
        help='score from which a detection counts (default: %(default)s)')
    parser.add_argument(
        '--skip-unreadable', action='store_true',
        help='leave damaged pictures out and count them')
    parser.add_argument(
        '--batch-size', type=int, default=BATCH,
        help='horses at a time (default: %(default)s)')
    add_device_option(parser)


def open_input(config: Config, arguments: argparse.Namespace,
               device: torch.device) -> PictureSource:
    """Open what the arguments of :func:`add_input_arguments` name.

    Raises:
        DataError: If it cannot be opened.
    """
    check_least(arguments.input, arguments, batch_size=1)
    detector = None
    if arguments.det_config is not None:
        detector = load_detector(arguments.det_config,
                                 arguments.det_checkpoint, device,
                                 arguments.det_score_thr)
    source = open_source(arguments.input, config, arguments.image_root,
                         arguments.bbox_file, detector,
                         arguments.skip_unreadable)
    if detector is None and any(picture.boxes is None
                                for picture in source.pictures):
        print('note: where no box is given, the whole picture is taken for '
              'one; --bbox-file or --det-config tells where the horses are',
              file=sys.stderr)
    return source


def paths_read(arguments: argparse.Namespace,
               source: PictureSource) -> set[Path]:
    """What the arguments name and the pictures: no output may replace it."""
    named = (arguments.checkpoint, arguments.input, arguments.bbox_file,
             arguments.det_config, arguments.det_checkpoint)
    return {path for path in named if path is not None} | {
        picture.path for picture in source.pictures}


def load_model(config: Config,
               checkpoint: str | Path,
               device: torch.device | str = 'cpu') -> nn.Module:
    """Build the config's estimator with trained weights.

    Args:
        config (Config): Config of the training.
        checkpoint (str | Path): Of this model. A file without information
            on the data set is taken to be of the config's.
        device (torch.device | str): Defaults to ``cpu``.

    Returns:
        nn.Module: As MMPose's ``init_model`` gives it, with `cfg` and
        `dataset_meta`.

    Raises:
        DataError: If the checkpoint cannot be loaded or is of another model
            or of other keypoints.
    """
    with contextlib.redirect_stdout(sys.stderr):
        model = init_model(config.copy(), None, 'cpu')
    # MMPose's own would leave out, with a warning, what does not fit
    loaded = load_whole(model, checkpoint, config)
    meta = (loaded.get('meta') or {}).get('dataset_meta')
    if meta is not None:
        name = meta.get('dataset_name')
        names = point_names(loaded, len(meta.get('keypoint_id2name') or ()))
        if name not in DATASET_NAMES or names != NAMES:
            raise DataError(checkpoint, 'meta.dataset_meta',
                            f'{" or ".join(DATASET_NAMES)} with the points '
                            f'{", ".join(NAMES)}',
                            f'{name} with {", ".join(map(str, names))}')
        model.dataset_meta = meta
    return model.to(device)


def estimate_poses(model: nn.Module,
                   source: Iterable[tuple[Picture, Array]],
                   batch_size: int = BATCH) -> Iterator[Poses]:
    """Estimate the poses in pictures, in their order.

    The config's test pipeline cuts the horses out, and its ``test_cfg``
    decides on averaging with the mirrored picture.

    Args:
        model (nn.Module): As :func:`load_model` or MMPose's ``init_model``
            gives it.
        source (Iterable): Pictures with boxes, and their pixels.
        batch_size (int): Horses at a time. Defaults to 32.

    Yields:
        Poses: Of one picture; of none of its horses if it has no box.
    """
    config: Any = model.cfg
    pipeline = Compose(config.test_dataloader.dataset.pipeline)
    # a picture without a horse takes memory too
    for group in in_batches(source, batch_size,
                            lambda item: max(len(_boxes(item[0])), 1)):
        yield from _estimate_group(model, pipeline, group, batch_size)


def _estimate_group(model: Any, pipeline: Compose,
                    group: Sequence[tuple[Picture, Array]],
                    batch_size: int) -> Iterator[Poses]:
    meta = model.dataset_meta
    samples = (
        pipeline(dict(
            img=image, bbox=box[None], bbox_score=np.ones(1, np.float32),
            **meta)) for picture, image in group for box in _boxes(picture))
    found = []
    while batch := list(itertools.islice(samples, batch_size)):
        with torch.inference_mode():
            results = model.test_step(pseudo_collate(batch))
        found += [result.pred_instances for result in results]
    rows = iter(found)
    for picture, image in group:
        own = list(itertools.islice(rows, len(_boxes(picture))))
        points = [instance.keypoints for instance in own]
        scores = [instance.keypoint_scores for instance in own]
        count = len(NAMES)
        yield Poses(
            picture, image,
            np.concatenate([np.empty((0, count, 2), np.float32), *points]),
            np.concatenate([np.empty((0, count), np.float32), *scores]))


def _boxes(picture: Picture) -> Array:
    assert picture.boxes is not None  # sources fill them in
    return picture.boxes


def load_detector(config: Path, checkpoint: Path | None,
                  device: torch.device, threshold: float) -> Detector:
    """A detector of MMDetection that finds horses.

    Of several classes the one named ``horse`` is taken.

    Args:
        config (Path): The detector's config.
        checkpoint (Path, optional): Its weights.
        device (torch.device): Where it runs.
        threshold (float): Score from which a detection counts.

    Raises:
        DataError: If it cannot be loaded, knows no horses, or the installed
            mmcv has no compiled operators.
    """
    if checkpoint is None:
        raise DataError(config, '--det-checkpoint', "the detector's weights",
                        'none')
    if is_placeholder(MMCV_EXT):
        raise DataError(
            config, '--det-config', 'the compiled operators of mmcv, which '
            'detectors need', 'mmcv-lite, which has none',
            'install the full mmcv, or give the boxes by --bbox-file')
    from mmdet.apis import inference_detector, init_detector
    try:
        with contextlib.redirect_stdout(sys.stderr):
            model = init_detector(
                str(config), str(checkpoint), device=str(device))
    except (OSError, RuntimeError, KeyError, SyntaxError) as error:
        raise DataError(config, 'detector', 'a config and its weights',
                        str(error)) from error
    classes = tuple(model.dataset_meta['classes'])
    if 'horse' not in classes and len(classes) != 1:
        raise DataError(config, 'classes', 'horse, or one class alone',
                        ', '.join(classes))
    label = classes.index('horse') if 'horse' in classes else 0

    def detect(image: Array) -> tuple[Array, Array]:
        with DefaultScope.overwrite_default_scope('mmdet'):
            result: Any = inference_detector(model, image)
        found = result.pred_instances.cpu().numpy()
        keep = (found.labels == label) & (found.scores >= threshold)
        return found.bboxes[keep], found.scores[keep]

    return detect
