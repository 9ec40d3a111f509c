"""``tools/visualize.py``: sheets, movies, galleries of the worst."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmpose_ext.commands import run_command
from mmpose_ext.geometry.crop_views import project
from mmpose_ext.handobject.drawing import bgr
from mmpose_ext.handobject.hand import joint_color
from mmpose_ext.handobject.prediction_files import FILE, write_predictions
from mmpose_ext.handobject.scene_pictures import cut_out
from mmpose_ext.handobject.visualize import _worst
from mmpose_ext.storage import VideoReader
from tests.unit.handobject.drawn_scenes import near, photograph
from tests.unit.handobject.object_meshes import write_solids
from tests.unit.handobject.sample_index import (
    SEQUENCES,
    SERIALS,
    SIZE,
    picture_path,
    write_sample,
)
from tests.unit.handobject.tiny_model import write_config

Array = np.ndarray


class Place:
    """A data set, and predictions that are off more and more."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.columns = write_sample(root, frames=2)
        write_solids(root / 'models')
        self.config = write_config(root, root)
        self.index = root / 'index/s1_train.npz'
        self.predictions = root / 'found'
        self.predictions.mkdir()
        self.write()

    def write(self, **changes: str) -> None:
        """Write predictions, texts changed."""
        columns = self.columns
        count = len(columns['id'])
        joints = columns['joints_cam'].copy()
        # about the wrist, frame by frame 1 mm further off
        joints[:, 1:] += .001 * np.arange(count)[:, None, None]
        scores = np.full((count, 21), .1)
        scores[:, 4] = .9
        write_predictions(self.predictions / FILE, dict(
            id=columns['id'], K=columns['K'],
            side=columns['side'][columns['sequence_row']],
            bbox=columns['bbox_hand'], metric_depth=np.ones(count, bool),
            file_name=np.array([str(picture_path(
                Path(), columns, row)) for row in range(count)]),
            keypoints=columns['joints_px'], keypoints_cam=joints,
            keypoint_scores=np.ones((count, 21)), object_scores=scores,
            grasped_scores=scores,
            object_rotations=Rotation.random(
                21 * count, random_state=1).as_matrix().reshape(
                    count, 21, 3, 3),
            object_translations=np.full((count, 21, 3), .5),
            contact_scores=np.full((count, 21), .3)), dict(
                fingerprint=str(columns['fingerprint']), setup='s1',
                split='train') | changes)

    def visualize(self, *words: object) -> int:
        """The command's exit code."""
        return run_command('visualize', '', [
            str(self.config), *map(str, words)])


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp('data'))


def test_labels_alone_are_drawn_where_the_joints_are(
        place: Place, tmp_path: Path) -> None:
    out = tmp_path / 'out'
    assert place.visualize(place.index, '--labels', '--whole', '--tile', 320,
                           '--limit', 2, '--out', out) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        '000000.jpg', '000015.jpg']
    drawn = cv2.imread(str(out / '000000.jpg'))
    assert drawn.shape[1] == 3 * 320
    columns = place.columns
    fx, fy, cx, cy = columns['K'][0]
    matrix = cut_out(photograph(*SIZE),
                     np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
                     np.array([0, 0, *SIZE], float), 320)[1]
    joints = columns['joints_cam'][0].astype(np.float64)
    for base in (1, 5, 9, 13, 17):
        middle = project(joints[[0, base]].mean(0), matrix)
        assert near(drawn, middle, bgr(joint_color(base)), 3, 80), base


def test_a_sheet_shows_some(place: Place, tmp_path: Path,
                            capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / 'sheet.png'
    assert place.visualize(place.predictions, place.index, '--labels',
                           '--tile', 64, '--out', out) == 0
    assert 'drawn        12 of 16' in capsys.readouterr().out
    assert cv2.imread(str(out)).shape[1] > 3 * 128


def test_a_movie_shows_all_of_a_video(place: Place, tmp_path: Path) -> None:
    out = tmp_path / 'a.mp4'
    assert place.visualize(
        place.predictions, place.index, '--sequence', SEQUENCES[2],
        '--camera', SERIALS[1], '--tile', 64, '--fps', 10, '--out', out) == 0
    with VideoReader(out) as video:
        assert len(video) == 2 and video.fps == pytest.approx(10)


def test_the_worst_come_by_error_and_by_object(
        place: Place, tmp_path: Path,
        capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / 'out'
    assert place.visualize(place.predictions, place.index, '--labels',
                           '--worst', 2, '--tile', 64, '--out', out) == 0
    names = sorted(path.name for path in out.iterdir())
    # the later a frame the worse; objects 5, 21, 1 are held, in sequence 3
    # none is
    assert names == ['000014.jpg', '000015.jpg',
                     'worst_002_master_chef_can.jpg',
                     'worst_006_mustard_bottle.jpg', 'worst_061_foam_brick.jpg'
                     ]
    expected = np.sqrt(3) * np.arange(16).mean() * 20 / 21
    assert f'hand         {expected:.1f} mm' in capsys.readouterr().out


@pytest.mark.parametrize('kind', ['object', 'rotation'])
def test_the_worst_may_be_those_of_objects(place: Place, tmp_path: Path,
                                           kind: str) -> None:
    out = tmp_path / 'out.png'
    assert place.visualize(place.predictions, place.index, '--labels',
                           '--worst', 2, '--by', kind, '--tile', 64, '--out',
                           out) == 0
    assert out.is_file()


def test_unknown_errors_are_never_the_worst() -> None:
    errors = np.array([1, np.nan, 3, 2.])
    assert _worst(errors, 2).tolist() == [2, 3]
    assert _worst(errors, 9).tolist() == [2, 3, 0]
    assert not len(_worst(errors * np.nan, 2))


def test_predictions_of_pictures_need_no_index(place: Place,
                                               tmp_path: Path) -> None:
    assert place.visualize(place.predictions, place.root, '--limit', 2,
                           '--tile', 64, '--out', tmp_path / 'out') == 0
    assert len(list((tmp_path / 'out').iterdir())) == 2


def _error(capsys: pytest.CaptureFixture) -> str:
    lines = [line for line in capsys.readouterr().err.splitlines()
             if line.startswith('error: ')]
    assert len(lines) == 1
    return lines[0]


def test_predictions_of_other_data_are_one_error(
        place: Place, tmp_path: Path,
        capsys: pytest.CaptureFixture) -> None:
    place.write(fingerprint='other')
    try:
        assert place.visualize(place.predictions, place.index, '--out',
                               tmp_path / 'out') == 1
    finally:
        place.write()
    error = _error(capsys)
    assert f'{place.predictions / FILE}: fingerprint' in error
    assert "'other'" in error and not list(tmp_path.iterdir())


def test_predictions_of_other_pictures_are_one_error(
        place: Place, tmp_path: Path,
        capsys: pytest.CaptureFixture) -> None:
    (tmp_path / 'in').mkdir()
    assert place.visualize(place.predictions, tmp_path / 'in', '--out',
                           tmp_path / 'out') == 1
    assert 'file_name: expected pictures of' in _error(capsys)


@pytest.mark.parametrize(('words', 'message'), [
    (('{index}', ), 'expected PREDICTIONS and INPUT, or --labels'),
    (('{root}', '--labels'), 'which is no index'),
    (('{found}', '{index}', '--worst', 3), '--worst: expected predictions'),
    (('{found}', '{index}', '--sequence', 'x'), '--sequence: expected one of'),
    (('{found}', '{index}', '--camera', '7'), '--camera: expected one of'),
    (('{found}', '{index}', '--every', 0), '--every: expected at least 1'),
    (('{found}', '{index}', '--fps', 'inf'), '--fps: expected above 0'),
    (('{found}', '{root}', '--labels'), '--labels: expected an index'),
    (('{found}', '{index}', 'third'), '3 files'),
])
def test_options_that_do_not_fit_are_one_error(
        place: Place, tmp_path: Path, capsys: pytest.CaptureFixture,
        words: tuple, message: str) -> None:
    names = dict(index=place.index, root=place.root, found=place.predictions)
    given: list[Any] = [str(word).format(**names) for word in words]
    assert place.visualize(*given, '--out', tmp_path / 'out') == 1
    assert message in _error(capsys)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_replaced_only_if_asked(
        place: Place, tmp_path: Path) -> None:
    out = tmp_path / 'a.png'
    out.write_text('mine')
    words = (place.index, '--labels', '--limit', 1, '--tile', 64, '--out')
    assert place.visualize(*words, out) == 1
    assert out.read_text() == 'mine'
    assert place.visualize(*words, out, '--overwrite') == 0
    assert place.visualize(*words, place.root, '--overwrite') == 1
    assert place.visualize(*words, tmp_path / 'a.gif') == 1
    assert place.index.is_file()


def test_a_photograph_of_another_size_is_one_error(
        place: Place, tmp_path: Path,
        capsys: pytest.CaptureFixture) -> None:
    path = picture_path(place.root, place.columns, 0)
    content = path.read_bytes()
    try:
        cv2.imwrite(str(path), photograph(64, 48))
        assert place.visualize(place.index, '--labels', '--out',
                               tmp_path / 'out') == 1
    finally:
        path.write_bytes(content)
    assert 'size: expected 160 x 120 px' in _error(capsys)
    assert not list(tmp_path.iterdir())


def test_real_photographs_are_drawn_with_their_own_cameras(
        place: Place, real_data: Path, tmp_path: Path) -> None:
    """The four of InterHand2.6M that MMPose ships."""
    from mmpose_ext.commands import run_convert
    source = real_data / 'interhand2.6m'
    if not source.is_dir():
        pytest.skip(f'no {source}')
    assert run_convert('', ['interhand2.6m', str(source), '--out',
                            str(tmp_path / 'index')]) == 0
    index, = (tmp_path / 'index').glob('*.npz')
    out = tmp_path / 'sheet.png'
    assert place.visualize(index, '--labels', '--data-root', source, '--tile',
                           64, '--out', out) == 0
    assert out.is_file()
