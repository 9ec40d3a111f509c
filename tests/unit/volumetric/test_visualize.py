"""From predictions to a movie, by the command."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mmpose_ext.commands import run_command
from mmpose_ext.storage import VideoReader
from mmpose_ext.volumetric import mosaic
from mmpose_ext.volumetric.prediction_files import (
    POSES_MAT,
    PosePredictions,
    read_poses_mat,
    write_poses_mat,
)
from mmpose_ext.volumetric.visualize import PoseMovie, follow
from tests.unit.volumetric.recording_files import (
    FRAMES,
    make_record,
    write_recording,
)

CONFIG = '''
default_scope = 'mmpose'
custom_imports = dict(imports=['mmpose_ext.volumetric'])
model = dict(type='mmpose_ext.DannceEstimator')
test_dataloader = dict(dataset=dict(
    type='mmpose_ext.VolumetricPoseDataset', data_root='.',
    skeleton='rat16'))
'''
PREDICTED = 8  # time points


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A recording and predictions that are further off the later it is."""
    root = tmp_path_factory.mktemp('visualize')
    recording = write_recording(root / 'day')
    record = make_record(recording)
    off = np.arange(PREDICTED)[::-1, None, None, None] * [.6, .8, 0]
    points = np.float32(record.points[:PREDICTED, None] + off)
    write(root, points, record.sample_ids[:PREDICTED])
    path = root / 'config.py'
    path.write_text(CONFIG)
    return dict(root=root, recording=recording, config=path)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Pictures as small as their text allows."""
    monkeypatch.setattr(mosaic.Mosaic, 'tile', 64)
    monkeypatch.setattr(
        mosaic.Mosaic.__init__, '__defaults__', (64, False))


def write(folder: Path, points: np.ndarray, ids: np.ndarray) -> None:
    write_poses_mat(folder / POSES_MAT, PosePredictions(
        folder, ids, points, np.ones(points.shape[:3], np.float32), None,
        None, (), ()))


def call(files: dict[str, Path], out: Path, *words: Any,
         prediction: Path | None = None) -> int:
    return run_command('visualize', '', [
        str(files['config']), str(prediction or files['root']),
        str(files['recording']), '--out', str(out), *map(str, words)])


def test_a_movie_has_a_picture_for_each_prediction(files, tmp_path, capsys):
    out = tmp_path / 'a.mp4'
    assert call(files, out, '--every', 2) == 0
    with VideoReader(out) as video:
        # 30 frames a second, every second one
        assert (len(video), video.fps) == (PREDICTED / 2, 15)
    assert 'error' not in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ['a.mp4']


def test_predictions_with_gaps_play_at_the_speed_of_life(files, tmp_path):
    found = read_poses_mat(files['root'] / POSES_MAT)
    write(tmp_path, found.points[::3], found.sample_ids[::3])
    assert call(files, tmp_path / 'a.mp4', prediction=tmp_path) == 0
    with VideoReader(tmp_path / 'a.mp4') as video:
        assert (len(video), video.fps) == (3, 10)


@pytest.mark.parametrize('name', ['day', '.'])
def test_what_is_read_is_never_replaced(files, capsys, name):
    before = sorted(files['root'].rglob('*'))
    assert call(files, files['root'] / name, '--overwrite') == 1
    assert 'which is read' in capsys.readouterr().err
    assert sorted(files['root'].rglob('*')) == before


def test_labels_give_errors_and_a_sheet(files, tmp_path, capsys):
    out = tmp_path / 'a'
    assert call(files, out, '--labels', '--views', 'Camera3,Camera1') == 0
    assert sorted(path.name for path in out.iterdir()) == [
        'poses.mp4', 'sheet.png']
    assert 'mean 3.50 mm, median 3.50 mm, in 8' in capsys.readouterr().out
    with VideoReader(out / 'poses.mp4') as video:
        assert len(video) == PREDICTED
        width, height = video.size
    sheet = cv2.imread(str(out / 'sheet.png'))
    assert sheet.shape[0] > 3 * height and sheet.shape[1] >= width


def test_the_sheet_shows_best_median_and_worst(files, tmp_path, monkeypatch):
    drawn = []
    pictures = PoseMovie.pictures

    def watch(self, chosen):
        drawn.append(list(chosen))
        return pictures(self, chosen)

    monkeypatch.setattr(PoseMovie, 'pictures', watch)
    assert call(files, tmp_path / 'a', '--labels') == 0
    assert drawn == [list(range(PREDICTED)), [0, 4, 7]]


def test_older_results_stay_unless_told(files, tmp_path, capsys):
    out = tmp_path / 'a.mp4'
    out.write_bytes(b'old')
    assert call(files, out) == 1
    assert '--overwrite' in capsys.readouterr().err
    assert out.read_bytes() == b'old'
    assert call(files, out, '--overwrite', '--stop', 2) == 0
    assert out.read_bytes() != b'old'


@pytest.mark.parametrize('words, message', [
    (('--start', PREDICTED), 'predictions for sampleIDs 81 to 111'),
    (('--start', FRAMES), 'none from 12'),
    (('--every', 0), '--every'),
    (('--fps', 0), '--fps'),
    (('--views', 'Camera9'), 'Camera9'),
])
def test_what_cannot_be_drawn_is_said_and_leaves_nothing(
        files, tmp_path, capsys, words, message):
    assert call(files, tmp_path / 'a.mp4', *words) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name', ['a.avi', 'a/b.mp4'])
def test_a_place_that_cannot_be_written_is_refused(files, tmp_path, name):
    assert call(files, tmp_path / name) == 1
    assert not list(tmp_path.iterdir())


def test_predictions_of_another_skeleton_are_refused(files, tmp_path, capsys):
    write(tmp_path, np.zeros((2, 1, 8, 3), np.float32), np.array([1, 11]))
    assert call(files, tmp_path / 'a.mp4', prediction=tmp_path) == 1
    assert 'joint_names' in capsys.readouterr().err


def test_an_interrupted_movie_is_absent(files, tmp_path, monkeypatch):
    def fail(self, scene, middle, azimuth):
        raise KeyboardInterrupt

    monkeypatch.setattr(mosaic.Mosaic, 'draw', fail)
    with pytest.raises(KeyboardInterrupt):
        call(files, tmp_path / 'a.mp4')
    assert not list(tmp_path.iterdir())


def test_the_views_follow_a_walk_and_pass_over_gaps():
    time = np.arange(40.)
    poses = np.zeros((40, 1, 2, 3))
    poses[..., 0] = 3 * time[:, None, None]
    poses[..., 1, 2] = 10.
    poses[5:9] = np.nan
    middles = follow(poses, 7)
    np.testing.assert_allclose(middles[3:-3, 0], 3 * time[3:-3])
    np.testing.assert_allclose(middles[:, 2], 5.)
    assert follow(poses[:1], 100).shape == (1, 3)


def test_the_views_shake_less_than_the_poses():
    noise = np.random.default_rng(0).normal(0, 2, (200, 1, 1, 3))
    assert follow(noise, 15).std() < noise.std() / 3
