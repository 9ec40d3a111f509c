"""NumPy archives, read without unpickling and without holding them whole."""
from __future__ import annotations

import hashlib
import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from .atomic import atomic_file
from .checks import StrPath, check_file, check_keys
from .errors import DataError

_CHUNK = 1 << 16  # bytes decompressed at a time
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LOCAL_HEADER = 30  # bytes of a zip local header before name and extra field


@dataclass(frozen=True)
class _Member:
    """What an array's header says, and where its numbers start."""

    info: zipfile.ZipInfo
    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool
    header: int  # length of the .npy header in bytes


class NpzArchive:
    """Arrays of an .npz file (`np.savez` or `np.savez_compressed`).

    All headers are read and checked when it is made; no file stays open, so
    that it can be pickled and used after a fork. Objects are never
    unpickled: an archive with an object array is refused.

    Args:
        path (str | Path): The archive.

    Raises:
        DataError: If it is not a zip file, is cut short, or a member is not
            a plain array.
    """

    def __init__(self, path: StrPath) -> None:
        self.path = check_file(path)
        self._members: dict[str, _Member] = {}
        with self._archive() as archive:
            for info in archive.infolist():
                if info.filename.endswith('.npy'):
                    name = info.filename.removesuffix('.npy')
                    self._members[name] = self._read_header(archive, info)
        if not self._members:
            raise DataError(self.path, 'archive', 'arrays (.npy members)',
                            'none')

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the file."""
        return tuple(self._members)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array."""
        return self._member(name).shape

    def dtype(self, name: str) -> np.dtype:
        """Type of an array's elements."""
        return self._member(name).dtype

    def read(self, name: str) -> np.ndarray:
        """Read one array whole, its checksum verified."""
        member = self._member(name)
        with self._numbers(name) as stream:
            # Fortran order is C order of the transposed array.
            shape = member.shape[::-1] if member.fortran else member.shape
            array = _read_block(stream, shape, member.dtype)
        return array.T if member.fortran else array

    def iter_rows(self, name: str, rows: int = 4096) -> Iterator[np.ndarray]:
        """Read an array block by block along its first axis.

        The reader itself holds one block; a caller who keeps the last one
        while asking for the next holds a second.

        Args:
            name (str): The array, of at least one dimension.
            rows (int): Rows of a block; the last may have fewer. Defaults
                to 4096.

        Yields:
            np.ndarray: (rows, ...) a fresh array.

        Raises:
            DataError: Also at the end, if the checksum is wrong.
        """
        member = self._member(name)
        if not member.shape or (member.fortran and len(member.shape) > 1):
            raise DataError(
                self.path, f'key {name!r}', 'rows in C order',
                'Fortran order' if member.shape else 'a single number',
                'save np.ascontiguousarray(array)')
        if rows < 1:
            raise ValueError(f'rows must be at least 1, not {rows}')
        with self._numbers(name) as stream:
            for start in range(0, member.shape[0], rows):
                count = min(rows, member.shape[0] - start)
                yield _read_block(stream, (count, *member.shape[1:]),
                                  member.dtype)

    def memory_map(self, name: str) -> np.ndarray:
        """Map an array read-only into memory.

        A stored member (`np.savez`) is mapped where it lies, unread and so
        unverified. A deflated one (`np.savez_compressed`) is unpacked once,
        block by block and verified, to a file beside the archive that later
        calls reuse until the archive changes.

        Returns:
            np.ndarray: A read-only view of the file.

        Raises:
            DataError: If the member is damaged, or the folder cannot take
                the unpacked file.
        """
        member = self._member(name)
        if 0 in member.shape:
            return np.empty(member.shape, member.dtype)
        if member.info.compress_type != zipfile.ZIP_STORED:
            return self._map_unpacked(name, member)
        with self._reading(name), self.path.open('rb') as stream:
            stream.seek(member.info.header_offset)
            local = stream.read(_LOCAL_HEADER)
            extra = sum(
                int.from_bytes(local[at:at + 2], 'little') for at in (26, 28))
            start = member.info.header_offset + _LOCAL_HEADER + extra
            return np.memmap(self.path,
                             member.dtype,
                             'r',
                             start + member.header,
                             member.shape,
                             order='F' if member.fortran else 'C')

    def _map_unpacked(self, name: str, member: _Member) -> np.ndarray:
        state = self.path.stat()
        key = (name, member.info.CRC, state.st_mtime_ns, state.st_size)
        digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        # Member names come from the file and may hold slashes.
        stem = f'{self.path.name}.{re.sub(r"[^A-Za-z0-9_-]", "_", name)}.'
        cache = self.path.with_name(f'{stem}{digest}.npy')
        if not cache.is_file():
            try:
                self._unpack(name, cache)
            except OSError as error:
                raise DataError(
                    self.path, f'key {name!r}',
                    'a folder that can take the unpacked array',
                    error.strerror or str(error),
                    'or save it with np.savez, uncompressed') from error
            outdated = re.compile(re.escape(stem) + '[0-9a-f]{16}\\.npy')
            for other in self.path.parent.iterdir():
                if outdated.fullmatch(other.name) and other != cache:
                    other.unlink(missing_ok=True)
        with self._reading(name):
            array = np.load(cache, mmap_mode='r', allow_pickle=False)
        if array.shape != member.shape or array.dtype != member.dtype:
            raise DataError(cache, 'array', f'{member.dtype} {member.shape}',
                            f'{array.dtype} {array.shape}', 'delete this file')
        return array

    def _unpack(self, name: str, cache: StrPath) -> None:
        """Copy a whole .npy member, header included, into its own file."""
        with atomic_file(cache) as temporary, temporary.open('wb') as copy:
            for chunk in self._iter_bytes(name):
                copy.write(chunk)

    def _iter_bytes(self, name: str) -> Iterator[bytes]:
        info = self._member(name).info
        with (self._reading(name), self._archive() as archive,
              archive.open(info) as stream):
            while chunk := stream.read(_CHUNK):
                yield chunk

    def _member(self, name: str) -> _Member:
        check_keys(self._members, [name], self.path)
        return self._members[name]

    def _read_header(self, archive: zipfile.ZipFile,
                     info: zipfile.ZipInfo) -> _Member:
        name = info.filename.removesuffix('.npy')
        if info.compress_type not in _METHODS:
            raise DataError(self.path, f'key {name!r}',
                            'a stored or deflated member',
                            f'compression method {info.compress_type}')
        with self._reading(name), archive.open(info) as stream:
            shape, fortran, dtype = _parse_header(stream)
            length = stream.tell()
        if dtype.hasobject:
            raise DataError(self.path, f'key {name!r}', 'a plain array',
                            'pickled objects, which could run code',
                            "save text as dtype 'U', ragged arrays apart")
        size = length + math.prod(shape) * dtype.itemsize
        if size != info.file_size:
            raise DataError(self.path, f'key {name!r}',
                            f'{size} bytes for {dtype} {shape}',
                            f'{info.file_size} bytes')
        return _Member(info, dtype, shape, fortran, length)

    @contextmanager
    def _archive(self) -> Iterator[zipfile.ZipFile]:
        try:
            archive = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, NotImplementedError, OSError,
                ValueError) as error:
            with self.path.open('rb') as stream:
                zipped = stream.read(4) == b'PK\x03\x04'
            found = 'one that is cut short' if zipped else 'another format'
            raise DataError(self.path, 'archive', 'an .npz (zip) file',
                            found) from error
        with archive:
            yield archive

    @contextmanager
    def _numbers(self, name: str) -> Iterator[IO[bytes]]:
        """Open a member behind its header; verify it at the end."""
        member = self._member(name)
        with (self._reading(name), self._archive() as archive,
              archive.open(member.info) as stream):
            stream.read(member.header)
            yield stream
            # zipfile compares the checksum on reaching the end.
            stream.read(1)

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """Turn what a damaged member raises into a `DataError`."""
        try:
            yield
        except DataError:
            raise
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError,
                NotImplementedError, RuntimeError, ValueError) as error:
            raise DataError(self.path, f'key {name!r}', 'a readable array',
                            str(error) or type(error).__name__) from error


def write_npz(path: StrPath, **arrays: Any) -> None:
    """Write arrays as an .npz file, whole or not at all.

    Members are stored, not deflated, so that `NpzArchive.memory_map` maps
    them in place. The same arrays give the same bytes.

    Args:
        path (str | Path): The file; its folder exists.
        **arrays (array_like): The arrays by name.

    Raises:
        DataError: If an array holds objects, or the folder is missing.
    """
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise DataError(path, f'key {name!r}', 'a plain array',
                            'an array of objects')
    with (atomic_file(path) as temporary,
          zipfile.ZipFile(temporary, 'w') as archive):
        for name, array in arrays.items():
            with archive.open(f'{name}.npy', 'w', force_zip64=True) as stream:
                np.lib.format.write_array(stream,
                                          np.asarray(array),
                                          allow_pickle=False)


def _parse_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran order, and type of a .npy stream."""
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(stream)
        if version == (2, 0):
            return np.lib.format.read_array_header_2_0(stream)
    except (zipfile.BadZipFile, zlib.error):
        raise
    except Exception as error:  # NumPy's parser lets many kinds through
        raise ValueError(f'no .npy header: {error}') from error
    raise ValueError(f'.npy format version {version}')


def _read_block(stream: IO[bytes], shape: tuple[int, ...],
                dtype: np.dtype) -> np.ndarray:
    """Fill a fresh C-ordered array from a stream, a chunk at a time."""
    array = np.empty(shape, dtype)
    if array.nbytes == 0:
        return array
    target = array.reshape(-1).view(np.uint8)
    done = 0
    while done < len(target):
        chunk = stream.read(min(_CHUNK, len(target) - done))
        if not chunk:
            raise EOFError(f'data end after {done} of {len(target)} bytes')
        target[done:done + len(chunk)] = np.frombuffer(chunk, np.uint8)
        done += len(chunk)
    return array
