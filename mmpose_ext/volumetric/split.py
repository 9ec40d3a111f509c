"""Splitting the samples of recordings into train, val and test.

Neighbouring frames of a recording are nearly the same picture. By default a
recording is cut into blocks of time with a gap between them; a random choice
of frames, as the original makes it, must be asked for by name.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmpose_ext.storage import DataError
from mmpose_ext.storage.checks import StrPath
from mmpose_ext.training import hash_words

Array = np.ndarray

PARTS = ('train', 'val', 'test')


def split_samples(source: StrPath, counts: Mapping[str, int], split: str,
                  rule: Mapping[str, Any] | None) -> dict[str, Array]:
    """Choose the samples of a part.

    Args:
        source (str | Path): The data set, for errors.
        counts (Mapping[str, int]): Name of each recording to its number of
            samples, which are counted in the order of time.
        split (str): ``train``, ``val``, ``test``, or ``all``.
        rule (Mapping, optional): One of

            * ``dict(train=[[0, 90]], test=[[90, 120]])``: in each recording,
              the samples from the first number to before the second;
            * ``dict(train=['monday', 'tuesday'], test=['friday'])``: whole
              recordings;
            * ``dict(method='blocks', fractions=(.8, .1, .1), gap=0)``: in
              each recording, the first samples train and the last ones test,
              ``gap`` samples being left out between;
            * ``dict(method='random', num_validation=4, num_test=0,
              seed=42)``: in each recording, samples drawn at random.

            Defaults to None, ``blocks``.

    Returns:
        dict[str, ndarray]: Name of each recording to rising numbers of its
        samples in this part, maybe none.

    Raises:
        DataError: If the part is empty or the recordings do not fit the rule.
        ValueError: If the rule is none.
    """
    if split not in (*PARTS, 'all'):
        raise ValueError(f"split: expected one of {(*PARTS, 'all')}, found "
                         f'{split!r}')
    if split == 'all':
        return {name: np.arange(count) for name, count in counts.items()}
    settings = dict(rule or dict(method='blocks'))
    method = settings.pop('method', None)
    if method == 'blocks':
        parts = _split_blocks(counts, **settings)
    elif method == 'random':
        parts = _split_random(counts, **settings)
    elif method is None and settings and set(settings) <= set(PARTS):
        parts = _split_named(source, counts, settings)
    else:
        raise ValueError("split_by: expected method='blocks' or 'random', or "
                         f'train, val, test, found {dict(rule or {})}')
    chosen = {name: part[split] for name, part in parts.items()}
    if not any(len(rows) for rows in chosen.values()):
        raise DataError(source, f'split {split!r}', 'samples',
                        f'none of {sum(counts.values())}',
                        'split_by gives it none')
    return chosen


def split_rows(source: StrPath, names: Sequence[str],
               rows: Sequence[Array], split: str,
               rule: Mapping[str, Any] | None) -> list[Array]:
    """Choose a part of the rows that each recording offers.

    Args:
        source (str | Path): The data set, for errors.
        names (Sequence[str]): Names of the recordings; recordings in
            different folders may share one, and the later ones then get
            their number added.
        rows (Sequence[ndarray]): Rows of each, in the order of time.
        split (str): See :func:`split_samples`.
        rule (Mapping, optional): See there.

    Returns:
        list[ndarray]: Of each recording, its rows in this part.

    Raises:
        DataError: As there.
        ValueError: As there.
    """
    keys = [name if name not in names[:number] else f'{name} {number}'
            for number, name in enumerate(names)]
    counts = {key: len(own) for key, own in zip(keys, rows, strict=True)}
    chosen = split_samples(source, counts, split, rule)
    return [own[chosen[key]] for key, own in zip(keys, rows, strict=True)]


def _split_blocks(counts: Mapping[str, int],
                  fractions: Sequence[float] = (.8, .1, .1),
                  gap: int = 0) -> dict[str, dict[str, Array]]:
    shares = np.asarray(fractions, np.float64)
    if shares.shape != (3, ) or (shares < 0).any() or shares.sum() > 1 + 1e-9:
        raise ValueError('split_by.fractions: expected shares of train, val '
                         f'and test, found {fractions}')
    parts = {}
    for name, count in counts.items():
        borders = np.rint(np.concatenate([[0], shares.cumsum()])
                          * count).astype(int)
        starts = [int(border) + gap * (border > 0) for border in borders[:3]]
        parts[name] = {
            part: np.arange(start, max(int(stop), start))
            for part, start, stop in zip(PARTS, starts, borders[1:],
                                         strict=True)
        }
    return parts


def _split_random(counts: Mapping[str, int], num_validation: int = 4,
                  num_test: int = 0,
                  seed: int = 42) -> dict[str, dict[str, Array]]:
    parts = {}
    for number, (name, count) in enumerate(counts.items()):
        order = np.random.default_rng(hash_words(seed, number)).permutation(
            count)
        stops = num_validation, num_validation + num_test
        parts[name] = dict(
            val=np.sort(order[:stops[0]]),
            test=np.sort(order[stops[0]:stops[1]]),
            train=np.sort(order[stops[1]:]))
    return parts


def _split_named(source: StrPath, counts: Mapping[str, int],
                 settings: Mapping[str, Any]) -> dict[str, dict[str, Array]]:
    """Parts that are given by recordings, or by ranges of samples."""
    parts = {name: {part: np.zeros(0, np.int64) for part in PARTS}
             for name in counts}
    for part, wanted in settings.items():
        by_name = all(isinstance(item, str) for item in wanted)
        if by_name:
            for item in wanted:
                if item not in counts:
                    raise DataError(source, f'split_by.{part}',
                                    f'one of the recordings {list(counts)}',
                                    repr(item))
        for name, count in counts.items():
            if by_name:
                rows = np.arange(count if name in wanted else 0)
            else:
                rows = _rows_of(source, name, part, wanted, count)
            parts[name][part] = rows
    for name, own in parts.items():
        for part in ('val', 'test'):
            shared = np.intersect1d(own['train'], own[part])
            if len(shared):
                raise ValueError(
                    f'split_by: train and {part} share {len(shared)} samples '
                    f'of {name}, the first being number {shared[0]}')
    return parts


def _rows_of(source: StrPath, name: str, part: str,
             ranges: Sequence[Sequence[int]], count: int) -> Array:
    rows = np.zeros(count, bool)
    for start, stop in ranges:
        if not 0 <= start < stop:
            raise ValueError(f'split_by.{part}: expected ranges of samples, '
                             f'found {[start, stop]}')
        if stop > count:
            raise DataError(source, f'split_by.{part}, recording {name}',
                            f'at least {stop} samples', str(count))
        rows[start:stop] = True
    return np.flatnonzero(rows)
