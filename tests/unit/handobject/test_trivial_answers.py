"""Means of training data are put back where they came from."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmpose_ext.handobject.trivial_answers import (
    from_places,
    read_mean_answers,
    to_places,
)
from mmpose_ext.storage import DataError
from tests.unit.handobject.scored_samples import write_index

MIRROR = np.diag([-1., 1, 1])


def test_places_are_undone() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(0, .1, (20, 3)) + [0, 0, .7]
    corner = rng.uniform(50, 200, (20, 2))
    boxes = np.hstack([corner, corner + rng.uniform(40, 120, (20, 2))])
    cameras = np.tile(np.array([[600., 0, 310], [0, 610, 240], [0, 0, 1]]),
                      (20, 1, 1))
    left = rng.random(20) < .5
    places = to_places(points, boxes, cameras, left)
    np.testing.assert_allclose(from_places(places, boxes, cameras, left),
                               points, rtol=1e-9)


def test_mean_of_right_and_mirrored_left_hands(tmp_path: Path) -> None:
    index = write_index(tmp_path / 'train.npz')
    answers = read_mean_answers(tmp_path / 'train.npz')
    left = index['side'][index['sequence_row']] == 1
    joints = index['joints_cam'] - index['joints_cam'][:, :1]
    joints = np.where(left[:, None, None], joints * [-1, 1, 1], joints)
    np.testing.assert_allclose(answers.pose, joints.mean(0), atol=1e-7)
    assert answers.count == len(index)
    np.testing.assert_allclose(answers.contact, index['contact'].mean(0))
    camera = index.camera_matrix(0)[None].astype(float)
    boxes = np.array([[40., 40, 80, 80]])
    right = answers.hands(boxes, camera, np.array([False]))[0]
    np.testing.assert_allclose(right - right[0], answers.pose, atol=1e-12)
    # a picture and its mirror image have mirrored answers
    mirrored = boxes.copy()
    mirrored[:, [0, 2]] = 159 - boxes[:, [2, 0]]
    other = camera.copy()
    other[0, 0, 2] = 159 - camera[0, 0, 2]
    found = answers.hands(mirrored, other, np.array([True]))[0]
    np.testing.assert_allclose(found, right * [-1, 1, 1], atol=1e-12)


def test_means_of_objects_that_are_held(tmp_path: Path) -> None:
    index = write_index(tmp_path / 'train.npz')
    answers = read_mean_answers(index)
    sequences = index['sequence_row']
    left = index['side'][sequences] == 1
    held = index['grasped'][sequences]
    poses = index['pose_y'][np.arange(len(index)), held].astype(float)
    classes = index['ycb_ids'][sequences, held] - 1
    # the bowl is held in sequence 1, a left hand, and 2, a right one
    rows = classes == 12
    assert {*left[rows]} == {False, True}
    turns = [MIRROR @ pose[:, :3] @ MIRROR if mirrored else pose[:, :3]
             for pose, mirrored in zip(poses[rows], left[rows], strict=True)]
    expected = Rotation.from_matrix(turns).mean().as_matrix()
    np.testing.assert_allclose(answers.object_rotations[12], expected,
                               atol=1e-6)
    rotations, translations = answers.objects(
        np.array([12, 12]), np.tile([40., 40, 80, 80], (2, 1)),
        np.tile(index.camera_matrix(0).astype(float), (2, 1, 1)),
        np.array([False, True]))
    np.testing.assert_allclose(rotations[1], MIRROR @ rotations[0] @ MIRROR)
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    assert (translations[:, 2] > 0).all()
    # a class that is never held has the mean of all
    np.testing.assert_allclose(np.linalg.det(answers.object_rotations), 1)
    np.testing.assert_array_equal(answers.object_places[0],
                                  answers.object_places[7])


def test_box_of_hand_and_object(tmp_path: Path) -> None:
    index = write_index(tmp_path / 'train.npz')
    one, other = (read_mean_answers(index, mode)
                  for mode in ('hand', 'hand_object'))
    np.testing.assert_array_equal(one.pose, other.pose)
    assert other.root[2] > one.root[2]  # its boxes are larger


def test_index_without_hands(tmp_path: Path) -> None:
    path = tmp_path / 'train.npz'
    write_index(path)
    columns = dict(hand_valid=np.zeros(32, bool))
    write_index(path, **columns)
    with pytest.raises(DataError) as caught:
        read_mean_answers(path)
    error = caught.value
    assert (error.file, error.where) == (str(path), 'hand_valid')
    assert (error.expected, error.found) == ('frames with a hand',
                                             'none of 32')
