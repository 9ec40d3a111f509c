"""CalMS21: pairs of mice from above, with behaviours (JSON)."""
from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from .behavior_events import ANNOTATOR, FrameLabels
from .checks import StrPath, check_array, check_file
from .errors import DataError
from .labelled_tracks import LabelledTracks
from .pose_tracks import PoseTracks

Array = np.ndarray

INDIVIDUALS = ('resident', 'intruder')
KEYPOINTS = ('nose', 'left_ear', 'right_ear', 'neck', 'left_hip',
             'right_hip', 'tail')
FPS = 30.
IMAGE_SIZE = (1024., 570.)
CALMS21_HINT = (
    'the data are published at https://data.caltech.edu/records/s0vdx-0k302 '
    '(doi 10.22002/D1.1991, Sun et al. 2021); unpack e.g. '
    'task1_classic_classification.zip and name its folder or a .json of it')
_ARRAYS = ('keypoints', 'scores', 'annotations')


def read_calms21(path: StrPath) -> list[LabelledTracks]:
    """Read a file of CalMS21, one record a video.

    The text of the whole file is held while it is parsed, but the numbers of
    a video become arrays as soon as it is read.

    Args:
        path (str | Path): A .json of tasks 1 to 3 or of the videos without
            labels.

    Returns:
        list[LabelledTracks]: In order of their ids, the names of the videos;
        behind the name of their group where two groups have the same video.
        Classes are in the order of the file's vocabulary.

    Raises:
        DataError: If the file is damaged or of another layout; names the
            video.
    """
    path = check_file(path, ['.json'], CALMS21_HINT)
    try:
        with path.open(encoding='utf-8') as stream:
            content = json.load(stream, object_pairs_hook=_pack(path))
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(path, 'file', 'JSON', str(error)) from error
    found = list(_videos(content, ()))
    if not found:
        raise DataError(path, 'file', 'videos with keypoints', 'none',
                        CALMS21_HINT)
    names = [keys[-1] for keys, _ in found]
    alone = len(set(names)) == len(names)
    return sorted((_record(path, keys[-1] if alone else '/'.join(keys), keys,
                           video) for keys, video in found),
                  key=lambda record: record.id)


def _pack(path: Path) -> Any:
    """A hook that makes arrays of a video's numbers as soon as it can."""

    def hook(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        packed = dict(pairs)
        if len(packed) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise DataError(path, f'key {twice!r}', 'each key once', 'twice')
        if 'keypoints' in packed:
            for name in set(_ARRAYS) & set(packed):
                # rows of different lengths are refused when they are used
                with suppress(ValueError):
                    values = np.array(packed[name])
                    packed[name] = values if (
                        name == 'annotations' or values.dtype.kind not in 'iuf'
                    ) else _single(values)
        return packed

    return hook


def _single(values: Array) -> Array:
    # What is too large for it becomes infinite, which the record refuses.
    with np.errstate(over='ignore'):
        return values.astype(np.float32)


def _videos(content: Any, keys: tuple[str, ...]
            ) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Keys and content of all videos."""
    if not isinstance(content, dict):
        return
    if 'keypoints' in content and keys:
        yield keys, content
        return
    for key, value in content.items():
        yield from _videos(value, (*keys, str(key)))


def _record(path: Path, name: str, keys: tuple[str, ...],
            video: dict[str, Any]) -> LabelledTracks:
    shape = (None, len(INDIVIDUALS), 2, len(KEYPOINTS))
    points = _array(path, name, video, 'keypoints', 'f', shape)
    scores = None
    if 'scores' in video:
        scores = _array(path, name, video, 'scores', 'f',
                        (len(points), len(INDIVIDUALS), len(KEYPOINTS)))
    tracks = PoseTracks(
        path, INDIVIDUALS, KEYPOINTS, ('x', 'y'),
        np.ascontiguousarray(points.transpose(0, 1, 3, 2)), scores,
        np.arange(len(points), dtype=np.int64), FPS, IMAGE_SIZE,
        {'source_software': 'MARS', 'video': name})
    labels = None
    if 'annotations' in video:
        rows = _array(path, name, video, 'annotations', 'iu', (len(points), ))
        classes = _classes(path, name, video)
        outside = (rows < 0) | (rows >= len(classes))
        if outside.any():
            frame = int(outside.argmax())
            raise DataError(
                path, f'{name}: annotations, frame {frame}',
                f'a number from 0 to {len(classes) - 1}', str(rows[frame]))
        labels = FrameLabels(
            path, classes, (rows[:, None, None] == np.arange(len(classes))[
                :, None]).astype(np.uint8),
            (keys[0] if keys[0].startswith('annotator') else ANNOTATOR, ))
    return LabelledTracks(name, tracks, labels)


def _array(path: Path, name: str, video: dict[str, Any], key: str, kind: str,
           shape: tuple[int | None, ...]) -> Array:
    if not isinstance(video[key], np.ndarray):
        raise DataError(path, f'{name}: {key}', 'an array of numbers',
                        'something else, or rows of different lengths')
    return check_array(video[key], path, f'{name}: {key}', kind, shape)


def _classes(path: Path, name: str,
             video: dict[str, Any]) -> tuple[str, ...]:
    """Names of behaviours in the order of their numbers."""
    metadata = video.get('metadata')
    vocabulary = metadata.get('vocab') if isinstance(metadata, dict) else None
    if (not isinstance(vocabulary, dict) or not vocabulary
            or sorted(map(str, vocabulary.values())) != sorted(
                map(str, range(len(vocabulary))))):
        raise DataError(path, f'{name}: metadata, vocab',
                        'behaviours numbered from 0',
                        repr(vocabulary)[:80])
    return tuple(sorted(vocabulary, key=lambda key: int(vocabulary[key])))
