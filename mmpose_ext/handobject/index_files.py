"""The index of a data set, opened without being read.

An index is one ``.npz`` whose members are stored, so that opening one of
465,000 frames maps them. Its columns are listed in
:mod:`~mmpose_ext.handobject.index_columns`.
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.geometry.crop_views import intrinsic_matrix
from mmpose_ext.handobject.index_checks import (
    check_all_rows,
    check_columns,
    check_content,
)
from mmpose_ext.handobject.index_columns import (
    BOX_COLUMNS,
    CONVERT_HINT,
    DEXYCB,
    DEXYCB_PATTERN,
    FILE_PATTERN,
    INTERHAND,
    LABEL_PATTERN,
    MAX_OBJECT,
    OPTIONAL_COLUMNS,
    REQUIRED,
    ROW_COLUMNS,
    VERSION,
)
from mmpose_ext.storage import DataError, NpzArchive, check_keys, write_npz
from mmpose_ext.storage.dexycb import list_sequences

Array = np.ndarray

__all__ = [
    'BOX_COLUMNS', 'CONVERT_HINT', 'DEXYCB', 'DEXYCB_PATTERN',
    'FILE_PATTERN', 'INTERHAND', 'LABEL_PATTERN', 'MAX_OBJECT',
    'HandObjectIndex', 'make_index', 'read_index', 'sequence_fingerprint',
    'write_index'
]


class HandObjectIndex:
    """An index, its columns mapped; pickles as the path it was read from.

    Get it from :func:`read_index`. ``index['joints_cam'][row]`` reads one
    frame from the disk; ``'contact' in index`` tells of optional columns.

    Args:
        path (Path): The file.
        columns (dict[str, np.ndarray]): See
            :mod:`~mmpose_ext.handobject.index_columns`.
    """

    def __init__(self, path: Path, columns: dict[str, Array]) -> None:
        self.path = path
        self.columns = columns
        self.serials = tuple(str(name) for name in columns['serials'])
        self.subjects = tuple(str(name) for name in columns['subjects'])
        self.sequences = tuple(
            str(name) for name in columns['sequence_name'])
        self.source = str(columns['source'][()])
        self.setup = str(columns['setup'][()])
        self.split = str(columns['split'][()])
        self.every = int(columns['every'])
        self.fingerprint = str(columns['fingerprint'][()])
        self.image_pattern = str(columns['image_pattern'][()])
        width, height = columns['image_size']
        self.image_size = (int(width), int(height))

    def __len__(self) -> int:
        return len(self.columns['id'])

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def __getitem__(self, column: str) -> Array:
        return self.columns[column]

    def __reduce__(self) -> tuple[Any, ...]:
        return read_index, (self.path, )

    @property
    def num_objects(self) -> int:
        """P, the most objects of a sequence."""
        return self.columns['ycb_ids'].shape[1]

    def sequence_of(self, row: int) -> str:
        """Folder of a frame's sequence below the data root."""
        return self.sequences[self.columns['sequence_row'][row]]

    def subject_of(self, row: int) -> str:
        """Folder name of a frame's subject."""
        columns = self.columns
        return self.subjects[
            columns['sequence_subject'][columns['sequence_row'][row]]]

    def serial_of(self, row: int) -> str:
        """Serial of a frame's camera."""
        return self.serials[self.columns['camera'][row]]

    def side_of(self, row: int) -> int:
        """0 for a right hand, 1 for a left one."""
        columns = self.columns
        return int(columns['side'][columns['sequence_row'][row]])

    def file_of(self, row: int) -> str:
        """Picture of a frame below the data root."""
        return self._path(row, self.image_pattern)

    def label_file_of(self, row: int) -> str:
        """Labels of a frame of DexYCB below the data root.

        Raises:
            DataError: If the frames are of another source.
        """
        if self.source != DEXYCB:
            raise DataError(self.path, 'source', f'{DEXYCB!r}',
                            f'{self.source!r}, which has no such files')
        return self._path(row, LABEL_PATTERN)

    def camera_matrix(self, row: int) -> Array:
        """Camera matrix (3, 3) of a frame, f4 in px."""
        return intrinsic_matrix(self.columns['K'][row])

    def size_of(self, row: int) -> tuple[int, int]:
        """Width and height of a frame's picture in px."""
        if 'picture_size' not in self.columns:
            return self.image_size
        width, height = self.columns['picture_size'][row]
        return int(width), int(height)

    def check_root(self, root: Path) -> None:
        """Check that the index was made for the data below a folder.

        Args:
            root (Path): The data root.

        Raises:
            DataError: If its sequences are others than those that the
                index's numbers were counted in.
        """
        root = Path(root)
        if not root.is_dir():
            raise DataError(root, 'folder', 'the data root', 'nothing')
        if self.source != DEXYCB:
            for row in {0, len(self) - 1} if len(self) else ():
                if not (root / self.file_of(row)).is_file():
                    raise DataError(
                        self.path, 'file_name', f'pictures below {root}',
                        f'no {self.file_of(row)}', CONVERT_HINT)
            return
        used = {self.subjects[row] for row in set(
            self.columns['sequence_subject'].tolist())}
        here = [f'{subject}/{name}'
                for subject, names in list_sequences(root).items()
                if subject in used for name in names]
        missing = sorted({*self.sequences} - {*here})
        if sequence_fingerprint(here, self.serials) != self.fingerprint:
            raise DataError(
                self.path, 'fingerprint', f'an index of the data in {root}',
                'one of other data' + (
                    f': no sequence {missing[0]} there, {len(missing)} '
                    'missing in all' if missing else
                    f', whose subjects have not the {len(here)} sequences '
                    'that are there'), CONVERT_HINT)

    def check_values(self) -> None:
        """Check every value; reads the file whole.

        Raises:
            DataError: Names the column and the first row at fault.
        """
        check_all_rows(self)

    def _path(self, row: int, pattern: str) -> str:
        columns = self.columns
        if pattern == FILE_PATTERN:
            return str(columns['file_name'][row])
        return pattern.format(
            sequence=self.sequence_of(row), serial=self.serial_of(row),
            frame=int(columns['frame'][row]))


def sequence_fingerprint(sequences: Iterable[str],
                         serials: Iterable[str]) -> str:
    """What tells one data set from another.

    Args:
        sequences (Iterable[str]): 'subject/sequence' of all sequences that
            the subjects of an index have, whether or not in its split, for
            they are numbered among these.
        serials (Iterable[str]): All cameras.

    Returns:
        str: SHA-1 in hex digits.
    """
    text = '\n'.join([*sorted(sequences), '', *serials])
    return hashlib.sha1(text.encode()).hexdigest()


def read_index(path: Path | str) -> HandObjectIndex:
    """Open an index and check it.

    Keys, types, shapes, references and cameras are checked of all frames,
    joints of some; :meth:`HandObjectIndex.check_values` reads the rest.

    Args:
        path (Path | str): The file.

    Returns:
        HandObjectIndex: Its columns are read-only.

    Raises:
        DataError: If it is damaged, or the cameras are those of another
            resolution.
    """
    archive = NpzArchive(path)
    check_keys(archive.names, REQUIRED, archive.path, CONVERT_HINT)
    if archive.dtype('version').kind in 'iu' and not archive.shape(
            'version') and int(archive.read('version')) != VERSION:
        raise DataError(archive.path, 'version', str(VERSION),
                        str(int(archive.read('version'))), CONVERT_HINT)
    index = _checked(archive.path, _columns_of(archive))
    # mapped once more: what was looked at is no longer held in memory
    return HandObjectIndex(index.path, _columns_of(archive))


def _columns_of(archive: NpzArchive) -> dict[str, Array]:
    columns = {}
    for name in (*REQUIRED, *OPTIONAL_COLUMNS):
        if name in REQUIRED and name not in ROW_COLUMNS:
            columns[name] = archive.read(name)
        elif name in archive.names:
            columns[name] = archive.memory_map(name)
    return columns


def write_index(path: Path | str, columns: Mapping[str, Any]) -> None:
    """Check columns and write them as an index, whole or not at all.

    Args:
        path (Path | str): The file; its folder exists.
        columns (Mapping[str, array_like]): See
            :mod:`~mmpose_ext.handobject.index_columns`; ``version`` is
            added. Numbers may be of wider types.

    Raises:
        DataError: If a column is missing or unfitting.
    """
    index = make_index(path, columns)
    index.check_values()
    write_npz(path, **index.columns)


def make_index(path: Path | str,
               columns: Mapping[str, Any]) -> HandObjectIndex:
    """Check columns as an index that may or may not be written.

    Args:
        path (Path | str): The file that errors name.
        columns (Mapping[str, array_like]): As for :func:`write_index`.

    Returns:
        HandObjectIndex: In memory.

    Raises:
        DataError: If a column is missing or unfitting.
    """
    path = Path(path)
    columns = {**columns, 'version': VERSION}
    check_keys(columns, REQUIRED, path)
    arrays = {}
    for name, (dtype, _) in {**REQUIRED, **OPTIONAL_COLUMNS}.items():
        if name in columns:
            array = _narrowed(np.asarray(columns[name]), dtype)
            arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
    unknown = sorted({*columns} - {*arrays})
    if unknown:
        raise DataError(path, f'key {unknown[0]!r}', 'a column of an index',
                        'another name')
    return _checked(path, arrays)


def _narrowed(array: Array, dtype: str) -> Array:
    """Numbers in a column's type, unless whole ones do not fit into it."""
    if dtype in 'Uu' or {array.dtype.kind, np.dtype(dtype).kind} not in (
            {'f'}, {'i'}, {'u'}, {'i', 'u'}):
        return array
    narrow = array.astype(dtype, copy=False)
    if dtype == 'f4' or np.array_equal(narrow, array):
        return narrow
    return array


def _checked(path: Path, columns: dict[str, Array]) -> HandObjectIndex:
    check_columns(path, columns)
    index = HandObjectIndex(path, columns)
    check_content(index)
    return index
