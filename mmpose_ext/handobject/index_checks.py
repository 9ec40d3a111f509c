"""What an index must fulfil before anything is trained on it."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmpose_ext.geometry.crop_views import intrinsic_matrix, project
from mmpose_ext.handobject.index_columns import (
    DEXYCB,
    DEXYCB_PATTERN,
    FILE_PATTERN,
    INTERHAND,
    MAX_OBJECT,
    MAX_OFF_CENTRE,
    OPTIONAL_COLUMNS,
    REQUIRED,
)
from mmpose_ext.storage import DataError, check_array, check_keys

if TYPE_CHECKING:
    from mmpose_ext.handobject.index_files import HandObjectIndex

Array = np.ndarray

_BLOCK = 8192  # rows looked at together
_SAMPLES = 64  # rows whose projection is compared on opening
_MAX_PIXELS = 5.  # between a joint and its projection


def check_columns(path: Path, columns: dict[str, Array]) -> None:
    """Check types and shapes of columns.

    Args:
        path (Path): The file for the error.
        columns (dict[str, np.ndarray]): With all that are required.

    Raises:
        DataError: Names the column.
    """
    lengths: dict[str, int] = {}
    for name, (dtype, shape) in {**REQUIRED, **OPTIONAL_COLUMNS}.items():
        if name not in columns:
            continue
        array = columns[name]
        for axis, length in enumerate(shape):
            if isinstance(length, str) and axis < array.ndim:
                lengths.setdefault(length, array.shape[axis])
        # `check_array` takes a type without a digit for a kind
        check_array(array, path, name, 'b' if dtype == '?' else dtype, [
            lengths.get(length, 0) if isinstance(length, str) else length
            for length in shape])
    for name, other in (('contact', 'contact_valid'),
                        ('contact_valid', 'contact')):
        if name in columns:
            check_keys(columns, [other], path, f'it belongs to {name}')


def check_content(index: HandObjectIndex) -> None:
    """Check tables, references and cameras of all frames, joints of some.

    Args:
        index (HandObjectIndex): Its columns have passed `check_columns`.

    Raises:
        DataError: Names the column.
    """
    _check_tables(index)
    _check_references(index)
    _check_cameras(index)
    _check_rows(index, np.unique(np.linspace(
        0, len(index) - 1, min(_SAMPLES, len(index))).astype(int)))


def check_all_rows(index: HandObjectIndex) -> None:
    """Check the values of every frame; reads the file whole.

    Args:
        index (HandObjectIndex): It has passed `check_content`.

    Raises:
        DataError: Names the column and the first row at fault.
    """
    for start in range(0, len(index), _BLOCK):
        _check_rows(index, np.arange(start, min(start + _BLOCK, len(index))))


def _check_tables(index: HandObjectIndex) -> None:
    path = index.path
    if index.source not in (DEXYCB, INTERHAND):
        raise DataError(path, 'source', f'{DEXYCB!r} or {INTERHAND!r}',
                        repr(index.source))
    if index.image_pattern not in (DEXYCB_PATTERN, FILE_PATTERN):
        raise DataError(path, 'image_pattern',
                        f'{DEXYCB_PATTERN!r} or {FILE_PATTERN!r}',
                        repr(index.image_pattern))
    if index.image_pattern == FILE_PATTERN:
        check_keys(index.columns, ['file_name'], path)
    if index.every < 1:
        raise DataError(path, 'every', 'at least 1', str(index.every))
    if min(index.image_size) < 1:
        raise DataError(path, 'image_size', 'width and height in px',
                        f'{index.image_size}')


def _check_references(index: HandObjectIndex) -> None:
    """Numbers that name a row of another table."""
    columns, path = index.columns, index.path
    bounds = {
        'sequence_row': (0, len(index.sequences)),
        'camera': (0, len(index.serials)),
        'frame': (0, None),
        'sequence_subject': (0, len(index.subjects)),
        'sequence_number': (0, None),
        'side': (0, 2),
        'ycb_ids': (0, MAX_OBJECT + 1),
        'grasped': (-1, index.num_objects),
    }
    for name, (low, high) in bounds.items():
        values = columns[name]
        if not values.size:
            continue
        least, most = int(values.min()), int(values.max())
        if least < low or (high is not None and most >= high):
            raise DataError(
                path, name, f'numbers from {low}' + (
                    f' to {high - 1}' if high is not None else ''),
                f'{least} to {most}')
    grasped = columns['grasped']
    rows = np.flatnonzero(grasped >= 0)
    if not columns['ycb_ids'][rows, grasped[rows]].all():
        raise DataError(path, 'grasped', 'columns of ycb_ids with an object',
                        'one without')
    if (np.diff(columns['id']) <= 0).any():
        raise DataError(path, 'id', 'rising numbers', 'others')


def _check_cameras(index: HandObjectIndex) -> None:
    """Cameras fit the size of the pictures."""
    for start in range(0, len(index), _BLOCK):
        block = slice(start, start + _BLOCK)
        values = check_array(index['K'][block], index.path, 'K', finite=True)
        size = (index['picture_size'][block] if 'picture_size' in index else
                np.array([index.image_size]))
        off = np.abs(values[:, 2:] - (size - 1) / 2) > MAX_OFF_CENTRE * size
        wrong = off.any(1) | (values[:, :2] <= 0).any(1)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            width, height = index.size_of(start + row)
            raise DataError(
                index.path, f'K of row {start + row}',
                f'a camera of {width} x {height} px, its principal point '
                'near the middle',
                'fx {:g}, fy {:g}, cx {:g}, cy {:g}'.format(*values[row]),
                'the intrinsics are of another resolution')


def _check_rows(index: HandObjectIndex, rows: Array) -> None:
    """Values of some frames: finite, hands in front of their cameras."""
    columns, path = index.columns, index.path
    for name in ('joints_cam', 'joints_px', 'bbox_hand', 'bbox_union',
                 'pose_m', 'pose_y'):
        values = columns[name][rows]
        wrong = ~np.isfinite(values).reshape(len(rows), -1).all(1)
        if wrong.any():
            raise DataError(
                path, f'{name} of row {rows[wrong][0]}', 'finite values',
                f'nan or infinity in {wrong.sum()} of {len(rows)} rows')
    rows = rows[columns['hand_valid'][rows]]
    if not len(rows):
        return
    joints = np.asarray(columns['joints_cam'][rows], np.float64)
    behind = (joints[..., 2] <= 0).any(1)
    if behind.any():
        raise DataError(
            path, f'joints_cam of row {rows[behind][0]}',
            'joints in front of the camera',
            f'z = {joints[behind][0, :, 2].min():g} m')
    flat = (columns['bbox_hand'][rows, 2:] <= 0).any(1)
    if flat.any():
        raise DataError(path, f'bbox_hand of row {rows[flat][0]}',
                        'a width and a height above 0',
                        f'{columns["bbox_hand"][rows[flat][0]]}')
    pixels = project(joints, intrinsic_matrix(columns['K'][rows])[:, None])
    error = np.median(np.linalg.norm(
        pixels - columns['joints_px'][rows], axis=-1), axis=1)
    if (error > _MAX_PIXELS).any():
        worst = int(error.argmax())
        raise DataError(
            path, f'K of row {rows[worst]}',
            'a camera that projects joints_cam onto joints_px',
            f'{error[worst]:.1f} px between them (median of 21)',
            'the intrinsics are of another camera or resolution')
