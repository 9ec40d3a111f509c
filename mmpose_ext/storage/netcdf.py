"""NetCDF files, classic (3) and on HDF5 (4), read alike."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
from scipy.io import netcdf_file

from .checks import StrPath, check_file
from .errors import DataError
from .hdf5 import open_hdf5

Array = np.ndarray

_CLASSIC, _HDF5 = b'CDF', b'\x89HDF\r\n\x1a\n'
_FILLS = ('_FillValue', 'missing_value')
_PACKED = ('scale_factor', 'add_offset')


@dataclass(frozen=True, eq=False)
class NetcdfVariable:
    """One variable.

    Attributes:
        dims: Names of its axes.
        values: Numbers, or texts as objects.
        attributes: Texts and numbers.
    """

    dims: tuple[str, ...]
    values: Array
    attributes: dict[str, Any]


@dataclass(frozen=True, eq=False)
class NetcdfContent:
    """What was read of a file.

    Attributes:
        source: The file.
        names: All its variables.
        variables: Those that were asked for and are there.
        attributes: Texts and numbers of the file.
    """

    source: Path
    names: tuple[str, ...]
    variables: dict[str, NetcdfVariable]
    attributes: dict[str, Any]


def read_netcdf(path: StrPath, wanted: Iterable[str]) -> NetcdfContent:
    """Read some variables of a netCDF file of either kind.

    Texts are decoded as UTF-8, whether they are stored as strings or, in
    classic files, as rows of characters. Fill values of floating-point
    variables become NaN; packed numbers are unpacked.

    Args:
        path (str | Path): The .nc file.
        wanted (Iterable[str]): Names of variables; those that the file does
            not have are left out.

    Raises:
        DataError: If the file is damaged or no netCDF file.
    """
    path = check_file(path, ('.nc', ))
    with path.open('rb') as stream:
        start = stream.read(len(_HDF5))
    if start.startswith(_CLASSIC):
        if start[3:4] not in (b'\x01', b'\x02'):
            raise DataError(path, 'file', 'netCDF 3 or 4',
                            'another version of netCDF',
                            'convert it, e.g. by `nccopy -k nc4`')
        return _read_classic(path, set(wanted))
    if start == _HDF5:
        return _read_hdf5(path, set(wanted))
    raise DataError(path, 'file', 'a netCDF file', 'another kind of file')


def _read_hdf5(path: Path, wanted: set[str]) -> NetcdfContent:
    with _telling(path, 'a readable netCDF 4 file'), open_hdf5(
            path) as container, _Reader(
                container, 'r', decode_vlen_strings=True) as file:
        variables = {
            name: _variable(path, name, _dimensions(path, name, variable),
                            variable[...], variable.attrs)
            for name, variable in file.variables.items() if name in wanted}
        return NetcdfContent(path, tuple(file.variables), variables,
                             _attributes(file.attrs))


class _Reader(h5netcdf.File):
    # Closing asks for it, also where damage ended the opening before it was
    # set: Python would print an error of its own beside ours.
    _writable = False


def _dimensions(path: Path, name: str,
                variable: h5netcdf.Variable) -> tuple[str, ...]:
    """Names of the axes, which HDF5 keeps as references to other data."""
    try:
        return tuple(map(str, variable.dimensions))
    # what a reference that leads nowhere ends in is not settled
    except Exception as error:
        raise DataError(path, f'key {name!r}', 'axes that are in the file',
                        'one that is missing') from error


def _read_classic(path: Path, wanted: set[str]) -> NetcdfContent:
    with _telling(path, 'a readable netCDF 3 file'), netcdf_file(
            str(path), 'r', mmap=False) as file:
        variables = {
            name: _variable(path, name, variable.dimensions, variable.data,
                            variable._attributes)
            for name, variable in file.variables.items() if name in wanted}
        return NetcdfContent(path, tuple(file.variables), variables,
                             _attributes(file._attributes))


@contextmanager
def _telling(path: Path, expected: str) -> Iterator[None]:
    """Turn whatever is raised inside into a `DataError`."""
    try:
        yield
    except DataError:
        raise
    # The parsers do not check what they read (a scale that is not there, a
    # length that cannot be): damage shows as anything.
    except Exception as error:
        raise DataError(path, 'file', expected,
                        str(error) or type(error).__name__) from error


def _variable(path: Path, name: str, dims: Iterable[str], values: Any,
              attributes: Mapping[str, Any]) -> NetcdfVariable:
    dims, values = tuple(dims), np.asarray(values)
    kept = _attributes(attributes)
    if values.dtype.kind == 'S' and len(dims) == values.ndim and (
            values.dtype.itemsize == 1 and dims):
        dims = dims[:-1]  # a row of characters is a text
        values = (np.ascontiguousarray(values).view(f'S{values.shape[-1]}')
                  [..., 0] if values.shape[-1] else
                  np.full(values.shape[:-1], b''))
    if values.dtype.kind in 'SO':
        return NetcdfVariable(dims, _decode(path, name, values), kept)
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder('='))
    return NetcdfVariable(dims, _unpack(path, name, values, kept), kept)


def _decode(path: Path, name: str, values: Array) -> Array:
    decoded = np.empty(values.shape, object)
    for place, text in np.ndenumerate(values):
        decoded[place] = _text(text)
        if not isinstance(decoded[place], str):
            raise DataError(path, f'key {name!r}', 'numbers or texts in UTF-8',
                            repr(text)[:80])
    return decoded


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.rstrip(b'\0').decode()
        except UnicodeDecodeError:
            return value
    return value


def _unpack(path: Path, name: str, values: Array,
            attributes: Mapping[str, Any]) -> Array:
    """Replace fill values by NaN and undo scale and offset."""
    packed = [key for key in _PACKED if key in attributes]
    floating = values.dtype.kind == 'f'
    if not floating and not packed:
        return values
    unpacked = values if floating else values.astype(np.float64)
    for key in _FILLS:
        fill = attributes.get(key)
        if isinstance(fill, (int, float)) and fill == fill:
            unpacked = np.where(values == fill, np.nan, unpacked)
    for key in packed:
        number = attributes[key]
        if not isinstance(number, (int, float)) or not np.isfinite(number):
            raise DataError(path, f'key {name!r}, {key}', 'a number',
                            repr(number)[:80])
        unpacked = (unpacked * number if key == 'scale_factor'
                    else unpacked + number)
    return unpacked


def _attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as texts, numbers or lists of them."""
    kept: dict[str, Any] = {}
    for key, value in attributes.items():
        if isinstance(value, (np.ndarray, np.generic)):
            value = value.tolist()
            if isinstance(value, list) and len(value) == 1:
                value = value[0]
        kept[key] = _text(value)
    return kept
