from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from mmpose_ext.commands import run_command, run_verify
from mmpose_ext.handobject import label_checks
from mmpose_ext.handobject.index_files import read_index
from mmpose_ext.handobject.label_checks import (
    hand_problems,
    mano_problems,
    measure_hands,
    object_problems,
)
from mmpose_ext.handobject.picture_checks import (
    _ends_of_videos,
    inspect_pictures,
)
from mmpose_ext.handobject.verify_dataset import accepts
from mmpose_ext.storage import DataError, write_npz
from tests.unit.handobject.sample_index import (
    SEQUENCES,
    SUBJECTS,
    make_columns,
    picture_path,
    write_sample,
)

CONFIG = """
custom_imports = dict(imports=['mmpose_ext.handobject'])
default_scope = 'mmpose'
train_dataloader = dict(batch_size=4, dataset=dict(
    type='mmpose_ext.SeededDataset', dataset=dict(
        type='mmpose_ext.HandObjectDataset', data_root={root!r},
        ann_file='index/s1_train.npz', cache=dict())))
val_dataloader = dict(batch_size=4, dataset=dict(
    type='mmpose_ext.HandObjectDataset', data_root={root!r},
    ann_file='index/s1_val.npz', test_mode=True))
test_dataloader = dict(batch_size=4, dataset=dict(
    type='mmpose_ext.HandObjectDataset', data_root={root!r},
    ann_file={test!r}, test_mode=True))
"""
COLUMNS = make_columns(hands=.67)


def write_all(root: Path, columns: dict[str, Any] | None = None) -> None:
    """Indices of training and validation, by subject, and a config."""
    columns = COLUMNS if columns is None else columns
    write_sample(root, 'whole', columns)
    first = columns['sequence_row'] < 2
    for name, chosen in (('s1_train', first), ('s1_val', ~first)):
        part = {key: value[chosen] if len(np.shape(value)) and len(
            value) == len(first) else value for key, value in columns.items()}
        write_index_of(root, name, part)
    (root / 'config.py').write_text(CONFIG.format(
        root=str(root), test='index/s1_val.npz'))


def write_index_of(root: Path, name: str, columns: dict[str, Any]) -> None:
    """Write columns as they are, damaged or not."""
    write_npz(root / f'index/{name}.npz', version=1, **{
        key: np.asarray(value) for key, value in columns.items()})


@pytest.fixture(scope='module')
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('hands')
    write_all(root)
    return root


@pytest.fixture
def root(shared: Path, tmp_path: Path) -> Path:
    root = Path(shutil.copytree(shared, tmp_path / 'data'))
    (root / 'config.py').write_text(CONFIG.format(
        root=str(root), test='index/s1_val.npz'))
    return root


def verify(root: Path, *options: str) -> int:
    return run_command('verify_dataset', '', [
        str(root / 'config.py'), *options])


def test_sound_data_has_no_problems(shared: Path, capsys: Any) -> None:
    assert verify(shared) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == 'no errors, 1 warnings; --strict counts these'
    assert lines[0].startswith('train_dataloader.dataset.dataset: 8 of 12 '
                               'frames, subset all, boxes: ground truth')
    assert sum(line.startswith('warning: ') for line in lines) == 1
    assert 'test_dataloader.dataset.ann_file: expected a split of its own' in (
        lines[-2])
    assert any('12 frames of 4 sequences, 8 hands, 4 right and 4 left' in line
               and 'contact of 8' in line for line in lines)


def test_strict_counts_warnings(shared: Path, capsys: Any) -> None:
    assert verify(shared, '--strict') == 1
    assert 'no errors, 1 warnings' in capsys.readouterr().out


def test_json_has_the_five_parts(root: Path, capsys: Any) -> None:
    shutil.rmtree(root / SEQUENCES[0] / '836212060125')
    assert verify(root, '--json') == 1
    content = json.loads(capsys.readouterr().out)
    assert set(content) == {'problems', 'warnings', 'parts'}
    assert set(content['problems'][0]) == {
        'file', 'where', 'expected', 'found', 'hint'}
    assert str(root / 'index/s1_val.npz') in content['parts']


def _cut(root: Path) -> None:
    path = picture_path(root, COLUMNS, 1)
    path.write_bytes(path.read_bytes()[:-400])


def _resize(root: Path) -> None:
    for row in (1, 2):
        cv2.imwrite(str(picture_path(root, COLUMNS, row)),
                    np.zeros((60, 80, 3), np.uint8))


def _copy(root: Path) -> None:
    shutil.copy(picture_path(root, COLUMNS, 1),
                picture_path(root, COLUMNS, 2))


def _shift_val(root: Path) -> None:
    shutil.copy(root / 'index/s1_train.npz', root / 'index/s1_val.npz')


@pytest.mark.parametrize(('damage', 'file', 'where', 'said'), [
    (_cut, 'color_000001.jpg', 'file', 'expected a whole JPEG file, found '
     'one cut short'),
    (_resize, 'color_000001.jpg', 'size', '2 such of 12 looked at'),
    (_copy, 'color_000002.jpg', 'file', 'expected a picture of its own, '
     'found the bytes of'),
    (lambda root: picture_path(root, COLUMNS, 1).unlink(),
     'color_000001.jpg', 'file', 'found nothing; 1 such of 12'),
    (lambda root: shutil.rmtree(root / SEQUENCES[3]), 's1_val.npz',
     'fingerprint', f'no sequence {SEQUENCES[3]} there, 1 missing'),
    (lambda root: (root / 'index/s1_train.npz').unlink(), 's1_train.npz',
     'file', 'expected an index, found nothing'),
    (lambda root: (root / 'index/s1_val.npz').write_bytes(
        (root / 'index/s1_val.npz').read_bytes()[:3000]), 's1_val.npz',
     'archive', 'found one that is cut short'),
    (_shift_val, 's1_val.npz', 'val_dataloader.dataset',
     'expected no frame of train_dataloader.dataset.dataset, found 8 of 8')])
def test_damaged_data_is_one_line(
        root: Path, capsys: Any, damage: Callable[[Path], Any], file: str,
        where: str, said: str) -> None:
    damage(root)
    assert verify(root) == 1
    output = capsys.readouterr().out
    lines = [line for line in output.splitlines()
             if line.startswith('error: ') and f': {where}: ' in line]
    assert any(file in line and said in line for line in lines), output


def test_all_reads_every_picture(root: Path, capsys: Any) -> None:
    path = picture_path(root, COLUMNS, 5)
    path.write_bytes(path.read_bytes()[:-400])
    assert verify(root, '--pictures', '2') == 0
    assert verify(root, '--pictures', '2', '--all') == 1
    assert '1 such of 12 looked at' in capsys.readouterr().out


def test_unknown_setting_is_a_problem(root: Path, capsys: Any) -> None:
    assert verify(root, '--cfg-options',
                  'val_dataloader.dataset.subset=left') == 1
    assert 'val_dataloader.dataset: expected settings' in (
        capsys.readouterr().out)
    (root / 'config.py').write_text(
        "custom_imports = dict(imports=['mmpose_ext.handobject'])\n")
    assert verify(root) == 1
    assert 'expected a mmpose_ext.HandObjectDataset, found none' in (
        capsys.readouterr().out)


@pytest.mark.parametrize(('setting', 'said'), [
    ('mirror_left=False', 'mirror_left: expected True, as '
     'train_dataloader.dataset.dataset has it, found False'),
    ('bbox_mode=hand_object', 'bbox_mode: expected hand, as'),
    ('pipeline.1.virtual_camera=False', 'virtual_camera: expected True, as'),
    ('pipeline.1.input_size=72', 'input_size: expected (64, 64), as')])
def test_tests_show_what_training_shows(root: Path, capsys: Any, setting: str,
                                        said: str) -> None:
    for loader in ('train', 'val'):
        with (root / 'config.py').open('a') as stream:
            dataset = f'{loader}_dataloader["dataset"]' + (
                '["dataset"]' if loader == 'train' else '')
            stream.write(f'{dataset}["pipeline"] = [dict(type="LoadImage"), '
                         'dict(type="mmpose_ext.HandObjectTopdownView", '
                         'input_size=64)]\n')
            if loader == 'train':
                stream.write(f'{dataset}["cache"] = None\n')
    assert verify(root) == 0
    capsys.readouterr()
    assert verify(root, '--cfg-options',
                  f'val_dataloader.dataset.{setting}') == 1
    output = capsys.readouterr().out
    assert f'config.py: val_dataloader.dataset: {said}' in output
    assert output.count('error: ') == 1


def test_index_alone_is_checked(root: Path, capsys: Any) -> None:
    path = root / 'index/whole.npz'
    assert accepts(path)
    assert run_verify('', ['--ann-file', str(path)]) == 0
    assert '24 frames of 4 sequences' in capsys.readouterr().out
    elsewhere = Path(shutil.move(path, root.parent / 'whole.npz'))
    assert run_verify('', ['--ann-file', str(elsewhere)]) == 1
    assert run_verify('', ['--ann-file', str(elsewhere), '--data-root',
                           str(root)]) == 0
    capsys.readouterr()


def test_accepted_files(tmp_path: Path) -> None:
    (tmp_path / 'index').mkdir()
    (tmp_path / 'index/a.npz').write_text('damaged')
    assert accepts(tmp_path / 'index/a.npz')
    (tmp_path / 'a.npz').write_text('damaged')
    assert not accepts(tmp_path / 'a.npz')
    assert not accepts(tmp_path / 'a.json')
    write_npz(tmp_path / 'a.npz', images=np.zeros(3))
    assert not accepts(tmp_path / 'a.npz')


def curled(row: int, side: int) -> np.ndarray:
    """Joints (21, 3) of a hand that makes half a fist."""
    joints = np.zeros((21, 3))
    for finger in range(5):
        angle = np.radians(20 * finger - 40)
        along = np.array([np.sin(angle), -np.cos(angle), 0])
        steps = np.array([[.08, 0], [.1, .01], [.105, .03], [.1, .05]])
        joints[1 + 4 * finger:5 + 4 * finger] = (
            steps[:, :1] * along + steps[:, 1:] * [0, 0, 1])
    if side:
        joints[:, 0] *= -1
    return joints + [0, 0, .6 + .01 * row]


def index_of(tmp_path: Path, change: Callable[[dict[str, Any]], Any]) -> Any:
    columns = make_columns()
    change(columns)
    (tmp_path / 'index').mkdir()
    write_index_of(tmp_path, 'damaged', columns)
    return read_index(tmp_path / 'index/damaged.npz')


def _turn_sides(columns: dict[str, Any]) -> None:
    for row in range(len(columns['id'])):
        side = 1 - columns['side'][columns['sequence_row'][row]]
        columns['joints_cam'][row] = curled(row, side)
    _project(columns)


def _project(columns: dict[str, Any]) -> None:
    joints, camera = columns['joints_cam'], columns['K'][:, None]
    columns['joints_px'] = (joints[..., :2] / joints[..., 2:] * camera[
        ..., :2] + camera[..., 2:]).astype(np.float32)


def _stretch(columns: dict[str, Any]) -> None:
    columns['joints_cam'][7, 8] += np.float32([0, 0, .03])


def _millimetres(columns: dict[str, Any]) -> None:
    columns['joints_cam'] *= 1000
    columns['pose_y'][..., 3] *= 1000


def _camera(columns: dict[str, Any]) -> None:
    columns['K'][columns['camera'] == 1, :2] *= 1.2


def _skew(columns: dict[str, Any]) -> None:
    columns['pose_y'][3, 0, 0, 0] += .5


def _mirror(columns: dict[str, Any]) -> None:
    columns['pose_y'][4:6, 0, :, 0] *= -1


@pytest.mark.parametrize(('damage', 'where', 'expected', 'found'), [
    (_camera, 'camera 839512060362', 'joints_cam within 1 px of joints_px',
     ' px, median of 12 hands'),
    (_stretch, f'{SUBJECTS[0]}, bone lengths of id 7',
     f'within 25% of the medians of {SUBJECTS[0]}',
     'index_dip-index_tip'),
    (_millimetres, f'{SUBJECTS[0]}, bone wrist-thumb_mcp', '5 to 140 mm',
     ' mm, median of 12 hands; 20 such bones'),
    (_millimetres, 'joints_cam of id 0', 'a wrist at 0.2 to 3 m', ' m; 24 of '
     '24 in all'),
    (_millimetres, 'pose_y of id 0', 'an object at 0.2 to 3 m', ' m; '),
    (_skew, 'pose_y of id 3', 'a rotation, R^T R = 1, det R = 1', '1 of '),
    (_mirror, 'pose_y of id 4', 'a rotation, R^T R = 1, det R = 1',
     'off, det -1; 2 of'),
    (_turn_sides, f'side of {SEQUENCES[0]}', 'right hands, fingers that bend '
     'to the palm', 'those of the left hand; 4 such sequences')])
def test_damaged_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                        damage: Callable[[dict[str, Any]], None], where: str,
                        expected: str, found: str) -> None:
    # what opening would refuse on its samples may slip through elsewhere
    monkeypatch.setattr('mmpose_ext.handobject.index_files.check_content',
                        lambda index: None)
    index = index_of(tmp_path, damage)
    problems = [*hand_problems(index, measure_hands(index)),
                *object_problems(index)]
    chosen = [problem for problem in problems if problem.where == where]
    assert len(chosen) == 1, [str(problem) for problem in problems]
    assert chosen[0].file == str(index.path)
    assert chosen[0].expected == expected
    assert found in chosen[0].found


def test_hands_of_their_side_are_no_problem(tmp_path: Path) -> None:
    def bend(columns: dict[str, Any]) -> None:
        for row in range(len(columns['id'])):
            side = columns['side'][columns['sequence_row'][row]]
            columns['joints_cam'][row] = curled(row, side)
        _project(columns)

    index = index_of(tmp_path, bend)
    hands = measure_hands(index)
    assert not list(hand_problems(index, hands))
    sides = index['side'][index['sequence_row']]
    assert (hands.bends[sides == 0] > .4).all()
    assert (hands.bends[sides == 1] < -.4).all()


def test_repeated_frame_is_found(tmp_path: Path) -> None:
    def repeat(columns: dict[str, Any]) -> None:
        columns['frame'][4:6] = 0

    index = index_of(tmp_path, repeat)
    problems = list(label_checks.repeated_frames(index))
    assert [problem.where for problem in problems] == ['id 3']
    assert problems[0].found.endswith('2 repetitions in all')


def _two_hands(columns: dict[str, Any]) -> None:
    """Sequences 0 and 1 are the hands of the same pictures."""
    names = [f'{sequence // 2}/{camera}/{frame}.jpg' for sequence, camera,
             frame in zip(columns['sequence_row'], columns['camera'],
                          columns['frame'], strict=True)]
    columns.update(file_name=np.array(names), image_pattern='{file_name}',
                   source='interhand2.6m')


def test_two_hands_of_a_picture_are_no_repetition(tmp_path: Path) -> None:
    index = index_of(tmp_path, _two_hands)
    for row in range(len(index)):
        path = tmp_path / index.file_of(row)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((120, 160, 3), row, np.uint8))
    assert not list(label_checks.repeated_frames(index))
    assert not list(inspect_pictures(index, tmp_path, len(index)))
    # but one hand twice is
    index.columns['sequence_row'] = np.zeros(len(index), np.int32)
    problem, = label_checks.repeated_frames(index)
    assert problem.found == '0/0/0.jpg again; 12 repetitions in all'


def test_ends_of_videos_of_many_cameras(tmp_path: Path) -> None:
    index = index_of(tmp_path, lambda columns: None)
    rows = np.arange(len(index))
    assert _ends_of_videos(index, rows).tolist() == [
        row for row in rows if row % 3 != 1]
    # a number of a sequence and a camera must not stand for another pair
    index.columns['sequence_row'] = np.repeat([1, 0], 12)
    index.columns['camera'] = np.repeat([0, 256], 12).astype('u2')
    assert _ends_of_videos(index, rows).tolist() == [0, 11, 12, 23]


class _Layer:
    """Stands for MANO: joints of the labels, the left ones off."""

    columns = make_columns()

    def __init__(self, path: Path, side: str, flip_left_shape: bool) -> None:
        self.off = 0. if side == 'right' or flip_left_shape else .01
        if not path.is_file():
            raise DataError(path, 'file', 'a file', 'nothing')

    def __call__(self, pose: torch.Tensor,
                 betas: torch.Tensor) -> tuple[None, torch.Tensor]:
        known = {tuple(row): joints for row, joints in zip(
            self.columns['pose_m'].tolist(), self.columns['joints_cam'],
            strict=True)}
        found = np.stack([known[tuple(row)] for row in pose.tolist()])
        return None, torch.from_numpy(found + np.float32(self.off))


def test_poses_are_compared_with_mano(
        shared: Path, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_checks, 'HandObjectManoLayer', _Layer)
    index = index_of(tmp_path, lambda columns: None)
    with pytest.raises(DataError, match='MANO_RIGHT'):
        list(mano_problems(index, tmp_path))
    for side in ('RIGHT', 'LEFT'):
        (tmp_path / f'MANO_{side}.pkl').write_text('model')
    assert not list(mano_problems(index, tmp_path))
    monkeypatch.setattr(label_checks, 'MANO_MM', -1.)
    found = list(mano_problems(index, tmp_path))
    assert [problem.where for problem in found] == [
        'pose_m of right hands', 'pose_m of left hands']
    assert found[0].found == '0.0 mm, median of 12 hands'
