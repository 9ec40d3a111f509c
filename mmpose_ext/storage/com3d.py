"""Where animals are, by time point: MATLAB files ``com3d.mat``."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .checks import StrPath, check_array, check_no_infinity
from .errors import DataError
from .matlab import (
    place_of,
    read_integers,
    read_matlab,
    read_numbers,
    write_matlab,
)


@dataclass(frozen=True, eq=False)
class ComTrack:
    """Centres of mass over time.

    N time points, I individuals.

    Args:
        source (Path): The file that was read, or is written.
        sample_ids (np.ndarray): (N,) int64, rising.
        points (np.ndarray): (N, I, 3) float64 world mm, NaN = unknown.

    Raises:
        DataError: If the parts do not fit together.
    """

    source: Path
    sample_ids: np.ndarray
    points: np.ndarray

    def __post_init__(self) -> None:
        check_array(self.sample_ids, self.source, 'sampleID', 'i8', (None, ))
        check_rising(self.sample_ids, self.source, 'sampleID')
        check_array(self.points, self.source, 'com', 'f8',
                    (len(self.sample_ids), None, 3))
        check_no_infinity(self.points, self.source, 'com')


def read_com3d(path: StrPath) -> ComTrack:
    """Read a ``com3d.mat``, ``instance<k>com3d.mat`` or ``com3d_used.mat``.

    Args:
        path (str | Path): The file, with ``com`` (N x 3 or N x 3 x I) and
            ``sampleID``, whole numbers or texts ``<experiment>_<number>`` of
            one experiment; what else there is does not matter.

    Raises:
        DataError: If it is damaged, or its parts do not fit together.
    """
    path = Path(path)
    return com_track(read_matlab(path), path, '', 'com')


def com_track(struct: Mapping[str, Any], path: Path, where: str,
              key: str) -> ComTrack:
    """The track in a struct with ``sampleID`` and an array N x 3 [x I].

    Args:
        struct (Mapping[str, Any]): The struct.
        path (Path): The file for the error.
        where (str): The struct's place in it; '' for the top.
        key (str): The array's name.

    Raises:
        DataError: If it does not fit together.
    """
    points = read_numbers(struct, key, path, where)
    ids = _read_ids(struct, path, where)
    place = place_of(key, where)
    if points.ndim == 2:
        points = points[..., None]
    check_array(points, path, place, shape=(None, 3, None))
    if len(points) != len(ids):
        raise DataError(path, place, f'{len(ids)} rows, one a sampleID',
                        f'{len(points)}')
    order = np.argsort(ids, kind='stable')
    return ComTrack(path, ids[order],
                    np.ascontiguousarray(points.transpose(0, 2, 1)[order]))


def _read_ids(struct: Mapping[str, Any], path: Path,
              where: str) -> np.ndarray:
    """SampleIDs, (N,) int64, of numbers or of texts."""
    value = struct.get('sampleID')
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(
            isinstance(text, str) for text in texts):
        return read_integers(struct, 'sampleID', path, where)
    parts = [text.strip().rpartition('_') for text in texts]
    experiments = sorted({before for before, _, _ in parts})
    place = place_of('sampleID', where)
    if len(experiments) > 1:
        raise DataError(
            path, place, 'time points of one experiment',
            f'those of {len(experiments)}: {", ".join(experiments)[:80]}',
            'write a file for each recording')
    try:
        return np.array([int(number) for _, _, number in parts], np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(path, place, 'whole numbers, or texts such as '
                        "'0_719'", str(error)) from error


def write_com3d(path: StrPath, track: ComTrack,
                metadata: Mapping[str, Any]) -> None:
    """Write a ``com3d.mat``, whole or not at all.

    Args:
        path (str | Path): The file, ending in .mat.
        track (ComTrack): What to write: ``com`` N x 3, or N x 3 x I for
            several individuals, and ``sampleID`` 1 x N.
        metadata (Mapping[str, Any]): How it was made; a struct. MATLAB has
            no None: it is written as the text 'None'.

    Raises:
        DataError: If the file cannot be made.
    """
    write_matlab(path, {
        'com': com_matrix(track.points),
        'sampleID': track.sample_ids[None],
        'metadata': {key: 'None' if value is None else value
                     for key, value in metadata.items()},
    })


def com_matrix(points: np.ndarray) -> np.ndarray:
    """Middles as MATLAB files hold them.

    Args:
        points (np.ndarray): (N, I, 3).

    Returns:
        np.ndarray: (N, 3), or (N, 3, I) of several individuals.
    """
    com = points.transpose(0, 2, 1)
    return com[..., 0] if com.shape[2] == 1 else com


def check_rising(ids: np.ndarray, path: Path, where: str) -> None:
    """Check that identities of time points rise.

    Raises:
        DataError: Names the first that occurs twice or comes too late.
    """
    late = np.diff(ids) <= 0
    if late.any():
        first = int(ids[1:][late][0])
        raise DataError(
            path, where, 'each sampleID once, rising',
            f'{first} again or too late ({int(late.sum())} such in all)',
            'a sampleID is the identity of a time point')
