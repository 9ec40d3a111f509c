"""Boxes of a detector in place of the labelled ones."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.storage import (
    DataError,
    NpzArchive,
    check_array,
    check_file,
    check_keys,
    read_json,
)

Array = np.ndarray


def read_boxes(path: Path | str, ids: Array) -> tuple[Array, Array]:
    """Read the best box of each sample.

    Args:
        path (Path | str): ``.npz`` with ``id`` (M,), ``bbox`` (M, 4) x, y,
            width, height in px of the photograph and optional ``score``
            (M,); or ``.json``, a list of such entries, where ``image_id``
            may stand for ``id``, as detectors write them for COCO.
        ids (ndarray): Of the samples (N,), as in the index.

    Returns:
        tuple: Boxes (N, 4) float32 and scores (N,) float32.

    Raises:
        DataError: If the file is damaged or a sample has no box.
    """
    path = check_file(path, ('.npz', '.json'))
    if path.suffix.lower() == '.npz':
        found, boxes, scores = _read_npz(path)
    else:
        found, boxes, scores = _read_json(path)
    flat = np.flatnonzero((boxes[:, 2:] <= 0).any(1))
    if len(flat):
        raise DataError(path, f'bbox of id {found[flat[0]]}',
                        'a width and a height above 0',
                        f'{boxes[flat[0]].tolist()}')
    # the best of each id comes first
    order = np.lexsort((-scores, found))
    known, first = np.unique(found[order], return_index=True)
    places = np.searchsorted(known, ids)
    places[places == len(known)] = 0
    missing = (known[places] != ids if len(known) else
               np.ones(len(ids), bool))
    if missing.any():
        raise DataError(
            path, 'id', f'a box for each of {len(ids)} samples',
            f'none for {missing.sum()}, the first {ids[missing][0]}',
            'give the whole picture where nothing was detected')
    rows = order[first[places]]
    return boxes[rows].astype(np.float32), scores[rows].astype(np.float32)


def _read_npz(path: Path) -> tuple[Array, Array, Array]:
    archive = NpzArchive(path)
    check_keys(archive.names, ['id', 'bbox'], path)
    ids = check_array(archive.read('id'), path, 'id', 'iu', (None, ))
    boxes = check_array(archive.read('bbox'), path, 'bbox', 'fiu',
                        (len(ids), 4), finite=True)
    scores = np.ones(len(ids))
    if 'score' in archive.names:
        scores = check_array(archive.read('score'), path, 'score', 'fiu',
                             (len(ids), ), finite=True)
    return ids.astype(np.int64), boxes.astype(np.float64), scores


def _read_json(path: Path) -> tuple[Array, Array, Array]:
    entries = read_json(path)
    if not isinstance(entries, list):
        raise DataError(path, 'file', 'a list of boxes',
                        type(entries).__name__)
    rows = [_entry(path, number, entry)
            for number, entry in enumerate(entries)]
    values = np.array([row[1:] for row in rows], np.float64).reshape(-1, 5)
    ids = np.array([row[0] for row in rows], np.int64)
    check_array(values, path, 'bbox', finite=True)
    return ids, values[:, :4], values[:, 4]


def _entry(path: Path, number: int, entry: Any) -> list[Any]:
    """``[id, x, y, width, height, score]`` of an entry."""
    try:
        identity = entry['id'] if 'id' in entry else entry['image_id']
        x, y, width, height = map(float, entry['bbox'])
        # an id of the index is of 64 bits
        return [int(np.int64(int(identity))), x, y, width, height,
                float(entry.get('score', 1.))]
    except (AttributeError, KeyError, TypeError, ValueError,
            OverflowError) as error:
        raise DataError(
            path, f'entry {number}', 'id (or image_id) and bbox of 4 numbers',
            str(entry)[:80]) from error
