"""The tables of points that DeepLabCut writes, as CSV and as HDF5."""
from __future__ import annotations

import csv
import io
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .checks import check_file
from .errors import DataError
from .hdf5 import open_hdf5, read_dataset

SINGLE_ANIMAL = 'individual_0'  # name where the file gives none
EXPORT_HINT = (
    'export it as CSV: in the DeepLabCut environment, '
    'pandas.read_hdf("NAME.h5").to_csv("NAME.csv")')
_HEADERS = (['scorer', 'bodyparts', 'coords'],
            ['scorer', 'individuals', 'bodyparts', 'coords'])

_BLOCK = 10_000  # lines read at a time

Column = tuple[str, str, str]  # individual, bodypart, coordinate


@dataclass(frozen=True, eq=False)
class DlcTable:
    """Columns of coordinates, one row a frame or image.

    Args:
        path (Path): The file.
        columns (tuple[Column, ...]): What each column holds.
        index (tuple[str, ...]): What names each row: the path of an image
            or the number of a frame.
        values (np.ndarray): (rows, columns) float64, finite or NaN.
    """

    path: Path
    columns: tuple[Column, ...]
    index: tuple[str, ...]
    values: np.ndarray

    @property
    def individuals(self) -> tuple[str, ...]:
        """Individuals in the order of the columns."""
        return tuple(dict.fromkeys(column[0] for column in self.columns))

    @property
    def bodyparts(self) -> tuple[str, ...]:
        """Bodyparts in the order of the columns."""
        return tuple(dict.fromkeys(column[1] for column in self.columns))

    def gather(self, individuals: Sequence[str], bodyparts: Sequence[str],
               coordinates: Sequence[str]) -> np.ndarray:
        """Return (rows, P, K, coordinates); absent columns are NaN."""
        place = {column: i for i, column in enumerate(self.columns)}
        order = [[[place.get((animal, part, coordinate), -1)
                   for coordinate in coordinates] for part in bodyparts]
                 for animal in individuals]
        padded = np.pad(self.values, ((0, 0), (0, 1)), constant_values=np.nan)
        return padded[:, order]


def read_dlc_csv(path: Path, coordinates: Sequence[str]) -> DlcTable:
    """Read a table under three header rows, or four with individuals.

    Args:
        path (Path): The file. Its index is one column, or the three columns
            'labeled-data', folder, image of newer releases.
        coordinates (Sequence[str]): What each point must have, in order.

    Raises:
        DataError: If the text is damaged; names line and column.
    """
    check_file(path)
    return (_read_plain(path, coordinates)
            or _read_carefully(path, coordinates))


def _read_plain(path: Path, coordinates: Sequence[str]) -> DlcTable | None:
    """Read a table as DeepLabCut writes it; None if anything is odd.

    Ten times as fast as cell by cell, and in little more memory than the
    numbers take.
    """
    index: list[str] = []
    blocks = []
    try:
        with path.open(encoding='utf-8-sig') as stream:
            top = list(islice(stream, len(_HEADERS[-1])))
            columns, width, rows = _parse_header(
                list(csv.reader(top)), coordinates, path)
            lines = chain(top[rows:], stream)
            while block := list(islice(lines, _BLOCK)):
                cells = [line.rstrip('\n').split(',', width)
                         for line in block if line != '\n']
                if not cells:
                    continue
                if any('"' in line for line in chain(top, block)):
                    return None
                index.extend('/'.join(row[:-1]) for row in cells)
                blocks.append(np.loadtxt(
                    [_fill_blanks(row[width]) for row in cells],
                    delimiter=',', comments=None, ndmin=2))
        values = np.concatenate(blocks)
    # one of them is what the careful reading tells in its words
    except (ValueError, IndexError, csv.Error):
        return None
    if (values.shape != (len(index), len(columns))
            or np.isinf(values).any()):
        return None
    return DlcTable(path, columns, tuple(index), values)


def _fill_blanks(cells: str) -> str:
    """Write nan where nothing stands between two commas."""
    if ',,' in cells or cells.startswith(',') or cells.endswith(','):
        # twice, for of ",,," only one pair is found at a time
        cells = f',{cells},'.replace(',,', ',nan,').replace(',,', ',nan,')
        cells = cells[1:-1]
    return cells or 'nan'


def _read_carefully(path: Path, coordinates: Sequence[str]) -> DlcTable:
    """Read a table cell by cell, and tell what is wrong and where."""
    try:
        text = path.read_text(encoding='utf-8-sig')
        rows = list(csv.reader(io.StringIO(text)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(path, 'file', 'CSV text', str(error)) from error
    columns, width, top = _parse_header(rows, coordinates, path)
    body = [(line, row) for line, row in enumerate(rows, 1)
            if line > top and row]
    if not body:
        raise DataError(path, 'rows', 'labels below the header', 'none')
    values = np.empty((len(body), len(columns)))
    for i, (line, row) in enumerate(body):
        if len(row) != width + len(columns):
            raise DataError(path, f'line {line}',
                            f'{width + len(columns)} cells', f'{len(row)}')
        for j, cell in enumerate(row[width:]):
            values[i, j] = _parse_cell(cell, line, columns[j], path)
    index = tuple('/'.join(row[:width]) for _, row in body)
    return DlcTable(path, columns, index, values)


def read_dlc_hdf5(path: Path, coordinates: Sequence[str]) -> DlcTable:
    """Read predictions that pandas stored as one table of floats.

    Args:
        path (Path): The file.
        coordinates (Sequence[str]): What each point must have, in order.

    Raises:
        DataError: If the file is damaged or pandas stored it otherwise.
    """
    with open_hdf5(path) as file:
        groups = [key for key, group in file.items()
                  if isinstance(group, h5py.Group) and 'table' in group]
        if len(groups) != 1:
            raise DataError(path, 'file', 'one table written by pandas',
                            f'{len(groups)}', EXPORT_HINT)
        group = file[groups[0]]
        table = read_dataset(group, 'table', path,
                             ['index', 'values_block_0'])
        header = group['table'].attrs.get('values_block_0_kind', b'')
    names = _parse_names(header, path)
    values = table['values_block_0']
    if (table.dtype.names != ('index', 'values_block_0')
            or table['index'].dtype.kind not in 'iu'
            or values.dtype.kind != 'f'
            or values.shape != (len(table), len(names))):
        raise DataError(path, 'table',
                        f'frame numbers and {len(names)} columns of floats',
                        str(table.dtype), EXPORT_HINT)
    columns = _check_columns([name[1:] for name in names], coordinates, path)
    if np.isinf(values).any():
        row, j = np.argwhere(np.isinf(values))[0]
        raise DataError(path, f'row {row}, column {" ".join(columns[j][1:])}',
                        'a finite number', str(values[row, j]))
    index = tuple(str(number) for number in table['index'])
    return DlcTable(path, columns, index, values.astype(np.float64))


def read_dlc_shape(path: Path) -> tuple[int, int] | None:
    """Rows and columns of an .h5 of labels, None if stored otherwise."""
    with open_hdf5(path) as file:
        for group in file.values():
            for key in ('table', 'block0_values'):
                if not isinstance(group, h5py.Group) or key not in group:
                    continue
                dtype, shape = group[key].dtype, group[key].shape
                if dtype.names and 'values_block_0' in dtype.names:
                    shape += dtype['values_block_0'].shape
                return shape if len(shape) == 2 else None
    return None


def _parse_header(rows: list[list[str]], coordinates: Sequence[str],
                  path: Path) -> tuple[tuple[Column, ...], int, int]:
    """Columns, width of the index, and number of header rows."""
    labels = [row[0] if row else '' for row in rows[:4]]
    kind = next((kind for kind in _HEADERS if labels[:len(kind)] == kind),
                None)
    if kind is None:
        raise DataError(path, 'header',
                        'rows scorer, (individuals,) bodyparts, coords',
                        ', '.join(repr(label) for label in labels))
    header = rows[:len(kind)]
    # The columns of the index have no name, except for the row's label.
    width = next((i for i, cell in enumerate(header[-1]) if i and cell), 1)
    if len({len(row) for row in header}) > 1:
        raise DataError(path, 'header', 'rows of one length',
                        ', '.join(f'{len(row)} cells' for row in header))
    names = list(zip(*(row[width:] for row in header[1:]), strict=True))
    return _check_columns(names, coordinates, path), width, len(kind)


def _check_columns(names: Sequence[tuple[str, ...]],
                   coordinates: Sequence[str],
                   path: Path) -> tuple[Column, ...]:
    """Add the individual where there is none; check each point's columns."""
    columns: list[Column] = []
    for name in names:
        if len(name) not in (2, 3) or not all(name):
            raise DataError(path, 'header', 'bodypart and coordinate',
                            repr(name))
        animal = name[0] if len(name) == 3 else SINGLE_ANIMAL
        columns.append((animal, name[-2], name[-1]))
    points: dict[tuple[str, str], list[str]] = {}
    for animal, part, coordinate in columns:
        points.setdefault((animal, part), []).append(coordinate)
    for (_, part), present in points.items():
        if present != list(coordinates):
            raise DataError(path, f'header, bodypart {part!r}',
                            f'{", ".join(coordinates)} once',
                            ', '.join(present))
    if not columns:
        raise DataError(path, 'header', 'bodyparts', 'none')
    return tuple(columns)


def _parse_cell(cell: str, line: int, column: Column, path: Path) -> float:
    """Number of a cell; an empty one is a missing point."""
    try:
        value = float(cell) if cell.strip() else np.nan
    except ValueError:
        value = np.inf
    if np.isinf(value):
        raise DataError(path, f'line {line}, column {column[1]} {column[2]}',
                        'a finite number or nothing', repr(cell))
    return value


class _NamesUnpickler(pickle.Unpickler):
    """Builds lists and tuples of text and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f'{module}.{name}, which is code')


def _parse_names(header: Any, path: Path) -> list[tuple[str, ...]]:
    """Column names, which pandas stores as a pickled list of tuples."""
    try:
        names = _NamesUnpickler(io.BytesIO(bytes(header))).load()
        return [tuple(str(part) for part in name) for name in names]
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError(path, 'table', 'a list of column names',
                        str(error) or type(error).__name__,
                        EXPORT_HINT) from error
