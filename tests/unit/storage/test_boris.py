from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.storage import read_boris_csv

HEADER = ('Time,Media file path,Total length,FPS,Subject,Behavior,'
          'Behavioral category,Comment,Status')
ABOUT = ('Observation id,day 1\n\nMedia file(s)\nPlayer #1,a.mp4\n'
         'Independent variables\nvariable,value\n\n')


def write(path, *rows, header=HEADER, about=''):
    """Rows of time, behaviour, status and maybe subject and file."""
    lines = []
    for row in rows:
        time, behavior, status, subject, media, fps = (
            *row, *('', 'a.mp4', '25')[len(row) - 3:])
        lines.append(f'{time},{media},60,{fps},{subject},{behavior},,,'
                     f'{status}')
    path.write_text(about + '\n'.join([header, *lines]) + '\n')
    return path


@pytest.mark.parametrize('about', ['', ABOUT])
def test_starts_and_stops_are_paired(tmp_path, about):
    path = write(
        tmp_path / 'a.csv', (.4, 'groom', 'STOP'), (.08, 'attack', 'START'),
        (0, 'groom', 'START'), (.2, 'sniff', 'POINT'),
        (.16, 'attack', 'STOP'), (.8, 'attack', 'stop'),
        (.72, 'attack', 'START'), about=about)
    found = read_boris_csv(path, 20, 25.)
    assert found.classes == ('attack', 'groom', 'other')
    expected = np.zeros((20, 3))
    expected[2:4, 0] = expected[18:20, 0] = expected[0:10, 1] = 1
    expected[:, 2] = ~expected.any(1)
    np.testing.assert_array_equal(found.labels[..., 0], expected)


def test_subjects_and_files_are_paired_by_themselves(tmp_path):
    path = write(
        tmp_path / 'a.csv', (0, 'chase', 'START', 'm1'),
        (1, 'chase', 'START', 'm2'), (2, 'chase', 'STOP', 'm1'),
        (3, 'chase', 'STOP', 'm2'), (5, 'chase', 'START', 'm1', 'b.mp4'),
        (6, 'chase', 'STOP', 'm1', 'b.mp4'))
    labels = read_boris_csv(path, 8, 1.).labels
    assert labels[:, 0, 0].tolist() == [1, 1, 1, 0, 0, 1, 0, 0]


def test_a_bout_may_start_as_the_last_one_stops(tmp_path):
    path = write(tmp_path / 'a.csv', (0, 'a', 'START'), (2, 'a', 'START'),
                 (2, 'a', 'STOP'), (3, 'a', 'STOP'))
    assert read_boris_csv(path, 4, 1.).labels[:, 0, 0].tolist() == [
        1, 1, 1, 0]


def test_the_rate_is_that_of_the_tracks_then_of_the_table_then_30(tmp_path):
    rows = (0, 'a', 'START'), (1, 'a', 'STOP')

    def count(path, fps=None):
        return read_boris_csv(path, 90, fps).labels[:, 0].sum()

    path = write(tmp_path / 'a.csv', *rows)
    assert count(path, 50.) == 50 and count(path) == 25
    bare = tmp_path / 'b.csv'
    bare.write_text('Time,Media file path,Behavior,Status\n0,a,b,START\n'
                    '1,a,b,STOP\n')
    assert count(bare) == 30
    unknown = write(tmp_path / 'c.csv', *(
        (*row, '', 'a.mp4', 'NA') for row in rows))
    assert count(unknown) == 30


def test_tables_of_boris_8_are_read(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text(
        'Observation id,FPS,Subject,Behavior,Behavior type,Time,'
        'Media file name\nday,10,m1,run,START,0.5,a\nday,10,m1,run,STOP,1,a\n')
    assert read_boris_csv(path, 12).labels[:, 0, 0].tolist() == [
        *[0] * 5, *[1] * 5, 0, 0]


@pytest.mark.parametrize('rows, where', [
    ([(0, 'a', 'STOP')], 'line 2'), ([(0, 'a', 'START')], 'line 2'),
    ([(0, 'a', 'START'), (1, 'a', 'START'), (2, 'a', 'STOP')], 'line 3'),
    ([(1, 'a', 'START'), (1, 'a', 'STOP')], 'line 3'),
    ([(0, 'a', 'START'), (1, 'b', 'STOP')], 'line 2'),
    ([(0, 'a', 'START', 'm1'), (1, 'a', 'STOP', 'm2')], 'line 2'),
    ([(0, 'a', 'PAUSE')], 'line 2, column Status'),
    ([('x', 'a', 'START')], 'line 2, column time'),
    ([(0, '', 'START')], 'line 2, column behavior'),
    ([(90, 'a', 'START'), (95, 'a', 'STOP')], 'events'),
    ([(0, 'a', 'START', '', 'a', '25'), (1, 'a', 'STOP', '', 'a', '30')],
     'line 3, column FPS'),
    ([(0, 'a', 'START', '', 'a', '0'), (1, 'a', 'STOP', '', 'a', '0')],
     'line 2, column FPS')])
def test_damaged_tables_are_refused(tmp_path, refused, rows, where):
    path = write(tmp_path / 'a.csv', *rows)
    with refused(where):
        read_boris_csv(path, 30)


def test_a_table_without_status_is_refused(tmp_path, refused):
    path = write(tmp_path / 'a.csv', header='Time,Media file path,Behavior')
    with refused('header'):
        read_boris_csv(path, 30)
