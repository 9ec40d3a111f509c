from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pytest

from mmpose_ext.storage import DataError, read_calibrations
from tests.unit.storage.matlab_files import label3d_content, save_v5

TOML = '''
[cam_0]
name = "left"
size = [640, 480]
matrix = [[700.0, 0.0, 319.5], [0.0, 701.0, 239.5], [0.0, 0.0, 1.0]]
distortions = [-0.28, 0.01, 0.002, -0.001, 0.03]
rotation = [0.1, -0.2, 0.3]
translation = [10.0, 20.0, 300.0]

[cam_1]
name = "right"
size = [640, 480]
matrix = [[700.0, 0.0, 319.5], [0.0, 701.0, 239.5], [0.0, 0.0, 1.0]]
distortions = [-0.28]
rotation = [0.1, 0.2, 0.3]
translation = [-10.0, 20.0, 300.0]

[metadata]
adjusted = true
'''
MAP = {
    'camera_matrix': [[700, 0, 319.5], [0, 701, 239.5], [0, 0, 1]],
    'dist_coeffs': [[-.28, .01, .002, -.001, .03]],
    'rotation': [.1, -.2, .3],
    'translation': [[10.], [20.], [300.]],
    'image_size': [640, 480],
}


def write(path, text):
    path.write_text(text)
    return path


def check_left(camera):
    np.testing.assert_allclose(
        camera.rotation, cv2.Rodrigues(np.array([.1, -.2, .3]))[0])
    assert camera.radial.tolist() == [-.28, .01, .03]
    assert camera.tangential.tolist() == [.002, -.001]
    assert camera.translation.tolist() == [10, 20, 300]
    assert camera.matrix[0].tolist() == [700, 0, 319.5]
    assert (camera.convention, camera.size) == ('opencv', (640, 480))


def test_anipose_cameras_come_in_the_files_order(tmp_path):
    left, right = read_calibrations(write(tmp_path / 'c.toml', TOML))
    assert (left.name, right.name) == ('left', 'right')
    check_left(left)
    assert right.radial.tolist() == [-.28, 0, 0]


def test_the_real_calibration_is_read(real_data):
    found = read_calibrations(real_data / 'mouse_4cam/calibration.toml')
    assert [camera.name for camera in found] == ['back', 'mid', 'side',
                                                 'top']
    assert {camera.size for camera in found} == {(1280, 1024)}


def test_json_and_opencvs_own_yaml_read_alike(tmp_path):
    text = json.dumps({'date': 'today', 'left': MAP})
    check_left(read_calibrations(write(tmp_path / 'c.json', text))[0])
    path = tmp_path / 'c.yaml'
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.startWriteStruct('left', cv2.FileNode_MAP)
    for key, value in MAP.items():
        storage.write(key, np.array(value, np.float64))
    storage.endWriteStruct()
    storage.release()
    check_left(read_calibrations(path)[0])


def test_a_matrix_is_taken_for_the_rotation_as_it_is(tmp_path):
    turn = cv2.Rodrigues(np.array([.1, -.2, .3]))[0]
    text = json.dumps({'left': {**MAP, 'rotation': turn.tolist()}})
    check_left(read_calibrations(write(tmp_path / 'c.json', text))[0])


def test_label3d_files_are_calibrations_too(tmp_path):
    path = save_v5(tmp_path / 'a_dannce.mat', label3d_content())
    found = read_calibrations(path)
    assert [camera.name for camera in found] == ['Camera1', 'Camera2',
                                                 'Camera3']
    assert found[0].convention == 'matlab'
    assert found[0].to_matlab() is found[0]


def test_matlabs_convention_projects_to_the_same_place_one_further(
        tmp_path):
    camera = read_calibrations(write(tmp_path / 'c.toml', TOML))[0]
    point = np.array([3., -4., 50.])
    column = camera.matrix @ (camera.rotation @ point + camera.translation)
    other = camera.to_matlab()
    row = (point @ other.rotation + other.translation) @ other.matrix
    np.testing.assert_allclose(row[:2] / row[2],
                               column[:2] / column[2] + 1)


@pytest.mark.parametrize('old, new, where', [
    ('[cam_0]', '[cam_0', 'file'),
    ('matrix = ', 'matrices = ', "key 'matrix'"),
    ('name = "left"', 'name = "right"', 'cameras'),
    ('-0.2, 0.3]', '-0.2]', "camera 'left', rotation"),
    ('[10.0, 20.0, 300.0]', '"far"', "camera 'left', translation"),
    ('[10.0, 20.0, 300.0]', '[nan, 20.0, 300.0]',
     "camera 'left', translation"),
    ('[10.0, 20.0, 300.0]', '[20.0, 300.0]', "camera 'left', translation"),
    ('-0.001, 0.03]', '-0.001, 0.03, 1.0, 0.0, 0.0]',
     "camera 'left', distortion"),
    ('[[700.0, 0.0, 319.5]', '[[700.0, 0.0, nan]', "camera 'left', matrix"),
    ('[[700.0, 0.0, 319.5]', '[[-700.0, 0.0, 319.5]',
     "camera 'left', matrix"),
    ('[[700.0, 0.0, 319.5], [0.0, 701.0, 239.5], [0.0, 0.0, 1.0]]',
     '[[700.0, 0.0, 0.0], [0.0, 701.0, 0.0], [319.5, 239.5, 1.0]]',
     "camera 'left', matrix"),
    ('[640, 480]', '[640, 480, 3]', "camera 'left', size"),
    ('[cam_0]', '[cam_0]\nfisheye = true', "camera 'left', fisheye"),
])
def test_damaged_toml_is_refused(tmp_path, refused, old, new, where):
    assert old in TOML
    path = write(tmp_path / 'c.toml', TOML.replace(old, new, 1))
    with refused(where):
        read_calibrations(path)


def test_a_toml_without_cameras_is_refused(tmp_path, refused):
    path = write(tmp_path / 'c.toml', re.sub(r'(?s)^.*\[metadata',
                                             '[metadata', TOML))
    with refused('cameras'):
        read_calibrations(path)


@pytest.mark.parametrize('name, text, where', [
    ('c.json', '{', 'file'),
    ('c.json', '[1]', 'file'),
    ('c.json', '{"left": {}}', 'cameras'),
    ('c.json', json.dumps({'left': {**MAP, 'dist_coeffs': 'none'}}),
     "camera 'left', distortion"),
    ('c.yaml', 'left: {camera_matrix: [1', 'file'),
    ('c.yaml', 'left: {camera_matrix: [[1, 0]]}', "key 'dist_coeffs'"),
    ('c.yaml', '!!python/object/apply:os.getcwd []', 'file'),
    ('c.xml', '<opencv_storage/>', 'file'),
])
def test_damaged_maps_are_refused(tmp_path, refused, name, text, where):
    path = write(tmp_path / name, text)
    with refused(where):
        read_calibrations(path)


def test_a_label3d_file_without_names_is_refused(tmp_path):
    content = label3d_content()
    del content['camnames']
    with pytest.raises(DataError, match='camnames'):
        read_calibrations(save_v5(tmp_path / 'a_dannce.mat', content))
