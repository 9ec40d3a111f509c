"""Choosing, ordering and renaming individuals, axes and keypoints."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.storage import DataError, PoseTracks, close_matches

# in the order in which the fields of a text stand
FIELDS = ('individuals', 'axes', 'keypoints')
GRAMMAR = 'INDIVIDUALS;AXES;KEYPOINTS'

Array = np.ndarray

Selection = tuple[tuple[str, tuple[str, ...]], ...]
Renaming = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True, eq=False)
class ChosenTracks:
    """What was chosen of tracks, under the names and in the order wanted.

    Attributes:
        source: The file that was read.
        individuals: N names.
        keypoints: K names.
        axes: S names; other than in a file, in any order.
        position: (T, N, K, S) float32.
        confidence: (T, N, K) float32, or None.
        fps: Frames per second, None = unknown.
        image_size: Size of the picture along each axis, None = unknown.
    """

    source: Path
    individuals: tuple[str, ...]
    keypoints: tuple[str, ...]
    axes: tuple[str, ...]
    position: Array
    confidence: Array | None
    fps: float | None
    image_size: tuple[float, ...] | None


def parse_selection(select: str | Mapping[str, Any] | Selection) -> Selection:
    """Read what to select.

    Args:
        select (str | Mapping): 'INDIVIDUALS;AXES;KEYPOINTS', each a comma
            list or ``*`` or nothing for all, such as 'resident,intruder;*;
            nose,neck'; or ``dict(individuals=[...], axes=[...],
            keypoints=[...])``, where what is left out stays. '' selects
            everything.

    Returns:
        tuple: Pairs of a field and its names in the order wanted.

    Raises:
        ValueError: If there are not three fields, a field is unknown, or a
            name comes twice.
    """
    if isinstance(select, tuple):
        return select
    chosen = {}
    for field, part in _split_fields(select, 'select').items():
        names = tuple(_names(part, f'select.{field}'))
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'select.{field}: expected each name once, '
                                 f'found {name!r} twice')
        if field == 'axes' and len(names) == 1 and names != ('*', ):
            raise ValueError('select.axes: expected two or three, found '
                             f'{names[0]!r} alone')
        if names and names != ('*', ):
            if '*' in names:
                raise ValueError(f"select.{field}: expected names or '*', "
                                 f'found both in {", ".join(names)}')
            chosen[field] = names
    return tuple(chosen.items())


def parse_renaming(rename: str | Mapping[str, Any] | Renaming) -> Renaming:
    """Read what to rename.

    Args:
        rename (str | Mapping): 'OLD:NEW,...;...;...' in the order
            individuals, axes, keypoints, with ``*`` for a field that stays;
            or ``dict(individuals=dict(OLD='NEW'), ...)``. '' renames nothing.

    Returns:
        tuple: Pairs of a field and its pairs (old, new).

    Raises:
        ValueError: If it cannot be read or an old name comes twice.
    """
    if isinstance(rename, tuple):
        return rename
    chosen = {}
    for field, part in _split_fields(rename, 'rename').items():
        if isinstance(part, Mapping):
            pairs = [(str(old), str(new)) for old, new in part.items()]
        else:
            names = _names(part, f'rename.{field}')
            if not names:
                raise ValueError(f"rename.{field}: expected OLD:NEW or '*', "
                                 'found nothing')
            if names == ['*']:
                continue
            pairs = [_pair(name, field) for name in names]
        for old, new in pairs:
            if not old or not new:
                raise ValueError(f'rename.{field}: expected OLD:NEW, found '
                                 f'{old}:{new}')
            if [other for other, _ in pairs].count(old) > 1:
                raise ValueError(f'rename.{field}: expected each name once, '
                                 f'found {old!r} twice')
        chosen[field] = tuple(pairs)
    return tuple(chosen.items())


def select_tracks(tracks: PoseTracks, selection: Selection) -> ChosenTracks:
    """Keep what is selected, in the order in which it is named.

    Args:
        tracks (PoseTracks): Of one record.
        selection (tuple): From :func:`parse_selection`.

    Raises:
        DataError: If a name is not there; close ones are named.
    """
    chosen = ChosenTracks(
        tracks.source, tracks.individuals, tracks.keypoints, tracks.axes,
        tracks.position, tracks.confidence, tracks.fps, tracks.image_size)
    for field, names in selection:
        present = getattr(chosen, field)
        _check_known(chosen, f'select.{field}', names, present)
        places = [present.index(name) for name in names]
        axis = dict(individuals=1, keypoints=2, axes=3)[field]
        changed: dict[str, Any] = {field: names}
        if places != list(range(len(present))):
            changed['position'] = np.take(chosen.position, places, axis)
        if field != 'axes' and chosen.confidence is not None:
            changed['confidence'] = np.take(chosen.confidence, places, axis)
        if field == 'axes' and chosen.image_size is not None:
            changed['image_size'] = tuple(
                chosen.image_size[i] for i in places)
        chosen = replace(chosen, **changed)
    return chosen


def rename_tracks(tracks: ChosenTracks, renaming: Renaming) -> ChosenTracks:
    """Give names of one's own to individuals, axes and keypoints.

    Args:
        tracks (ChosenTracks): From :func:`select_tracks`.
        renaming (tuple): From :func:`parse_renaming`.

    Raises:
        DataError: If an old name is not there, or two would have one name.
    """
    changed: dict[str, Any] = {}
    for field, pairs in renaming:
        present = getattr(tracks, field)
        names = dict(pairs)
        _check_known(tracks, f'rename.{field}', list(names), present)
        renamed = tuple(names.get(name, name) for name in present)
        for old, new in pairs:
            if renamed.count(new) > 1:
                raise DataError(
                    tracks.source, f'rename.{field}',
                    'a name that nothing else has',
                    f'{old}:{new}, and another {new!r}',
                    'rename the other one too, or leave it out by select')
        changed[field] = renamed
    return replace(tracks, **changed) if changed else tracks


def _split_fields(text: str | Sequence[str] | Mapping[str, Any],
                  option: str) -> dict[str, Any]:
    """The parts of an option by field."""
    if isinstance(text, Mapping):
        for field in text:
            if field not in FIELDS:
                near = close_matches(str(field), FIELDS)
                raise ValueError(
                    f'{option}: expected the keys {", ".join(FIELDS)}, found '
                    f'{field!r}' + (f'; {near}' if near else ''))
        return dict(text)
    if not isinstance(text, str):  # what --cfg-options makes of it
        text = ','.join(text)
    if not text.strip():
        return {}
    parts = text.split(';')
    if len(parts) != len(FIELDS):
        raise ValueError(f'{option}: expected {GRAMMAR!r}, three fields, '
                         f'found {len(parts)} in {text!r}')
    return dict(zip(FIELDS, (part.strip() for part in parts), strict=True))


def _names(part: str | Sequence[str], option: str) -> list[str]:
    if isinstance(part, str):
        return [name.strip() for name in part.split(',') if name.strip()]
    if not isinstance(part, (list, tuple)) or not all(
            isinstance(name, str) for name in part):
        raise ValueError(f'{option}: expected names, found {part!r}')
    return list(part)


def _pair(text: str, field: str) -> tuple[str, str]:
    parts = [part.strip() for part in text.split(':')]
    if len(parts) != 2:
        raise ValueError(f'rename.{field}: expected OLD:NEW, found {text!r}')
    return parts[0], parts[1]


def _check_known(tracks: ChosenTracks, where: str, names: Sequence[str],
                 present: Sequence[str]) -> None:
    for name in names:
        if name not in present:
            raise DataError(
                tracks.source, where, f'one of {", ".join(present)}',
                repr(name), close_matches(name, present))
