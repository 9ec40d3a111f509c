"""HDF5 files whose damage shows as a `DataError`."""
from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from .checks import check_array, check_keys
from .errors import DataError

_LARGEST_SEARCHED = 2**28  # bytes; reading more to find damage takes long
_HEAP = b'GCOL\x01\0\0\0'


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Args:
        path (Path): The file.

    Raises:
        DataError: With `where` 'file', also for what h5py raises in the body
            because the file is damaged further in.
    """
    try:
        _check_heaps(path)
        with h5py.File(path, 'r') as file:
            yield file
    except DataError:
        raise
    except (OSError, KeyError, RuntimeError, ValueError,
            MemoryError) as error:
        raise DataError(path, 'file', 'a readable HDF5 file',
                        str(error)) from error


def _check_heaps(path: Path) -> None:
    """Refuse damage at which the HDF5 library would loop for ever.

    Texts and references lie in heaps, "GCOL", as objects one behind the
    other. The library (to 2.0 at least) does not get past one of length 0.
    """
    size = path.stat().st_size
    if not 0 < size <= _LARGEST_SEARCHED:
        return
    with path.open('rb') as stream, mmap.mmap(
            stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(_HEAP)
        while start >= 0:
            stop = content[start + 8:start + 16]
            end = min(size, start + int.from_bytes(stop, 'little')) - 16
            place = start + 16
            while place <= end:
                number, length = struct.unpack_from('<H6xQ', content, place)
                # 0 is what is free, its own header included
                step = (length if number == 0
                        else 16 + (length + 7) // 8 * 8) % 2**64
                if not step:
                    raise DataError(
                        path, 'file', 'a readable HDF5 file',
                        f'an object of no length at byte {place}')
                place += step
            start = content.find(_HEAP, start + 1)


def read_dataset(file: h5py.Group,
                 key: str,
                 path: Path,
                 fields: Sequence[str] | None = None,
                 dtype: str | None = None,
                 shape: Sequence[int | None] | None = None) -> np.ndarray:
    """Read and check one data set.

    Args:
        file (h5py.Group): The open file or a group in it.
        key (str): The data set.
        path (Path): The file for the error.
        fields (Sequence[str], optional): Fields that a table must have.
            Defaults to None (not a table).
        dtype (str, optional): As in `check_array`. Defaults to None.
        shape (Sequence[int | None], optional): As in `check_array`. Defaults
            to None.

    Raises:
        DataError: With `where` "key '<key>'".
    """
    check_keys(file, [key], path)
    dataset = file[key]
    if not isinstance(dataset, h5py.Dataset):
        raise DataError(path, f'key {key!r}', 'a data set', 'a group')
    present = dataset.dtype.names or ()
    if fields is not None and not set(fields) <= set(present):
        raise DataError(path, f'key {key!r}',
                        f'a table with {", ".join(fields)}',
                        ', '.join(present) or str(dataset.dtype))
    return check_array(dataset[()], path, f'key {key!r}', dtype, shape)
