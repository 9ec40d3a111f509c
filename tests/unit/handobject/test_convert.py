from __future__ import annotations

import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmpose_ext.commands import run_convert
from mmpose_ext.handobject import convert_dexycb as gathering
from mmpose_ext.handobject.convert import CONVERTERS, convert_dexycb
from mmpose_ext.handobject.index_files import HandObjectIndex, read_index
from mmpose_ext.storage import DataError
from mmpose_ext.storage.dexycb import SERIALS as ALL_SERIALS
from mmpose_ext.storage.dexycb import SUBJECTS as ALL_SUBJECTS
from tests.unit.handobject.dexycb_folder import (
    FRAMES,
    GRASPED,
    HALF_SIDES,
    INTRINSICS,
    SEQUENCES,
    SIDES,
    SUBJECTS,
    YCB_IDS,
    change_labels,
    label_file,
    videos,
    write_folder,
)

# of the published 8 cameras, the folder has the first two
IDS = np.arange(4 * 8 * FRAMES).reshape(4, 8, FRAMES)[:, :2].ravel()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_folder(tmp_path / 'dexycb')
    return tmp_path / 'dexycb'


def convert(root: Path, **options) -> HandObjectIndex:
    """The only index of a conversion."""
    file, = convert_dexycb(root, root / 'index', **options)
    return read_index(file)


def labels_of(index: HandObjectIndex, root: Path, row: int) -> dict:
    with np.load(root / index.label_file_of(row)) as stored:
        return dict(stored)


def test_an_index_holds_what_the_labels_say(root):
    index = convert(root)
    assert index.path.name == 's0_train.npz'
    assert index.subjects == ALL_SUBJECTS and index.serials == ALL_SERIALS
    np.testing.assert_array_equal(index['id'], IDS)
    expected = [(video.folder.relative_to(root), frame)
                for video in videos(root) for frame in range(FRAMES)]
    assert [index.file_of(row) for row in range(len(index))] == [
        f'{folder}/color_{frame:06d}.jpg' for folder, frame in expected]
    for row in range(len(index)):
        stored = labels_of(index, root, row)
        sequence = index.sequence_of(row).split('/')[1]
        count = len(YCB_IDS[sequence])
        assert index['hand_valid'][row] == (index['frame'][row] > 0)
        for name, key in (('joints_cam', 'joint_3d'), ('pose_m', 'pose_m'),
                          ('joints_px', 'joint_2d')):
            np.testing.assert_array_equal(index[name][row], stored[key][0])
        np.testing.assert_array_equal(index['pose_y'][row][:count],
                                      stored['pose_y'])
        assert not index['pose_y'][row][count:].any()
        np.testing.assert_array_equal(
            index['object_valid'][row][:count],
            stored['pose_y'].any((1, 2)))
        np.testing.assert_array_equal(
            index['K'][row],
            np.array(INTRINSICS[index.serial_of(row)], np.float32))
    index.check_root(root)


def test_sequences_are_described(root):
    index = convert(root)
    assert index.sequences == tuple(
        f'{subject}/{name}' for subject in SUBJECTS for name in SEQUENCES)
    for row, name in enumerate(index.sequences):
        subject, sequence = name.split('/')
        ids = index['ycb_ids'][row]
        assert tuple(ids[ids > 0]) == YCB_IDS[sequence]
        assert index['grasped'][row] == GRASPED[sequence]
        assert ('right', 'left')[index['side'][row]] == SIDES[subject]
        assert index.subjects[index['sequence_subject'][row]] == subject
        assert SEQUENCES[index['sequence_number'][row]] == sequence
        np.testing.assert_allclose(
            index['betas'][row], .5 + .1 * SUBJECTS.index(subject))


def test_boxes_hold_the_hand_and_the_object(root):
    index = convert(root)
    valid = index['hand_valid']
    low = index['bbox_hand'][:, :2]
    high = low + index['bbox_hand'][:, 2:]
    for row in np.flatnonzero(valid):
        pixels = index['joints_px'][row]
        inside = pixels[((pixels >= 0) & (pixels < (640, 480))).all(1)]
        np.testing.assert_allclose(low[row], inside.min(0), atol=1e-3)
        np.testing.assert_allclose(high[row], inside.max(0), atol=1e-3)
    assert not index['bbox_hand'][~valid].any()
    corners = np.array([*itertools.product(*([-side, side]
                                             for side in HALF_SIDES))])
    for row in range(len(index)):
        place = index['grasped'][index['sequence_row'][row]]
        pose = index['pose_y'][row, place].astype(np.float64)
        if not index['object_valid'][row, place]:
            continue
        pixels = cv2.projectPoints(
            corners, cv2.Rodrigues(pose[:, :3])[0], pose[:, 3],
            index.camera_matrix(row).astype(np.float64), None)[0][:, 0]
        around = [pixels.min(0), pixels.max(0)]
        if valid[row]:
            around = [np.minimum(around[0], low[row]),
                      np.maximum(around[1], high[row])]
        x, y, width, height = index['bbox_union'][row]
        np.testing.assert_allclose(
            [(x, y), (x + width, y + height)],
            np.clip(around, 0, (639, 479)), atol=1e-2)
    assert index['bbox_union'].any(1).all()


def test_without_meshes_boxes_are_of_the_hand(tmp_path, capsys):
    write_folder(tmp_path / 'dexycb', meshes=False)
    index = convert(tmp_path / 'dexycb')
    np.testing.assert_array_equal(index['bbox_union'], index['bbox_hand'])
    assert 'no meshes in' in capsys.readouterr().out
    with pytest.raises(DataError, match='--contact'):
        convert(tmp_path / 'dexycb', contact=True, overwrite=True)


def box_distance(points: np.ndarray) -> np.ndarray:
    """Distance of points to the surface of the meshes' box."""
    excess = np.abs(points) - HALF_SIDES
    outside = np.linalg.norm(np.maximum(excess, 0), axis=-1)
    return np.abs(outside + np.minimum(excess.max(-1), 0))


def test_contact_comes_from_the_mesh(root):
    index = convert(root, contact=True)
    touching = 0
    for row in range(len(index)):
        place = index['grasped'][index['sequence_row'][row]]
        known = index['hand_valid'][row] and index['object_valid'][row, place]
        assert index['contact_valid'][row] == known
        if not known:
            assert np.isnan(index['joint_distance'][row]).all()
            assert not index['contact'][row].any()
            continue
        pose = index['pose_y'][row, place].astype(np.float64)
        points = np.array([
            pose[:, :3].T @ (joint - pose[:, 3])
            for joint in index['joints_cam'][row].astype(np.float64)])
        distances = box_distance(points)
        np.testing.assert_allclose(index['joint_distance'][row], distances,
                                   atol=3e-4)
        limits = np.full(21, .020)
        limits[[4, 8, 12, 16, 20]] = .025
        clear = np.abs(distances - limits) > 3e-4
        np.testing.assert_array_equal(
            index['contact'][row][clear], (distances < limits)[clear])
        touching += index['contact'][row].sum()
    assert touching


def test_fewer_frames_keep_their_ids(root):
    whole = convert(root)
    for options, rows in (
            (dict(every=2), whole['frame'] % 2 == 0),
            (dict(subjects=[2]), np.arange(24) >= 12),
            (dict(limit=5), np.isin(np.arange(24), [0, 6, 12, 17, 23]))):
        index = convert(root, overwrite=True, **options)
        for name in ('id', 'frame', 'camera', 'joints_cam', 'bbox_union'):
            np.testing.assert_array_equal(index[name], whole[name][rows])
        assert [index.file_of(row) for row in range(len(index))] == [
            whole.file_of(row) for row in np.flatnonzero(rows)]
        index.check_root(root)


def test_setups_share_what_is_read(root):
    whole = convert(root)
    folder = root / 'other'
    files = convert_dexycb(root, folder, setup='all', limit=7)
    assert [file.name for file in files] == [
        f's{setup}_train.npz' for setup in range(4)]
    index = read_index(folder / 's2_train.npz')
    assert index.setup == 's2' and len(index) == 7
    rows = np.linspace(0, len(whole) - 1, 7).round().astype(int)
    np.testing.assert_array_equal(index['joints_px'],
                                  whole['joints_px'][rows])


def test_workers_change_nothing(root):
    one = convert(root, contact=True).path.read_bytes()
    two = convert(root, contact=True, workers=2, overwrite=True)
    assert two.path.read_bytes() == one
    label_file(root, 1, 1).unlink()
    with pytest.raises(DataError) as caught:
        convert(root, workers=2, overwrite=True)
    assert caught.value.file == str(label_file(root, 1, 1))
    assert two.path.read_bytes() == one


def test_splits_of_more_sequences(root):
    for number in range(2, 5):
        folder = root / SUBJECTS[0] / SEQUENCES[0]
        copy = folder.with_name(f'20200709_15000{number}')
        copy.mkdir()
        for path in folder.rglob('*'):
            if path.is_dir():
                (copy / path.relative_to(folder)).mkdir()
            else:
                (copy / path.relative_to(folder)).hardlink_to(path)
    files = convert_dexycb(root, root / 'index', workers=0)
    assert [file.name for file in files] == ['s0_train.npz', 's0_val.npz']
    val = read_index(files[1])
    assert val['sequence_number'].tolist() == [4]
    assert val['id'].tolist() == IDS[:2 * FRAMES].tolist()
    assert len(read_index(files[0])) == 6 * 2 * FRAMES


def test_the_table_counts(root, capsys):
    assert run_convert('', ['dexycb', str(root), '--out',
                            str(root / 'index'), '--split', 'train']) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ['frames', 'hands', 'right', 'left', 'without', 'objects',
            'missing'] in lines
    assert [SUBJECTS[0], '12', '8', '8', '0', '4', '30', '4'] in lines
    assert [SUBJECTS[1], '12', '8', '0', '8', '4', '30', '4'] in lines
    assert ['all', '24', '16', '8', '8', '8', '60', '8'] in lines


def test_keyframes_are_every_fourth(tmp_path):
    write_folder(tmp_path / 'dexycb', frames=6)
    assert run_convert('', [
        'dexycb', str(tmp_path / 'dexycb'), '--out', str(tmp_path / 'out'),
        '--split', 'train', '--keyframes']) == 0
    index = read_index(tmp_path / 'out' / 's0_train.npz')
    assert index['frame'].tolist() == [0, 4] * 8
    assert index['id'].tolist() == [
        6 * (8 * sequence + camera) + frame for sequence in range(4)
        for camera in range(2) for frame in (0, 4)]
    assert index.every == 4


def test_hands_that_cannot_be_used_are_counted(root, capsys):
    behind, outside, bare = (label_file(root, camera=0, frame=frame)
                             for frame in (1, 2, 0))
    with np.load(behind) as stored:
        joints = stored['joint_3d'].copy()
    joints[..., 2] -= 2
    change_labels(behind, joint_3d=joints)
    joints = np.zeros((1, 21, 3), np.float32) + [5, 0, 1]
    change_labels(outside, joint_3d=joints.astype(np.float32),
                  joint_2d=np.float32(joints[..., :2] * [613, 612]
                                      + [313, 245]),
                  seg=np.zeros((480, 640), np.uint8),
                  pose_m=np.zeros((1, 51), np.float32))
    index = convert(root)
    assert index['hand_valid'][:3].tolist() == [False, False, True]
    assert (index['joints_cam'][:2] == -1).all()
    np.testing.assert_array_equal(index['bbox_hand'][2], [638, 245, 1, 1])
    text = capsys.readouterr().out
    assert '1 hands behind the camera, taken for none' in text
    assert '1 hands outside of the picture' in text
    assert "1 hands without MANO's pose" in text
    assert bare.exists()


def test_segmentation_helps_where_joints_are_outside(root):
    path = label_file(root, frame=2)
    joints = (np.zeros((1, 21, 3)) + [5, 0, 1]).astype(np.float32)
    seg = np.zeros((480, 640), np.uint8)
    seg[200:231, 600:640] = 255
    change_labels(path, seg=seg, joint_3d=joints, joint_2d=np.float32(
        joints[..., :2] * [613, 612] + [313, 245]))
    np.testing.assert_array_equal(convert(root)['bbox_hand'][2],
                                  [600, 200, 39, 30])


def test_coco_has_the_documented_fields(root):
    index = convert(root, contact=True)
    file, = convert_dexycb(root, root / 'index', form='coco', contact=True)
    content = json.loads(file.read_text())
    assert file.name == 's0_train.json'
    assert [category['id'] for category in content['categories']] == [
        *range(1, 23)]
    rows = np.flatnonzero(index['hand_valid'])
    assert len(content['images']) == len(content['annotations']) == len(rows)
    for row, image, record in zip(rows, content['images'],
                                  content['annotations'], strict=True):
        assert image == dict(
            id=IDS[row], file_name=index.file_of(row), width=640, height=480,
            subject=index.subject_of(row), sequence=index.sequence_of(row),
            serial=index.serial_of(row), frame=index['frame'][row])
        sequence = index.sequence_of(row).split('/')[1]
        assert record['ycb_ids'] == [*YCB_IDS[sequence]]
        assert record['mano_side'] == SIDES[index.subject_of(row)]
        assert np.shape(record['pose_y']) == (len(YCB_IDS[sequence]), 12)
        assert record['image_id'] == IDS[row]
        assert record['category_id'] == 22
        assert {'ycb_grasp_ind', 'mano_pose', 'mano_betas', 'obj_valid',
                'hand_valid', 'K', 'iscrowd', 'area'} <= record.keys()
        assert len(record['contact']) == len(record['joint_sdf']) == 21
        np.testing.assert_allclose(
            record['joint_cam'], index['joints_cam'][row], atol=1e-6)
        x, y, seen = np.reshape(record['keypoints'], (21, 3)).T
        seg = labels_of(index, root, row)['seg']
        inside = (x >= 0) & (x < 640) & (y >= 0) & (y < 480)
        hits = seg[np.clip(np.rint(y), 0, 479).astype(int),
                   np.clip(np.rint(x), 0, 639).astype(int)] == 255
        np.testing.assert_array_equal(seen, np.where(inside & hits, 2, 1))


def test_coco_needs_the_segmentation(root):
    path = label_file(root, 1, 1, 1, 2)
    change_labels(path, seg=None)
    with pytest.raises(DataError) as caught:
        convert_dexycb(root, root / 'index', form='coco')
    assert (caught.value.file, caught.value.where) == (str(path), "key 'seg'")
    assert not (root / 'index').exists()
    assert len(convert(root)) == 24


def test_files_are_replaced_only_when_told(root):
    convert(root)
    with pytest.raises(DataError) as caught:
        convert(root, every=2)
    assert caught.value.file == str(root / 'index' / 's0_train.npz')
    assert '--overwrite' in caught.value.hint
    assert len(convert(root, every=2, overwrite=True)) == 16
    assert [path.name for path in (root / 'index').iterdir()] == [
        's0_train.npz']


@pytest.mark.parametrize('options, where, found', [
    (dict(setup='s1', split='test'), 'split', 'none'),
    (dict(subjects=[3]), '--subjects', '3'),
    (dict(subjects=[11]), '--subjects', '11')])
def test_choices_without_frames_are_refused(root, options, where, found):
    with pytest.raises(DataError) as caught:
        convert_dexycb(root, root / 'index', **options)
    assert (caught.value.where, caught.value.found) == (where, found)
    assert not (root / 'index').exists()


@pytest.mark.parametrize('options', [
    ['--every', '0'], ['--limit', '-1'], ['--setup', 's9'],
    ['--every', '2', '--keyframes'], ['--workers', 'many']])
def test_wrong_options_are_told(root, options, capsys):
    with pytest.raises(SystemExit) as caught:
        run_convert('', ['dexycb', str(root), '--out', 'x', *options])
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_folders_are_recognised(root, tmp_path):
    assert CONVERTERS['dexycb'].accepts(root)
    assert not CONVERTERS['dexycb'].accepts(tmp_path)


def test_a_frame_has_one_key(root):
    data = gathering.open_root(root)
    plans = [gathering.plan_split(data, setup, 'train')
             for setup in ('s0', 's1')]
    np.testing.assert_array_equal(plans[0].key, plans[1].key)
    assert len(np.unique(plans[0].key)) == len(plans[0].key) == 24
    assert (np.diff(plans[0].key) > 0).all()
