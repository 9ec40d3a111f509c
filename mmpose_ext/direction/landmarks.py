"""Base, neck and head among the points that other programs name."""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from mmpose_ext.direction.angles import POINTS
from mmpose_ext.storage import DataError, PointTracks

Array = np.ndarray
Parts = tuple[str, ...]

# Usual names, without case and separators; the first that is there counts.
# Several names stand for the mean of their points.
ALIASES: Mapping[str, tuple[Parts, ...]] = {
    'base': (('tailbase', ), ('basetail', ), ('baseoftail', ), ('tailroot', ),
             ('rootoftail', ), ('tailstart', ), ('tailset', ), ('tti', ),
             ('tail0', ), ('base', ), ('rump', )),
    'neck': (('neck', ), ('nape', ), ('neckbase', ), ('baseofneck', ),
             ('headbase', ), ('leftear', 'rightear'), ('earleft', 'earright'),
             ('earl', 'earr'), ('lear', 'rear'),
             ('leftearbase', 'rightearbase'), ('lefteartip', 'righteartip')),
    'head': (('snout', ), ('nose', ), ('nosetip', ), ('snouttip', ),
             ('tipofnose', ), ('snoutnose', ), ('head', )),
}

LEG_JOINTS = ('elbow', 'knee', 'hock', 'fetlock', 'hoof')


def match_landmarks(tracks: PointTracks,
                    given: Mapping[str, str | None]) -> dict[str, Parts]:
    """Find the points that base, neck and head are made of.

    Args:
        tracks (PointTracks): Whose names are searched.
        given (dict[str, str | None]): A landmark to the user's choice, a name
            or several joined by ``+``; None to go by the usual names.

    Returns:
        dict[str, tuple[str, ...]]: Each landmark to names of `tracks`.

    Raises:
        DataError: If nothing fits, or one point would serve twice.
    """
    return _check_distinct(tracks, {
        landmark: _match_given(tracks, landmark, str(given[landmark]))
        if given.get(landmark) else _match_usual(tracks, landmark)
        for landmark in POINTS
    })


def has_landmarks(names: Sequence[str]) -> bool:
    """Whether base, neck and head are among the names of a small animal.

    Joints of long legs are those of an animal seen from the side.
    """
    plain = [_plain(name) for name in names]
    return not any(joint in name for name in plain for joint in LEG_JOINTS
                   ) and all(
        any(set(parts) <= set(plain) for parts in ALIASES[landmark])
        for landmark in POINTS)


def landmark_points(tracks: PointTracks,
                    parts: Mapping[str, Parts]) -> Array:
    """Base, neck and head of one individual: (T, 3, 2) px, NaN missing.

    A mean of several points is missing if one of them is.
    """
    return np.stack([
        np.mean([tracks.point(name)[:, 0] for name in parts[landmark]], 0)
        for landmark in POINTS
    ], 1)


def _match_given(tracks: PointTracks, landmark: str, text: str) -> Parts:
    names = []
    for part in text.split('+'):
        same = [name for name in tracks.names if name == part.strip()] or [
            name for name in tracks.names if _plain(name) == _plain(part)]
        if len(same) != 1:
            raise DataError(tracks.source, f'--{landmark} {text}',
                            'names of points, joined by +',
                            repr(part.strip()), _available(tracks))
        names.append(same[0])
    return tuple(names)


def _match_usual(tracks: PointTracks, landmark: str) -> Parts:
    plain = {_plain(name): name for name in tracks.names}
    for parts in ALIASES[landmark]:
        if all(part in plain for part in parts):
            return tuple(plain[part] for part in parts)
    usual = ', '.join('+'.join(parts) for parts in ALIASES[landmark])
    raise DataError(
        tracks.source, f'point for {landmark}', f'one of {usual}',
        'none of them',
        f'{_available(tracks)}; choose by --{landmark} NAME or NAME+NAME')


def _check_distinct(tracks: PointTracks,
                    parts: dict[str, Parts]) -> dict[str, Parts]:
    for one, other in (('base', 'neck'), ('neck', 'head'), ('base', 'head')):
        if set(parts[one]) == set(parts[other]):
            raise DataError(tracks.source, f'points for {one} and {other}',
                            'different points', '+'.join(parts[one]),
                            _available(tracks))
    return parts


def _available(tracks: PointTracks) -> str:
    return f'the points are {", ".join(tracks.names)}'


def _plain(name: str) -> str:
    return re.sub('[^a-z0-9]', '', name.lower())
