from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmpose_ext.storage import DataError, write_npz
from mmpose_ext.storage.dexycb_labels import (
    check_projection,
    read_labels,
    read_segmentation,
)

CAMERA = np.array([613., 612., 313., 245.])


def arrays(seed: int = 0, objects: int = 2) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    poses = np.zeros((objects, 3, 4), np.float32)
    poses[..., :3] = Rotation.random(objects, random_state=seed).as_matrix()
    poses[..., 3] = draw.normal(size=(objects, 3))
    joints = draw.uniform([-.1, -.1, .5], [.1, .1, .9], (1, 21, 3))
    pixels = joints[..., :2] / joints[..., 2:] * CAMERA[:2] + CAMERA[2:]
    seg = np.zeros((480, 640), np.uint8)
    seg[100:200, 50:90], seg[300:, 200:] = 21, 255
    return dict(seg=seg, pose_y=poses,
                pose_m=draw.normal(size=(1, 51)).astype(np.float32),
                joint_3d=joints.astype(np.float32),
                joint_2d=pixels.astype(np.float32))


def write(path: Path, save=np.savez_compressed, **changes) -> Path:
    content = {**arrays(), **changes}
    save(path, **{name: values for name, values in content.items()
                  if values is not None})
    return path


@pytest.mark.parametrize('save', [np.savez_compressed, np.savez, write_npz])
def test_labels_are_what_was_written(tmp_path, save):
    expected = [arrays(seed) for seed in range(3)]
    files = [write(tmp_path / f'{seed}.npz', save, **each)
             for seed, each in enumerate(expected)]
    found = read_labels(files, 2)
    for name, key in (('pose_m', 'pose_m'), ('joints_cam', 'joint_3d'),
                      ('joints_px', 'joint_2d')):
        np.testing.assert_array_equal(
            getattr(found, name), np.concatenate([e[key] for e in expected]))
    np.testing.assert_array_equal(found.pose_y,
                                  [each['pose_y'] for each in expected])
    assert found.hand_valid.all() and found.object_valid.all()
    check_projection(found, files, CAMERA)
    np.testing.assert_array_equal(read_segmentation(files[0]),
                                  expected[0]['seg'])


def test_what_is_missing_is_told(tmp_path):
    poses = arrays()['pose_y']
    poses[1] = 0
    labels = read_labels([
        write(tmp_path / 'a.npz', joint_3d=np.full((1, 21, 3), -1, 'f4'),
              joint_2d=np.full((1, 21, 2), -1, 'f4')),
        write(tmp_path / 'b.npz', pose_y=poses)], 2)
    assert labels.hand_valid.tolist() == [False, True]
    assert labels.object_valid.tolist() == [[True, True], [True, False]]
    check_projection(labels, [tmp_path / 'a.npz', tmp_path / 'b.npz'], CAMERA)


def test_segmentation_is_not_touched_unless_asked_for(tmp_path):
    path = write(tmp_path / 'a.npz', seg=None)
    assert read_labels([path], 2).hand_valid.all()
    with pytest.raises(DataError, match="key 'seg'"):
        read_segmentation(path)
    # its bytes are damaged, and nobody looks
    path = write(tmp_path / 'b.npz')
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo('seg.npy')
    content = bytearray(path.read_bytes())
    for at in range(info.header_offset + 60,
                    info.header_offset + 60 + info.compress_size // 2):
        content[at] ^= 255
    path.write_bytes(content)
    assert read_labels([path], 2).hand_valid.all()
    with pytest.raises(DataError, match="key 'seg'"):
        read_segmentation(path)


def nan_at(name: str) -> dict[str, np.ndarray]:
    values = arrays()[name]
    values.flat[3] = np.nan
    return {name: values}


@pytest.mark.parametrize('changes, where, expected, found', [
    ({'pose_y': None}, "key 'pose_y'", "key 'pose_y'", "'joint_3d'"),
    ({'joint_3d': None}, "key 'joint_3d'", "key 'joint_3d'", "'pose_m'"),
    ({'pose_y': arrays(0, 3)['pose_y']}, "key 'pose_y'", 'shape (2, 3, 4)',
     'shape (3, 3, 4)'),
    ({'pose_y': np.eye(4, dtype='f4')[None].repeat(2, 0)}, "key 'pose_y'",
     'shape (2, 3, 4)', 'shape (2, 4, 4)'),
    ({'pose_y': np.ones((2, 3, 4), 'f4')}, "key 'pose_y'", 'rotations',
     'another matrix in row 0'),
    ({'joint_3d': arrays()['joint_3d'][0]}, "key 'joint_3d'",
     'shape (1, 21, 3)', 'shape (21, 3)'),
    ({'joint_2d': np.zeros((1, 21, 3), 'f4')}, "key 'joint_2d'",
     'shape (1, 21, 2)', 'shape (1, 21, 3)'),
    ({'pose_m': np.zeros((1, 48), 'f4')}, "key 'pose_m'", 'shape (1, 51)',
     'shape (1, 48)'),
    ({'joint_3d': arrays()['joint_3d'].astype('f8')}, "key 'joint_3d'",
     'float32', 'float64'),
    ({'joint_2d': np.full((1, 21, 2), 'x')}, "key 'joint_2d'", 'float32',
     '<U1'),
    (nan_at('pose_m'), "key 'pose_m'", 'finite', 'nan at (0, 3)'),
    (nan_at('joint_3d'), "key 'joint_3d'", 'finite', 'nan at (0, 1, 0)'),
    (nan_at('pose_y'), "key 'pose_y'", 'finite', 'nan at (0, 0, 3)'),
    ({'pose_m': np.array({})}, "key 'pose_m'", 'a plain array', 'pickled'),
])
def test_damaged_labels_are_refused(tmp_path, changes, where, expected,
                                    found):
    good = write(tmp_path / 'good.npz')
    path = write(tmp_path / 'bad.npz', **changes)
    with pytest.raises(DataError) as caught:
        read_labels([good, path], 2)
    error = caught.value
    assert (error.file, error.where) == (str(path), where)
    assert expected in error.expected and found in error.found


@pytest.mark.parametrize('keep', [0, 20, 1500, -30])
def test_labels_cut_short_are_refused(tmp_path, keep):
    path = write(tmp_path / 'a.npz')
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError) as caught:
        read_labels([path], 2)
    assert caught.value.file == str(path)
    assert caught.value.found in ('an empty file', 'one that is cut short')


@pytest.mark.parametrize('share', np.linspace(.5, .97, 12))
def test_a_wrong_byte_never_passes_for_labels(tmp_path, share):
    path = write(tmp_path / 'a.npz')
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 0x55
    path.write_bytes(content)
    try:
        labels = read_labels([path], 2)
    except DataError as error:
        assert error.file == str(path)
    else:
        np.testing.assert_array_equal(labels.joints_cam,
                                      arrays()['joint_3d'])


def test_joints_of_another_camera_are_refused(tmp_path):
    files = [write(tmp_path / 'a.npz')]
    labels = read_labels(files, 2)
    with pytest.raises(DataError) as caught:
        check_projection(labels, files, CAMERA * [1.5, 1.5, 1, 1])
    assert caught.value.where == "key 'joint_2d'"
    assert 'as the camera projects it' in caught.value.expected
    assert 'px from it' in caught.value.found


@pytest.mark.parametrize('seg, expected, found', [
    (np.zeros((240, 320), np.uint8), 'shape (480, 640)', 'shape (240, 320)'),
    (np.zeros((480, 640)), 'uint8', 'float64'),
    (np.full((480, 640), 22, np.uint8), '0 to 21 and 255', '22'),
])
def test_damaged_segmentations_are_refused(tmp_path, seg, expected, found):
    path = write(tmp_path / 'a.npz', seg=seg)
    with pytest.raises(DataError) as caught:
        read_segmentation(path)
    assert caught.value.where == "key 'seg'"
    assert expected in caught.value.expected and found in caught.value.found
