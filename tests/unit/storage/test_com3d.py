from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import io

from mmpose_ext.storage import ComTrack, DataError, read_com3d, write_com3d
from tests.unit.storage.matlab_files import Cell, save_v5, save_v73

IDS = np.array([[1, 11, 21]])


@pytest.mark.parametrize('save', [save_v5, save_v73])
@pytest.mark.parametrize('individuals', [1, 2, 3])
def test_rows_become_time_points_and_pages_individuals(tmp_path, save,
                                                       individuals):
    com = np.arange(9. * individuals).reshape(3, 3, individuals)
    stored = com[..., 0] if individuals == 1 else com
    found = read_com3d(save(tmp_path / 'com3d.mat', {
        'com': stored, 'sampleID': IDS, 'metadata': {'method': 'median'}}))
    assert found.points.shape == (3, individuals, 3)
    np.testing.assert_array_equal(found.points[1, individuals - 1],
                                  com[1, :, individuals - 1])
    assert found.sample_ids.tolist() == [1, 11, 21]


def test_rows_are_sorted_by_sample_id(tmp_path):
    found = read_com3d(save_v5(tmp_path / 'com3d.mat', {
        'com': np.arange(9.).reshape(3, 3), 'sampleID': IDS[:, [2, 0, 1]]}))
    assert found.points[:, 0, 0].tolist() == [3, 6, 0]


@pytest.mark.parametrize('ids', [
    Cell(['0_21', '0_1', '0_11'], False), Cell(['21', '1', '11'])])
@pytest.mark.parametrize('save', [save_v5, save_v73])
def test_sample_ids_may_be_texts_of_one_experiment(tmp_path, save, ids):
    found = read_com3d(save(tmp_path / 'com3d.mat', {
        'com': np.arange(9.).reshape(3, 3), 'sampleID': ids}))
    assert found.sample_ids.tolist() == [1, 11, 21]
    assert found.points[:, 0, 0].tolist() == [3, 6, 0]


@pytest.mark.parametrize('individuals', [1, 2])
def test_what_is_written_is_read_here_and_by_scipy(tmp_path, individuals):
    points = np.random.default_rng(0).normal(size=(3, individuals, 3))
    points[1, 0] = np.nan
    track = ComTrack(Path('x'), IDS[0], points)
    path = tmp_path / 'com3d.mat'
    write_com3d(path, track, {'weights': 'a.pth', 'threshold': None})
    np.testing.assert_array_equal(read_com3d(path).points, points)
    stored = io.loadmat(path, simplify_cells=True)
    assert stored['com'].shape == ((3, 3) if individuals == 1 else
                                   (3, 3, individuals))
    assert stored['metadata']['threshold'] == 'None'
    assert io.loadmat(path)['sampleID'].shape == (1, 3)


@pytest.mark.parametrize('content, where', [
    ({'com': np.ones((3, 3))}, "key 'sampleID'"),
    ({'sampleID': IDS}, "key 'com'"),
    ({'com': np.ones((2, 3)), 'sampleID': IDS}, "key 'com'"),
    ({'com': np.ones((3, 2)), 'sampleID': IDS}, "key 'com'"),
    ({'com': 'none', 'sampleID': IDS}, "key 'com'"),
    ({'com': np.ones((3, 3)), 'sampleID': 'all'}, "key 'sampleID'"),
    ({'com': np.ones((2, 3)), 'sampleID': Cell(['0_1', '1_1'])},
     "key 'sampleID'"),
    ({'com': np.ones((2, 3)), 'sampleID': Cell(['0_1', '0_b'])},
     "key 'sampleID'"),
    ({'com': np.full((3, 3), np.inf), 'sampleID': IDS}, 'com'),
    ({'com': np.ones((3, 3)), 'sampleID': IDS * 0}, 'sampleID'),
])
def test_damaged_files_are_refused(tmp_path, refused, content, where):
    path = save_v5(tmp_path / 'com3d.mat', content)
    with refused(where):
        read_com3d(path)


def test_ids_must_rise():
    with pytest.raises(DataError, match='rising'):
        ComTrack(Path('x'), np.array([3, 2]), np.zeros((2, 1, 3)))
