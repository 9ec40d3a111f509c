from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.storage import DataError
from mmpose_ext.storage.frame_times import frames_of_times

PATH = Path('a.nc')


def read(times, of_variable=None, chosen=False, **of_file):
    frames, fps = frames_of_times(PATH, np.asarray(times), of_variable or {},
                                  of_file, chosen)
    assert frames.dtype == np.int64
    return frames.tolist(), fps


@pytest.mark.parametrize('rate', [1., 12.5, 25., 29.97, 30., 120., 240.,
                                  1000 / 3])
@pytest.mark.parametrize('digits', [3, 6, 12])
@pytest.mark.parametrize('stated', [True, False])
def test_rounded_seconds_are_frames_again(rate, digits, stated):
    frames = np.arange(40, 4000)
    times = np.round(frames / rate, digits)
    found, fps = read(times, time_unit='seconds',
                      **(dict(fps=rate) if stated else {}))
    assert np.diff(found).tolist() == [1] * (len(frames) - 1)
    assert fps == pytest.approx(rate, rel=1e-4)
    if stated:
        assert found == frames.tolist()


def test_a_rate_called_30_may_be_29_97():
    frames, fps = read(np.arange(30000) / 29.97, fps=30.)
    assert frames == list(range(30000)) and fps == 30


def test_whole_numbers_without_a_unit_are_frames():
    assert read([3, 4, 7]) == ([3, 4, 7], None)
    assert read([3., 4., 7.], fps=25) == ([3, 4, 7], 25.)
    assert read([0, 1, 2], of_variable={'units': 'seconds'}) == (
        [0, 1, 2], 1.)
    assert read([0, 1, 2], time_unit='frames', fps=25.) == ([0, 1, 2], 25.)
    assert read([0, 1], fps=np.nan) == ([0, 1], None)


def test_gaps_in_seconds_are_counted():
    assert read([0, .04, .08, .4, .44])[0] == [0, 1, 2, 10, 11]
    # 300 frames by a rate that is a little off
    assert read([0, 1 / 29.97, 2 / 29.97, 302 / 29.97], fps=30.)[0][-1] in (
        302, 303)


def test_chosen_rows_may_step_by_several_frames():
    assert read(np.array([1, 4, 7, 10]) / 30, fps=30., chosen=True) == (
        [1, 4, 7, 10], 30.)
    with pytest.raises(DataError, match='attribute fps'):
        read(np.array([1, 4, 7, 10]) / 30, fps=30.)


@pytest.mark.parametrize('times, attributes', [
    ([0, 2, 1], {}), ([0, 0, 1], {}), ([0., np.inf], {}),
    ([0, .5], dict(time_unit='frames')), ([0, 1e300], {}),
    ([0, 1], dict(time_unit='days')), ([.3], dict(time_unit='seconds')),
    ([0, .04, .08], dict(fps=30.)), ([0, .04, .08], dict(fps=0)),
    ([0, .04, .06, .1, .14, .18], dict(fps=25.)), ([[0, 1]], {}),
    (['a'], {})])
def test_times_that_make_no_sense_are_refused(times, attributes):
    with pytest.raises(DataError) as caught:
        read(times, **attributes)
    assert caught.value.file == 'a.nc'
