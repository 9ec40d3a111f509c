"""Files of predicted poses, written as they come.

``.json``: results in COCO's format, a list of ``{image_id, category_id,
keypoints: [x, y, score, ...], score, bbox}``, to which ``file_name`` and
``frame`` are added. ``.csv``: a line a point, with the columns of
:data:`COLUMNS`.
"""
from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from mmpose_ext.command_options import check_out
from mmpose_ext.equine.horse26 import NAMES
from mmpose_ext.equine.inference import Poses
from mmpose_ext.storage import atomic_file

Write = Callable[[Poses], None]

COLUMNS = ('image', 'frame', 'instance', 'keypoint', 'x', 'y', 'score',
           'box_x', 'box_y', 'box_w', 'box_h', 'box_score')
CATEGORY_ID = 1
# MMPose's CocoMetric counts points of a higher score into the instance's
_SCORE_THR = .2


def check_output(path: Path) -> None:
    """Check that predictions can be written to a path.

    Raises:
        DataError: If not.
    """
    check_out(path, tuple(_WRITERS))


@contextmanager
def open_predictions(path: Path) -> Iterator[Write]:
    """Write predictions one after the other; the file appears at the end.

    Args:
        path (Path): A .json or .csv file.

    Yields:
        Callable[[Poses], None]: Appends the poses of one picture.

    Raises:
        DataError: As :func:`check_output`.
    """
    check_output(path)
    with (atomic_file(path) as temporary,
          temporary.open('w', newline='', encoding='utf-8') as file,
          _WRITERS[path.suffix.lower()](file) as write):
        yield write


def instance_scores(poses: Poses) -> np.ndarray:
    """Score (N,) of each horse, as MMPose's ``CocoMetric`` ranks them.

    The box' score times the mean of the points' scores above 0.2.
    """
    boxes = np.asarray(poses.picture.box_scores)
    counted = poses.scores > _SCORE_THR
    total = np.where(counted, poses.scores, 0).sum(1)
    return boxes * total / np.maximum(counted.sum(1), 1)


@contextmanager
def _write_json(file: IO[str]) -> Iterator[Write]:
    file.write('[')
    first = True

    def write(poses: Poses) -> None:
        nonlocal first
        for record in _coco_records(poses):
            file.write('\n' if first else ',\n')
            json.dump(record, file)
            first = False

    yield write
    file.write('\n]\n')


def _coco_records(poses: Poses) -> Iterator[dict[str, Any]]:
    picture = poses.picture
    totals = instance_scores(poses)
    for points, scores, box, total in zip(
            poses.keypoints, poses.scores, _boxes_xywh(poses), totals,
            strict=True):
        yield dict(
            image_id=picture.image_id,
            category_id=CATEGORY_ID,
            keypoints=_rounded(np.column_stack([points, scores]).ravel()),
            score=round(float(total), 6),
            bbox=_rounded(box),
            file_name=picture.name,
            frame=picture.frame)


@contextmanager
def _write_csv(file: IO[str]) -> Iterator[Write]:
    writer = csv.writer(file)
    writer.writerow(COLUMNS)

    def write(poses: Poses) -> None:
        picture = poses.picture
        box_scores = np.asarray(picture.box_scores)
        for i, box in enumerate(_boxes_xywh(poses)):
            end = _rounded([*box, box_scores[i]])
            for name, point, score in zip(
                    NAMES, poses.keypoints[i], poses.scores[i], strict=True):
                writer.writerow([picture.name, picture.frame, i, name,
                                 *_rounded([*point, score]), *end])

    yield write


_WRITERS = {'.json': _write_json, '.csv': _write_csv}


def _boxes_xywh(poses: Poses) -> np.ndarray:
    boxes = np.array(poses.picture.boxes, np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    return boxes


def _rounded(values: Any) -> list[float]:
    """To four decimals, without which a file is three times as long."""
    return [round(float(value), 4) for value in values]
