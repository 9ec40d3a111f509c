"""Pickled .npy files, read without running what they hold."""
from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from .checks import StrPath, check_file
from .errors import DataError

Array = np.ndarray


def read_pickled_npy(path: StrPath) -> Any:
    """Read a .npy file that holds one Python object.

    Only arrays, their types, numbers, texts and plain containers are made.
    A file that asks for anything else is refused before it is made: such a
    file could run any code.

    Args:
        path (str | Path): The .npy, as ``numpy.save`` writes a dictionary.

    Returns:
        Any: The object.

    Raises:
        DataError: If it is damaged, holds a plain array, or needs more.
    """
    path = check_file(path, ['.npy'])
    with path.open('rb') as stream:
        try:
            found = _read(path, stream)
        except DataError:
            raise
        # A damaged pickle may ask for anything of anything.
        except Exception as error:
            raise DataError(path, 'file', 'a readable .npy file',
                            str(error) or type(error).__name__) from error
    if not isinstance(found, np.ndarray) or found.shape != ():
        raise DataError(path, 'file', 'one pickled object',
                        f'{type(found).__name__} {np.shape(found)}')
    return found.item()


def _read(path: Path, stream: BinaryIO) -> Any:
    version = npy_format.read_magic(stream)
    read_header = (npy_format.read_array_header_1_0 if version == (1, 0)
                   else npy_format.read_array_header_2_0)
    shape, _, dtype = read_header(stream)
    if not dtype.hasobject:
        raise DataError(path, 'file', 'one pickled object',
                        f'an array of {dtype}, shape {shape}')
    return PlainUnpickler(stream, path).load()


class PlainUnpickler(pickle.Unpickler):
    """Makes arrays, their types, numbers, texts and plain containers alone.

    Args:
        stream (BinaryIO): Where the pickle begins.
        path (Path): The file that errors name.
        encoding (str): Of the texts of Python 2. Defaults to ``ASCII``.
    """

    def __init__(self, stream: BinaryIO, path: Path,
                 encoding: str = 'ASCII') -> None:
        super().__init__(stream, encoding=encoding)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle names, if it is harmless.

        Raises:
            DataError: If it is not.
        """
        known = _ALLOWED.get((module.replace('numpy._core', 'numpy.core'),
                              name))
        if known is None:
            raise DataError(
                self._path, 'file', 'arrays, numbers, texts and plain '
                'containers', f'{module}.{name}, which was not run',
                'such a file can run any code; do not load it elsewhere '
                'unless you trust its author')
        return known


def _reconstruct(kind: type, shape: tuple[int, ...], code: bytes) -> Array:
    """An empty array, which is filled afterwards."""
    if kind is not np.ndarray or shape != (0, ):
        raise ValueError(f'an array made from {kind!r}, {shape!r}')
    return np.ndarray.__new__(np.ndarray, (0, ), 'b')


def _scalar(dtype: np.dtype, data: bytes) -> Any:
    if dtype.hasobject or not isinstance(data, bytes):
        raise ValueError(f'a number of {dtype}')
    return np.frombuffer(data, dtype, 1)[0]


def _from_buffer(data: bytes, dtype: np.dtype, shape: tuple[int, ...],
                 order: str) -> Array:
    if order not in ('C', 'F'):
        raise ValueError(f'an array in order {order!r}')
    array = np.frombuffer(data, dtype)
    return (array.reshape(shape) if order == 'C'
            else array.reshape(shape[::-1]).T)


def _encode(text: str, encoding: str) -> bytes:
    """By this older pickles make bytes."""
    if encoding not in ('latin1', 'latin-1'):
        raise ValueError(f'bytes in {encoding!r}')
    return text.encode('latin-1')


def _no_bytes() -> bytes:
    """By this older pickles make empty bytes."""
    return b''


_ALLOWED: dict[tuple[str, str], Callable[..., Any] | type] = {
    ('numpy', 'ndarray'): np.ndarray,
    ('numpy', 'dtype'): np.dtype,
    ('numpy.core.multiarray', '_reconstruct'): _reconstruct,
    ('numpy.core.multiarray', 'scalar'): _scalar,
    ('numpy.core.numeric', '_frombuffer'): _from_buffer,
    ('collections', 'OrderedDict'): OrderedDict,
    ('_codecs', 'encode'): _encode,
    ('__builtin__', 'bytes'): _no_bytes,
}
