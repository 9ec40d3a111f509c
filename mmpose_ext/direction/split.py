"""Splitting a data set so that the validation figure means something.

Whole groups go to one side: the sessions of a recording, else the animals,
else the source images, else clusters of near-duplicates. Splitting single
rows lets copies of a training image into validation, which made the original
report errors 2.4 times too small; it must be asked for by name.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpose_ext.direction.duplicates import (
    near_duplicate_clusters,
    near_duplicates,
)
from mmpose_ext.splits import PARTS, check_shares
from mmpose_ext.storage import DataError

Array = np.ndarray

GROUP_KEYS = ('session', 'animal', 'source_id')
METHODS = ('group', 'block', 'row')


@dataclass(frozen=True)
class SplitRule:
    """How to split; written as ``split_by`` in configs.

    Attributes:
        method: ``group``; ``block`` for consecutive frames: the first part of
            each session trains, the last one tests; ``row`` as published,
            which leaks.
        fractions: Shares of train, val and test.
        seed: Of the shuffling of groups or rows.
        key: Group by this array alone (``session``, ``animal``,
            ``source_id`` or ``near_duplicates``). None takes the first that
            exists.
        gap: Frames dropped between blocks.
        holdout: Leave-one-animal-out: the name of the animal that tests; the
            rest is shared out between train and val.
        bootstrap: With ``row``: draw rows with replacement first, as
            published.
        allow_leaky_split: Go on although near-duplicates lie on both sides.
    """

    method: str = 'group'
    fractions: tuple[float, ...] = (.75, .125, .125)
    seed: int = 0
    key: str | None = None
    gap: int = 0
    holdout: str | None = None
    bootstrap: bool = False
    allow_leaky_split: bool = False

    def __post_init__(self) -> None:
        # configs write lists; a rule must be hashable
        object.__setattr__(self, 'fractions', check_shares(
            self.fractions, 'split_by.fractions'))
        if self.method not in METHODS:
            raise ValueError(f'split_by.method: expected one of {METHODS}, '
                             f'found {self.method!r}')
        if self.method == 'row' and not self.allow_leaky_split:
            raise ValueError(
                'split_by.method=row: copies of training images would be '
                'validated on. Use method=group, or set '
                'split_by.allow_leaky_split=True to reproduce the published '
                'recipe.')


@dataclass(frozen=True)
class Split:
    """Rows of each part.

    Attributes:
        parts: ``train``, ``val`` and ``test`` to row numbers.
        groups: (N,) group of each row, as text.
        grouped_by: What the groups are.
        leaks: (P, 2) rows of near-duplicates on different sides.
    """

    parts: Mapping[str, Array]
    groups: Array
    grouped_by: str
    leaks: Array

    def part_of_group(self) -> dict[str, str]:
        """Part of each group; a block or row split may list several."""
        found: dict[str, str] = {}
        for part, rows in self.parts.items():
            for group in np.unique(self.groups[rows]):
                found[group] = f'{found[group]}+{part}' if (
                    group in found) else part
        return found

    def describe(self) -> str:
        """One sentence for the log."""
        sizes = ', '.join(f'{part} {len(rows)}'
                          for part, rows in self.parts.items())
        leaks = ('copies of training rows are validated on'
                 if self.grouped_by == 'row' else
                 f'{len(self.leaks)} near-duplicates across parts')
        return f'split by {self.grouped_by}: {sizes} rows; {leaks}'


def split_rows(file: Path, images: Array, ids: Mapping[str, Array],
               rule: SplitRule) -> Split:
    """Split a data set.

    Args:
        file (Path): Named in errors.
        images (ndarray): (N, S, S) uint8.
        ids (dict[str, ndarray]): Those of ``session``, ``animal``,
            ``source_id`` that the file has, each (N,).
        rule (SplitRule): How.

    Raises:
        DataError: If a part would be empty or near-duplicates would lie on
            both sides.
    """
    groups, grouped_by = _groups(file, images, ids, rule)
    if rule.method == 'group':
        parts = _split_groups(groups, ids, rule, file)
    elif rule.method == 'block':
        sessions = ids.get('session', np.zeros(len(images)))
        parts = _split_blocks(sessions, rule)
    else:
        parts = _split_single_rows(len(images), rule)
    _check_sizes(file, parts, rule, grouped_by, groups)
    leaks = np.empty((0, 2), np.int64)
    # Row splits are leaky by construction: there is nothing to find out.
    if rule.method != 'row':
        leaks = _find_leaks(images, parts)
    if len(leaks) and not rule.allow_leaky_split:
        one, other = leaks[0]
        raise DataError(
            file, f'split by {grouped_by}',
            'no near-duplicate images on different sides',
            f'{len(leaks)} pairs, for example rows {one} and {other}',
            'group such rows by source_id or session, widen split_by.gap, or '
            'set split_by.allow_leaky_split=True')
    return Split(parts, groups, grouped_by, leaks)


def _groups(file: Path, images: Array, ids: Mapping[str, Array],
            rule: SplitRule) -> tuple[Array, str]:
    if rule.method == 'row':
        return np.arange(len(images)).astype(str), 'row'
    if rule.method == 'block':
        return np.arange(len(images)).astype(str), 'blocks of frames'
    if rule.key == 'near_duplicates' or (rule.key is None and not ids):
        clusters = near_duplicate_clusters(images)
        return clusters.astype(str), 'near-duplicates'
    key = rule.key or next(key for key in GROUP_KEYS if key in ids)
    if key not in ids:
        raise DataError(file, 'split_by.key', f'one of {sorted(ids)}', key,
                        'the file has no such array')
    return ids[key].astype(str), key


def _split_groups(groups: Array, ids: Mapping[str, Array], rule: SplitRule,
                  file: Path) -> dict[str, Array]:
    rows = np.arange(len(groups))
    held = np.zeros(len(groups), bool)
    fractions: Sequence[float] = rule.fractions
    if rule.holdout is not None:
        animals = ids.get('animal', np.empty(0)).astype(str)
        if str(rule.holdout) not in animals:
            raise DataError(file, 'split_by.holdout',
                            f'one of the animals {sorted(set(animals))}',
                            rule.holdout)
        held = animals == str(rule.holdout)
        train, val, _ = rule.fractions
        fractions = (train / (train + val), val / (train + val), 0.)
    names = np.unique(groups[~held])
    names = np.random.default_rng(rule.seed).permutation(names)
    sizes = np.array([(groups == name).sum() for name in names])
    # A group goes where the middle of its rows falls, so that a large group
    # cannot empty a part that has room for it.
    middles = (np.cumsum(sizes) - sizes / 2) / max(sizes.sum(), 1)
    which = np.searchsorted(np.cumsum(fractions)[:-1], middles, side='right')
    part_of = dict(zip(names, which, strict=True))
    numbers = np.array([part_of.get(group, 2) for group in groups])
    numbers[held] = 2
    return {part: rows[numbers == i] for i, part in enumerate(PARTS)}


def _split_blocks(sessions: Array, rule: SplitRule) -> dict[str, Array]:
    """Cut each session, whose rows are in the order of its frames."""
    found: dict[str, list[Array]] = {part: [] for part in PARTS}
    for session in np.unique(sessions):
        rows = np.flatnonzero(sessions == session)
        edges = np.rint(
            np.cumsum([0., *rule.fractions]) * len(rows)).astype(int)
        for part, start, end in zip(PARTS, edges, edges[1:], strict=False):
            skip = rule.gap if start > 0 else 0
            found[part].append(rows[min(start + skip, end):end])
    return {part: np.concatenate(rows) for part, rows in found.items()}


def _split_single_rows(count: int, rule: SplitRule) -> dict[str, Array]:
    generator = np.random.default_rng(rule.seed)
    rows = (generator.integers(0, count, count)
            if rule.bootstrap else generator.permutation(count))
    edges = np.rint(np.cumsum([0., *rule.fractions]) * count).astype(int)
    return {
        part: rows[start:end]
        for part, start, end in zip(PARTS, edges, edges[1:], strict=False)
    }


def _check_sizes(file: Path, parts: Mapping[str, Array], rule: SplitRule,
                 grouped_by: str, groups: Array) -> None:
    wanted = dict(zip(PARTS, rule.fractions, strict=True))
    if rule.holdout is not None:
        wanted['test'] = 1.
    for part, share in wanted.items():
        if share > 0 and len(parts[part]) == 0:
            raise DataError(
                file, f'split by {grouped_by}',
                f'rows for {part} (share {share:g})',
                f'none: there are {len(np.unique(groups))} groups in '
                f'{len(groups)} rows',
                'for consecutive frames of one recording use '
                'split_by.method=block; or group by a finer split_by.key')


def _find_leaks(images: Array, parts: Mapping[str, Array]) -> Array:
    found = []
    train = parts['train']
    for part in ('val', 'test'):
        rows = parts[part]
        if len(rows) and len(train):
            pairs = near_duplicates(images[rows], images[train])
            found.append(
                np.stack([train[pairs[:, 1]], rows[pairs[:, 0]]], -1))
    return np.concatenate(found) if found else np.empty((0, 2), np.int64)
