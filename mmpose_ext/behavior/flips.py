"""Which keypoint is the same one of the other side, by the names."""
from __future__ import annotations

import re
from collections.abc import Sequence

# left and right as a word of its own, in front, behind or within
_WORDS = (('left', 'right'), ('Left', 'Right'), ('LEFT', 'RIGHT'))
_LETTERS = (('l', 'r'), ('L', 'R'))


def find_flip_indices(keypoints: Sequence[str]) -> tuple[int, ...]:
    """Keypoint of the other side of each; itself where there is none.

    ``left_ear`` and ``right_ear``, ``earL`` and ``earR``, ``l_hip`` and
    ``r_hip`` belong together.

    Args:
        keypoints (Sequence[str]): K names.

    Returns:
        tuple[int, ...]: K places in the names.
    """
    places = {name: i for i, name in enumerate(keypoints)}
    flips = list(range(len(keypoints)))
    for name, place in places.items():
        for other in _others(name):
            if other in places:
                flips[place], flips[places[other]] = places[other], place
    return tuple(flips)


def flip_indices_of(keypoints: Sequence[str],
                    pairs: Sequence[Sequence[str]] | None
                    ) -> tuple[int, ...]:
    """Keypoint of the other side of each, by given pairs or by the names.

    Raises:
        ValueError: If a pair names what is no keypoint.
    """
    if pairs is None:
        return find_flip_indices(keypoints)
    flips = list(range(len(keypoints)))
    for pair in pairs:
        if len(pair) != 2 or not set(pair) <= set(keypoints):
            raise ValueError(
                f'flip_pairs: expected pairs of {tuple(keypoints)}, found '
                f'{tuple(pair)}')
        one, other = map(list(keypoints).index, pair)
        flips[one], flips[other] = other, one
    return tuple(flips)


def _others(name: str) -> list[str]:
    """What the keypoint of the right may be called, for one of the left."""
    found = [name.replace(left, right) for left, right in _WORDS
             if left in name]
    for left, right in _LETTERS:
        found += [re.sub(pattern, right, name) for pattern in (
            rf'^{left}(?=[_A-Z])', rf'{left}$', rf'(?<=_){left}(?=_)',
            rf'(?<=[a-z]){left}(?=\d)')
            if re.search(pattern, name)]
    return found
