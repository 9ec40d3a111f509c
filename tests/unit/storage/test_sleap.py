from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from mmpose_ext.storage import read_sleap_analysis, read_slp

NAN = np.nan
FRAMES = [('frame_id', 'u8'), ('video', 'u4'), ('frame_idx', 'u8'),
          ('instance_id_start', 'u8'), ('instance_id_end', 'u8')]
INSTANCES = [('instance_id', 'i8'), ('instance_type', 'u1'),
             ('frame_id', 'u8'), ('skeleton', 'u4'), ('track', 'i4'),
             ('from_predicted', 'i8'), ('score', 'f4'),
             ('point_id_start', 'u8'), ('point_id_end', 'u8')]
POINTS = [('x', 'f8'), ('y', 'f8'), ('visible', '?'), ('complete', '?')]
# Nodes of the skeleton are numbers in the file's list: tail, nose.
METADATA = {
    'skeletons': [{'nodes': [{'id': 1}, {'id': 0}]}],
    'nodes': [{'name': 'nose'}, {'name': 'tail'}],
}


def content():
    """Frame 7: predicted a and b; frame 3: a by hand over predicted a."""
    return {
        'frames': np.array([(0, 0, 7, 0, 2), (1, 0, 3, 2, 4)], FRAMES),
        'instances': np.array([
            (0, 1, 0, 0, 0, -1, 0.9, 0, 2),
            (1, 1, 0, 0, 1, -1, 0.9, 2, 4),
            (2, 1, 1, 0, 0, -1, 0.9, 4, 6),
            (3, 0, 1, 0, 0, 2, NAN, 0, 2),
        ], INSTANCES),
        'points': np.array([(31, 32, True, True), (33, 34, False, True)],
                           POINTS),
        'pred_points': np.array([
            (1, 2, True, True, 0.5), (3, 4, True, True, 1.02),
            (5, 6, True, True, 0.25), (NAN, NAN, True, True, 0.0),
            (7, 8, True, True, 0.5), (9, 9, True, True, 0.5),
        ], [*POINTS, ('score', 'f8')]),
        'tracks_json': np.bytes_(['[0, "a"]', '[0, "b"]', '[0, "unused"]']),
        'videos_json': np.bytes_(
            ['{"backend": {"filename": "C:\\\\data\\\\clip.mp4"}}']),
    }


def write(path, arrays, metadata=METADATA, format_id=1.2):
    with h5py.File(path, 'w') as file:
        for key, value in arrays.items():
            file[key] = value
        group = file.create_group('metadata')
        group.attrs['format_id'] = format_id
        group.attrs['json'] = np.bytes_(
            metadata if isinstance(metadata, str) else json.dumps(metadata))
    return path


def test_hand_labels_take_precedence(tmp_path):
    tracks = read_slp(write(tmp_path / 'a.slp', content()))
    assert tracks.names == ('tail', 'nose')
    assert tracks.individuals == ('a', 'b')
    assert tracks.frames.tolist() == [3, 7]
    none = [NAN, NAN]
    assert np.array_equal(
        tracks.points, [[[[31, 32], none], [none, none]],
                        [[[1, 2], [3, 4]], [[5, 6], none]]], equal_nan=True)
    assert np.array_equal(
        tracks.scores, [[[1, NAN], [NAN, NAN]], [[0.5, 1], [0.25, NAN]]],
        equal_nan=True)
    assert tracks.video == tmp_path / 'clip.mp4'
    assert tracks.sessions == ('clip', 'clip')


def test_old_files_are_shifted_to_pixel_centres(tmp_path):
    new = read_slp(write(tmp_path / 'a.slp', content()))
    old = read_slp(write(tmp_path / 'b.slp', content(), format_id=1.0))
    assert np.array_equal(old.points, new.points - 0.5, equal_nan=True)
    same = read_slp(write(tmp_path / 'c.slp', content(), format_id=1.1))
    assert np.array_equal(same.points, new.points, equal_nan=True)


def test_instances_without_tracks_are_numbered(tmp_path):
    arrays = content()
    arrays['instances']['track'] = -1
    arrays['tracks_json'] = np.zeros(0, 'f8')  # as SLEAP writes none
    tracks = read_slp(write(tmp_path / 'a.slp', arrays))
    assert tracks.individuals == ('instance_0', 'instance_1')
    assert tracks.points[:, 0, 0].tolist() == [[31, 32], [1, 2]]
    assert np.isnan(tracks.points[0, 1]).all()  # made from, so replaced


def test_videos_become_sessions(tmp_path):
    arrays = content()
    arrays['frames']['video'] = [1, 0]
    arrays['videos_json'] = np.bytes_([
        '{"backend": {"filename": "a/one.mp4"}}', '{"filename": "two.mp4"}'])
    tracks = read_slp(write(tmp_path / 'a.slp', arrays))
    assert tracks.sessions == ('one', 'two')
    assert tracks.video is None
    assert tracks.frames.tolist() == [3, 7]


def test_real_labels(real_data):
    folder = real_data / 'two_animals'
    tracks = read_slp(folder / 'clip.slp')
    assert tracks.points.shape == (1500, 2, 13, 2)
    assert tracks.individuals == ('female', 'male')
    assert tracks.names[:4] == ('head', 'thorax', 'abdomen', 'wingL')
    assert tracks.video == folder / 'clip.mp4'
    # As sleap-io 0.9 reads it.
    assert tracks.points[0, 1, 0].tolist() == [335.25, 444.75]
    assert np.array_equal(tracks.frames, np.arange(1500))
    with h5py.File(folder / 'clip.slp') as file:
        assert np.nansum(tracks.points[..., 0]) == pytest.approx(
            np.nansum(file['points']['x'][file['points']['visible']]))


def change(key, field, row, value):

    def damage(arrays):
        arrays[key][field][row] = value

    return damage


def drop(key):
    return lambda arrays: arrays.pop(key)


def put(key, value):
    return lambda arrays: arrays.__setitem__(key, value)


@pytest.mark.parametrize(('damage', 'where'), [
    *((drop(key), f"key '{key}'") for key in content()),
    (put('frames', np.zeros(3)), "key 'frames'"),
    (put('points', np.zeros(3, [('x', 'f8')])), "key 'points'"),
    (put('points', np.zeros(3, [('x', 'S3'), *POINTS[1:]])), "key 'points'"),
    (put('instances', np.zeros(0, INSTANCES)), "key 'instances'"),
    (put('tracks_json', np.bytes_(['[0, "a"'])), 'tracks_json'),
    (put('videos_json', np.bytes_(['nothing'])), 'videos_json'),
    (change('frames', 'frame_idx', 0, 3), "key 'frames'"),
    (change('frames', 'video', 0, 1), "key 'frames'"),
    (change('frames', 'instance_id_end', 0, 9), 'frame 7'),
    (change('frames', 'instance_id_start', 0, 3), 'frame 7'),
    (change('instances', 'track', 1, 0), 'frame 7'),
    (change('instances', 'track', 1, 3), 'frame 7'),
    (change('instances', 'track', 1, -2), 'frame 7'),
    (change('instances', 'skeleton', 1, 1), "key 'instances'"),
    (change('instances', 'skeleton', slice(None), 1), 'metadata'),
    (change('instances', 'point_id_end', 0, 3), 'instance 0'),
    (change('instances', 'point_id_end', 1, 99), 'instance 1'),
    (change('points', 'x', 0, np.inf), "frame 3, 'a', 'tail'"),
    (change('points', 'x', 0, NAN), "frame 3, 'a', 'tail'"),
    (change('pred_points', 'score', 0, NAN), "frame 7, 'a', 'tail'"),
])
def test_damaged_labels_are_refused(tmp_path, refused, damage, where):
    arrays = content()
    damage(arrays)
    path = write(tmp_path / 'a.slp', arrays)
    with refused(where):
        read_slp(path)


@pytest.mark.parametrize('metadata', [
    '{', '[]', '{}', {**METADATA, 'nodes': []},
    {**METADATA, 'skeletons': [{'nodes': [{}]}]},
])
def test_damaged_metadata_is_refused(tmp_path, refused, metadata):
    path = write(tmp_path / 'a.slp', content(), metadata)
    with refused('metadata'):
        read_slp(path)


def test_repeated_node_is_refused(tmp_path, refused):
    metadata = {**METADATA, 'skeletons': [{'nodes': [{'id': 1}] * 2}]}
    path = write(tmp_path / 'a.slp', content(), metadata)
    with refused('names'):
        read_slp(path)


@pytest.mark.parametrize('reader', [read_slp, read_sleap_analysis])
@pytest.mark.parametrize('bad', [b'', b'text', None])
def test_files_that_are_no_hdf5_are_refused(tmp_path, refused, reader, bad):
    path = tmp_path / ('a.slp' if reader is read_slp else 'a.analysis.h5')
    if bad is None:
        write(path, content())
        path.write_bytes(path.read_bytes()[:-500])
    else:
        path.write_bytes(bad)
    with refused('file'):
        reader(path)


# ---- analysis exports


def analysis():
    tracks = np.arange(2 * 2 * 3 * 4, dtype=float).reshape(2, 2, 3, 4)
    tracks[1, :, 2, 0] = NAN
    scores = np.full((2, 3, 4), 0.5)
    scores[0, 0, 1] = NAN  # made by hand
    return {'tracks': tracks, 'point_scores': scores,
            'node_names': np.bytes_(['n', 'm', 'o']),
            'track_names': np.bytes_(['a', 'b']), 'video_path': 'x/clip.mp4'}


def save(path, arrays):
    with h5py.File(path, 'w') as file:
        for key, value in arrays.items():
            file[key] = value
    return path


def test_analysis_axes_are_put_in_order(tmp_path):
    arrays = analysis()
    tracks = read_sleap_analysis(save(tmp_path / 'a.analysis.h5', arrays))
    assert tracks.points.shape == (4, 2, 3, 2)
    assert tracks.points[3, 1, 0].tolist() == [
        arrays['tracks'][1, 0, 0, 3], arrays['tracks'][1, 1, 0, 3]]
    assert tracks.scores[1, 0, 0] == 1.0
    assert np.isnan(tracks.scores[0, 1, 2])
    assert tracks.individuals == ('a', 'b')
    assert (tracks.video, tracks.sessions[0]) == (tmp_path / 'clip.mp4',
                                                  'clip')


def test_analysis_without_scores_tracks_or_video(tmp_path):
    arrays = analysis()
    del arrays['point_scores'], arrays['video_path']
    arrays['track_names'] = np.zeros(0, 'S1')
    tracks = read_sleap_analysis(save(tmp_path / 'a.analysis.h5', arrays))
    assert tracks.individuals == ('instance_0', 'instance_1')
    assert np.nanmin(tracks.scores) == 1.0
    assert tracks.video is None and tracks.sessions[0] == 'a'


@pytest.mark.parametrize(('key', 'value', 'where'), [
    ('tracks', np.zeros((4, 3, 2, 2)), "key 'tracks'"),
    ('tracks', np.zeros((2, 2, 3, 4), int), "key 'tracks'"),
    ('point_scores', np.zeros((2, 3, 5)), "key 'point_scores'"),
    ('node_names', np.bytes_(['n', 'n', 'o']), 'names'),
    ('node_names', np.bytes_(['n']), "key 'tracks'"),
    ('tracks', np.full((2, 2, 3, 4), np.inf), "frame 0, 'a', 'n'"),
])
def test_damaged_analysis_is_refused(tmp_path, refused, key, value, where):
    path = save(tmp_path / 'a.analysis.h5', {**analysis(), key: value})
    with refused(where):
        read_sleap_analysis(path)


@pytest.mark.parametrize('key', ['tracks', 'node_names', 'track_names'])
def test_incomplete_analysis_is_refused(tmp_path, refused, key):
    arrays = analysis()
    del arrays[key]
    path = save(tmp_path / 'a.analysis.h5', arrays)
    with refused(f"key '{key}'"):
        read_sleap_analysis(path)


@pytest.mark.parametrize('view', ['top', 'mid', 'side', 'back'])
def test_real_analysis(real_data, view):
    path = real_data / 'mouse_4cam' / f'{view}.analysis.h5'
    tracks = read_sleap_analysis(path)
    assert tracks.points.shape == (120, 1, 15, 2)
    assert tracks.names[0] == 'Nose' and tracks.individuals == ('track_0', )
    with h5py.File(path) as file:
        assert np.array_equal(tracks.point('TTI')[:, 0, 1],
                              file['tracks'][0, 1, 3], equal_nan=True)
