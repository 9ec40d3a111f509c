from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from mmpose_ext.commands import run_convert
from mmpose_ext.storage import (
    VideoWriter,
    read_calibrations,
    read_com3d,
    read_label3d,
    read_skeleton_file,
    read_space_points,
)
from mmpose_ext.volumetric.convert_sources import read_session
from mmpose_ext.volumetric.recordings import open_recording

NAMES = ('left', 'right', 'top')
POINTS = ('Nose', 'EarL', 'EarR', 'Tail')
EDGES = [[0, 1], [0, 2], [0, 3]]
FRAMES, SIZE = 12, (160, 120)
TURNS = ([.1, .2, .3], [.2, 1.4, .1], [1.5, .1, .2])
SHAPE = np.array([[40., 0, 0], [25, 12, 5], [25, -12, 5], [-45, 0, 0]])


def calibration_text(scale=1., size=SIZE):
    return ''.join(f'''
[cam_{i}]
name = "{name}"
size = [{size[0]}, {size[1]}]
matrix = [[150.0, 0.0, 79.5], [0.0, 151.0, 59.5], [0.0, 0.0, 1.0]]
distortions = [-0.1, 0.02, 0.001, 0.002, 0.0]
rotation = {TURNS[i]}
translation = [{3. * i * scale}, 0.0, {300. * scale}]
''' for i, name in enumerate(NAMES)) + '[metadata]\n'


def animal(individuals=1):
    """Points (T, I, K, 3) in mm; one is missing."""
    steps = np.arange(FRAMES)[:, None, None, None] * [1., 2., 0.]
    places = np.arange(individuals)[None, :, None, None] * [0., 25., 0.]
    points = SHAPE + steps + places
    points[3, 0, 1] = np.nan
    return points


def write_session(folder, points=None, scale=1.):
    """A session as sleap-anipose leaves it."""
    points = animal() if points is None else points
    folder.mkdir()
    (folder / 'calibration.toml').write_text(calibration_text(scale))
    with h5py.File(folder / 'points3d.h5', 'w') as file:
        file['tracks'] = points * scale
    matrix = np.array([[150, 0, 79.5], [0, 151, 59.5], [0, 0, 1]])
    for i, name in enumerate(NAMES):
        with VideoWriter(folder / f'{name}.mp4', 20., SIZE) as video:
            for frame in range(FRAMES):
                video.write(np.full(SIZE[::-1], 20 * frame, np.uint8))
        pixels = cv2.projectPoints(
            points.reshape(-1, 3), np.array(TURNS[i]),
            np.array([3. * i, 0, 300]), matrix,
            np.array([-.1, .02, .001, .002, 0]))[0].reshape(
                *points.shape[:3], 2)
        with h5py.File(folder / f'{name}.analysis.h5', 'w') as file:
            file['tracks'] = pixels.transpose(1, 3, 2, 0) + [[[[1.]], [[0]]]]
            file['node_names'] = np.bytes_(POINTS)
            file['track_names'] = np.bytes_(
                [f't{i}' for i in range(points.shape[1])])
            file['edge_inds'] = np.array(EDGES)
    return folder


def convert(*words):
    return run_convert(None, [str(word) for word in words])


@pytest.fixture
def session(tmp_path):
    return write_session(tmp_path / 'session')


def test_a_session_becomes_a_recording_that_opens(session, tmp_path, capsys):
    out = tmp_path / 'out'
    assert convert('anipose', session, '--out', out) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        'com3d.mat', 'contact_sheet.png', 'label3d_dannce.mat',
        'recording.json', 'skeleton.json', 'videos']
    text = capsys.readouterr().out
    assert 'left: 160 x 120 px, labels to 2D tracks: median 1.00 px' in text
    found = open_recording(out, com_file='com3d.mat')
    assert found.cameras.names == NAMES and found.pixel_origin == 1
    assert found.fps == 20. and found.labelled.all()
    np.testing.assert_array_equal(found.sample_ids, np.arange(FRAMES))
    np.testing.assert_array_equal(found.points, animal())
    np.testing.assert_allclose(found.com[:, 0], np.nanmean(
        animal()[:, 0], 1), atol=1e-12)
    assert abs(int(found.read(7, 1)[60, 80, 0]) - 140) < 9
    assert json.loads((out / 'recording.json').read_text()) == {
        'pixel_origin': 1, 'fps': 20.0, 'skeleton': 'skeleton.json'}
    skeleton = read_skeleton_file(out / 'skeleton.json')
    assert skeleton.names == POINTS and skeleton.edges.tolist() == EDGES


def test_cameras_project_as_opencv_does_with_the_session(session, tmp_path):
    out = tmp_path / 'out'
    convert('anipose', session, '--out', out)
    cameras = open_recording(out).cameras
    pixels, _ = cameras.project(SHAPE)
    for view, camera in enumerate(read_calibrations(
            session / 'calibration.toml')):
        expected = cv2.projectPoints(
            SHAPE, camera.rotation, camera.translation, camera.matrix,
            np.array([-.1, .02, .001, .002, 0]))[0][:, 0]
        np.testing.assert_allclose(pixels[view], expected, atol=1e-9)
        labels = read_label3d(out / 'label3d_dannce.mat').pixels[view, 0]
        np.testing.assert_allclose(labels, expected + 1, atol=1e-9)


@pytest.mark.parametrize('how', ['link', 'copy', 'symlink'])
def test_videos_keep_their_bytes(session, tmp_path, how):
    out = tmp_path / 'out'
    assert convert('anipose', session, '--out', out, '--videos', how) == 0
    target, source = out / 'videos/top/0.mp4', session / 'top.mp4'
    assert target.read_bytes() == source.read_bytes()
    assert os.path.samefile(target, source) == (how != 'copy')
    assert target.is_symlink() == (how == 'symlink')


def test_several_individuals_stand_one_after_the_other(tmp_path):
    session = write_session(tmp_path / 'session', animal(2))
    out = tmp_path / 'out'
    assert convert('anipose', session, '--out', out) == 0
    found = open_recording(out)
    assert found.points.shape == (FRAMES, 2, 4, 3)
    np.testing.assert_array_equal(found.points, animal(2))
    assert read_com3d(out / 'com3d.mat').points.shape == (FRAMES, 2, 3)
    assert len(read_skeleton_file(out / 'skeleton.json').names) == 4


def test_metres_are_scaled_when_said(tmp_path):
    session = write_session(tmp_path / 'session', scale=.001)
    out = tmp_path / 'out'
    assert convert('anipose', session, '--out', out, '--unit', 'm') == 0
    found = open_recording(out)
    np.testing.assert_allclose(found.points, animal())
    np.testing.assert_allclose(found.cameras.translations[1], [3, 0, 300])


def test_opencvs_matrices_and_a_table_will_do(session, tmp_path):
    cameras = {camera.name: {
        'camera_matrix': camera.matrix.tolist(),
        'dist_coeffs': [*camera.radial[:2], *camera.tangential, 0.],
        'rotation': camera.rotation.tolist(),
        'translation': camera.translation.tolist(),
    } for camera in read_calibrations(session / 'calibration.toml')}
    (session / 'calibration.json').write_text(json.dumps(cameras))
    for path in (*session.glob('*.h5'), session / 'calibration.toml'):
        path.unlink()
    for name in NAMES:  # a folder for each camera does as well
        (session / name).mkdir()
        (session / f'{name}.mp4').rename(session / name / 'take.mp4')
    head = ','.join(f'{name}_{axis}' for name in POINTS for axis in 'xyz')
    points = animal()[2:, 0].reshape(FRAMES - 2, -1)
    rows = [','.join('' if np.isnan(x) else repr(float(x)) for x in row)
            + f',{frame + 2}' for frame, row in enumerate(points)]
    (session / 'poses.csv').write_text('\n'.join([f'{head},fnum', *rows]))
    out = tmp_path / 'out'
    assert convert('opencv', session, '--out', out) == 0
    found = open_recording(out)
    assert len(found) == FRAMES and found.labelled.sum() == FRAMES - 2
    np.testing.assert_array_equal(found.points[2:], animal()[2:])
    assert read_skeleton_file(out / 'skeleton.json').names == POINTS


def test_without_labels_there_is_a_recording_to_predict_on(session,
                                                           tmp_path):
    (session / 'points3d.h5').unlink()
    out = tmp_path / 'out'
    assert convert('anipose', session, '--out', out, '--unlabelled') == 0
    assert not (out / 'com3d.mat').exists()
    found = read_label3d(out / 'label3d_dannce.mat')
    assert len(found.sample_ids) == FRAMES and len(found.label_ids) == 0
    recording = open_recording(out)
    assert len(recording) == FRAMES and not recording.labelled.any()


def _cut_video(session):
    content = (session / 'left.mp4').read_bytes()
    (session / 'left.mp4').write_bytes(content[:len(content) // 3])


def _points(change):
    def work(session):
        path = session / 'points3d.h5'
        points = change(read_space_points(path).points)
        with h5py.File(path, 'w') as file:
            file['tracks'] = points
    return work


def _toml(old, new):
    def work(session):
        path = session / 'calibration.toml'
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
    return work


def _remove(name):
    return lambda session: (session / name).unlink()


DAMAGE = {
    'no calibration': (_remove('calibration.toml'), 'calibration'),
    'no points': (_remove('points3d.h5'), 'points'),
    'no video': (_remove('right.mp4'), "camera 'right'"),
    'a camera more': (_toml('name = "top"', 'name = "up"'), "camera 'up'"),
    'a video cut short': (_cut_video, 'left.mp4'),
    'two videos of a camera': (
        lambda s: shutil.copy(s / 'top.mp4', s / 'top.avi'),
        "camera 'top'"),
    'another image size': (_toml('[160, 120]', '[1280, 1024]'), 'size'),
    'cameras in one place': (
        _toml(f'{TURNS[1]}\ntranslation = [3.0',
              f'{TURNS[0]}\ntranslation = [0.0'), 'a place of its own'),
    'a camera that moved': (_toml('[1.5, 0.1', '[1.5, 1.3'),
                            "camera 'top'"),
    'points beyond the videos': (
        _points(lambda p: np.concatenate([p, p])), 'frame 23'),
    'no point at all': (_points(lambda p: p * np.nan), 'at least one'),
    'other keypoints': (_points(lambda p: p[:, :, :3]), '4 a frame'),
    'metres': (_points(lambda p: p / 1000), 'mm'),
    'points elsewhere': (_points(lambda p: p + 5000), 'points3d.h5'),
    'two tables': (lambda s: [_remove('points3d.h5')(s)] + [
        (s / name).write_text('a_x,a_y,a_z\n1,2,3\n')
        for name in ('a.csv', 'b.csv')], 'a.csv, b.csv'),
}


@pytest.mark.parametrize('damage, said', DAMAGE.values(), ids=DAMAGE)
def test_damaged_sessions_are_refused_and_leave_nothing(
        session, tmp_path, capsys, damage, said):
    damage(session)
    before = sorted(tmp_path.rglob('*'))
    assert convert('anipose', session, '--out', tmp_path / 'out') == 1
    assert said in capsys.readouterr().err
    assert sorted(tmp_path.rglob('*')) == before


def test_what_stands_is_replaced_only_when_said(session, tmp_path, capsys):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'notes.txt').write_text('keep')
    assert convert('anipose', session, '--out', out) == 1
    assert '--overwrite' in capsys.readouterr().err
    assert (out / 'notes.txt').read_text() == 'keep'
    assert convert('anipose', session, '--out', out, '--overwrite') == 0
    assert not (out / 'notes.txt').exists()
    shutil.copy(out / 'skeleton.json', out / 'mine.json')
    assert convert('anipose', session, '--out', out, '--overwrite',
                   '--skeleton', out / 'mine.json') == 1
    assert (out / 'mine.json').is_file()
    assert convert('anipose', session, '--out', session, '--overwrite') == 1
    assert (session / 'left.mp4').is_file()


def test_the_real_session_has_the_published_errors(real_data):
    session = read_session(real_data / 'mouse_4cam', ['calibration.toml'])
    assert session.points.shape == (120, 1, 15, 3)
    assert (session.num_frames, session.fps) == (120, 30.)
    assert len(session.skeleton.edges) == 14
    medians = np.nanmedian(session.track_errors().reshape(4, -1), 1)
    assert (medians > 3.5).all() and (medians < 5.5).all()


def test_the_sheet_shows_the_animal_in_every_view(session, tmp_path):
    out = tmp_path / 'out'
    convert('anipose', session, '--out', out)
    sheet = cv2.imread(str(out / 'contact_sheet.png'))
    assert sheet.shape[1] > 3 * 300
    # Keypoints are the only saturated colours on these grey videos.
    spread = sheet.max(-1).astype(int) - sheet.min(-1)
    columns = np.array_split(spread > 150, 3, 1)
    assert all(part.sum() > 100 for part in columns)


def test_data_of_other_kinds_are_not_accepted(tmp_path):
    from mmpose_ext.volumetric.convert import CONVERTERS
    assert not CONVERTERS['anipose'].accepts(tmp_path)
    assert not CONVERTERS['opencv'].accepts(Path('absent'))
