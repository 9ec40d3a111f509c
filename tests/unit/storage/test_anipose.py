from __future__ import annotations

import h5py
import numpy as np
import pytest

from mmpose_ext.storage import read_space_points
from tests.unit.storage.matlab_files import turned

HEAD = 'nose_x,nose_y,nose_z,nose_error,nose_ncams,tail_x,tail_y,tail_z,fnum'
ROWS = '1,2,3,.5,2,4,5,6,10\n,,,,,7,8,9,12\n'


def write(tmp_path, text):
    path = tmp_path / 'poses.csv'
    path.write_text(text)
    return path


def test_a_table_gives_points_by_frame_with_gaps(tmp_path):
    found = read_space_points(write(tmp_path, f'{HEAD}\n{ROWS}'))
    assert found.names == ('nose', 'tail')
    assert found.frames.tolist() == [10, 12]
    assert found.points.shape == (2, 1, 2, 3)
    assert found.points[0, 0].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert np.isnan(found.points[1, 0, 0]).all()


def test_points_in_the_bodys_axes_return_to_the_calibrations(tmp_path):
    turn, centre = turned(3), np.array([4., -5, 6])
    true = np.random.default_rng(0).normal(size=(5, 3)) * 50
    written = true @ turn.T - centre
    head = ['a_x', 'a_y', 'a_z', *(f'M_{i}{j}' for i in range(3)
                                   for j in range(3)),
            *(f'center_{i}' for i in range(3)), 'fnum']
    rows = [[*point, *turn.ravel(), *centre, frame]
            for frame, point in enumerate(written)]
    text = '\n'.join(','.join(map(str, map(float, row))) for row in rows)
    found = read_space_points(write(tmp_path, f'{",".join(head)}\n{text}'))
    np.testing.assert_allclose(found.points[:, 0, 0], true, atol=1e-9)


def test_the_real_points_are_read(real_data):
    found = read_space_points(real_data / 'mouse_4cam/points3d.h5')
    assert found.points.shape == (120, 1, 15, 3) and found.names is None
    assert found.frames.tolist() == list(range(120))


@pytest.mark.parametrize('text, where', [
    ('nose,tail\n1,2\n', 'columns'),
    (f'{HEAD.replace("tail_z", "tail")}\n{ROWS}', 'columns'),
    (f'{HEAD}\n1,2,3\n', 'line 2'),
    (f'{HEAD}\n{ROWS}a,2,3,.5,2,4,5,6,13\n', "line 4, column 'nose_x'"),
    (f'{HEAD}\n', 'file'),
    (f'{HEAD}\n1,2,3,.5,2,4,5,6,\n', "column 'fnum'"),
    (f'{HEAD}\n1,2,3,.5,2,4,5,6,3\n1,2,3,.5,2,4,5,6,3\n', 'frames'),
    (f'{HEAD}\n1,2,inf,.5,2,4,5,6,3\n', 'points'),
    ('a_x,a_y,a_z,M_00\n1,2,3,1\n', 'columns'),
])
def test_damaged_tables_are_refused(tmp_path, refused, text, where):
    path = write(tmp_path, text)
    with refused(where):
        read_space_points(path)


@pytest.mark.parametrize('tracks, where', [
    (None, "key 'tracks'"),
    (np.zeros((5, 1, 3)), "key 'tracks'"),
    (np.zeros((5, 1, 4, 2)), "key 'tracks'"),
    (np.zeros((5, 1, 4, 3), int), "key 'tracks'"),
    (np.full((5, 1, 4, 3), np.inf), 'points'),
])
def test_damaged_hdf5_is_refused(tmp_path, refused, tracks, where):
    path = tmp_path / 'points3d.h5'
    with h5py.File(path, 'w') as file:
        if tracks is not None:
            file['tracks'] = tracks
    with refused(where):
        read_space_points(path)
