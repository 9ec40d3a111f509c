"""Files of poses: what scripts for MATLAB read, and what others wrote."""
from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy import io

from mmpose_ext.storage import DataError
from mmpose_ext.storage.com3d import read_com3d
from mmpose_ext.volumetric.prediction_files import (
    PosePredictions,
    individual_names,
    read_poses_mat,
    write_poses_mat,
    write_predictions,
)

NAMES = ('nose', 'neck', 'hip', 'tail', 'tip')


def make(tmp_path, individuals: int = 1, count: int = 7) -> PosePredictions:
    rng = np.random.default_rng(0)
    shape = (count, individuals, 5)
    return PosePredictions(
        source=tmp_path,
        sample_ids=np.arange(count) * 10 + 1,
        points=rng.normal(0, 100, (*shape, 3)).astype(np.float32),
        scores=rng.random(shape).astype(np.float32),
        spread=rng.random(shape).astype(np.float32),
        com=rng.normal(0, 100, (count, individuals, 3)),
        cameras=('Camera1', 'Camera_2'),
        keypoints=NAMES)


@pytest.mark.parametrize('individuals', [1, 2])
def test_poses_come_back_as_written(tmp_path, individuals):
    made = make(tmp_path, individuals)
    write_poses_mat(tmp_path / 'a.mat', made)
    found = read_poses_mat(tmp_path / 'a.mat')
    for name in ('sample_ids', 'points', 'scores', 'spread', 'com'):
        np.testing.assert_array_equal(getattr(found, name),
                                      getattr(made, name), name)
    assert found.cameras == made.cameras
    assert found.keypoints == NAMES


def test_matlabs_scripts_find_the_variables_they_know(tmp_path):
    made = make(tmp_path)
    write_poses_mat(tmp_path / 'a.mat', made)
    content = io.loadmat(tmp_path / 'a.mat')
    assert content['pred'].shape == (7, 1, 3, 5)
    np.testing.assert_array_equal(content['pred'][3, 0, :, 2],
                                  made.points[3, 0, 2])
    assert content['data'].shape == content['pred'].shape
    assert not content['data'].any()
    np.testing.assert_array_equal(content['p_max'], made.scores)
    np.testing.assert_array_equal(content['sampleID'],
                                  made.sample_ids[None])
    assert content['com'].shape == (7, 3)
    assert [str(name[0]) for name in content['joint_names'][0]] == list(NAMES)
    assert [str(name[0]) for name in content['camnames'][0]] == [
        'Camera1', 'Camera_2']


def test_one_name_stays_one_name(tmp_path):
    made = PosePredictions(
        tmp_path, np.arange(3), np.ones((3, 1, 1, 3), np.float32),
        np.ones((3, 1, 1), np.float32), None, None, ('only', ), ('com', ))
    write_poses_mat(tmp_path / 'a.mat', made)
    found = read_poses_mat(tmp_path / 'a.mat')
    assert (found.cameras, found.keypoints) == (('only', ), ('com', ))
    assert found.spread is None and found.com is None


def test_older_files_of_one_individual_are_read(tmp_path):
    rng = np.random.default_rng(0)
    points, scores = rng.normal(0, 9, (6, 3, 5)), rng.random((6, 5))
    ids = np.array([[5, 3, 9, 1, 2, 4]], float)  # any order, any type
    io.savemat(tmp_path / 'a.mat', dict(
        pred=points, data=points * 0, p_max=scores, sampleID=ids))
    found = read_poses_mat(tmp_path / 'a.mat')
    order = np.argsort(ids[0])
    assert found.sample_ids.tolist() == [1, 2, 3, 4, 5, 9]
    np.testing.assert_allclose(
        found.points[:, 0], points[order].transpose(0, 2, 1), rtol=1e-6)
    np.testing.assert_allclose(found.scores[:, 0], scores[order], rtol=1e-6)
    assert found.keypoints == ()


@pytest.mark.parametrize(('change', 'where'), [
    (dict(pred=None), "key 'pred'"),
    (dict(p_max=None), "key 'p_max'"),
    (dict(sampleID=None), "key 'sampleID'"),
    (dict(pred=np.zeros((6, 5, 3))), 'pred'),
    (dict(p_max=np.zeros((6, 4))), 'p_max'),
    (dict(sampleID=np.arange(4)), 'sampleID'),
    (dict(log_pmax=np.zeros((6, 5))), 'pred'),
    (dict(com=np.zeros((4, 3))), 'com'),
    (dict(joint_names=np.array(['a', 'b'], object)), 'joint_names'),
    (dict(pred='text'), "key 'pred'"),
])
def test_unfitting_files_are_named(tmp_path, change, where):
    content = dict(pred=np.zeros((6, 3, 5)), p_max=np.zeros((6, 5)),
                   sampleID=np.arange(6))
    content.update(change)
    io.savemat(tmp_path / 'a.mat', {
        key: value for key, value in content.items() if value is not None})
    with pytest.raises(DataError) as caught:
        read_poses_mat(tmp_path / 'a.mat')
    assert caught.value.where == where


def test_three_files_tell_the_same(tmp_path):
    made = make(tmp_path, 2)
    time = made.sample_ids / 50
    files = write_predictions(tmp_path, made, time, 50.,
                              dict(checkpoint='best.pth'))
    assert [path.name for path in files] == [
        'save_data_AVG.mat', 'com3d_used.mat', 'poses.nc']
    used = read_com3d(files[1])
    np.testing.assert_array_equal(used.points, made.com)
    np.testing.assert_array_equal(used.sample_ids, made.sample_ids)
    with h5py.File(files[2]) as file:
        np.testing.assert_array_equal(
            file['position'][()], made.points.transpose(0, 3, 2, 1))
        np.testing.assert_array_equal(file['sample_id'][()], made.sample_ids)
        np.testing.assert_allclose(file['time'][()], time)
        assert [name.decode() for name in file['individuals'][()]] == list(
            individual_names(2))
    assert not [path for path in tmp_path.iterdir()
                if path.name.startswith('.')]


def test_poses_before_they_were_refined_are_a_file_like_the_others(tmp_path):
    made = make(tmp_path, 2)
    files = write_predictions(tmp_path, made, made.sample_ids / 50, 50., {},
                              initial=made.points + 3)
    assert [path.name for path in files][3:] == ['init_save_data_AVG.mat']
    found, initial = read_poses_mat(files[0]), read_poses_mat(files[3])
    np.testing.assert_array_equal(initial.points, found.points + 3)
    for name in ('sample_ids', 'scores', 'spread', 'com'):
        np.testing.assert_array_equal(getattr(initial, name),
                                      getattr(found, name), name)
    assert initial.keypoints == found.keypoints
