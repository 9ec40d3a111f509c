"""Which time points a training looks at without their labels.

L labelled time points of a recording, U drawn ones.
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mmpose_ext.storage import DataError
from mmpose_ext.training import hash_words
from mmpose_ext.volumetric.body_centres import describe_ids
from mmpose_ext.volumetric.recordings import Recording

Array = np.ndarray


@dataclass(frozen=True)
class UnlabelledDraw:
    """How many time points without a label to take from each recording.

    Args:
        count (str | int | float): ``equal``, as many as are labelled; a
            whole number; a share in (0, 1) of what the recording gives in
            all, labelled and not; or ``all``.
        closer_than_mm (float, optional): Only time points at which two
            animals are closer than that. Defaults to None.
        seed (int): Of the choice. Defaults to 0.
    """

    count: str | int | float = 'equal'
    closer_than_mm: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        count = self.count
        if isinstance(count, str):
            fits = count in ('equal', 'all')
        elif isinstance(count, float):
            fits = 0 < count < 1
        else:
            fits = (isinstance(count, int) and not isinstance(count, bool)
                    and count > 0)
        if not fits:
            raise ValueError(
                "unlabelled: expected 'equal', 'all', a whole number above 0 "
                f'or a share between 0 and 1, found {count!r}')
        if self.closer_than_mm is not None and not self.closer_than_mm > 0:
            raise ValueError('unlabelled.closer_than_mm: expected above 0, '
                             f'found {self.closer_than_mm!r}')

    @classmethod
    def of(cls, setting: Any) -> UnlabelledDraw:
        """From what a config says: a count, or the arguments."""
        return (cls(**setting) if isinstance(setting, Mapping) else
                cls(setting))

    def wanted(self, labelled: int, there: int) -> int:
        """How many of a recording's time points to take.

        Args:
            labelled (int): Its labelled ones, L.
            there (int): Those that could be taken.
        """
        if self.count == 'all':
            return there
        if self.count == 'equal':
            return labelled
        if isinstance(self.count, float):
            # 1e-9: 0.9 of ten is nine, whatever the floats say
            return math.floor(
                self.count / (1 - self.count) * labelled + 1e-9)
        return int(self.count)

    def draw(self, recording: Recording, number: int, candidates: Array,
             labelled: int) -> tuple[Array, int]:
        """Choose from a recording, each time point once.

        Args:
            recording (Recording): The recording.
            number (int): Of the recording in the data set.
            candidates (ndarray): Rows that may be taken.
            labelled (int): Its labelled time points, L.

        Returns:
            tuple[ndarray, int]: Rising rows (U,), and how many are lacking.
        """
        if self.closer_than_mm is not None:
            near = closest_pair(recording.com[candidates])
            candidates = candidates[near < self.closer_than_mm]
        wanted = self.wanted(labelled, len(candidates))
        order = np.random.default_rng(
            hash_words(self.seed, number)).permutation(len(candidates))
        return (np.sort(candidates[order[:wanted]]),
                max(wanted - len(candidates), 0))


def closest_pair(com: Array) -> Array:
    """Distance (T,) of the two animals (T, I, 3) that are closest, mm.

    Infinite where there are not two.
    """
    count = com.shape[1]
    first, second = np.triu_indices(count, 1)
    apart = np.linalg.norm(com[:, first] - com[:, second], axis=-1)
    return np.where(np.isnan(apart), np.inf, apart).min(
        1, initial=np.inf)


def rows_of_part(recording: Recording, labelled: Array,
                 part: Array) -> Array:
    """Which rows may be shown to a part of a split.

    A time point belongs to the part that its nearest labelled time point
    belongs to, so that a training sees no pictures of the test's stretch of
    time. Of a recording without any label all belong to each part.

    Args:
        recording (Recording): M time points.
        labelled (ndarray): Rising rows that are labelled, of all parts.
        part (ndarray): Those of them that are in this part.

    Returns:
        ndarray: (M,) bool; only rows with a known middle of all animals.
    """
    wanted = recording.com_known
    if len(labelled):
        rows = np.arange(len(recording))
        borders = [(before + after) / 2
                   for before, after in pairwise(labelled.tolist())]
        nearest = labelled[np.searchsorted(borders, rows)]
        wanted &= np.isin(nearest, part)
    return wanted


def thin_out(rows: Sequence[Array], count: int | None,
             where: object) -> list[Array]:
    """Keep the labels of some time points, evenly spread over all.

    Args:
        rows (Sequence[ndarray]): Labelled rows of each recording.
        count (int, optional): How many to keep; None: all.
        where (object): The data set, for errors.

    Raises:
        DataError: If there are fewer.
    """
    if count is None:
        return list(rows)
    total = sum(map(len, rows))
    if not 0 < count <= total:
        raise DataError(str(where), 'num_labels', f'1 to {total}, the '
                        'labelled time points', str(count))
    kept = np.zeros(total, bool)
    kept[((np.arange(count) + .5) * total / count).astype(int)] = True
    parts = np.split(kept, np.cumsum([len(own) for own in rows])[:-1])
    return [own[keep] for own, keep in zip(rows, parts, strict=True)]


def chunk_rows(centre: int, allowed: Array, length: int,
               stride: int) -> list[int]:
    """A run of frames about a time point.

    Where that is no middle, at the ends of a recording or of its part, the
    run is shifted as little as can be.

    Args:
        centre (int): Row of the time point.
        allowed (ndarray): (M,) bool, which rows may be in it.
        length (int): Frames of a run, T.
        stride (int): Rows from one to the next.

    Returns:
        list[int]: T rising rows, `centre` among them; none if there is no
        such run.
    """
    middle = length // 2
    for before in sorted(range(length), key=lambda k: abs(k - middle)):
        first = centre - before * stride
        last = first + (length - 1) * stride
        rows = range(first, last + 1, stride)
        if first >= 0 and last < len(allowed) and allowed[rows].all():
            return list(rows)
    return []


def require_some(draw: UnlabelledDraw, recordings: Sequence[Recording],
                 chosen: Sequence[Array]) -> None:
    """Refuse a choice of nothing, and say why.

    Raises:
        DataError: If no recording gives a time point.
    """
    if any(map(len, chosen)):
        return
    first = recordings[0]
    if len(first) == first.labelled.sum():
        reason = ('its sync has the labelled time points alone, or its '
                  'videos hold no frames of others; export the file with all '
                  'of them')
    elif not np.isfinite(first.com[~first.labelled]).any():
        reason = ('they need a middle: name a com_file, which tools/'
                  'predict.py with a COM network makes')
    else:
        reason = 'closer_than_mm or split_by leaves none'
    raise DataError(
        first.label_file, 'unlabelled',
        'time points without a label, with pictures and a middle',
        f'none of {describe_ids(first.sample_ids)}, {len(recordings)} '
        f'recordings in all, for unlabelled={draw.count!r}', reason)
