"""Pictures, boxes and cameras that users name."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mmpose_ext.handobject.index_files import read_index
from mmpose_ext.handobject.photographs import (
    Photograph,
    check_view,
    guess_camera,
    list_photographs,
    photographs_of,
    read_camera,
)
from mmpose_ext.storage import DataError
from tests.unit.handobject.drawn_scenes import photograph
from tests.unit.handobject.sample_index import write_sample

K = [[610., 0, 318], [0, 600, 247], [0, 0, 1]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / 'in'
    (place / 'deep').mkdir(parents=True)
    for name in ('b.png', 'a.jpg', 'deep/c.png'):
        cv2.imwrite(str(place / name), photograph(64, 48))
    (place / 'notes.txt').write_text('no picture')
    return place


def test_a_folder_is_read_in_order_of_names(folder: Path) -> None:
    found = list_photographs(folder, None, [10, 5, 20, 30], np.array(K),
                             'left')
    assert [one.name for one in found] == ['a.jpg', 'b.png', 'deep/c.png']
    assert [one.number for one in found] == [0, 1, 2]
    np.testing.assert_array_equal(found[1].box, [10, 5, 30, 35])
    assert found[2].side == 'left'
    assert found[0].read().shape == (48, 64, 3)


def test_one_picture_is_looked_at_whole(folder: Path) -> None:
    found, = list_photographs(folder / 'b.png', None, None, None, 'right')
    assert found.box is None and found.matrix is None and found.name == 'b.png'


def test_boxes_tell_pictures_and_sides(folder: Path) -> None:
    path = folder.parent / 'boxes.json'
    path.write_text(json.dumps([
        dict(image='deep/c.png', bbox=[1, 2, 3, 4]),
        dict(image='a.jpg', bbox=[5, 6, 7, 8], side='left'),
        dict(image='a.jpg', bbox=[0, 0, 9, 9])]))
    found = list_photographs(folder, path, None, None, 'right')
    assert [(one.name, one.side, one.number) for one in found] == [
        ('deep/c.png', 'right', 0), ('a.jpg', 'left', 1),
        ('a.jpg', 'right', 2)]
    np.testing.assert_array_equal(found[1].box, [5, 6, 12, 14])


@pytest.mark.parametrize(('content', 'where', 'expected', 'found'), [
    ([dict(image='x.jpg', bbox=[1, 2, 3, 4])], 'entry 0', 'a picture of',
     "'x.jpg'"),
    ([dict(image='a.jpg', bbox=[1, 2, 3, 0])], 'entry 0', 'above 0',
     '[1, 2, 3, 0]'),
    ([dict(image='a.jpg', bbox=[1, 2, 3])], 'entry 0', 'four numbers',
     '[1, 2, 3]'),
    ([dict(image='a.jpg', bbox=[10**400, 2, 3, 4])], 'entry 0',
     'four numbers', '[1000'),
    ([dict(image='a.jpg', bbox=[1, 2, 3, 4], side='both')], 'entry 0',
     'side', "'both'"),
    ([dict(image='a.jpg')], "key 'bbox'", "'bbox'", "'image'"),
    ({}, 'file', 'a list', 'a dict'),
    ([], 'file', 'a list', 'an empty list'),
])
def test_damaged_boxes_are_one_error(folder: Path, content: Any, where: str,
                                     expected: str, found: str) -> None:
    path = folder.parent / 'boxes.json'
    path.write_text(json.dumps(content))
    with pytest.raises(DataError) as caught:
        list_photographs(folder, path, None, None, 'right')
    assert caught.value.file == str(path)
    assert caught.value.where == where
    assert expected in caught.value.expected
    assert found in caught.value.found


def test_an_empty_folder_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        list_photographs(tmp_path, None, None, None, 'right')
    assert caught.value.where == 'folder' and caught.value.found == 'none'


@pytest.mark.parametrize(('name', 'text'), [
    ('k.json', json.dumps(dict(fx=610, fy=600, cx=318, cy=247))),
    ('k.json', json.dumps(dict(K=K))),
    ('k.yml', 'color: {fx: 610, fy: 600, ppx: 318, ppy: 247}\n'
     'depth: {fx: 1, fy: 1, ppx: 1, ppy: 1}\n')])
def test_cameras_are_read_from_files(tmp_path: Path, name: str,
                                     text: str) -> None:
    (tmp_path / name).write_text(text)
    np.testing.assert_array_equal(read_camera([str(tmp_path / name)]), K)


def test_a_camera_may_be_four_numbers() -> None:
    np.testing.assert_array_equal(
        read_camera(['610', '600', '318', '247']), K)


@pytest.mark.parametrize(('text', 'where', 'found'), [
    ('{"fx": 1, "fy": 1, "cx": 1}', "key 'cy'", 'only'),
    ('{"K": [[1, 0], [0, 1]]}', 'K', '(2, 2)'),
    ('{"K": [["a"]]}', 'K', 'a'),
    ('{"K": [[1%s, 0], [0, 1]]}' % (400 * '0'), 'K', 'too large'),
    ('[1, 2]', 'file', 'list'),
    ('{', 'file', 'Expecting'),
    ('{"fx": -1, "fy": 1, "cx": 1, "cy": 1}', 'fx, fy, cx, cy', '-1 1 1 1'),
])
def test_damaged_cameras_are_one_error(tmp_path: Path, text: str, where: str,
                                       found: str) -> None:
    path = tmp_path / 'k.json'
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_camera([str(path)])
    assert caught.value.file == str(path) and caught.value.where == where
    assert found in caught.value.found


def test_three_numbers_are_no_camera() -> None:
    with pytest.raises(DataError, match='fx fy cx cy'):
        read_camera(['1', '2', '3'])


def test_a_camera_of_another_resolution_is_one_error() -> None:
    with pytest.raises(DataError) as caught:
        check_view(Photograph(Path('a.jpg'), matrix=np.array(K)), (320, 240))
    assert caught.value.file == 'a.jpg' and caught.value.where == 'camera'
    assert '320 x 240 px' in caught.value.expected
    assert caught.value.found == 'fx 610, fy 600, cx 318, cy 247'
    check_view(Photograph(Path('a.jpg'), matrix=np.array(K)), (640, 480))


@pytest.mark.parametrize(('box', 'expected'), [
    ((700, 10, 800, 90), 'a box in the picture'),
    ((10, -90, 90, -1), 'a box in the picture'),
    ((90, 10, 10, 90), 'a width and a height above 0')])
def test_a_box_outside_is_one_error(box: tuple, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        check_view(Photograph(Path('a.jpg'), np.array(box, float)),
                   (640, 480))
    assert caught.value.where == 'bbox'
    assert expected in caught.value.expected


def test_a_guessed_camera_looks_through_the_middle() -> None:
    matrix = guess_camera((480, 640))
    np.testing.assert_array_equal(
        matrix, [[768, 0, 239.5], [0, 768, 319.5], [0, 0, 1]])


def test_a_cut_off_picture_is_one_error(folder: Path) -> None:
    path = folder / 'a.jpg'
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError) as caught:
        Photograph(path).read()
    assert caught.value.file == str(path) and caught.value.where == 'file'


@pytest.mark.parametrize('image', [
    np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3)),
    np.zeros((0, 5, 3), np.uint8)])
def test_what_is_no_picture_is_one_error(image: np.ndarray) -> None:
    with pytest.raises(DataError) as caught:
        Photograph(image).read()
    assert caught.value.where == 'image' and 'BGR' in caught.value.expected


def test_frames_of_an_index_have_their_own_cameras(tmp_path: Path) -> None:
    columns = write_sample(tmp_path, frames=1)
    index = read_index(tmp_path / 'index/s1_train.npz')
    found = photographs_of(index, np.array([0, 3]), tmp_path, 'bbox_union')
    assert [one.side for one in found] == ['right', 'left']
    for one, row in zip(found, (0, 3), strict=True):
        assert one.number == row and one.matrix is not None
        np.testing.assert_array_equal(
            one.matrix[[0, 1, 0, 1], [0, 1, 2, 2]], columns['K'][row])
        x, y, width, height = columns['bbox_union'][row]
        np.testing.assert_allclose(
            one.box, [x, y, x + width, y + height], rtol=1e-6)
        assert one.read().shape == (120, 160, 3)
    boxes = np.array([[500., 0, 10, 10], [0, 0, 0, 0]])
    assert [one.box for one in photographs_of(
        index, np.array([0, 3]), tmp_path, boxes)] == [None, None]


def test_a_picture_of_another_size_is_one_error(tmp_path: Path) -> None:
    write_sample(tmp_path, frames=1)
    index = read_index(tmp_path / 'index/s1_train.npz')
    one, = photographs_of(index, np.array([0]), tmp_path, 'bbox_hand')
    cv2.imwrite(str(one.image), photograph(64, 48))
    with pytest.raises(DataError) as caught:
        one.read()
    assert caught.value.where == 'size'
    assert caught.value.found == '64 x 48 px'
