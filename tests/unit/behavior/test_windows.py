"""Windows agree with frame by frame cutting, at every speed and border."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.behavior.windows import (
    WindowShape,
    fold_rows,
    gather,
    resample,
    valid_range,
    window_rows,
)

from .stores import make_store

W = 16


@pytest.fixture(scope='module')
def store():
    return make_store((60, 40))


def cut_by_hand(track, frame, size, offset):
    """Frames of a window, zeros outside of the record."""
    window = np.zeros((size, *track.shape[1:]))
    for place, source in enumerate(range(frame - size + 1 + offset,
                                         frame + offset + 1)):
        if 0 <= source < len(track):
            window[place] = track[source]
    return window


def spans(store, record, frames):
    begin = store.starts[record]
    rows = begin + np.array(frames)
    return (rows, np.full(len(rows), begin),
            np.full(len(rows), begin + store.lengths[record]))


@pytest.mark.parametrize('offset', [0, 5, 15])
def test_windows_are_those_cut_by_hand(store, offset):
    shape = WindowShape(W, offset, 'zero')
    for record in (0, 1):
        track = store.record(record)
        frames = list(range(len(track)))
        rows = window_rows(*spans(store, record, frames), shape)
        windows = gather(store.tracks, rows, zero_padding=True)
        for frame in frames:
            np.testing.assert_array_equal(
                windows[frame], cut_by_hand(track, frame, W, offset))
            np.testing.assert_array_equal(windows[frame, shape.token],
                                          track[frame])


@pytest.mark.parametrize('offset', [0, 5, 15])
@pytest.mark.parametrize('factor', [1, .5, .833, 1.37, 1.5])
def test_resampled_windows_are_those_interpolated_by_hand(store, offset,
                                                          factor):
    shape = WindowShape(W, offset, 'zero')
    track = store.record(1).astype(np.float64)
    frames = [0, 3, 17, 36, 39]
    windows = resample(store.tracks, *spans(store, 1, frames),
                       np.full(5, float(factor)), shape)
    size, after = int(np.rint(factor * W)), int(np.rint(factor * offset))
    for window, frame in zip(windows, frames, strict=True):
        source = cut_by_hand(track, frame, size, after).reshape(size, -1)
        wanted = np.stack([
            np.interp(np.linspace(0, size - 1, W), np.arange(size), column)
            for column in source.T], 1).reshape(window.shape)
        np.testing.assert_allclose(window, wanted, atol=1e-7)


def test_padding_is_missing_edge_or_mirrored(store):
    rows, begins, ends = spans(store, 1, [2])
    found = {}
    for padding in ('missing', 'edge', 'reflect'):
        found[padding] = gather(store.tracks, window_rows(
            rows, begins, ends, WindowShape(8, 0, padding)))[0]
    track = store.record(1)
    assert np.isnan(found['missing'][:5]).all()
    np.testing.assert_array_equal(found['edge'][:5],
                                  np.repeat(track[:1], 5, 0))
    np.testing.assert_array_equal(found['reflect'][:5], track[5:0:-1])
    for window in found.values():
        np.testing.assert_array_equal(window[5:], track[:3])


def test_reflection_goes_to_and_fro_in_short_records():
    rows = fold_rows(np.arange(-5, 6)[None] + 10, np.array([10]),
                     np.array([13]), 'reflect')
    assert (rows[0] - 10).tolist() == [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1]


def test_valid_range_counts_the_frames_of_the_record(store):
    rows, begins, ends = spans(store, 1, [0, 10, 39])
    shape = WindowShape(W, 5, 'zero')
    limits = valid_range(rows, begins, ends, shape)
    inside = window_rows(rows, begins, ends, shape) >= 0
    for (first, last), row in zip(limits, inside, strict=True):
        np.testing.assert_array_equal(np.flatnonzero(row),
                                      np.arange(first, last))


def test_sources_say_whose_track_is_shown(store):
    rows = window_rows(*spans(store, 0, [30]), WindowShape(W))
    plain = gather(store.tracks, rows)
    swapped = gather(store.tracks, rows, np.array([1, 0])[None, None])
    np.testing.assert_array_equal(swapped, plain[:, :, ::-1])


@pytest.mark.parametrize('settings', [
    dict(size=1), dict(offset=200), dict(offset=-1), dict(padding='wrap')])
def test_impossible_shapes_are_refused(settings):
    with pytest.raises(ValueError, match='expected'):
        WindowShape(**settings)


def test_a_window_of_one_frame_is_refused():
    with pytest.raises(ValueError, match='2 or more frames'):
        WindowShape(W).resampled(.05)
