from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmpose_ext.commands import run_convert
from mmpose_ext.handobject.convert import CONVERTERS, convert_interhand
from mmpose_ext.handobject.convert_boxes import OUTSIDE
from mmpose_ext.handobject.convert_interhand import (
    ORDER,
    gather_interhand,
    split_of,
)
from mmpose_ext.handobject.index_files import read_index
from mmpose_ext.storage import DataError

SIZE = (512, 334)
# as the data set documents its 21 joints of a hand
THEIR_NAMES = [f'{finger}{segment}' for finger in (
    'thumb', 'index', 'middle', 'ring', 'little')
    for segment in (4, 3, 2, 1)] + ['wrist']
OUR_NAMES = ['wrist'] + [f'{finger}{segment}' for finger in (
    'thumb', 'index', 'middle', 'ring', 'little')
    for segment in (1, 2, 3, 4)]


def content() -> dict[str, dict]:
    """Files of two pictures: both hands, and a left one."""
    draw = np.random.default_rng(0)
    rotation = Rotation.from_rotvec([.2, -.4, .1]).as_matrix()
    place = np.array([100., -50., -900.])
    joints = draw.normal(0, 40, (2, 42, 3))
    images = [
        dict(id=7 + row, file_name=f'{row}.jpg', width=SIZE[0],
             height=SIZE[1], capture=3, subject=1, seq_name='0390_touch',
             camera='400026', frame_idx=69148 + row) for row in range(2)]
    annotations = [
        dict(id=row, image_id=7 + row, bbox=[0, 0, 1, 1], joint_valid=[
            [int(row == 0 or joint >= 21)] for joint in range(42)],
            hand_type='left' if row else 'interacting', hand_type_valid=1)
        for row in range(2)]
    camera = {'3': dict(
        campos={'400026': place.tolist()},
        camrot={'400026': rotation.tolist()},
        focal={'400026': [1270., 1271.]}, princpt={'400026': [250., 170.]})}
    frames = {str(69148 + row): dict(
        world_coord=joints[row].tolist(), joint_valid=[[1]] * 42)
        for row in range(2)}
    return {'data': dict(images=images, annotations=annotations),
            'camera': camera, 'joint_3d': {'3': frames}}


def write(folder: Path, files: dict[str, dict]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in files.items():
        (folder / f'InterHand2.6M_val_{name}.json').write_text(
            json.dumps(values))
    for row in range(2):
        (folder / f'{row}.jpg').write_bytes(b'a picture')


def test_hands_are_put_before_their_cameras(tmp_path):
    files = content()
    write(tmp_path / 'in', files)
    file, = convert_interhand(tmp_path / 'in', tmp_path / 'out')
    assert file.name == 'interhand2.6m_val.npz'
    index = read_index(file)
    assert index['id'].tolist() == [0, 1, 3]
    assert [index.side_of(row) for row in range(3)] == [0, 1, 1]
    assert [index.file_of(row) for row in range(3)] == [
        '0.jpg', '0.jpg', '1.jpg']
    assert index.source == 'interhand2.6m' and index.split == 'val'
    index.check_root(tmp_path / 'in')
    camera = files['camera']['3']
    rotation = np.array(camera['camrot']['400026'])
    place = np.array(camera['campos']['400026'])
    for row, (frame, side) in enumerate(((0, 0), (0, 1), (1, 1))):
        world = np.array(files['joint_3d']['3'][str(69148 + frame)][
            'world_coord'])[21 * side:21 * side + 21]
        named = dict(zip(THEIR_NAMES, world, strict=True))
        ours = np.array([named[name] for name in OUR_NAMES])
        pixels = cv2.projectPoints(
            ours, cv2.Rodrigues(rotation)[0], -rotation @ place,
            np.array([[1270, 0, 250], [0, 1271, 170], [0, 0, 1.]]),
            None)[0][:, 0]
        np.testing.assert_allclose(index['joints_px'][row], pixels,
                                   atol=1e-3)
        np.testing.assert_allclose(
            index['joints_cam'][row], (ours - place) @ rotation.T / 1000,
            atol=1e-6)


def test_order_is_a_permutation():
    assert [THEIR_NAMES[row] for row in ORDER] == OUR_NAMES


def test_hands_with_missing_joints_are_counted(tmp_path, capsys):
    files = content()
    files['data']['annotations'][0]['joint_valid'][5] = [0]
    write(tmp_path / 'in', files)
    file, = convert_interhand(tmp_path / 'in', tmp_path / 'out')
    index = read_index(file)
    assert index['hand_valid'].tolist() == [False, True, True]
    assert (index['joints_cam'][0] == -1).all()
    assert '1 hands with unlabelled joints' in capsys.readouterr().out


def test_hands_outside_of_their_picture_are_counted(tmp_path):
    files = content()
    files['camera']['3']['princpt']['400026'][0] += 1e4
    write(tmp_path / 'in', files)
    hands, notes = gather_interhand(
        tmp_path / 'in/InterHand2.6M_val', tmp_path / 'in', tmp_path / 'in')
    assert notes[OUTSIDE] == 3
    assert (hands['bbox_hand'][:, 2:] >= 1).all()


def test_pictures_may_lie_elsewhere_in_the_root(tmp_path):
    write(tmp_path / 'annotations', content())
    (tmp_path / 'images' / 'val').mkdir(parents=True)
    for row in range(2):
        (tmp_path / 'annotations' / f'{row}.jpg').rename(
            tmp_path / 'images' / 'val' / f'{row}.jpg')
    assert run_convert('', [
        'interhand2.6m', str(tmp_path / 'annotations'), '--out',
        str(tmp_path / 'out'), '--data-root', str(tmp_path), '--images',
        str(tmp_path / 'images' / 'val')]) == 0
    index = read_index(tmp_path / 'out' / 'interhand2.6m_val.npz')
    assert index.file_of(0) == 'images/val/0.jpg'
    index.check_root(tmp_path)
    with pytest.raises(DataError, match='--data-root'):
        convert_interhand(tmp_path / 'annotations', tmp_path / 'other',
                          images=tmp_path / 'images')


def test_splits_are_told_by_the_names():
    assert split_of(Path('test_interhand2.6m')) == 'test'
    assert split_of(Path('InterHand2.6M_train')) == 'train'
    assert split_of(Path('contest')) == 'all'


def test_published_hands_lie_in_their_boxes(real_data, tmp_path):
    file, = convert_interhand(real_data / 'interhand2.6m', tmp_path)
    index = read_index(file)
    assert index['hand_valid'].tolist() == [True] * 6
    assert [index.side_of(row) for row in range(6)] == [0, 1, 0, 1, 1, 0]
    assert (index['joints_px'] > 0).all()
    assert (index['joints_px'] < index['picture_size'][:, None]).all()
    # of 1 m or so, as the hands of people are
    assert (np.abs(index['joints_cam'][..., 2] - 1.1) < .2).all()
    content = json.loads((
        real_data / 'interhand2.6m/test_interhand2.6m_data.json').read_text())
    published = {image['file_name']: annotation['bbox']
                 for image, annotation in zip(
                     content['images'], content['annotations'], strict=True)}
    for row in range(6):
        x, y, width, height = published[index.file_of(row)]
        assert (index['joints_px'][row] >= [x, y]).all()
        assert (index['joints_px'][row] <= [x + width, y + height]).all()


@pytest.mark.parametrize('damage, file, where, expected, found', [
    (lambda files: files.pop('camera'), 'camera', 'file', 'a file',
     'nothing'),
    (lambda files: files.update(joint_3d=[]), 'joint_3d', 'file',
     'keys and values', 'list'),
    (lambda files: files['data'].pop('images'), 'data', "key 'images'",
     "key 'images'", "only 'annotations'"),
    (lambda files: files['data'].update(annotations=[]), 'data',
     'annotations', 'a hand', 'none'),
    (lambda files: files['data']['images'][0].pop('camera'), 'data',
     'image 7', "key 'camera'", 'only id'),
    (lambda files: files['data']['annotations'][1].update(image_id=99),
     'data', 'annotation 1', 'an image_id of the images', '99'),
    (lambda files: files['data']['annotations'][1].update(
        joint_valid=[[1]] * 21), 'data', 'joint_valid of annotation 1',
     'shape (42)', 'shape (21,)'),
    (lambda files: files['camera'].update({'4': files['camera'].pop('3')}),
     'camera', "key '3'", "key '3'", "only '4'"),
    (lambda files: files['camera']['3']['focal'].clear(), 'camera',
     'focal of camera 400026, capture 3', 'numbers', 'nothing'),
    (lambda files: files['camera']['3']['campos'].update(
        {'400026': [0, 'x', 1]}), 'camera',
     'campos of camera 400026, capture 3', 'numbers of shape', "'x'"),
    (lambda files: files['camera']['3']['camrot'].update(
        {'400026': [[2, 0, 0], [0, 1, 0], [0, 0, 1]]}), 'camera',
     'camrot of camera 400026, capture 3', 'a rotation', 'another'),
    (lambda files: files['joint_3d']['3'].pop('69149'), 'joint_3d',
     'frame 69149 of capture 3', 'joints', 'nothing'),
    (lambda files: files['joint_3d']['3']['69149'].update(
        world_coord=[[0, 0, 0]] * 21), 'joint_3d',
     'frame 69149 of capture 3', 'shape (42, 3)', 'shape (21, 3)'),
])
def test_damaged_files_are_refused(tmp_path, damage, file, where, expected,
                                   found):
    files = content()
    damage(files)
    write(tmp_path / 'in', files)
    with pytest.raises(DataError) as caught:
        convert_interhand(tmp_path / 'in', tmp_path / 'out')
    error = caught.value
    assert error.file == str(
        tmp_path / 'in' / f'InterHand2.6M_val_{file}.json')
    assert error.where == where
    assert expected in error.expected and found in error.found
    assert not (tmp_path / 'out').exists()


def test_other_damages_are_refused(tmp_path):
    with pytest.raises(DataError, match='nothing'):
        convert_interhand(tmp_path / 'in', tmp_path / 'out')
    write(tmp_path / 'in', content())
    assert CONVERTERS['interhand2.6m'].accepts(tmp_path / 'in')
    (tmp_path / 'in' / '1.jpg').unlink()
    with pytest.raises(DataError) as caught:
        convert_interhand(tmp_path / 'in', tmp_path / 'out')
    assert caught.value.file == str(tmp_path / 'in' / '1.jpg')
    path = tmp_path / 'in' / 'InterHand2.6M_val_camera.json'
    path.write_text(path.read_text()[:-9])
    with pytest.raises(DataError) as caught:
        convert_interhand(tmp_path / 'in', tmp_path / 'out')
    assert (caught.value.file, caught.value.expected) == (str(path), 'JSON')
