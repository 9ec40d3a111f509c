"""MABe22: three mice from above (pickled .npy)."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .behavior_events import ANNOTATOR, FrameLabels
from .checks import StrPath, check_array, check_file, check_keys
from .errors import DataError
from .labelled_tracks import LabelledTracks
from .pickled_npy import read_pickled_npy
from .pose_tracks import PoseTracks

Array = np.ndarray

INDIVIDUALS = ('mouse_0', 'mouse_1', 'mouse_2')
KEYPOINTS = ('nose', 'left_ear', 'right_ear', 'neck', 'left_forepaw',
             'right_forepaw', 'center_back', 'left_hindpaw',
             'right_hindpaw', 'tail_base', 'tail_middle', 'tail_tip')
FPS = 30.
IMAGE_SIZE = (850., 850.)
MABE22_HINT = (
    'the data are published at https://doi.org/10.22002/rdsa8-rde65 '
    '(CaltechDATA, Sun et al. 2023); name a .npy of the mouse triplets')
_DISCRETE = 'discrete'


@dataclass(frozen=True, eq=False)
class _Labels:
    """Labels of all records, one row a task.

    Attributes:
        source: The file.
        classes: Tasks with 0 or 1.
        rows: (C, F) of the frames of all records.
        spans: Record to its first frame and the one behind its last.
    """

    source: Path
    classes: tuple[str, ...]
    rows: Array
    spans: Mapping[str, tuple[int, int]]


def read_mabe22(path: StrPath, labels: StrPath | None = None
                ) -> Iterator[LabelledTracks]:
    """Read a file of mouse triplets, one record a sequence.

    The file is held as it is stored, a sequence until its record is made.

    The file is not trusted: see `read_pickled_npy`. A point at exactly
    (0, 0), the corner of the picture, is missing.

    Args:
        path (str | Path): The .npy with ``sequences``.
        labels (str | Path, optional): The .npy with ``label_array``,
            ``frame_number_map``, ``vocabulary`` and ``task_type``. Defaults
            to None: these are in the same file, or there are no labels.

    Yields:
        LabelledTracks: In order of their ids. Classes are the tasks
        of the type "Discrete"; what else is labelled is left out.

    Raises:
        DataError: If a file is damaged, would run code, or is of another
            layout; names the sequence.
    """
    path = check_file(path, ['.npy'], MABE22_HINT)
    content = _read_dict(path)
    check_keys(content, ['sequences'], path, MABE22_HINT)
    sequences = content['sequences']
    if not isinstance(sequences, dict) or not sequences:
        raise DataError(path, "key 'sequences'", 'sequences by their names',
                        repr(sequences)[:80])
    found = None
    if labels is not None:
        labels = check_file(labels, ['.npy'], MABE22_HINT)
        found = _read_labels(labels, _read_dict(labels))
    elif 'label_array' in content:
        found = _read_labels(path, content)
    del content
    for name in sorted(sequences, key=str):
        yield _record(path, str(name), sequences.pop(name), found)


def _read_dict(path: Path) -> dict[str, Any]:
    content = read_pickled_npy(path)
    if not isinstance(content, dict):
        raise DataError(path, 'file', 'a dictionary',
                        type(content).__name__, MABE22_HINT)
    return content


def _read_labels(path: Path, content: dict[str, Any]) -> _Labels:
    check_keys(content, ['label_array', 'frame_number_map', 'vocabulary',
                         'task_type'], path)
    names = [str(name) for name in content['vocabulary']]
    kinds = [str(kind).lower() for kind in content['task_type']]
    array = check_array(content['label_array'], path, "key 'label_array'",
                        'iufb', (len(names), None))
    if len(kinds) != len(names):
        raise DataError(path, "key 'task_type'", f'{len(names)} types',
                        f'{len(kinds)}')
    discrete = [place for place, kind in enumerate(kinds)
                if kind == _DISCRETE]
    if not discrete:
        raise DataError(path, "key 'task_type'", 'a task of type Discrete',
                        ', '.join(sorted(set(kinds))) or 'none')
    spans = content['frame_number_map']
    if not isinstance(spans, dict):
        raise DataError(path, "key 'frame_number_map'",
                        'two numbers a sequence', repr(spans)[:80])
    return _Labels(path, tuple(names[place] for place in discrete),
                   array[discrete], {str(name): span
                                     for name, span in spans.items()})


def _record(path: Path, name: str, sequence: Any,
            labels: _Labels | None) -> LabelledTracks:
    if not isinstance(sequence, dict) or 'keypoints' not in sequence:
        raise DataError(path, f'sequence {name!r}', 'keypoints', 'none')
    points = check_array(
        sequence['keypoints'], path, f'sequence {name!r}, keypoints', 'iuf',
        (None, len(INDIVIDUALS), len(KEYPOINTS), 2)).astype(np.float32)
    points[(points == 0).all(-1)] = np.nan
    tracks = PoseTracks(
        path, INDIVIDUALS, KEYPOINTS, ('x', 'y'), points, None,
        np.arange(len(points), dtype=np.int64), FPS, IMAGE_SIZE,
        {'sequence': name})
    return LabelledTracks(name, tracks, None if labels is None
                          else _cut(labels, name))


def _cut(labels: _Labels, name: str) -> FrameLabels:
    """Labels of one sequence."""
    check_keys(labels.spans, [name], labels.source)
    try:
        start, stop = (int(value) for value in labels.spans[name])
        fits = 0 <= start < stop <= labels.rows.shape[1]
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise DataError(
            labels.source, f'frame_number_map, {name!r}',
            f'a first and a last frame within 0 to {labels.rows.shape[1]}',
            repr(labels.spans[name])[:80])
    rows = labels.rows[:, start:stop].T
    wrong = ~np.isin(rows, (0, 1))
    if wrong.any():
        frame, place = np.argwhere(wrong)[0]
        raise DataError(
            labels.source, f'sequence {name!r}, {labels.classes[place]!r}, '
            f'frame {frame}', '0 or 1', str(rows[frame, place]))
    return FrameLabels(labels.source, labels.classes,
                       rows.astype(np.uint8)[..., None], (ANNOTATOR, ))
