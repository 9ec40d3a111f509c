"""Results in the files that the evaluations of DexYCB and BOP read."""
from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.handobject.dexycb_splits import (
    SETUPS,
    SPLITS,
    is_keyframe,
    split_rule,
)
from mmpose_ext.handobject.index_files import HandObjectIndex
from mmpose_ext.handobject.objects import HAND_CATEGORY
from mmpose_ext.storage import DataError, atomic_file, check_array, check_file

Array = np.ndarray

BOP_HEADER = ('scene_id', 'im_id', 'obj_id', 'score', 'R', 't', 'time')
_VALUES = 64
_MM = 1000.


def write_hand_poses(path: str | Path, ids: Array, joints: Array,
                     index: HandObjectIndex) -> None:
    """Write hands for DexYCB's evaluation, whole or not at all.

    Args:
        path (str | Path): The text file; its folder exists.
        ids (ndarray): (N,) int, numbers of samples.
        joints (ndarray): (N, 21, 3) m in the camera's frame.
        index (HandObjectIndex): What was evaluated.

    Raises:
        DataError: If a sample with a hand is missing, one is there twice, or
            a joint is no number.
    """
    ids, joints = np.asarray(ids), np.asarray(joints, np.float64)
    wanted = np.asarray(index['id'][np.flatnonzero(index['hand_valid'])])
    missing = np.setdiff1d(wanted, ids)
    if len(missing):
        raise DataError(
            path, 'samples', f'all {len(wanted)} samples with a hand',
            f'{len(wanted) - len(missing)}, no {missing[0]}',
            'the evaluation wants every one: no subset, and every 1')
    if len(np.unique(ids)) != len(ids):
        raise DataError(path, 'samples', 'each once', 'some twice')
    check_array(joints, path, 'joints', shape=(len(ids), 21, 3), finite=True)
    kept = np.flatnonzero(np.isin(ids, wanted))
    kept = kept[np.argsort(ids[kept])]
    with atomic_file(path) as temporary, temporary.open('w') as stream:
        for row in kept:
            values = _MM * joints[row].ravel()
            stream.write(f'{ids[row]},'
                         + ','.join(f'{value:.4f}' for value in values)
                         + '\n')


def read_hand_poses(path: str | Path) -> tuple[Array, Array]:
    """Read what :func:`write_hand_poses` wrote.

    Returns:
        tuple[ndarray, ndarray]: (N,) int, and (N, 21, 3) m.

    Raises:
        DataError: If a line is damaged; names the first.
    """
    path = check_file(path)
    ids, joints = [], []
    for number, line in enumerate(_text_of(path).splitlines(), 1):
        parts = line.split(',')
        if len(parts) != _VALUES:
            raise DataError(path, f'line {number}', f'{_VALUES} values',
                            str(len(parts)))
        try:
            ids.append(int(parts[0]))
            joints.append([float(part) for part in parts[1:]])
        except ValueError as error:
            raise DataError(path, f'line {number}', 'numbers',
                            str(error)) from error
    return np.array(ids, int), np.reshape(joints, (-1, 21, 3)) / _MM


def write_bop_poses(path: str | Path, ids: Array, rotations: Array,
                    translations: Array, scores: Array,
                    index: HandObjectIndex) -> int:
    """Write poses of objects for BOP's evaluation, whole or not at all.

    Each object of a keyframe's sequence has a line; keyframes without a hand
    have lines if they were evaluated. Poses are those of DexYCB's own meshes;
    its evaluation moves them to BOP's.

    Args:
        path (str | Path): The .csv file; its folder exists.
        ids (ndarray): (N,) int, numbers of samples; no keyframes are left
            out.
        rotations (ndarray): (N, 21, 3, 3) object to camera, by class.
        translations (ndarray): (N, 21, 3) m.
        scores (ndarray): (N, 21).
        index (HandObjectIndex): What was evaluated.

    Returns:
        int: Lines written.

    Raises:
        DataError: If the index is not of one of DexYCB's setups, a keyframe
            is missing, or a number is none.
    """
    scenes = bop_scenes(index)
    ids = np.asarray(ids)
    all_ids = np.asarray(index['id'])
    wanted = all_ids[np.flatnonzero(is_keyframe(index['frame'])
                                    & index['hand_valid'])]
    missing = np.setdiff1d(wanted, ids)
    if len(missing):
        raise DataError(
            path, 'samples', f'all {len(wanted)} keyframes with a hand',
            f'{len(wanted) - len(missing)}, no {missing[0]}',
            'the evaluation wants every one: no subset, and every 1 or 4')
    places = np.searchsorted(all_ids, ids)
    count = 0
    with (atomic_file(path) as temporary,
          temporary.open('w', newline='') as stream):
        writer = csv.writer(stream, lineterminator='\n')
        writer.writerow(BOP_HEADER)
        for row in np.argsort(ids, kind='stable'):
            place = places[row]
            frame = int(index['frame'][place])
            if not is_keyframe(np.array(frame)):
                continue
            objects = index['ycb_ids'][index['sequence_row'][place]]
            for ycb_id in objects[objects > 0].astype(int).tolist():
                pose = [*rotations[row, ycb_id - 1].ravel(),
                        *(_MM * translations[row, ycb_id - 1])]
                check_array(pose, path, f'object {ycb_id} of sample '
                            f'{ids[row]}', finite=True)
                writer.writerow([
                    scenes[place], frame, ycb_id,
                    f'{scores[row, ycb_id - 1]:.6f}', _spaced(pose[:9], 8),
                    _spaced(pose[9:], 4), -1])
                count += 1
    return count


def read_bop_poses(path: str | Path) -> dict[str, Array]:
    """Read what :func:`write_bop_poses` wrote.

    Returns:
        dict[str, ndarray]: ``scene_id``, ``im_id``, ``obj_id`` (N,) int,
        ``score`` (N,), ``R`` (N, 3, 3), ``t`` (N, 3) m and ``time`` (N,).

    Raises:
        DataError: If the header or a line is damaged; names the first.
    """
    path = check_file(path)
    header, *lines = csv.reader(_text_of(path).splitlines())
    if tuple(header) != BOP_HEADER:
        raise DataError(path, 'line 1', ','.join(BOP_HEADER),
                        ','.join(header))
    rows = []
    for number, line in enumerate(lines, 2):
        try:
            scene, frame, ycb_id, score, turn, shift, time = line
            rows.append((
                int(scene), int(frame), int(ycb_id), float(score),
                np.array(turn.split(), float).reshape(3, 3),
                np.array(shift.split(), float).reshape(3) / _MM,
                float(time)))
        except ValueError as error:
            raise DataError(path, f'line {number}', 'three numbers, a score, '
                            'R of 9, t of 3 and a time', str(error)
                            ) from error
    shapes = dict(R=(-1, 3, 3), t=(-1, 3))
    return {name: np.reshape([row[i] for row in rows],
                             shapes.get(name, (-1, )))
            for i, name in enumerate(BOP_HEADER)}


def bop_scenes(index: HandObjectIndex) -> Array:
    """BOP's scene (N,) of each frame: a video of the split.

    Raises:
        DataError: If the index is not of one of DexYCB's setups.
    """
    if index.setup not in SETUPS or index.split not in SPLITS:
        raise DataError(index.path, 'setup', 'a setup of DexYCB',
                        f'{index.setup} {index.split}')
    cameras = split_rule(index.setup, index.split).cameras
    cameras = tuple(camera for camera in cameras
                    if camera < len(index.serials))
    place = np.full(max(len(index.serials), 1), -1)
    place[list(cameras)] = np.arange(len(cameras))
    found = place[np.asarray(index['camera'])]
    if (found < 0).any():
        row = int(np.argmin(found))
        raise DataError(index.path, f'camera of row {row}',
                        f'one of {cameras}, those of the split',
                        str(index['camera'][row]))
    return np.asarray(index['sequence_row']) * len(cameras) + found


def write_coco_keypoints(path: str | Path, ids: Array, pixels: Array,
                         scores: Array) -> None:
    """Write keypoints as results of COCO, whole or not at all.

    Args:
        path (str | Path): The .json file; its folder exists.
        ids (ndarray): (N,) int, numbers of samples.
        pixels (ndarray): (N, 21, 2) px of the photograph.
        scores (ndarray): (N, 21).
    """
    entries: list[dict[str, Any]] = [
        dict(image_id=int(number), category_id=HAND_CATEGORY,
             keypoints=np.column_stack([places, sure]).ravel().round(
                 3).tolist(), score=float(np.mean(sure)))
        for number, places, sure in zip(ids, pixels, scores, strict=True)]
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(entries, allow_nan=False))


def _spaced(values: Sequence[float], digits: int) -> str:
    return ' '.join(f'{value:.{digits}f}' for value in values)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8')
    except UnicodeDecodeError as error:
        raise DataError(path, 'file', 'text', 'other bytes') from error
