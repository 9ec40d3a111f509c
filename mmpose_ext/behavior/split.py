"""Which records, or stretches of them, train, validate and test."""
from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmpose_ext.behavior.extra_packages import require_packages
from mmpose_ext.behavior.track_store import TrackStore
from mmpose_ext.splits import PARTS, check_shares
from mmpose_ext.storage import DataError

Array = np.ndarray

METHODS = ('record', 'block', 'dev_ratio', 'filter')
REST = '*'  # filter of the part that gets what no other part has


@dataclass(frozen=True)
class SplitRule:
    """How to split; written as ``split_by`` in configs.

    Attributes:
        method: ``record`` deals out whole records; ``block`` cuts each in
            time, for data sets of a single recording: the first stretch
            trains, the last one tests; ``dev_ratio`` deals them out as the
            original does, to train and val; ``filter`` by texts in their
            ids. Defaults to ``record``.
        fractions: Shares of train, val and test. Defaults to (.75, .125,
            .125).
        seed: Of ``record`` and ``dev_ratio``. Defaults to 0.
        gap: With ``block``, frames left out before each stretch but the
            first of a record: neighbours in time look alike. Defaults to 30.
        blocks: With ``block``, how often a record is cut like this along its
            length. Defaults to 1.
        ratio: With ``dev_ratio``, share of val. Defaults to None.
        train: With ``filter``, texts as a comma list or a list; a record
            belongs to the part when its id contains any. ``*`` takes the
            records that no other part has. Defaults to '' (none).
        val: Likewise.
        test: Likewise.
    """

    method: str = 'record'
    fractions: Sequence[float] = (.75, .125, .125)
    seed: int = 0
    gap: int = 30
    blocks: int = 1
    ratio: float | None = None
    train: str | Sequence[str] = ''
    val: str | Sequence[str] = ''
    test: str | Sequence[str] = ''

    def __post_init__(self) -> None:
        # configs write lists; a rule must be hashable
        object.__setattr__(self, 'fractions', check_shares(
            self.fractions, 'split_by.fractions'))
        for part in PARTS:
            texts = getattr(self, part)
            texts = texts.split(',') if isinstance(texts, str) else texts
            object.__setattr__(self, part, tuple(
                text.strip() for text in texts if text.strip()))
        if self.method not in METHODS:
            raise ValueError(f'split_by.method: expected one of {METHODS}, '
                             f'found {self.method!r}')
        if self.gap < 0 or self.blocks < 1:
            raise ValueError('split_by: expected gap of 0 or more and blocks '
                             f'of 1 or more, found {self.gap} and '
                             f'{self.blocks}')
        if (self.method == 'dev_ratio') != (self.ratio is not None):
            raise ValueError('split_by.ratio: expected with method=dev_ratio '
                             f'and no other, found {self.ratio} with '
                             f'{self.method}')
        if self.ratio is not None and not 0 < self.ratio < 1:
            raise ValueError('split_by.ratio: expected between 0 and 1, '
                             f'found {self.ratio}')
        named = any(getattr(self, part) for part in PARTS)
        if named != (self.method == 'filter'):
            raise ValueError('split_by: expected texts for train, val or test '
                             f'with method=filter and no other, found '
                             f'method={self.method}')


@functools.lru_cache(maxsize=4)
def split_store(store: TrackStore, rule: SplitRule) -> dict[str, TrackStore]:
    """Split a data set.

    Args:
        store (TrackStore): All records.
        rule (SplitRule): How.

    Returns:
        dict[str, TrackStore]: ``train``, ``val`` and ``test``, views of the
        store; those without a share have no record.

    Raises:
        DataError: If a part that has a share would be empty, or
            ``dev_ratio`` lacks scikit-learn.
    """
    if rule.method == 'record':
        parts = _deal_records(store, rule)
    elif rule.method == 'dev_ratio':
        parts = _deal_as_published(store, rule)
    elif rule.method == 'filter':
        parts = _filter_records(store, rule)
    else:
        return _cut_records(store, rule)
    return {part: store.subset(sorted(parts.get(part, ())))
            for part in PARTS}


def _deal_records(store: TrackStore, rule: SplitRule) -> dict[str, list[int]]:
    """Records in a seeded order, shared out by their number."""
    wanted = [part for part, share in zip(PARTS, rule.fractions, strict=True)
              if share > 0]
    count = len(store)
    if count < len(wanted):
        raise DataError(
            store.source, 'split by record', f'a record for each of '
            f'{", ".join(wanted)}', f'{count} in all',
            'cut records in time by split_by.method=block, or give '
            'fractions of 0')
    order = np.random.default_rng(rule.seed).permutation(count).tolist()
    sizes = _sizes(count, rule.fractions)
    edges = np.cumsum([0, *sizes]).tolist()
    return {part: order[start:stop] for part, start, stop in zip(
        PARTS, edges, edges[1:], strict=False)}


def _sizes(count: int, fractions: Sequence[float]) -> list[int]:
    """Records of each part: its share, yet at least one if it has any."""
    sizes = np.diff(np.rint(np.cumsum([0., *fractions]) * count)).astype(int)
    for part, share in enumerate(fractions):
        if share > 0 and sizes[part] == 0:
            # from the one that is most above its share
            surplus = sizes - np.multiply(fractions, count)
            surplus[sizes <= 1] = -np.inf
            sizes[int(np.argmax(surplus))] -= 1
            sizes[part] = 1
    return sizes.tolist()


def _deal_as_published(store: TrackStore,
                       rule: SplitRule) -> dict[str, list[int]]:
    """Records as scikit-learn's train_test_split deals them out."""
    require_packages('sklearn')
    from sklearn.model_selection import train_test_split
    if len(store) < 2:
        raise DataError(store.source, 'split by dev_ratio',
                        'at least 2 records', str(len(store)),
                        'cut records in time by split_by.method=block')
    try:
        train, val = train_test_split(
            list(range(len(store))), test_size=rule.ratio,
            random_state=rule.seed)
    except ValueError as error:  # no record left to train on
        raise DataError(
            store.source, 'split by dev_ratio', 'records for train and val',
            f'{len(store)} in all, of which ratio={rule.ratio} go to val',
            'choose another ratio') from error
    return dict(train=train, val=val)


def _filter_records(store: TrackStore,
                    rule: SplitRule) -> dict[str, list[int]]:
    texts = {part: getattr(rule, part) for part in PARTS}
    rest = [part for part in PARTS if texts[part] == (REST, )]
    if len(rest) > 1:
        raise DataError(store.source, 'split by filter',
                        f'{REST!r} for one part', f'for {" and ".join(rest)}')
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    for index, name in enumerate(store.ids):
        fitting = [part for part in PARTS if part not in rest and any(
            text in name for text in texts[part])] or rest
        if len(fitting) > 1:
            raise DataError(
                store.source, f'split by filter, record {name!r}',
                'one part', ' and '.join(fitting),
                'choose texts that tell the parts apart')
        for part in fitting:
            parts[part].append(index)
    for part in PARTS:
        if texts[part] and not parts[part]:
            raise DataError(
                store.source, f'split_by.{part}', 'a text in some id, such '
                f'as {store.ids[0]!r}', ', '.join(map(repr, texts[part])))
    return parts


def _cut_records(store: TrackStore, rule: SplitRule) -> dict[str, TrackStore]:
    """Cut every record in time."""
    found: dict[str, list[tuple[int, int, int]]] = {part: []
                                                   for part in PARTS}
    shares = np.cumsum([0., *rule.fractions])
    for record, length in enumerate(store.lengths.tolist()):
        spans = np.rint(np.linspace(0, length, rule.blocks + 1)).astype(int)
        for begin, end in zip(spans[:-1], spans[1:], strict=True):
            edges = begin + np.rint(shares * (end - begin)).astype(int)
            for part, share, start, stop in zip(
                    PARTS, rule.fractions, edges[:-1], edges[1:],
                    strict=True):
                first = start + (rule.gap if start > 0 else 0)
                if first < stop:
                    found[part].append((record, first, stop - first))
                elif share > 0:
                    raise DataError(
                        store.source, f'split by block, record '
                        f'{store.ids[record]!r}',
                        f'frames for {part} (share {share:g})',
                        f'{stop - start} before a gap of {rule.gap} is left '
                        'out', 'lower split_by.gap or split_by.blocks')
    return {part: store.stretches(*np.array(
        stretches, np.int64).reshape(-1, 3).T)
        for part, stretches in found.items()}
