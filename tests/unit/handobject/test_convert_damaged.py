from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from mmpose_ext.handobject.convert import convert_dexycb
from mmpose_ext.storage import DataError
from tests.unit.handobject.dexycb_folder import (
    SEQUENCES,
    SERIALS,
    SUBJECTS,
    change_labels,
    change_meta,
    label_file,
    meta_file,
    write_folder,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_folder(tmp_path / 'dexycb')
    return tmp_path / 'dexycb'


def _resize_calibration(root: Path) -> None:
    path = root / f'calibration/intrinsics/{SERIALS[1]}_640x480.yml'
    change_meta(path, color=dict(fx=922., fy=921., ppx=640., ppy=360.))


def _other_calibration(root: Path) -> None:
    path = root / f'calibration/intrinsics/{SERIALS[1]}_640x480.yml'
    color = yaml.safe_load(path.read_text())['color']
    change_meta(path, color=dict(color, ppx=color['ppx'] - 40))


def _truncate(root: Path) -> None:
    path = label_file(root)
    path.write_bytes(path.read_bytes()[:-200])


def _mix_up(root: Path) -> None:
    with np.load(label_file(root, 0, 1)) as other:
        change_labels(label_file(root), joint_2d=other['joint_2d'])


LABELS = f'{SUBJECTS[0]}/{SEQUENCES[0]}/{SERIALS[0]}/labels_000001.npz'
META = f'{SUBJECTS[0]}/{SEQUENCES[0]}/meta.yml'
CALIBRATION = f'calibration/intrinsics/{SERIALS[1]}_640x480.yml'


@pytest.mark.parametrize('damage, file, where, expected, found', [
    (lambda root: label_file(root).unlink(), LABELS, 'file', 'a file',
     'nothing'),
    (lambda root: label_file(root).with_name('color_000001.jpg').unlink(),
     LABELS.replace('labels', 'color').replace('npz', 'jpg'), 'file',
     'a file', 'nothing'),
    (lambda root: label_file(root).write_bytes(b'not a zip file'), LABELS,
     'archive', 'an .npz', 'another format'),
    (_truncate, LABELS, 'archive', 'an .npz', 'cut short'),
    (lambda root: change_labels(label_file(root), joint_3d=None), LABELS,
     "key 'joint_3d'", "key 'joint_3d'", "'pose_y'"),
    (lambda root: change_labels(
        label_file(root), pose_y=np.zeros((5, 3, 4), 'f4')), LABELS,
     "key 'pose_y'", 'shape (3, 3, 4)', 'shape (5, 3, 4)'),
    (lambda root: change_labels(
        label_file(root), pose_m=np.full((1, 51), np.nan, 'f4')), LABELS,
     "key 'pose_m'", 'finite', 'nan at (0, 0) (51'),
    (_mix_up, LABELS, "key 'joint_2d'", 'as the camera projects it', 'px'),
    (lambda root: change_labels(
        label_file(root), joint_2d=np.full((1, 21, 2), -1, 'f4')), LABELS,
     "key 'joint_2d'", 'as the camera projects it', 'px'),
    (lambda root: meta_file(root).unlink(), META, 'file', 'a file',
     'nothing'),
    (lambda root: change_meta(meta_file(root), ycb_grasp_ind=3), META,
     'ycb_grasp_ind', 'from 0 to 2', "'3'"),
    (lambda root: change_meta(meta_file(root), ycb_ids=[2, 5]),
     LABELS.replace('1.npz', '0.npz'), "key 'pose_y'", 'shape (2, 3, 4)',
     'shape (3, 3, 4)'),
    (lambda root: change_meta(meta_file(root), mano_sides=['both']), META,
     'mano_sides', "['right']", "['both']"),
    (lambda root: change_meta(meta_file(root), num_frames=4),
     LABELS.replace('1.npz', '3.npz'), 'file', 'a file', 'nothing'),
    (lambda root: change_meta(meta_file(root, 1, 1), serials=[SERIALS[0]]),
     f'{SUBJECTS[1]}/{SEQUENCES[1]}/meta.yml', 'serials',
     'as in the other sequences', SERIALS[0]),
    (lambda root: change_meta(meta_file(root), mano_calib=['none']),
     'calibration/mano_none/mano.yml', 'file', 'a file', 'nothing'),
    (lambda root: (root / CALIBRATION).unlink(), CALIBRATION, 'file',
     'a file', 'nothing'),
    (_resize_calibration, CALIBRATION, 'color', '640 x 480', 'ppx 640'),
    (_other_calibration, f'{SUBJECTS[0]}/{SEQUENCES[0]}/{SERIALS[1]}/'
     'labels_00000', "key 'joint_2d'", 'projects', '40.0 px'),
    (lambda root: (root / 'models/006_mustard_bottle/textured_simple.obj'
                   ).unlink(), 'models/006_mustard_bottle/'
     'textured_simple.obj', 'file', 'a file', 'nothing'),
])
def test_damaged_data_are_refused(root, damage, file, where, expected,
                                  found):
    damage(root)
    with pytest.raises(DataError) as caught:
        convert_dexycb(root, root.parent / 'new' / 'index')
    error = caught.value
    assert error.file.startswith(str(root / file))
    assert error.where == where
    assert expected in error.expected and found in error.found
    assert '\n' not in str(error)
    assert not (root.parent / 'new').exists()
