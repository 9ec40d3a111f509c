"""What other data sets call the 26 points.

Names are compared without case and separators; ``left``, ``l``, ``front``,
``fore``, ``f``, ``hind``, ``back``, ``b`` and so on are understood before or
after the point. Only names of the same place on the horse count: AnimalPose's
throat is not the base of the neck, its hind elbow (the stifle) not the hip.
"""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpose_ext.equine.horse26 import GROUPS, NAMES
from mmpose_ext.storage import DataError

Array = np.ndarray

# part of a name to point; {s} stands for the side, {f} for the limb
_PARTS: Mapping[str, str] = {
    **dict.fromkeys(('nose', 'muzzle', 'snout'), 'nose'),
    **dict.fromkeys(('neck', 'neckbase', 'baseofneck'), 'neck'),
    **dict.fromkeys(('withers', 'wither'), 'withers'),
    **dict.fromkeys(('back', 'midback'), 'back'),
    **dict.fromkeys(('tailbase', 'baseoftail', 'tailroot', 'rootoftail',
                     'tailstart', 'dock'), 'tail_base'),
    **dict.fromkeys(('tailend', 'endoftail', 'tailtip', 'tipoftail'),
                    'tail_end'),
    'eye': '{s}_eye',
    **dict.fromkeys(('ear', 'earbase', 'baseofear'), '{s}_ear'),
}
_FORE = {'elbow': '{s}_elbow', 'knee': '{s}_knee', 'carpus': '{s}_knee'}
_HIND = {'hip': '{s}_hip', 'hock': '{s}_hock', 'tarsus': '{s}_hock',
         # what is called the hind knee of any animal is the horse's hock
         'knee': '{s}_hock'}
_BOTH = {'fetlock': '{s}{f}_fetlock',
         **dict.fromkeys(('hoof', 'foot', 'paw'), '{s}{f}_hoof')}

_SIDES = dict(left='l', l='l', right='r', r='r', near='near', off='off')
_LIMBS = dict(front='f', fore='f', f='f', hind='h', rear='h', back='h',
              b='h', h='h')
_LEG_JOINTS = ('elbow', 'knee', 'carpus', 'hock', 'tarsus', *_BOTH)
# The least distance of fore and hind half, as a share of the horse's extent,
# in a picture that shows it from the side.
_SIDE_VIEW = .3
_LEAST_NAMES = 5
_FORE_END = (*GROUPS['head'], *GROUPS['fore'], NAMES.index('withers'))
_HIND_END = (*GROUPS['hind'], NAMES.index('tail_base'))


def _any_of(words: Mapping[str, str]) -> str:
    return '|'.join(sorted(words, key=len, reverse=True))


_ALL_PARTS = {**_PARTS, **_FORE, **_HIND, **_BOTH}
_PATTERNS = tuple(
    re.compile(pattern.format(s=_any_of(_SIDES), f=_any_of(_LIMBS),
                              p=_any_of(_ALL_PARTS)))
    for pattern in ('(?P<s>{s})?(?P<f>{f})?(?P<p>{p})',
                    '(?P<f>{f})(?P<s>{s})(?P<p>{p})',
                    '(?P<p>{p})(?P<f>{f})?(?P<s>{s})',
                    '(?P<p>{p})(?P<s>{s})(?P<f>{f})'))


@dataclass(frozen=True)
class NameMap:
    """How the points of a data set become the 26.

    Attributes:
        source: K names of the data set.
        targets: (K,) the point's name among the 26; ``near``, ``off`` or
            ``seen`` in braces in place of a side that depends on the
            picture; None for no such point.
    """

    source: tuple[str, ...]
    targets: tuple[str | None, ...]

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names that are none of the 26."""
        return tuple(name for name, target in zip(
            self.source, self.targets, strict=True) if target is None)

    def describe(self) -> str:
        """``3 points under their own names, Eye = <seen>_eye, ...``."""
        known = [(name, target.replace('{', '<').replace('}', '>'))
                 for name, target in zip(self.source, self.targets,
                                         strict=True) if target]
        own = sum(name.lower() == target for name, target in known)
        return ', '.join([
            f'{own} points under their own names',
            *(f'{name} = {target}' for name, target in known
              if name.lower() != target)])

    def apply(self, points: Array, visibility: Array,
              near_side: str) -> tuple[Array, Array]:
        """Bring one animal's points into the order of the 26.

        A point without a side, as ``Eye`` of Horse-10, is of the side that
        the picture shows: the right one of a horse that looks to the right.
        It stays absent where the horse is not seen from the side.

        Args:
            points (ndarray): (K, 2) px.
            visibility (ndarray): (K,) 0, 1 or 2.
            near_side (str): ``left``, ``right``, or ``unknown``: leave out
                points of the near and the off side.

        Returns:
            tuple[ndarray, ndarray]: (26, 2) px, 0 where absent, and (26,).
        """
        sides = {'seen': self._seen_side(points, visibility)}
        if near_side != 'unknown':
            sides['near'] = near_side[0]
            sides['off'] = 'r' if near_side == 'left' else 'l'
        found = np.zeros((len(NAMES), 2))
        seen = np.zeros(len(NAMES), np.int64)
        # points without a side come last: they rank below those with one
        for row in sorted(np.flatnonzero(visibility > 0), key=lambda i:
                          '{seen}' in str(self.targets[i])):
            index = _index(self.targets[row], sides)
            if index is not None and seen[index] == 0:
                found[index], seen[index] = points[row], visibility[row]
        return found, seen

    def _seen_side(self, points: Array, visibility: Array) -> str:
        """Side that a picture shows: 'l', 'r', '' where it is not clear."""
        any_side = dict.fromkeys(('near', 'off', 'seen'), 'l')
        rows = np.flatnonzero(visibility > 0)
        kinds = np.array([_index(self.targets[row], any_side) for row in rows])
        ends = [points[rows[np.isin(kinds, list(end))], 0]
                for end in (_FORE_END, _HIND_END)]
        if not all(map(len, ends)):
            return ''
        ahead = ends[0].mean() - ends[1].mean()
        if abs(ahead) < _SIDE_VIEW * np.ptp(points[rows], 0).max():
            return ''
        return 'r' if ahead > 0 else 'l'


def _index(target: str | None, sides: Mapping[str, str]) -> int | None:
    """Index of a point, None if it is none or its side is not known."""
    for side, letter in sides.items():
        target = target and target.replace(f'{{{side}}}', letter)
    return NAMES.index(target) if target in NAMES else None


def map_names(names: Sequence[str], file: Path) -> NameMap:
    """Find the 26 points among the names of a data set.

    Raises:
        DataError: If none is among them, or two names mean the same point.
    """
    parsed = [_parse(name) for name in names]
    parts = {part for part, _, _ in parsed}
    # Without a limb, 'knee' is the horse's carpus, but the hind joint in
    # sets made for any quadruped, which have paws and no hock.
    general = 'paw' in parts and not parts & {'hock', 'tarsus'}
    bare_knee = (_HIND if general else _FORE)['knee']
    targets = tuple(_target(*each, bare_knee) for each in parsed)
    for target, count in Counter(targets).items():
        if target is not None and count > 1:
            same = ', '.join(name for name, other in zip(
                names, targets, strict=True) if other == target)
            raise DataError(file, 'point names', f'one name for {target}',
                            same, 'rename or remove all but one')
    if not any(targets):
        raise DataError(file, 'point names', 'names of points of a horse',
                        ', '.join(names)[:200] or 'none',
                        f'such as {", ".join(NAMES)}')
    return NameMap(tuple(names), targets)


def looks_equine(names: Sequence[str], file: Path) -> bool:
    """Whether names are a horse's: five of the 26, with joints of legs."""
    try:
        targets = map_names(names, file).targets
    except DataError:
        return False
    return (sum(target is not None for target in targets) >= _LEAST_NAMES
            and any(_parse(name)[0] in _LEG_JOINTS for name in names))


def _parse(name: str) -> tuple[str, str, str]:
    """Part, side and limb that a name is made of; '' where not said."""
    plain = re.sub('[^a-z0-9]', '', name.lower())
    for pattern in _PATTERNS:
        match = pattern.fullmatch(plain)
        if match:
            words = match.groupdict()
            return (words['p'], _SIDES.get(words['s'] or '', ''),
                    _LIMBS.get(words['f'] or '', ''))
    return '', '', ''


def _target(part: str, side: str, limb: str, bare_knee: str) -> str | None:
    """Name of the point, its side perhaps still in braces."""
    if part in _BOTH:
        target = _BOTH[part] if limb else None
    elif part in _PARTS:
        target = None if limb else _PARTS[part]
    elif limb:
        target = (_FORE if limb == 'f' else _HIND).get(part)
    else:
        target = {**_FORE, **_HIND, 'knee': bare_knee}.get(part)
    if target is None or '{s}' not in target:
        # a point of the midline has no side
        return None if side else target
    side = side if side in ('l', 'r') else f'{{{side or "seen"}}}'
    return target.format(s=side, f=limb)
