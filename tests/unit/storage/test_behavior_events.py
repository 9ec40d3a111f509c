from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.storage import (
    BehaviorEvent,
    DataError,
    FrameLabels,
    events_of_labels,
    read_event_csv,
    write_event_csv,
)

HEADER = 'behavior,start_time,end_time'


def write(path, *rows, header=HEADER):
    path.write_text('\n'.join([header, *rows]) + '\n', encoding='utf-8')
    return path


def test_events_become_frames(tmp_path):
    """Each frame asked by itself whether an event covers it."""
    rng = np.random.default_rng(1)
    events = [(name, start, start + rng.uniform(.01, 1))
              for name in ('mount', 'attack', 'chase')
              for start in rng.uniform(-1, 6, 8).tolist()]
    path = write(tmp_path / 'a.csv', *(f'{name},{start!r},{end!r}'
                                       for name, start, end in events))
    fps, frames = 29.97, 150
    found = read_event_csv(path, frames, fps)
    assert found.classes == ('attack', 'chase', 'mount', 'other')
    assert found.labels.shape == (frames, 4, 1)
    for frame in range(frames):
        going = {name for name, start, end in events
                 if math.floor(start * fps) <= frame < math.ceil(end * fps)}
        expected = [name in going for name in found.classes[:3]]
        assert found.labels[frame, :, 0].tolist() == [*expected, not going]


def test_fractions_of_frames_count_and_the_end_does_not(tmp_path):
    path = write(tmp_path / 'a.csv', 'a,0.05,0.2', 'b,0.1,0.15', 'a,0.9,99')
    found = read_event_csv(path, 10, 10.)
    assert found.labels[:, 0, 0].tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert found.labels[:, 1, 0].tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert found.labels[:, 2, 0].tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 1, 0]
    assert read_event_csv(path, 10).labels[:, 0, 0].tolist() == [
        0, *[1] * 5, 0, 0, 0, 0]  # 30 frames a second where none is known
    later = read_event_csv(path, 9, 10., first_frame=1)
    np.testing.assert_array_equal(later.labels, found.labels[1:])


def test_annotators_have_labels_of_their_own(tmp_path):
    path = write(tmp_path / 'a.csv', 'a,0,1,mia', 'b,1,2,leo',
                 header=f'{HEADER},annotator')
    found = read_event_csv(path, 3, 1.)
    assert found.annotators == ('leo', 'mia')
    assert found.labels[..., 0].tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 1]]
    assert found.labels[..., 1].tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]


def test_other_is_named_by_nobody_or_everybody(tmp_path):
    found = read_event_csv(write(tmp_path / 'a.csv', 'other,0,1', 'a,0,2'),
                           4, 1.)
    assert found.classes == ('a', 'other')
    assert found.labels[:, 1, 0].tolist() == [0, 0, 1, 1]
    nothing = read_event_csv(write(tmp_path / 'b.csv'), 4, 1.)
    assert nothing.classes == ('other', ) and nothing.labels.all()


@pytest.mark.parametrize('rows, where', [
    (['a,2,1'], 'line 2, column end_time'),
    (['a,0,1', '', 'a,2,2'], 'line 4, column end_time'),
    (['a,x,1'], 'line 2, column start_time'),
    (['a,0,nan'], 'line 2, column end_time'),
    ([',0,1'], 'line 2, column behavior'), (['a,0'], 'line 2'),
    (['a,100,200'], 'events'), (['a,0,1', 'A,1,2'], 'behavior'),
    (['Other,0,1'], 'behavior')])
def test_damaged_tables_are_refused(tmp_path, refused, rows, where):
    path = write(tmp_path / 'a.csv', *rows)
    with refused(where):
        read_event_csv(path, 10, 1.)


def test_a_table_of_something_else_is_refused(tmp_path, refused):
    path = write(tmp_path / 'a.csv', 'a,0,1', header='what,from,to')
    with refused('header'):
        read_event_csv(path, 10)
    path = write(tmp_path / 'b.csv', 'a,0,1,', header=f'{HEADER},annotator')
    with refused('line 2, column annotator'):
        read_event_csv(path, 10)


@pytest.mark.parametrize('fps', [7., 25., 29.97, 30., 120., 1000 / 3])
def test_labels_written_as_events_come_back(tmp_path, fps):
    rng = np.random.default_rng(0)
    labels = (rng.uniform(size=(4000, 3, 2)) < .3).astype('u1')
    labels[..., 2, :] = ~labels[:, :2].any(1)
    events = events_of_labels(labels, ('bite', 'fight', 'other'), fps,
                              ('mia', 'zoe'))
    path = tmp_path / 'a.csv'
    write_event_csv(path, events)
    found = read_event_csv(path, 4000, fps)
    assert found.classes == ('bite', 'fight', 'other')
    assert found.annotators == ('mia', 'zoe')
    np.testing.assert_array_equal(found.labels, labels)


def test_labels_of_one_annotator_need_no_name(tmp_path):
    labels = np.array([[1, 0], [1, 0], [0, 1]])
    events = events_of_labels(labels, ('a', 'other'), 10.)
    assert events == [BehaviorEvent('a', .025, .175)]
    write_event_csv(tmp_path / 'a.csv', events)
    assert (tmp_path / 'a.csv').read_text() == (
        f'{HEADER}\na,0.025000,0.175000\n')


@pytest.mark.parametrize('events', [
    [('a', 1, 1)], [('a', 0, 1), ('a', 1, math.inf)], [(' ', 0, 1)],
    [('a', 0, 1, 'mia'), ('a', 1, 2)]])
def test_senseless_events_are_not_written(tmp_path, events):
    with pytest.raises(DataError):
        write_event_csv(tmp_path / 'a.csv', events)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('change, where', [
    (dict(classes=('a', 'a')), 'classes'), (dict(classes=()), 'classes'),
    (dict(classes=('a', ' ')), 'classes'),
    (dict(annotators=()), 'annotators'),
    (dict(labels=np.zeros((3, 2), 'u1')), 'labels'),
    (dict(labels=np.zeros((3, 3, 1), 'u1')), 'labels'),
    (dict(labels=np.zeros((3, 2, 1))), 'labels'),
    (dict(labels=np.zeros((0, 2, 1), 'u1')), 'labels'),
    (dict(labels=np.full((3, 2, 1), 2, 'u1')), "frame 0, 'a'")])
def test_labels_that_do_not_fit_are_refused(change, where):
    parts = dict(source=Path('a.csv'), classes=('a', 'b'),
                 labels=np.zeros((3, 2, 1), 'u1'), annotators=('mia', ))
    assert len(FrameLabels(**parts)) == 3
    with pytest.raises(DataError) as caught:
        FrameLabels(**{**parts, **change})
    assert caught.value.where == where
