"""Points in space from anipose and sleap-anipose."""
from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .checks import StrPath, check_array, check_file, check_no_infinity
from .errors import DataError
from .hdf5 import open_hdf5, read_dataset

_AXES = ('x', 'y', 'z')


@dataclass(frozen=True, eq=False)
class SpacePoints:
    """Points in space over time.

    T frames, I individuals, K points.

    Args:
        source (Path): The file.
        names (tuple[str, ...] | None): K names, where the file has them.
        frames (np.ndarray): (T,) int64 frames of the videos, rising.
        points (np.ndarray): (T, I, K, 3) float64 in the calibration's unit,
            NaN = missing.

    Raises:
        DataError: If the parts do not fit together.
    """

    source: Path
    names: tuple[str, ...] | None
    frames: np.ndarray
    points: np.ndarray

    def __post_init__(self) -> None:
        count = None if self.names is None else len(self.names)
        check_array(self.points, self.source, 'points', 'f8',
                    (len(self.frames), None, count, 3))
        check_array(self.frames, self.source, 'frames', 'i8', (None, ))
        check_no_infinity(self.points, self.source, 'points')
        if (np.diff(self.frames) <= 0).any() or (self.frames < 0).any():
            raise DataError(self.source, 'frames', 'rising from 0 or later',
                            'another order')


def read_space_points(path: StrPath) -> SpacePoints:
    """Read triangulated points.

    Args:
        path (str | Path): sleap-anipose's ``points3d.h5`` (``tracks`` T x I
            x K x 3), or anipose's table ``.csv`` (a point's columns end in
            _x, _y and _z; ``fnum`` is the frame). The axes are the
            calibration's, anipose's own ``M_`` and ``center_`` columns
            undone.

    Raises:
        DataError: If the file is damaged or a column is missing.
    """
    path = check_file(path, ('.h5', '.csv'))
    if path.suffix.lower() == '.csv':
        return _read_table(path)
    with open_hdf5(path) as file:
        points = read_dataset(file, 'tracks', path, dtype='f',
                              shape=(None, None, None, 3))
    return SpacePoints(path, None, np.arange(len(points), dtype=np.int64),
                       points.astype(np.float64))


def _read_table(path: Path) -> SpacePoints:
    columns = _read_columns(path)
    names = [column.removesuffix('_x') for column in columns
             if column.endswith('_x')]
    if not names:
        raise DataError(path, 'columns', 'points as <name>_x, _y and _z',
                        ', '.join(columns)[:200])
    for name in names:
        for axis in _AXES:
            if f'{name}_{axis}' not in columns:
                raise DataError(path, 'columns', f'{name}_{axis}',
                                f'{name}_x alone')
    points = np.stack([np.stack([columns[f'{name}_{axis}'] for axis in _AXES],
                                -1) for name in names], 1)
    frames = columns.get('fnum', np.arange(len(points), dtype=np.float64))
    check_array(frames, path, "column 'fnum'", finite=True)
    points = _to_calibration(points, columns, path)
    return SpacePoints(path, tuple(names), frames.astype(np.int64),
                       points[:, None])


def _to_calibration(points: np.ndarray, columns: dict[str, np.ndarray],
                    path: Path) -> np.ndarray:
    """Undo the turn to the body's axes: written = M point - centre."""
    if 'M_00' not in columns:
        return points
    keys = [f'M_{i}{j}' for i in range(3) for j in range(3)]
    keys += [f'center_{i}' for i in range(3)]
    for key in keys:
        if key not in columns:
            raise DataError(path, 'columns', key, 'M_00 alone')
    values = check_array(np.stack([columns[key] for key in keys], -1), path,
                         "columns 'M_' and 'center_'", finite=True)
    turns, centres = values[:, :9].reshape(-1, 3, 3), values[:, 9:]
    try:
        inverse = np.linalg.inv(turns)
    except np.linalg.LinAlgError as error:
        raise DataError(path, "columns 'M_'", 'a rotation',
                        str(error)) from error
    return np.einsum('tij,tkj->tki', inverse, points + centres[:, None])


def _read_columns(path: Path) -> dict[str, np.ndarray]:
    """Columns of numbers by name; empty fields are NaN."""
    try:
        with path.open(newline='', encoding='utf-8') as stream:
            head, *rows = csv.reader(stream)
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DataError(path, 'file', 'a table with a heading',
                        str(error)) from error
    table = np.full((len(rows), len(head)), np.nan)
    for line, row in enumerate(rows):
        if len(row) != len(head):
            raise DataError(path, f'line {line + 2}',
                            f'{len(head)} fields, as the heading has',
                            f'{len(row)}')
        for place, field in enumerate(row):
            try:
                table[line, place] = float(field) if field.strip() else np.nan
            except ValueError as error:
                raise DataError(
                    path, f'line {line + 2}, column {head[place]!r}',
                    'a number', repr(field)) from error
    if not rows:
        raise DataError(path, 'file', 'at least one frame', 'none')
    return dict(zip(head, table.T, strict=True))
