from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.storage import (
    DataError,
    PointTracks,
    PoseTracks,
    VideoWriter,
    fill_gaps,
    join_individuals,
    tracks_of_points,
)


def make_tracks(name='a.nc', individuals=('a', 'b'), frames=(0, 1, 2, 5),
                **change):
    frames = np.array(frames, np.int64)
    shape = (len(frames), len(individuals), 3, 2)
    position = np.arange(np.prod(shape), dtype='f4').reshape(shape)
    position[1, 0, 2] = np.nan
    parts = dict(
        source=Path('record', name), individuals=individuals,
        keypoints=('nose', 'ear', 'tail'), axes=('x', 'y'),
        position=position, confidence=np.full(shape[:3], .5, 'f4'),
        frames=frames, fps=25., image_size=(64., 48.), attributes={})
    return PoseTracks(**{**parts, **change})


def make_points(frames=(0, 1, 4), video=None, sessions=None):
    points = np.arange(len(frames) * 8, dtype=float).reshape(-1, 2, 2, 2)
    points[1, 0, 1] = np.nan
    return PointTracks(
        ('nose', 'tail'), ('a', 'b'), points,
        np.where(np.isnan(points[..., 0]), np.nan, .5),
        np.array(frames, np.int64), None, video,
        sessions or ('s', ) * len(frames), Path('clip.slp'))


def with_value(value, *place, part='position'):
    def change(tracks):
        array = getattr(tracks, part).copy()
        array[place] = value
        return {part: array}
    return change


def test_length_time_and_missing_share():
    tracks = make_tracks()
    assert len(tracks) == 4
    assert tracks.time.tolist() == [0, .04, .08, .2]
    assert replace(tracks, fps=None).time.tolist() == [0, 1, 2, 5]
    assert tracks.missing_share == 1 / 24


@pytest.mark.parametrize(('change', 'where'), [
    (lambda t: {'individuals': ()}, 'individuals'),
    (lambda t: {'individuals': ('a', 'a')}, 'individuals'),
    (lambda t: {'keypoints': ('nose', '', 'tail')}, 'keypoints'),
    (lambda t: {'keypoints': ('nose', 'tail')}, 'position'),
    (lambda t: {'axes': ('y', 'x')}, 'axes'),
    (lambda t: {'axes': ('x', 'y', 'z')}, 'position'),
    (lambda t: {'position': t.position.astype('f8')}, 'position'),
    (lambda t: {'position': t.position[:3]}, 'frames'),
    (lambda t: {'position': t.position[:0], 'frames': t.frames[:0],
                'confidence': None}, 'time'),
    (lambda t: {'frames': t.frames[::-1]}, 'row 1'),
    (lambda t: {'frames': np.array([0, 1, 1, 2])}, 'row 2'),
    (lambda t: {'confidence': t.confidence[:, :1]}, 'confidence'),
    (lambda t: {'fps': 0.}, 'fps'),
    (lambda t: {'fps': np.nan}, 'fps'),
    (lambda t: {'image_size': (64., )}, 'image size'),
    (lambda t: {'image_size': (64., -1.)}, 'image size'),
    (with_value(np.nan, 3, 1, 0, 1), "frame 5, 'b', 'nose'"),
    (with_value(np.inf, 2, 0, 1, 0), "frame 2, 'a', 'ear'"),
    (with_value(np.inf, 2, 0, 1, part='confidence'), "frame 2, 'a', 'ear'"),
])
def test_parts_that_do_not_fit_are_refused(change, where):
    tracks = make_tracks()
    with pytest.raises(DataError) as caught:
        replace(tracks, **change(tracks))
    assert caught.value.where == where
    assert caught.value.file == str(tracks.source)


def test_gaps_are_filled_with_missing_rows():
    tracks = make_tracks()
    full = fill_gaps(tracks)
    assert full.frames.tolist() == list(range(6))
    np.testing.assert_array_equal(full.position[tracks.frames],
                                  tracks.position)
    assert np.isnan(full.position[3:5]).all()
    assert np.isnan(full.confidence[3:5]).all()
    assert fill_gaps(full) is full


def test_a_long_gap_is_refused():
    tracks = make_tracks(frames=(0, 1, 2, 10**12))
    with pytest.raises(DataError) as caught:
        fill_gaps(tracks)
    assert caught.value.where == 'frame 2'


def test_rows_of_points_lie_at_their_frames():
    points = make_points()
    tracks = tracks_of_points(points)
    assert tracks.frames.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(tracks.position[[0, 1, 4]], points.points)
    assert np.isnan(tracks.position[2:4]).all()
    np.testing.assert_array_equal(tracks.confidence[[0, 1, 4]],
                                  points.scores.astype('f4'))
    assert tracks.fps is None and tracks.image_size is None
    assert tracks.keypoints == ('nose', 'tail')


def write_video(path, frames):
    with VideoWriter(path, 20., (64, 48)) as video:
        for _ in range(frames):
            video.write(np.zeros((48, 64), np.uint8))
    return path


def test_rate_and_size_come_from_the_video(tmp_path):
    video = write_video(tmp_path / 'v.mp4', 6)
    for tracks in (tracks_of_points(make_points(video=video)),
                   tracks_of_points(make_points(), video)):
        assert tracks.fps == 20 and tracks.image_size == (64, 48)
    # what the file names need not be on the disk, what is asked for must
    assert tracks_of_points(make_points(video=tmp_path / 'no.mp4')
                            ).fps is None
    with pytest.raises(DataError, match='no.mp4'):
        tracks_of_points(make_points(), tmp_path / 'no.mp4')
    with pytest.raises(DataError, match='another video'):
        tracks_of_points(make_points((0, 1, 7)), video)


@pytest.mark.parametrize('points, where', [
    (make_points(sessions=('s', 's', 't')), 'videos'),
    (make_points(frames=(0, 1, 10**12)), f'frame {10**12}'),
    (make_points(frames=(-1, 0, 1)), 'frame 1')])
def test_labels_that_are_no_tracks_are_refused(points, where):
    with pytest.raises(DataError) as caught:
        tracks_of_points(points)
    assert caught.value.where == where


def test_files_of_one_record_are_joined():
    first = make_tracks(fps=None)
    second = make_tracks('b.nc', ('c', ), image_size=None)
    joined = join_individuals([first, second])
    assert joined.individuals == ('a', 'b', 'c')
    assert joined.source == Path('record') and joined.fps == 25
    assert joined.image_size == (64, 48)
    np.testing.assert_array_equal(joined.position[:, :2], first.position)
    np.testing.assert_array_equal(joined.position[:, 2:], second.position)
    assert joined.confidence.shape == (4, 3, 3)
    assert join_individuals([first]) is first
    assert join_individuals([first, replace(second, confidence=None)]
                            ).confidence is None


@pytest.mark.parametrize('change, where', [
    (dict(individuals=('b', )), 'individuals'),
    (dict(keypoints=('nose', 'tail', 'ear')), 'keypoints'),
    (dict(fps=30.), 'fps'), (dict(image_size=(64., 64.)), 'image size'),
    (dict(frames=(0, 1, 2, 4)), 'frames'), (dict(frames=(0, 1, 2)), 'frames')])
def test_files_that_do_not_belong_together_are_refused(change, where):
    second = make_tracks('b.nc', **{'individuals': ('c', ), **change})
    with pytest.raises(DataError) as caught:
        join_individuals([make_tracks(), second])
    assert caught.value.where == where
    assert caught.value.file == str(Path('record', 'b.nc'))
