"""Which frames of an index are used, and why the others are not."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mmpose_ext.handobject.dexycb_splits import is_keyframe
from mmpose_ext.handobject.index_files import HandObjectIndex
from mmpose_ext.storage import DataError

Array = np.ndarray

SUBSETS = ('all', 'right', 'close')
_BLOCK = 65536  # rows whose distances are looked at together


@dataclass(frozen=True)
class RowSelection:
    """What is asked for.

    Attributes:
        subset: ``all``, ``right`` hands, or ``close``: right ones with a
            joint within ``close_mm`` of the object held.
        close_mm: See there.
        every: Frames whose number it divides.
        limit: At most so many, evenly spread; None for all.
        subjects: Names or numbers of subjects; None for all.
        valid_hands_only: Whether frames without a hand are left out.
    """

    subset: str = 'all'
    close_mm: float = 5.
    every: int = 1
    limit: int | None = None
    subjects: tuple[int | str, ...] | None = None
    valid_hands_only: bool = True

    def __post_init__(self) -> None:
        if self.subset not in SUBSETS:
            raise ValueError(f'subset: expected one of {SUBSETS}, found '
                             f'{self.subset!r}')
        for name in ('every', 'limit'):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f'{name}: expected at least 1, found '
                                 f'{value}')


def select_rows(index: HandObjectIndex,
                selection: RowSelection) -> tuple[Array, str]:
    """Find the rows asked for.

    Args:
        index (HandObjectIndex): All frames.
        selection (RowSelection): What is asked for.

    Returns:
        tuple: Rows (N,) int64 in order, and a text that counts them, the
        sides, and what was left out for which reason.

    Raises:
        DataError: If none is left or a needed column is missing.
    """
    kept = np.ones(len(index), bool)
    reasons = []
    for reason, wanted in _criteria(index, selection):
        out = int((kept & ~wanted).sum())
        if out:
            reasons.append(f'{out} {reason}')
        kept &= wanted
    rows = np.flatnonzero(kept)
    limit = selection.limit
    if limit is not None and limit < len(rows):
        reasons.append(f'{len(rows) - limit} beyond limit {limit}')
        rows = rows[np.arange(limit) * len(rows) // limit]
    counted = ', '.join(reasons) or 'none'
    if not len(rows):
        raise DataError(index.path, 'frames', 'some to use',
                        f'{len(index)}, of which left out: {counted}')
    left = int((index['side'][index['sequence_row'][rows]] == 1).sum())
    hands = int(index['hand_valid'][rows].sum())
    return rows, (f'{len(rows)} of {len(index)} frames, {hands} with a hand, '
                  f'{len(rows) - left} right and {left} left; left out: '
                  f'{counted}')


def count_left_out(index: HandObjectIndex, rows: Array) -> dict[str, int]:
    """Frames with a hand that a choice of rows lacks.

    Args:
        index (HandObjectIndex): Of the data.
        rows (ndarray): (N,) int, what is chosen.

    Returns:
        dict[str, int]: Number of ``hands``, and of ``keyframes`` with one.
    """
    missing = np.array(index['hand_valid'])
    missing[rows] = False
    return dict(hands=int(missing.sum()),
                keyframes=int((missing & is_keyframe(index['frame'])).sum()))


def _criteria(index: HandObjectIndex,
              selection: RowSelection) -> Iterator[tuple[str, Array]]:
    """Reason to leave frames out, and which ones may stay (N,)."""
    sequences = index['sequence_row']
    if selection.subjects is not None:
        numbers = _subject_numbers(index, selection.subjects)
        chosen = np.isin(index['sequence_subject'], numbers)
        yield 'of other subjects', chosen[sequences]
    if selection.every > 1:
        yield (f'whose number {selection.every} does not divide',
               index['frame'] % selection.every == 0)
    if selection.valid_hands_only:
        yield 'without a hand', np.asarray(index['hand_valid'])
        yield ('whose hand is off the picture',
               np.all(index['bbox_hand'][:, 2:] > 0, axis=1))
    if selection.subset != 'all':
        yield 'of left hands', (index['side'] == 0)[sequences]
    if selection.subset == 'close':
        yield (f'not within {selection.close_mm:g} mm of an object',
               _distances(index) <= selection.close_mm / 1e3)


def _subject_numbers(index: HandObjectIndex,
                     subjects: tuple[int | str, ...]) -> list[int]:
    """Rows of the table of subjects."""
    numbers = []
    for subject in subjects:
        if subject in index.subjects:
            numbers.append(index.subjects.index(str(subject)))
        elif isinstance(subject, int) and 0 <= subject < len(index.subjects):
            numbers.append(subject)
        else:
            raise DataError(
                index.path, 'subjects', f'some of {list(index.subjects)}, or '
                'their numbers from 0', repr(subject))
    return numbers


def _distances(index: HandObjectIndex) -> Array:
    """Least distance of each hand (N,) to its object, m; inf if unknown."""
    if 'joint_distance' not in index:
        raise DataError(
            index.path, "key 'joint_distance'", "it, for subset='close'",
            'none', 'convert with --contact')
    column = index['joint_distance']
    least = np.empty(len(index), np.float32)
    for start in range(0, len(index), _BLOCK):
        block = np.nan_to_num(column[start:start + _BLOCK], nan=np.inf)
        least[start:start + _BLOCK] = block.min(1)
    return least
