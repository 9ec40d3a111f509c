"""MATLAB's files, of all versions, as plain Python values.

One shape of content for the two formats: files up to version 7, which SciPy
reads, and those of version 7.3, which are HDF5. A struct becomes a `dict`, a
struct array or a cell a `list` (column by column), a text a `str`, an array
of numbers an `ndarray` with MATLAB's axes; objects of classes become None.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy import io

from .atomic import atomic_file
from .checks import StrPath, check_array, check_file, check_keys
from .errors import DataError
from .hdf5 import open_hdf5

# 116 bytes; SciPy's own tells the time, and equal content shall be equal
_HEADER = b'MATLAB 5.0 MAT-file'.ljust(116)
_OPAQUE = (io.matlab.MatlabOpaque, io.matlab.MatlabFunction)


def read_matlab(path: StrPath,
                variables: Sequence[str] | None = None) -> dict[str, Any]:
    """Read a MATLAB file.

    Args:
        path (str | Path): The file, of version 4 to 7.3.
        variables (Sequence[str], optional): Those wanted; absent ones are
            left out. Defaults to None (all).

    Returns:
        dict[str, Any]: Variables by name, as the module says.

    Raises:
        DataError: If the file is missing, cut short, damaged or of another
            kind.
    """
    path = check_file(path)
    with path.open('rb') as stream:
        start = stream.read(10)
    if start == b'MATLAB 7.3' or h5py.is_hdf5(path):
        return _read_hdf5(path, variables)
    try:
        content = io.loadmat(path, variable_names=variables)
        return {key: _plain(value) for key, value in content.items()
                if not key.startswith('__')}
    except Exception as error:  # the cause of damage can be any
        raise DataError(
            path, 'file', 'a readable MATLAB file',
            f'{type(error).__name__}: {error}',
            'it may be cut short: copy or export it again') from error


def write_matlab(path: StrPath, variables: Mapping[str, Any]) -> None:
    """Write a MATLAB file of version 5, whole or not at all.

    The same content gives the same bytes.

    Args:
        path (str | Path): The file, ending in .mat; its folder exists.
        variables (Mapping[str, Any]): By name: arrays, numbers, texts,
            mappings for structs, :func:`cell` for cells.

    Raises:
        DataError: If it cannot be written under this name.
    """
    if Path(path).suffix.lower() != '.mat':
        raise DataError(path, 'file', 'a name ending in .mat',
                        repr(Path(path).suffix))
    with atomic_file(path) as temporary:
        io.savemat(temporary, dict(variables), long_field_names=True,
                   do_compression=True, oned_as='row')
        with temporary.open('r+b') as stream:
            stream.write(_HEADER)


def cell(values: Iterable[Any], column: bool = False) -> np.ndarray:
    """A cell array for :func:`write_matlab`.

    Args:
        values (Iterable[Any]): Its parts.
        column (bool): Whether it stands upright, N x 1. Defaults to False.
    """
    parts = list(values)
    array = np.empty((len(parts), 1) if column else (1, len(parts)), object)
    for place, part in enumerate(parts):
        array.flat[place] = part
    return array


def read_rows(value: Any, path: Path, where: str) -> list[Any]:
    """The parts of a cell or struct array; one that stands alone is a row.

    Raises:
        DataError: If it is neither, such as numbers.
    """
    if isinstance(value, (dict, str)):
        return [value]
    if isinstance(value, list):
        return value
    raise DataError(path, where, 'a cell or struct array', _describe(value))


def read_numbers(struct: Mapping[str, Any],
                 key: str,
                 path: Path,
                 where: str,
                 shape: Sequence[int | None] | None = None) -> np.ndarray:
    """An array of numbers in a struct, as float64.

    Args:
        struct (Mapping[str, Any]): The struct.
        key (str): Its field.
        path (Path): The file for the error.
        where (str): The struct's place, for the error.
        shape (Sequence[int | None], optional): As in `check_array`. Defaults
            to None.

    Raises:
        DataError: If it is absent, not of numbers, or of another shape.
    """
    place = place_of(key, where)
    if not where:
        check_keys(struct, [key], path)
    elif key not in struct:
        raise DataError(path, place, 'a field',
                        f'only {", ".join(struct) or "nothing"}')
    value = struct[key]
    if not isinstance(value, np.ndarray) or value.dtype.kind not in 'biuf':
        raise DataError(path, place, 'numbers', _describe(value))
    return check_array(value.astype(np.float64), path, place, shape=shape)


def read_integers(struct: Mapping[str, Any], key: str, path: Path,
                  where: str) -> np.ndarray:
    """Row or column of whole numbers of any type, as (N,) int64.

    Raises:
        DataError: If it is absent, no row or column, or holds NaN.
    """
    values = read_numbers(struct, key, path, where)
    place = place_of(key, where)
    if values.size and max(values.shape) != values.size:
        raise DataError(path, place, 'a row or a column',
                        f'shape {values.shape}')
    return check_array(values.ravel(), path, place,
                       finite=True).astype(np.int64)


def place_of(key: str, where: str) -> str:
    """A field of a struct for an error; `where` is '' at the top."""
    return f'{where}.{key}' if where else f'key {key!r}'


def _describe(value: Any) -> str:
    if isinstance(value, str):
        return f'the text {value[:40]!r}'
    if isinstance(value, np.ndarray):
        return f'{value.dtype} of shape {value.shape}'
    names = {dict: 'a struct', list: 'a cell', type(None): 'nothing'}
    return names.get(type(value), type(value).__name__)


def _plain(value: Any) -> Any:
    """What SciPy read, as the module says."""
    if isinstance(value, _OPAQUE):
        return None
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.names:
        rows = [{name: _plain(row[name]) for name in value.dtype.names}
                for row in value.ravel('F')]
        return rows[0] if len(rows) == 1 else rows
    if value.dtype.kind == 'O':
        return [_plain(part) for part in value.ravel('F')]
    if value.dtype.kind == 'U':
        texts = [str(text) for text in value.ravel('F')]
        return texts if len(texts) > 1 else ''.join(texts)
    return value


def _read_hdf5(path: Path,
               variables: Sequence[str] | None) -> dict[str, Any]:
    with open_hdf5(path) as file:
        try:
            return {key: _follow(file[key], file) for key in file
                    if not key.startswith('#')
                    and (variables is None or key in variables)}
        except (TypeError, AttributeError, IndexError) as error:
            raise DataError(path, 'file', 'a MATLAB file of version 7.3',
                            f'{type(error).__name__}: {error}') from error


def _follow(node: Any, file: h5py.File) -> Any:
    """A node of a file of version 7.3, as the module says."""
    kind = node.attrs.get('MATLAB_class', b'')
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if isinstance(node, h5py.Group):
        # Names that are no text, in damaged files, come as bytes.
        fields = {str(key): _follow(node[key], file) for key in node}
        return _transpose(fields) if _is_struct_array(node) else fields
    if node.attrs.get('MATLAB_empty', 0):
        if kind == 'struct':
            return []
        return {'cell': [], 'char': ''}.get(
            kind, np.zeros(tuple(int(n) for n in node[()])))
    if node.dtype == h5py.ref_dtype:
        return [_follow(file[target], file) for target in node[()].ravel()]
    if kind == 'char':
        # HDF5 has MATLAB's axes turned round: a column is a line of text.
        codes = np.asarray(node[()])
        lines = [''.join(map(chr, line)) for line in
                 codes.reshape(len(codes), -1).T]
        return lines if len(lines) > 1 else ''.join(lines)
    value = np.asarray(node[()])
    return value.T if value.dtype.kind in 'biufc' else None


def _is_struct_array(group: h5py.Group) -> bool:
    """Fields of a struct array are references without a class of theirs."""
    return len(group) > 0 and all(
        isinstance(part, h5py.Dataset) and part.dtype == h5py.ref_dtype
        and 'MATLAB_class' not in part.attrs for part in group.values())


def _transpose(fields: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(fields, row, strict=True))
            for row in zip(*fields.values(), strict=True)]
