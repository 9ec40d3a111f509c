"""Whether the pictures that an index names are there and sound."""
from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from mmpose_ext.handobject.crop_cache import read_photograph
from mmpose_ext.handobject.index_files import HandObjectIndex
from mmpose_ext.storage import DataError

Array = np.ndarray

MOST_FILES = 20_000  # looked for; a millisecond each hundred


def check_pictures(index: HandObjectIndex, rows: Array, root: Path) -> None:
    """Look for the first and last picture of every video.

    So no folder of a camera can be missing, nor be cut off, and not every
    file of hundreds of thousands is looked for. Of each camera one picture
    is read and must have the size that the index says.

    Args:
        index (HandObjectIndex): Of the data.
        rows (ndarray): Its rows (N,) in use, in order.
        root (Path): The data root.

    Raises:
        DataError: If a picture is missing, damaged or of another size.
    """
    looked = _ends_of_videos(index, rows)
    missing = [row for row in looked.tolist()
               if not (root / index.file_of(row)).is_file()]
    if missing:
        raise DataError(
            index.path, 'pictures', f'each below {root}',
            f'no {index.file_of(missing[0])}, {len(missing)} of the '
            f'{len(looked)} looked for are missing',
            'unpack the videos of all subjects, or set data_root')
    _, first = np.unique(index['camera'][rows], return_index=True)
    for row in rows[first].tolist():
        read_photograph(root / index.file_of(row), index.size_of(row))


def _ends_of_videos(index: HandObjectIndex, rows: Array) -> Array:
    """Rows of the first and last frames, at most ``MOST_FILES``."""
    videos = np.stack([index['sequence_row'][rows],
                       index['camera'][rows].astype(np.int64)])
    changes = np.flatnonzero(np.diff(videos).any(0)) + 1
    ends = np.union1d(np.r_[0, changes], np.r_[changes - 1, len(rows) - 1])
    if len(ends) > MOST_FILES:
        ends = ends[np.linspace(0, len(ends) - 1, MOST_FILES).astype(int)]
    return rows[ends]


def inspect_pictures(index: HandObjectIndex, root: Path,
                     number: int) -> Iterator[DataError]:
    """Read pictures and note all faults, each kind once.

    Args:
        index (HandObjectIndex): Of the data.
        root (Path): The data root.
        number (int): How many, evenly spread over all.

    Yields:
        DataError: Of the first picture with a kind of fault; the last of
            them of pictures with the same content.
    """
    number = min(number, len(index))
    rows = np.arange(number) * len(index) // max(number, 1)
    faults: dict[str, list[DataError]] = {}
    seen: dict[bytes, int] = {}
    pairs = []
    for row in track(rows.tolist(), f'Reading pictures of {index.path.name}',
                     transient=True, console=Console(stderr=True)):
        path = root / index.file_of(row)
        try:
            read_photograph(path, index.size_of(row))
        except DataError as error:
            kind = 'missing' if not path.is_file() else error.where
            faults.setdefault(kind, []).append(error)
            continue
        first = seen.setdefault(blake2b(path.read_bytes()).digest(), row)
        # two hands of a picture are two samples
        if index.file_of(first) != index.file_of(row):
            pairs.append((first, row))
    for errors in faults.values():
        first_error = errors[0]
        yield DataError(
            first_error.file, first_error.where, first_error.expected,
            f'{first_error.found}; {len(errors)} such of {number} looked at',
            first_error.hint)
    if pairs:
        yield DataError(
            root / index.file_of(pairs[0][1]), 'file',
            'a picture of its own', f'the bytes of '
            f'{index.file_of(pairs[0][0])}; {len(pairs)} copies in all')
