"""Pictures of what the network sees and is asked for.

Each sample is drawn twice. On the left the photograph with its labels, the
box and, in yellow, what is cut out; on the right the crop as it enters the
network, with the targets: joints and objects projected by the crop's own
camera, and a cross where the pixel of each joint is asked for.
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
from mmpose.structures import PoseDataSample

from mmpose_ext.browsing import (
    add_browse_arguments,
    check_browse_arguments,
    track_drawing,
    write_sheets,
)
from mmpose_ext.drawing.grid import BACKGROUND
from mmpose_ext.geometry.crop_views import MIRROR, apply_homography
from mmpose_ext.handobject.drawing import (
    GRASPED,
    STANDING,
    HandObjectPose,
    draw_hand,
    draw_object,
)
from mmpose_ext.handobject.hand import SIDES
from mmpose_ext.handobject.objects import YCB_NAMES
from mmpose_ext.handobject.scene_sources import ObjectBounds
from mmpose_ext.storage import DataError
from mmpose_ext.storage.pictures import read_picture
from mmpose_ext.training import build_serial_loader

Array = np.ndarray

SHEET_TILES = 12
HEIGHT = 320  # px, of a tile
BOX, CROP, TARGET = (230, 200, 80), (60, 230, 255), (80, 255, 80)
MEANING = ('left: labels, box, yellow: the crop   right: targets by the '
           "crop's camera, green +: pixels   yellow joint: contact   "
           'bright box: held')


@dataclass(frozen=True, eq=False)
class SeenSample:
    """A sample as the pipeline leaves it.

    Attributes:
        path: The photograph.
        box: x1, y1, x2, y2 in the photograph, px, (4,).
        camera: Of the photograph, (3, 3).
        labels: In the photograph's frame.
        outline: Corners of the crop in the photograph, px, (4, 2).
        crop: (S, S, 3) BGR uint8.
        view_camera: Of the crop, (3, 3).
        targets: In the view's frame, objects as mirrored meshes if mirrored.
        pixels: Of the joints in the crop, (21, 2); NaN where the loss does
            not ask.
        mirrored: Whether the photograph was mirrored.
        caption: Which frame it is and what it shows.
    """

    path: Path
    box: Array
    camera: Array
    labels: HandObjectPose
    outline: Array
    crop: Array
    view_camera: Array
    targets: HandObjectPose
    pixels: Array
    mirrored: bool
    caption: str


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``tools/browse_dataset.py`` for this family."""
    add_browse_arguments(parser, 24)
    parser.add_argument(
        '--models', type=Path, metavar='DIR',
        help="folder of the objects' meshes, for their boxes (default: "
        "models in the data's folder, if there is such)")


def run(config: Config, arguments: Namespace) -> None:
    """Draw the first samples that training, or a test, would draw."""
    out = check_browse_arguments(config, arguments)
    loader = build_serial_loader(config, arguments.split)
    models = arguments.models
    if models is None:
        beside = Path(getattr(loader.dataset, 'data_root', ''), 'models')
        models = beside if beside.is_dir() else None
    bounds = ObjectBounds(models)
    tiles, captions = [], []
    for sample in track_drawing(iter_seen(loader, arguments.number),
                                arguments.number):
        tiles.append(draw_sample(sample, bounds))
        captions.append(sample.caption)
    write_sheets(out / arguments.split, tiles, captions, MEANING, 2,
                 SHEET_TILES)


def iter_seen(loader: Any, number: int) -> Iterator[SeenSample]:
    """Samples in the order and with the draws of the first epoch.

    Args:
        loader (DataLoader): Of a data set whose pipeline packs its samples.
        number (int): How many at most.

    Yields:
        SeenSample: Each with what the pipeline did to it.

    Raises:
        DataError: If the pipeline makes no targets.
    """
    for index in islice(iter(loader.sampler), number):
        packed = loader.dataset[index]
        sample = packed['data_samples']
        if 'joints' not in sample.gt_instance_labels:
            raise DataError(
                getattr(loader.dataset, 'ann_file', 'dataset'), 'pipeline',
                'GenerateTarget with mmpose_ext.HandObjectLabel, and packing',
                'no targets')
        crop = packed['inputs'].numpy().transpose(1, 2, 0)
        yield _read_sample(sample, np.ascontiguousarray(crop))


def draw_sample(sample: SeenSample,
                bounds: Mapping[int, Array] | None = None) -> Array:
    """Photograph and crop side by side.

    Args:
        sample (SeenSample): What to draw.
        bounds (Mapping, optional): Least and greatest coordinates (2, 3) of
            the objects' meshes by class, m. Defaults to None: axes alone.

    Returns:
        ndarray: (HEIGHT, W, 3) BGR uint8.
    """
    bounds = {} if bounds is None else bounds
    photograph = read_picture(sample.path, cv2.IMREAD_COLOR)
    if photograph is None:
        raise DataError(sample.path, 'file', 'a picture', 'none')
    scale = HEIGHT / photograph.shape[0]
    left, move = _enlarge(photograph, scale)
    _draw_pose(left, sample.labels, move @ sample.camera, bounds)
    x1, y1, x2, y2 = sample.box
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    _outline(left, apply_homography(corners, move), BOX)
    _outline(left, apply_homography(sample.outline, move), CROP)
    right, move = _enlarge(sample.crop, HEIGHT / sample.crop.shape[0])
    if sample.mirrored:
        bounds = {number: _mirrored(bounds[number])
                  for number in sample.targets.classes.tolist()
                  if number in bounds}
    _draw_pose(right, sample.targets, move @ sample.view_camera, bounds)
    for x, y in apply_homography(sample.pixels, move):
        if abs(x) < 2**14 and abs(y) < 2**14:  # nor if NaN
            cv2.drawMarker(right, (round(x), round(y)), TARGET,
                           cv2.MARKER_CROSS, 9, 1, cv2.LINE_AA)
    gap = np.full((HEIGHT, 4, 3), BACKGROUND, np.uint8)
    return np.hstack([left, gap, right])


def _read_sample(sample: PoseDataSample, crop: Array) -> SeenSample:
    """What of a packed sample is drawn."""
    meta, truth = sample.metainfo, sample.gt_instances
    labels = {key: np.asarray(value[0])
              for key, value in sample.gt_instance_labels.items()}
    side = len(crop)
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]]) - .5
    asked = labels['joint_weights'][:, None] > 0
    known = labels['contact_weights'] > 0
    held = int(labels['grasped_class'])
    return SeenSample(
        path=Path(meta['img_path']), box=np.asarray(truth.bboxes[0]),
        camera=meta['camera_matrix'], crop=crop,
        labels=_pose(np.where(truth.hand_valid[0], truth.joints_cam[0],
                              np.nan), None, truth.object_valid[0],
                     truth.object_rotations[0],
                     truth.object_translations[0], held),
        outline=apply_homography(corners, np.linalg.inv(meta['pixel_map'])),
        view_camera=labels['view_camera'],
        targets=_pose(np.where(labels['hand_valid'] > 0, labels['joints'],
                               np.nan),
                      np.where(known, labels['contact'], np.nan),
                      labels['object_weights'] > 0,
                      labels['object_rotations'],
                      labels['object_translations'], held),
        pixels=np.where(asked, labels['pixels'], np.nan),
        mirrored=bool(meta['mirrored']),
        caption=_describe(meta, labels, np.asarray(truth.object_valid[0])))


def _pose(joints: Array, contact: Array | None, valid: Array,
          rotations: Array, translations: Array, held: int) -> HandObjectPose:
    classes = np.flatnonzero(valid)
    return HandObjectPose(
        joints.astype(np.float64), contact, classes,
        rotations[classes].astype(np.float64),
        translations[classes].astype(np.float64), held)


def _describe(meta: Mapping[str, Any], labels: Mapping[str, Array],
              valid: Array) -> str:
    names = [YCB_NAMES[number][4:] + ('*' if number == meta['grasped_class']
                                      else '')
             for number in np.flatnonzero(valid)]
    known = labels['contact_weights'] > 0
    touching = (f'{int((labels["contact"][known] > 0).sum())} of 21 touch'
                if known.any() else 'contact unknown')
    side = SIDES[meta['side']] + (', mirrored' if meta['mirrored'] else '')
    return (f'{meta["id"]}: {meta["sequence"]}/{meta["serial"]}/'
            f'{meta["frame"]:06d}   {side}   {", ".join(names) or "nothing"}'
            f'   {touching}')


def _draw_pose(canvas: Array, pose: HandObjectPose, camera: Array,
               bounds: Mapping[int, Array]) -> None:
    for number, rotation, translation in zip(
            pose.classes.tolist(), pose.rotations, pose.translations,
            strict=True):
        held = number == pose.grasped
        draw_object(canvas, bounds.get(number), rotation, translation,
                    camera, GRASPED if held else STANDING, 1 + held)
    draw_hand(canvas, pose, camera)


def _mirrored(bounds: Array) -> Array:
    """Bounds (2, 3) of the mirrored mesh."""
    return np.sort(bounds @ MIRROR, axis=0)


def _outline(canvas: Array, corners: Array, color: tuple[int, ...]) -> None:
    places = np.rint(corners.clip(-2**14, 2**14)).astype(np.int32)
    cv2.polylines(canvas, [places], True, color, 1, cv2.LINE_AA)


def _enlarge(image: Array, scale: float) -> tuple[Array, Array]:
    """A picture at another size, and where its pixels went, (3, 3)."""
    shift = .5 * scale - .5  # pixel centres lie at integers
    move = np.array([[scale, 0, shift], [0, scale, shift], [0, 0, 1]])
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    return cv2.resize(
        image, size, interpolation=cv2.INTER_AREA if scale < 1 else
        cv2.INTER_CUBIC), move
