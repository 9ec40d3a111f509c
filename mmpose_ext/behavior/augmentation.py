"""The short form of augmentations, ``name:key=value,name``.

For example ``all_perm_id:p=0.5,blk_perm_id:p=0.3:frac=0.2``, as the original
writes them. Identities are permuted while windows are cut, before a question
is made of them; all else is done to whole batches on the device
(:mod:`mmpose_ext.behavior.batch_augmentation`).
"""
from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Value = float | str

REQUIRED = None  # in place of a default


@dataclass(frozen=True)
class Key:
    """A key of an augmentation.

    Attributes:
        default: Its value where it is not given; None if it must be.
        low: Least value.
        high: Largest value.
        open_low: Whether the least value itself is not allowed.
        words: Allowed texts, in place of a number.
    """

    default: Value | None
    low: float = 0.
    high: float = float('inf')
    open_low: bool = True
    words: tuple[str, ...] = ()

    def describe(self) -> str:
        """What is allowed, in words."""
        if self.words:
            return ' or '.join(self.words)
        if self.high == float('inf'):
            return f'a number above {self.low:g}'
        return (f'a number in {"(" if self.open_low else "["}{self.low:g}, '
                f'{self.high:g}]')

    def check(self, text: str, where: str) -> Value:
        """The value a text means.

        Raises:
            ValueError: If it is not allowed.
        """
        if self.words:
            if text in self.words:
                return text
        else:
            try:
                value = float(text)
            except ValueError:
                raise ValueError(
                    f'augmentation {where}: invalid parameter value: '
                    f'expected {self.describe()}, found {text!r}') from None
            above = value > self.low if self.open_low else value >= self.low
            if above and value <= self.high:
                return value
        raise ValueError(f'augmentation {where}: expected {self.describe()}, '
                         f'found {text!r}')


_SHARE = Key(1., 0, 1, open_low=False)
KEYS: dict[str, dict[str, Key]] = dict(
    all_perm_id=dict(p=_SHARE),
    all_perm_ax=dict(p=_SHARE),
    blk_perm_id=dict(p=_SHARE, frac=Key(.5, 0, 1)),
    gauss_jitter=dict(p=_SHARE, sigma=Key(.01)),
    smooth_jitter=dict(p=_SHARE, sigma=Key(.01), length=Key(15)),
    kp_ablation=dict(p=_SHARE, pB=Key(REQUIRED, 0, 1)),
    kp_dropout=dict(p=_SHARE, pB=Key(.1, 0, 1), frac=Key(.1, 0, 1)),
    rotation=dict(
        p=_SHARE, max_angle=Key(180., 0, 360, open_low=False),
        mode=Key('none', words=('none', 'truncate', 'rescale'))),
    mirror=dict(p=_SHARE),
    translation=dict(p=_SHARE, max=Key(.1, 0, 1)),
    scale=dict(p=_SHARE, max=Key(1.2, 1, 10)))
PUBLISHED_KEYS = {
    name: KEYS[name]
    for name in ('all_perm_id', 'all_perm_ax', 'blk_perm_id', 'gauss_jitter',
                 'kp_ablation')
}
PUBLISHED_KEYS['rotation'] = dict(
    KEYS['rotation'],
    mode=Key('truncate', words=('truncate', 'rescale', 'none')))
IDENTITY = ('all_perm_id', 'blk_perm_id')


@dataclass(frozen=True)
class Augmentation:
    """One augmentation with the values of all its keys.

    Attributes:
        name: One of :data:`KEYS`.
        values: By key.
    """

    name: str
    values: Mapping[str, Value]

    @property
    def p(self) -> float:
        """Share of windows that are changed."""
        return float(self.values['p'])

    def number(self, key: str) -> float:
        """A value that is a number."""
        return float(self.values[key])


def parse_augmentations(text: str,
                        published: bool = False) -> tuple[Augmentation, ...]:
    """Read the short form.

    Args:
        text (str): Augmentations in the order of their application; empty
            ones are skipped.
        published (bool): Take those of the original alone, with its
            defaults. Defaults to False.

    Raises:
        ValueError: If a name, key or value is not known; close names are
            proposed.
    """
    known = PUBLISHED_KEYS if published else KEYS
    return tuple(_parse_one(item, known) for item in text.split(',')
                 if item.strip())


def _parse_one(item: str, known: Mapping[str, dict[str, Key]]
               ) -> Augmentation:
    name, *parts = (part.strip() for part in item.split(':'))
    keys = known.get(name)
    if keys is None:
        raise ValueError(f'augmentation {name!r}: unknown'
                         f'{_near(name, known)}; there are '
                         f'{", ".join(known)}')
    values = {key: spec.default for key, spec in keys.items()}
    for part in parts:
        key, equals, value = (word.strip() for word in part.partition('='))
        if not (key and equals and value):
            raise ValueError(
                f'augmentation {name}: invalid parameter format: expected '
                f'key=value, found {part!r}')
        if key not in keys:
            raise ValueError(
                f'augmentation {name}: no key {key!r}{_near(key, keys)}; '
                f'there are {", ".join(keys)}')
        values[key] = keys[key].check(value, f'{name}:{key}')
    given: dict[str, Value] = {}
    for key, found in values.items():
        if found is None:
            raise ValueError(f'augmentation {name}: expected {key}='
                             f'{keys[key].describe()}, found no {key}')
        given[key] = found
    return Augmentation(name, given)


def _near(word: str, words: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(word, words, n=1)
    return f', did you mean {close[0]!r}?' if close else ''


def write_augmentations(augmentations: tuple[Augmentation, ...]) -> str:
    """The short form of augmentations."""
    return ','.join(
        ':'.join([item.name, *(f'{key}={value}'
                               for key, value in item.values.items())])
        for item in augmentations)


def identity_draws(individuals: int) -> int:
    """Uniform numbers that an augmentation of identities needs."""
    return individuals + 2


def permute_identities(augmentations: tuple[Augmentation, ...],
                       draws: Array, size: int,
                       individuals: int) -> Array | None:
    """Whose track each individual of a window shows.

    Permutations are uniform, the identity among them: with two individuals a
    permutation that always changes would be a constant exchange.

    Args:
        augmentations (tuple[Augmentation, ...]): Those of identities are
            applied in their order; others are passed over.
        draws (ndarray): float64 (M, A * identity_draws) uniform in [0, 1).
        size (int): Frames in a window, W.
        individuals (int): N.

    Returns:
        ndarray: int64 (M, W, N), or (M, 1, N) where all frames are alike;
        None where nothing is permuted.
    """
    chosen = [item for item in augmentations if item.name in IDENTITY]
    if not chosen:
        return None
    sources = np.broadcast_to(np.arange(individuals),
                              (len(draws), 1, individuals))
    count = identity_draws(individuals)
    for i, item in enumerate(chosen):
        share, place, *keys = draws[:, i * count:(i + 1) * count].T
        order = np.argsort(np.array(keys).T, 1)
        changed = (share < item.p)[:, None]
        order = np.where(changed, order, np.arange(individuals))
        moved = np.take_along_axis(sources, order[:, None], 2)
        if item.name == 'all_perm_id':
            sources = moved
            continue
        length = int(item.number('frac') * size)
        # each frame is hit equally often
        start = np.floor(place * (size + length - 1)) - length + 1
        steps = np.arange(size)
        block = (steps >= start[:, None]) & (steps < start[:, None] + length)
        sources = np.where(block[:, :, None], moved, sources)
    return sources
