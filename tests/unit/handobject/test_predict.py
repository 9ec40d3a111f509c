"""``tools/predict.py`` on indices, pictures and what is damaged."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mmpose_ext.commands import run_command
from mmpose_ext.handobject import inference
from mmpose_ext.handobject.prediction_files import read_predictions
from mmpose_ext.handobject.result_files import (
    read_bop_poses,
    read_hand_poses,
)
from mmpose_ext.handobject.tasks import root_of_index, spread
from tests.unit.handobject.drawn_scenes import photograph
from tests.unit.handobject.object_meshes import write_solids
from tests.unit.handobject.sample_index import picture_path, write_sample
from tests.unit.handobject.tiny_model import (
    CentreModel,
    save_checkpoint,
    write_config,
)

Array = np.ndarray


class Place:
    """A data set, a config and weights."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.columns = write_sample(root, frames=5, hands=.8)
        write_solids(root / 'models')
        self.config = write_config(root, root)
        self.checkpoint = save_checkpoint(self.config, root / 'm.pth')
        self.index = root / 'index/s1_train.npz'

    def predict(self, *words: object) -> int:
        """The command's exit code."""
        return run_command('predict', '', [
            str(self.config), str(self.checkpoint), *map(str, words)])


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp('data'))


@pytest.fixture
def centred(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = CentreModel()
    monkeypatch.setattr(CentreModel, 'to', lambda self, device: self,
                        raising=False)
    monkeypatch.setattr(inference, '_load_model', lambda *_: model)


def test_an_index_is_predicted_with_its_own_cameras(
        place: Place, centred: None, tmp_path: Path,
        capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / 'out'
    assert place.predict(place.index, '--out', out, '--pictures', 2) == 0
    text = capsys.readouterr().out
    found = read_predictions(out)
    columns = place.columns
    rows = np.flatnonzero(columns['hand_valid'])
    assert 0 < len(rows) < len(columns['id'])
    np.testing.assert_array_equal(found.columns['id'], columns['id'][rows])
    np.testing.assert_array_equal(found.columns['K'], columns['K'][rows])
    np.testing.assert_array_equal(
        found.columns['side'],
        columns['side'][columns['sequence_row'][rows]])
    np.testing.assert_allclose(found.columns['bbox'],
                               columns['bbox_hand'][rows], atol=1e-4)
    assert found.columns['metric_depth'].all()
    # the stand-in looks at the middle of each box, by each one's camera
    box = found.columns['bbox']
    middle = box[:, :2] + box[:, 2:] / 2
    for row in range(len(rows)):
        seen = cv2.projectPoints(
            found.columns['keypoints_cam'][row, :1].astype(np.float64),
            np.zeros(3), np.zeros(3), found.camera_matrix(row), None)[0]
        np.testing.assert_allclose(seen[0, 0], middle[row], atol=.1)
    assert found.texts['setup'] == 's1'
    assert len(found.texts['checkpoint_sha256']) == 64
    ids, joints = read_hand_poses(out / 'hpe.txt')
    np.testing.assert_array_equal(ids, columns['id'][rows])
    np.testing.assert_allclose(joints, found.columns['keypoints_cam'],
                               atol=1e-6)
    bop = read_bop_poses(out / 'bop.csv')
    assert set(bop['im_id'].tolist()) == {4}  # 0 has no hand
    assert len(list((out / 'pictures').iterdir())) == 2
    assert f'photographs     {len(rows)}, ' in text
    assert 'MPJPE' in text and 'a second' in text


def test_a_part_of_an_index_has_no_files_for_evaluations(
        place: Place, centred: None, tmp_path: Path) -> None:
    out = tmp_path / 'out'
    assert place.predict(place.index, '--out', out, '--limit', 3) == 0
    assert [path.name for path in out.iterdir()] == ['predictions.npz']
    assert len(read_predictions(out)) == 3


def test_a_real_network_gives_what_its_test_gives(
        place: Place, tmp_path: Path) -> None:
    """The command's crops are those of the config's own data set."""
    from mmengine.config import Config
    from mmengine.dataset import pseudo_collate

    from mmpose_ext.registry import DATASETS
    out = tmp_path / 'out'
    assert place.predict(place.index, '--out', out, '--batch-size', 5) == 0
    found = read_predictions(out)
    config = Config.fromfile(place.config)
    dataset = DATASETS.build(config.test_dataloader.dataset)
    model = inference._load_model(config, place.checkpoint)
    with inference.torch.inference_mode():
        results = model.test_step(pseudo_collate(
            [dataset[row] for row in range(len(dataset))]))
    assert len(results) == len(found)
    for row, result in enumerate(results):
        assert result.id == found.columns['id'][row]
        for name in ('keypoints_cam', 'object_rotations', 'keypoints'):
            np.testing.assert_allclose(
                found.columns[name][row], result.pred_instances[name][0],
                atol=2e-3)


def test_pictures_are_predicted_with_what_options_tell(
        place: Place, centred: None, tmp_path: Path) -> None:
    folder = tmp_path / 'in'
    folder.mkdir()
    for name in ('a', 'b'):
        cv2.imwrite(str(folder / f'{name}.png'), photograph())
    (tmp_path / 'boxes.json').write_text(json.dumps([
        dict(image='b.png', bbox=[10, 20, 100, 80], side='left')]))
    out = tmp_path / 'out'
    assert place.predict(
        folder, '--out', out, '--boxes', tmp_path / 'boxes.json', '--camera',
        610, 600, 318, 247, '--pictures', 1) == 0
    found = read_predictions(out)
    assert found.columns['file_name'].tolist() == ['b.png']
    assert found.columns['bbox'].tolist() == [[10, 20, 100, 80]]
    assert found.columns['side'].tolist() == [1]
    assert found.columns['K'].tolist() == [[610, 600, 318, 247]]
    assert found.texts['fingerprint'] == ''
    assert (out / 'pictures/000000.jpg').is_file()


def test_without_a_camera_depth_is_marked_as_a_guess(
        place: Place, centred: None, tmp_path: Path,
        capsys: pytest.CaptureFixture) -> None:
    cv2.imwrite(str(tmp_path / 'a.png'), photograph())
    assert place.predict(tmp_path / 'a.png', '--out', tmp_path / 'out',
                         '--bbox', 10, 20, 100, 80, '--side', 'left') == 0
    found = read_predictions(tmp_path / 'out')
    assert not found.columns['metric_depth'].any()
    assert 'guessed' in capsys.readouterr().out


def test_results_are_replaced_only_if_asked(
        place: Place, centred: None, tmp_path: Path) -> None:
    words = (place.index, '--out', tmp_path / 'out', '--limit')
    assert place.predict(*words, 2) == 0
    assert place.predict(*words, 4) == 1
    assert len(read_predictions(tmp_path / 'out')) == 2
    assert place.predict(*words, 4, '--overwrite') == 0
    assert len(read_predictions(tmp_path / 'out')) == 4
    (tmp_path / 'out/diary.txt').write_text('mine')
    assert place.predict(*words, 4, '--overwrite') == 1
    assert (tmp_path / 'out/diary.txt').is_file()


def test_what_is_read_is_never_replaced(place: Place, centred: None) -> None:
    first = picture_path(place.root, place.columns, 0)
    for out in (place.root, place.root / 'index', first.parent,
                first.parent.parent):
        assert place.predict(place.index, '--out', out, '--overwrite') == 1
    assert first.is_file() and place.index.is_file()


def test_a_damaged_photograph_leaves_nothing_half_written(
        place: Place, centred: None, tmp_path: Path,
        capsys: pytest.CaptureFixture) -> None:
    row = int(np.flatnonzero(place.columns['hand_valid'])[-1])
    path = picture_path(place.root, place.columns, row)
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-300])
        assert place.predict(place.index, '--out', tmp_path / 'out') == 1
    finally:
        path.write_bytes(content)
    error = capsys.readouterr().err
    assert f'error: {path}: file: expected' in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('words', 'message'), [
    (('--side', 'left'), '--side: expected pictures as INPUT'),
    (('--camera', 1, 2, 3, 4), '--camera: expected pictures'),
    (('--every', 0), '--every: expected at least 1, found 0'),
    (('--pictures', -1), '--pictures: expected at least 0'),
    (('--data-root', '.'), 'fingerprint|subject'),
])
def test_options_that_do_not_fit_are_one_error(
        place: Place, tmp_path: Path, capsys: pytest.CaptureFixture,
        words: tuple, message: str) -> None:
    assert place.predict(place.index, '--out', tmp_path / 'out', *words) == 1
    lines = [line for line in capsys.readouterr().err.splitlines()
             if line.startswith('error: ')]
    assert len(lines) == 1
    assert any(part in lines[0] for part in message.split('|'))
    assert not list(tmp_path.iterdir())


def test_a_truncated_index_is_one_error(place: Place, tmp_path: Path,
                                        capsys: pytest.CaptureFixture
                                        ) -> None:
    path = tmp_path / 'cut.npz'
    path.write_bytes(place.index.read_bytes()[:-900])
    assert place.predict(path, '--out', tmp_path / 'out') == 1
    assert 'cut short' in capsys.readouterr().err


def test_an_option_of_an_index_is_refused_for_pictures(
        place: Place, tmp_path: Path,
        capsys: pytest.CaptureFixture) -> None:
    cv2.imwrite(str(tmp_path / 'a.png'), photograph())
    assert place.predict(tmp_path / 'a.png', '--out', tmp_path / 'out',
                         '--limit', 3) == 1
    assert '--limit: expected an index' in capsys.readouterr().err


def test_the_root_lies_above_a_folder_of_indices(tmp_path: Path) -> None:
    assert root_of_index(tmp_path / 'index/a.npz', None) == tmp_path
    assert root_of_index(tmp_path / 'other/a.npz', None
                         ) == tmp_path / 'other'
    assert root_of_index(tmp_path / 'a.npz', Path('x')) == Path('x')


def test_some_are_spread_over_all() -> None:
    assert spread(10, 3) == [0, 4, 9]
    assert spread(2, 5) == [0, 1] and spread(7, 1) == [0]
