"""Checked records that the readers return."""
from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .checks import check_array, check_keys, check_names
from .errors import DataError


@dataclass(frozen=True, eq=False)
class PointTracks:
    """Named image points of some individuals over time.

    T rows (frames or images), P individuals, K names. Checked when made: a
    point is missing in both coordinates or in none, its score with it.

    Args:
        names (tuple[str, ...]): K point names.
        individuals (tuple[str, ...]): P individual names.
        points (np.ndarray): (T, P, K, 2) float64, x and y in px, pixel
            centres at integers; NaN = missing.
        scores (np.ndarray): (T, P, K) float64 in [0, 1]; 1 for labels made
            by hand, NaN = missing.
        frames (np.ndarray): (T,) int64, index in the video, or the order
            where there is none.
        images (tuple[Path, ...] | None): T image files, if there are any.
        video (Path | None): The video the points belong to, where the file
            names exactly one; it may be absent from the disk.
        sessions (tuple[str, ...]): T names of the recording.
        source (Path): The file or folder that was read.

    Raises:
        DataError: If the parts do not fit together.
    """

    names: tuple[str, ...]
    individuals: tuple[str, ...]
    points: np.ndarray
    scores: np.ndarray
    frames: np.ndarray
    images: tuple[Path, ...] | None
    video: Path | None
    sessions: tuple[str, ...]
    source: Path

    def __post_init__(self) -> None:
        rows = len(self.frames)
        shape = (rows, len(self.individuals), len(self.names))
        check_array(self.points, self.source, 'points', 'f8', (*shape, 2))
        check_array(self.scores, self.source, 'scores', 'f8', shape)
        check_array(self.frames, self.source, 'frames', 'i8', (None, ))
        for part in ('names', 'individuals'):
            check_names(getattr(self, part), self.source, part)
        for part in ('sessions', 'images'):
            value = getattr(self, part)
            if value is not None and len(value) != rows:
                raise DataError(self.source, part, f'{rows} rows',
                                f'{len(value)}')
        self._check_values()

    def _check_values(self) -> None:
        missing = np.isnan(self.points)
        half = missing[..., 0] != missing[..., 1]
        self._refuse(np.isinf(self.points).any(-1), 'finite coordinates',
                     'an infinite value')
        self._refuse(half, 'both x and y or neither', 'one of them')
        self._refuse(np.isnan(self.scores) != missing[..., 0],
                     'a score exactly where there is a point', 'one alone')
        self._refuse((self.scores < 0) | (self.scores > 1),
                     'a score in [0, 1]', 'one outside')

    def _refuse(self, bad: np.ndarray, expected: str, found: str) -> None:
        """Raise for the first True of a (T, P, K) mask."""
        if not bad.any():
            return
        row, individual, name = np.argwhere(bad)[0]
        where = (f'frame {self.frames[row]}, {self.individuals[individual]!r},'
                 f' {self.names[name]!r}')
        raise DataError(self.source, where, expected,
                        f'{found} ({int(bad.sum())} in all)')

    def select_individual(self, name: str | None = None) -> PointTracks:
        """Return the tracks of one individual, (T, 1, K, 2).

        Args:
            name (str, optional): Which one; may be left out where there is
                only one. Defaults to None.

        Raises:
            DataError: If it is not there, or several are and none is named.
        """
        if name is None:
            if len(self.individuals) > 1:
                raise DataError(self.source, 'individuals', 'one individual',
                                ', '.join(self.individuals),
                                'name the one to use')
            return self
        check_keys(self.individuals, [name], self.source)
        index = self.individuals.index(name)
        return replace(self,
                       individuals=(name, ),
                       points=self.points[:, index:index + 1],
                       scores=self.scores[:, index:index + 1])

    def point(self, name: str) -> np.ndarray:
        """Return one named point, (T, P, 2) px.

        Raises:
            DataError: If there is no such point; near misses are named.
        """
        check_keys(self.names, [name], self.source)
        return self.points[:, :, self.names.index(name)]
