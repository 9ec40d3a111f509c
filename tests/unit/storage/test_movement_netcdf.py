from __future__ import annotations

import h5py
import numpy as np
import pytest
import xarray

from mmpose_ext.storage import (
    DataError,
    read_movement_netcdf,
    write_movement_netcdf,
)

RNG = np.random.default_rng(0)
POSITION = RNG.normal(size=(5, 2, 4, 3)) * 100
POSITION[1, 0, 2] = np.nan
PARTS = dict(
    position=POSITION, confidence=RNG.uniform(size=(5, 2, 4)),
    individuals=('mouse_a', 'mouse_b'), keypoints=('nose', 'EarL', 'é', 'd'),
    sample_ids=np.array([1, 11, 21, 31, 51]))


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / 'poses.nc'
    times = np.array([0., .1, .2, .3, .5])
    write_movement_netcdf(path, **PARTS, time=times, fps=100.,
                          attributes={'source_software': 'mmpose_ext'})
    found = read_movement_netcdf(path)
    np.testing.assert_array_equal(found.position,
                                  POSITION.astype(np.float32))
    np.testing.assert_array_equal(found.confidence,
                                  PARTS['confidence'].astype(np.float32))
    assert found.individuals == PARTS['individuals']
    assert found.keypoints == PARTS['keypoints']
    assert found.sample_ids.tolist() == [1, 11, 21, 31, 51]
    assert found.time.tolist() == times.tolist() and found.fps == 100
    assert found.attributes == {'source_software': 'mmpose_ext',
                                'ds_type': 'poses'}


@pytest.mark.parametrize('fps, unit, last', [(None, 'frames', 4.),
                                             (2., 'seconds', 2.)])
def test_without_times_the_rows_count(tmp_path, fps, unit, last):
    path = tmp_path / 'poses.nc'
    write_movement_netcdf(path, **PARTS, fps=fps)
    assert read_movement_netcdf(path).time[-1] == last
    with h5py.File(path) as file:
        assert file.attrs['time_unit'] == unit
        assert ('fps' in file.attrs) == (fps is not None)


def test_the_layout_is_movements(tmp_path):
    """Axes and their scales as HDF5 tells them, without the library."""
    path = tmp_path / 'poses.nc'
    write_movement_netcdf(path, **PARTS)
    with h5py.File(path) as file:
        def axes(name):
            return [file[name].dims[i][0].name.strip('/')
                    for i in range(file[name].ndim)]
        assert axes('position') == ['time', 'space', 'keypoints',
                                    'individuals']
        assert axes('confidence') == ['time', 'keypoints', 'individuals']
        assert axes('sample_id') == ['time']
        assert file['position'].shape == (5, 3, 4, 2)
        assert file['position'][2, 1, 3, 0] == np.float32(
            POSITION[2, 0, 3, 1])
        assert [text.decode() for text in file['space']] == ['x', 'y', 'z']
        assert file.attrs['ds_type'] == 'poses'


def test_xarray_reads_it(tmp_path):
    path = tmp_path / 'poses.nc'
    write_movement_netcdf(path, **PARTS, fps=25.)
    with xarray.open_dataset(path, engine='h5netcdf') as found:
        nose = found.position.sel(keypoints='nose', individuals='mouse_b')
        np.testing.assert_allclose(nose, POSITION[:, 1, 0], rtol=1e-6)
        assert 'sample_id' in found.coords


@pytest.mark.parametrize('change, where', [
    ({'position': POSITION[:4]}, 'position'),
    ({'position': POSITION[..., :2]}, 'position'),
    ({'confidence': POSITION}, 'confidence'),
    ({'keypoints': ('a', 'b', 'c', 'c')}, 'keypoints'),
    ({'keypoints': ('a', 'b')}, 'position'),
    ({'sample_ids': np.arange(5.)}, 'sample_id'),
    ({'time': np.arange(4.)}, 'time'),
    ({'time': np.full(5, np.nan)}, 'time'),
])
def test_parts_that_do_not_fit_leave_no_file(tmp_path, refused, change,
                                             where):
    with refused(where):
        write_movement_netcdf(tmp_path / 'poses.nc', **{**PARTS, **change})


def test_damaged_files_are_refused(tmp_path, refused):
    path = tmp_path / 'poses.nc'
    write_movement_netcdf(path, **PARTS)
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])
    with refused('file'):
        read_movement_netcdf(path)
    path.write_bytes(b'CDF\x01 classic netCDF')
    with refused('file'):
        read_movement_netcdf(path)
    path.write_bytes(content)
    with h5py.File(path, 'a') as file:
        del file['confidence']
    with refused("key 'confidence'"):
        read_movement_netcdf(path)


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(DataError, match='ending in .nc'):
        write_movement_netcdf(tmp_path / 'poses.h5', **PARTS)
