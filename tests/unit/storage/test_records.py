from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.storage import DataError, PointTracks


@pytest.fixture
def tracks():
    points = np.arange(3 * 2 * 2 * 2, dtype=float).reshape(3, 2, 2, 2)
    points[1, 0, 1] = np.nan
    scores = np.where(np.isnan(points[..., 0]), np.nan, 0.5)
    return PointTracks(('nose', 'tail'), ('a', 'b'), points, scores,
                       np.array([3, 5, 9]), None, Path('v.mp4'),
                       ('s', 's', 't'), Path('labels.csv'))


def test_selects_individual_and_point(tracks):
    one = tracks.select_individual('b')
    assert one.individuals == ('b', )
    assert np.array_equal(one.points, tracks.points[:, 1:])
    assert np.array_equal(one.scores, tracks.scores[:, 1:])
    assert one.select_individual() is one
    assert one.sessions == tracks.sessions
    assert np.array_equal(tracks.point('tail'),
                          tracks.points[:, :, 1], equal_nan=True)


def test_ambiguous_or_unknown_choice_is_refused(tracks):
    with pytest.raises(DataError, match='expected one individual, found a, b'):
        tracks.select_individual()
    with pytest.raises(DataError, match="key 'c'"):
        tracks.select_individual('c')
    with pytest.raises(DataError, match="'nose' looks like 'nos'"):
        tracks.point('nos')


def with_value(tracks, part, index, value):
    array = getattr(tracks, part).copy()
    array[index] = value
    return {part: array}


@pytest.mark.parametrize(('change', 'where'), [
    (lambda t: {'names': ('nose', 'nose')}, 'names'),
    (lambda t: {'individuals': ('a', 'b', 'c')}, 'points'),
    (lambda t: {'points': t.points.astype('f4')}, 'points'),
    (lambda t: {'scores': t.scores[:1]}, 'scores'),
    (lambda t: {'frames': t.frames.astype('i4')}, 'frames'),
    (lambda t: {'sessions': ('s', )}, 'sessions'),
    (lambda t: {'images': (Path('a.png'), )}, 'images'),
    (lambda t: with_value(t, 'points', (2, 1, 0, 1), np.inf),
     "frame 9, 'b', 'nose'"),
    (lambda t: with_value(t, 'points', (0, 0, 1, 0), np.nan),
     "frame 3, 'a', 'tail'"),
    (lambda t: with_value(t, 'scores', (0, 0, 0), np.nan),
     "frame 3, 'a', 'nose'"),
    (lambda t: with_value(t, 'scores', (1, 0, 1), 1.0),
     "frame 5, 'a', 'tail'"),
    (lambda t: with_value(t, 'scores', (0, 0, 0), 1.5),
     "frame 3, 'a', 'nose'"),
])
def test_parts_that_do_not_fit_are_refused(tracks, change, where):
    with pytest.raises(DataError) as caught:
        replace(tracks, **change(tracks))
    assert caught.value.where == where
    assert caught.value.file == 'labels.csv'
