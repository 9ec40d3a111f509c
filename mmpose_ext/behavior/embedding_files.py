"""Embeddings of recordings on the disk: one file a record."""
from __future__ import annotations

import csv
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np

from mmpose_ext.storage import (
    DataError,
    atomic_file,
    check_array,
    check_file,
    check_keys,
)
from mmpose_ext.storage.hdf5 import open_hdf5
from mmpose_ext.storage.plain_files import plain

Array = np.ndarray

EMBEDDING_NC = 'embedding.nc'
EMBEDDING_CSV = 'features_lisbet_embedding.csv'
_CSV_ENDING = '_embedding.csv'


@dataclass(frozen=True, eq=False)
class RecordEmbedding:
    """Embeddings of all frames of one record.

    T frames, D features.

    Args:
        record (str): Its id, with ``/`` between folders.
        source (Path): The file.
        values (np.ndarray): (T, D) float32.
        frames (np.ndarray): (T,) int64 frame numbers.
        fps (float | None): Frames a second. Defaults to None.
        attributes (dict[str, Any]): How they were made. Defaults to none.
    """

    record: str
    source: Path
    values: Array
    frames: Array
    fps: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


def write_embedding(path: Path,
                    blocks: Iterable[Array],
                    frames: Array,
                    fps: float | None = None,
                    attributes: Mapping[str, Any] | None = None,
                    half: bool = False) -> None:
    """Write embeddings as netCDF 4, block by block, whole or not at all.

    ``xarray.open_dataset`` reads them: ``embedding`` (time, feature) and
    ``time`` in frames. Half precision is not in the netCDF standard: such a
    file wants ``engine='h5netcdf'``.

    Args:
        path (Path): The file, ending in .nc; its folder exists.
        blocks (Iterable[ndarray]): (t, D), T rows in all.
        frames (ndarray): (T,) frame numbers, rising.
        fps (float, optional): Frames a second. Defaults to None: unknown.
        attributes (Mapping, optional): Texts, numbers and lists of texts.
            Defaults to None.
        half (bool): Whether to keep them in half precision. Defaults to
            False.

    Raises:
        DataError: If the values are no embeddings of the frames.
    """
    with (atomic_file(path) as temporary, warnings.catch_warnings(),
          h5netcdf.File(temporary, 'w',
                        invalid_netcdf=half or None) as file):
        # half precision was asked for
        warnings.filterwarnings('ignore', 'You are writing invalid netcdf')
        file.dimensions = dict(time=len(frames))
        file.create_variable('time', ('time', ), np.int64,
                             data=np.asarray(frames, np.int64),
                             compression='gzip', shuffle=True)
        file.variables['time'].attrs['long_name'] = 'frame number'
        done = 0
        for block in blocks:
            check_array(block, path, 'embedding', 'f', (None, None),
                        finite=True)
            if not done:
                width = block.shape[1]
                file.dimensions['feature'] = width
                file.create_variable(
                    'feature', ('feature', ), np.int32,
                    data=np.arange(width, dtype=np.int32))
                variable = file.create_variable(
                    'embedding', ('time', 'feature'),
                    np.float16 if half else np.float32)
            variable[done:done + len(block)] = block.astype(variable.dtype)
            done += len(block)
        if done != len(frames):
            raise DataError(path, 'embedding', f'{len(frames)} frames',
                            str(done))
        if fps is not None:
            file.attrs['fps'] = float(fps)
        for name, value in (attributes or {}).items():
            if value is None:
                continue
            if isinstance(value, (list, tuple)):
                value = np.array([str(part) for part in value],
                                 h5py.string_dtype())
            file.attrs[name] = value


def read_embedding(path: Path, record: str = '') -> RecordEmbedding:
    """Read embeddings, of this program or of the original one.

    Args:
        path (Path): ``embedding.nc``, or a CSV with an index column and one
            column a feature.
        record (str): Id to note. Defaults to ''.

    Raises:
        DataError: If the file is damaged or of another layout.
    """
    path = check_file(path, ('.nc', '.csv'))
    if path.suffix.lower() == '.csv':
        values = read_number_table(path)[1]
        _check_values(values, path)
        return RecordEmbedding(record, path, values.astype(np.float32),
                               np.arange(len(values)))
    with open_hdf5(path) as container, h5netcdf.File(
            container, 'r', decode_vlen_strings=True) as file:
        check_keys(file.variables, ('embedding', 'time'), path)
        values = np.asarray(file.variables['embedding'][...])
        frames = np.asarray(file.variables['time'][...])
        attributes = {name: plain(value)
                      for name, value in file.attrs.items()
                      if not name.startswith('_')}
    _check_values(values, path)
    check_array(frames, path, "key 'time'", 'iuf', (len(values), ))
    fps = attributes.pop('fps', None)
    return RecordEmbedding(record, path, values.astype(np.float32),
                           frames.astype(np.int64),
                           None if fps is None else float(fps), attributes)


def find_embeddings(root: Path) -> dict[str, Path]:
    """Files of embeddings below a folder, by record id, sorted.

    Where a record has both kinds of file, the netCDF is taken.

    Args:
        root (Path): The folder, or one file.

    Raises:
        DataError: If there is none, or a record has several of a kind.
    """
    if root.is_file():
        return {root.parent.name: root}
    found: dict[str, Path] = {}
    tables = [path for path in sorted(root.rglob(f'features_*{_CSV_ENDING}'))
              if not path.name.startswith('.')]
    for path in [*tables, *sorted(root.rglob(EMBEDDING_NC))]:
        record = path.parent.relative_to(root).as_posix()
        before = found.get(record)
        if before is not None and before.suffix == path.suffix:
            raise DataError(path, 'file', 'one file of embeddings a record',
                            f'also {before.name}')
        found[record] = path
    if not found:
        raise DataError(
            root, 'folder', f'RECORD/{EMBEDDING_NC} or '
            f'RECORD/features_*{_CSV_ENDING}',
            'none' if root.is_dir() else 'no such folder',
            'tools/predict.py writes them')
    return dict(sorted(found.items()))


def read_embeddings(root: Path) -> list[RecordEmbedding]:
    """Read all embeddings below a folder, sorted by record id.

    Raises:
        DataError: If there are none, or they have different widths.
    """
    read = [read_embedding(path, record)
            for record, path in find_embeddings(root).items()]
    for one in read[1:]:
        if one.values.shape[1] != read[0].values.shape[1]:
            raise DataError(
                one.source, 'embedding', f'{read[0].values.shape[1]} '
                f'features, as {read[0].source} has',
                f'{one.values.shape[1]}', 'embed all records by one model')
    return read


def write_number_table(path: Path, columns: Sequence[str],
                       values: Array) -> None:
    """Write numbers as CSV with an index column, as the original does.

    Args:
        path (Path): The file; its folder exists.
        columns (Sequence[str]): C names.
        values (ndarray): (T, C); whole numbers are written as such.
    """
    whole = values.dtype.kind in 'iub'
    with atomic_file(path) as temporary, temporary.open('w') as stream:
        stream.write(',' + ','.join(map(_quoted, columns)) + '\n')
        for start in range(0, len(values), 10000):
            block = values[start:start + 10000]
            index = np.arange(start, start + len(block))[:, None]
            if not whole:
                block = block.astype(np.float64)
            np.savetxt(
                stream, np.concatenate([index, block], 1), delimiter=',',
                fmt='%d' if whole else ['%d'] + ['%.9g'] * block.shape[1])


def read_number_table(path: Path) -> tuple[tuple[str, ...], Array]:
    """Read numbers from CSV with an index column.

    Returns:
        tuple: Names of the C columns, and (T, C) float64.

    Raises:
        DataError: If the file is no such table.
    """
    path = check_file(path, ('.csv', ))
    try:
        with (path.open(newline='', encoding='utf-8') as stream,
              warnings.catch_warnings()):
            # an error tells of it
            warnings.filterwarnings('ignore', 'loadtxt: input contained no')
            header = next(csv.reader(stream))
            values = np.loadtxt(stream, delimiter=',', ndmin=2)
    except UnicodeDecodeError as error:
        raise DataError(path, 'file', 'a table of text',
                        str(error)) from error
    except ValueError as error:
        raise DataError(path, 'rows', 'numbers, as many a row as the header '
                        'has names', str(error)) from error
    if len(header) < 2 or not len(values) or len(header) != values.shape[1]:
        raise DataError(
            path, 'columns', 'an index and one column a name, with rows',
            f'{len(header)} names over {len(values)} rows of '
            f'{values.shape[1]} numbers')
    return tuple(header[1:]), values[:, 1:]


def _quoted(name: str) -> str:
    """A name as a field of a CSV."""
    return '"' + name.replace('"', '""') + '"' if set(name) & set(
        ',"\n') else name


def _check_values(values: Array, path: Path) -> None:
    check_array(values, path, 'embedding', 'f', (None, None), finite=True)
    if not values.size:
        raise DataError(path, 'embedding', 'frames and features',
                        f'shape {values.shape}')


def read_attributes(path: Path) -> dict[str, Any]:
    """Texts and numbers of a netCDF 4 file.

    Raises:
        DataError: If the file is damaged.
    """
    with open_hdf5(check_file(path, ('.nc', ))) as container, h5netcdf.File(
            container, 'r', decode_vlen_strings=True) as file:
        return {name: plain(value) for name, value in file.attrs.items()}
