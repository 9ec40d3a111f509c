"""Predictions on disk: written, read, and found out when damaged."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmpose_ext.handobject.index_files import read_index, write_index
from mmpose_ext.handobject.prediction_files import (
    FILE,
    HandObjectPredictions,
    read_predictions,
    write_predictions,
)
from mmpose_ext.handobject.scene_sources import labels_of
from mmpose_ext.storage import DataError, write_npz
from tests.unit.handobject.sample_index import make_columns

Array = np.ndarray


def make_predictions(columns: dict[str, Any], count: int = 6,
                     objects: bool = True) -> dict[str, Array]:
    """Predictions of the first frames of an index, its labels as they are.

    Args:
        columns (dict): Of ``make_columns``.
        count (int): Frames.
        objects (bool): Whether there are objects and contact.
    """
    found = dict(
        id=columns['id'][:count], K=columns['K'][:count],
        side=columns['side'][columns['sequence_row'][:count]],
        bbox=columns['bbox_hand'][:count], metric_depth=np.ones(count, bool),
        file_name=np.array([f'{row}.jpg' for row in range(count)]),
        keypoints=columns['joints_px'][:count],
        keypoint_scores=np.full((count, 21), .7, np.float32),
        keypoints_cam=columns['joints_cam'][:count])
    if objects:
        scores = np.full((count, 21), .1, np.float32)
        scores[:, [4, 11]] = .6, .8
        found |= dict(
            object_rotations=Rotation.random(
                21 * count, random_state=0).as_matrix().reshape(
                    count, 21, 3, 3),
            object_translations=np.ones((count, 21, 3)),
            object_scores=scores, grasped_scores=scores.copy(),
            contact_scores=np.linspace(0, 1, 21)[None].repeat(count, 0))
    return found


TEXTS = dict(config='c.py', input='i.npz', setup='s1', split='train')


@pytest.fixture(scope='module')
def columns() -> dict[str, Any]:
    return make_columns()


@pytest.fixture
def written(tmp_path: Path, columns: dict[str, Any]) -> Path:
    texts = TEXTS | dict(fingerprint=str(columns['fingerprint']))
    write_predictions(tmp_path / FILE, make_predictions(columns), texts)
    return tmp_path


def test_what_is_written_is_read(written: Path,
                                 columns: dict[str, Any]) -> None:
    found = read_predictions(written)
    assert len(found) == 6 and found.texts['config'] == 'c.py'
    assert found.texts['version'] and found.texts['checkpoint_sha256'] == ''
    for name, values in make_predictions(columns).items():
        np.testing.assert_array_equal(
            found.columns[name], np.asarray(values, found.columns[name].dtype
                                            ), err_msg=name)
    fx, fy, cx, cy = columns['K'][3]
    np.testing.assert_array_equal(
        found.camera_matrix(3), [[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def test_a_pose_has_the_objects_that_are_there(written: Path) -> None:
    found = read_predictions(written / FILE)
    pose = found.pose(2)
    assert pose.classes.tolist() == [4, 11] and pose.grasped == 11
    np.testing.assert_array_equal(
        pose.rotations, found.columns['object_rotations'][2, [4, 11]])
    assert found.pose(2, .7).classes.tolist() == [11]
    # the one held is drawn however unsure its presence is
    assert found.pose(2, .9).classes.tolist() == [11]
    assert len(found.pose(2, 0).classes) == 21


def test_hands_alone_are_enough(tmp_path: Path,
                                columns: dict[str, Any]) -> None:
    write_predictions(tmp_path / FILE,
                      make_predictions(columns, objects=False), {})
    pose = read_predictions(tmp_path).pose(0)
    assert not len(pose.classes) and pose.contact is None
    assert pose.grasped == -1


def test_labels_of_an_index_are_poses(tmp_path: Path,
                                      columns: dict[str, Any]) -> None:
    write_index(tmp_path / 'i.npz', columns)
    index = read_index(tmp_path / 'i.npz')
    pose = labels_of(index, 1)  # objects 2 and 5; 5 is held
    assert pose.classes.tolist() == [1, 4] and pose.grasped == 4
    np.testing.assert_array_equal(pose.joints, columns['joints_cam'][1])
    np.testing.assert_array_equal(pose.translations,
                                  columns['pose_y'][1, :, :, 3])
    assert labels_of(index, 0).classes.tolist() == [1]  # row 0 lacks one
    assert labels_of(index, len(index) - 1).grasped == -1


def _damage(path: Path, columns: dict[str, Any], name: str,
            change: Callable[[Array], Any]) -> None:
    """Write predictions without the writer's checks, one column changed."""
    predictions = make_predictions(columns)
    texts = {key: np.array('') for key in (
        'config', 'checkpoint_sha256', 'input', 'version', 'fingerprint',
        'setup', 'split')}
    arrays: dict[str, Any] = {}
    for key, values in predictions.items():
        kind = values.dtype.kind
        arrays[key] = values.astype(np.float32) if kind == 'f' else values
    arrays[name] = change(arrays[name])
    write_npz(path, **arrays, **texts)


def _nan(values: Array) -> Array:
    values = values.copy()
    values.flat[-1] = np.nan
    return values


def _twisted(values: Array) -> Array:
    values = values.copy()
    values[2, 7] *= 1.1
    return values


def _mirrored(values: Array) -> Array:
    values = values.copy()
    values[2, 7, 0] *= -1
    return values


@pytest.mark.parametrize(('name', 'change', 'where', 'expected', 'found'), [
    ('keypoints_cam', _nan, 'keypoints_cam', 'finite', 'nan'),
    ('keypoints', lambda values: values[:, :20], 'keypoints',
     'shape (6, 21, 2)', '(6, 20, 2)'),
    ('keypoints_cam', lambda values: values[:5], 'keypoints_cam',
     'shape (6, 21, 3)', '(5, 21, 3)'),
    ('object_rotations', _twisted, 'object_rotations of row 2, class 7',
     'a rotation', '0.21'),
    ('object_rotations', _mirrored, 'object_rotations of row 2, class 7',
     'a rotation', 'determinant -1'),
    ('id', lambda values: values.astype(np.float32), 'id', 'int64',
     'float32'),
    ('id', lambda values: values * 0, 'id', 'each number once', '0 more'),
    ('K', lambda values: values * -1, 'K of row 0', 'above 0', '-150'),
    ('side', lambda values: values + np.uint8(2), 'side', '0 for right',
     '2'),
])
def test_damaged_columns_are_one_error(
        tmp_path: Path, columns: dict[str, Any], name: str,
        change: Callable[[Array], Array], where: str, expected: str,
        found: str) -> None:
    _damage(tmp_path / FILE, columns, name, change)
    with pytest.raises(DataError) as caught:
        read_predictions(tmp_path)
    assert caught.value.file == str(tmp_path / FILE)
    assert caught.value.where == where
    assert expected in caught.value.expected
    assert found in caught.value.found


def test_a_truncated_file_is_one_error(written: Path) -> None:
    path = written / FILE
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError) as caught:
        read_predictions(written)
    assert caught.value.where == 'archive'
    assert 'cut short' in caught.value.found


def test_another_npz_is_one_error(tmp_path: Path) -> None:
    write_npz(tmp_path / 'other.npz', id=np.arange(3))
    with pytest.raises(DataError) as caught:
        read_predictions(tmp_path / 'other.npz')
    assert caught.value.where == "key 'file_name'"
    assert 'predict.py' in caught.value.hint


def test_objects_without_their_scores_are_not_written(
        tmp_path: Path, columns: dict[str, Any]) -> None:
    found = make_predictions(columns)
    del found['object_scores']
    with pytest.raises(DataError) as caught:
        write_predictions(tmp_path / FILE, found, {})
    assert caught.value.where == "key 'object_scores'"
    assert not list(tmp_path.iterdir())


def _open(written: Path, columns: dict[str, Any],
          **changes: Any) -> tuple[HandObjectPredictions, Any]:
    write_index(written / 'i.npz', {**columns, **changes})
    return read_predictions(written), read_index(written / 'i.npz')


def test_rows_are_found_by_id(written: Path,
                              columns: dict[str, Any]) -> None:
    predictions, index = _open(written, columns)
    rows = np.array([5, 0, 7, 3])
    assert predictions.rows_of(index, rows).tolist() == [5, 0, -1, 3]


@pytest.mark.parametrize('name', ['fingerprint', 'setup', 'split'])
def test_predictions_of_other_data_are_one_error(
        written: Path, columns: dict[str, Any], name: str) -> None:
    predictions, index = _open(written, columns)
    other = replace(predictions, texts={**predictions.texts, name: 's7'})
    with pytest.raises(DataError) as caught:
        other.rows_of(index, np.arange(3))
    assert caught.value.where == name
    assert str(columns[name]) in caught.value.expected
    assert caught.value.found == "'s7'"


def test_predictions_for_another_resolution_are_one_error(
        written: Path, columns: dict[str, Any]) -> None:
    predictions, index = _open(written, columns)
    halved = {**predictions.columns, 'K': predictions.columns['K'] / 2}
    with pytest.raises(DataError) as caught:
        replace(predictions, columns=halved).rows_of(index, np.arange(3))
    assert caught.value.where == 'K of id 0'
    assert '150 141 82 57' in caught.value.expected
    assert caught.value.found == '75 70.5 41 28.5'
    assert 'another resolution' in caught.value.hint
