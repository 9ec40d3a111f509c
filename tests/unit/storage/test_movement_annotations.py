from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray

from mmpose_ext.storage import (
    DataError,
    FrameLabels,
    read_movement_annotations,
    write_movement_annotations,
)

VALUES = (np.random.default_rng(0).uniform(size=(6, 3, 2)) < .4).astype('i8')
NAMES = ['attack', 'mount', 'other']


def dataset(values=VALUES, **coords):
    return xarray.Dataset(
        {'target_cls': (('time', 'behaviors', 'annotators'), values)},
        {'time': np.arange(6) / 25, 'behaviors': NAMES,
         'annotators': ['mia', 'leo'], **coords})


@pytest.mark.parametrize('engine', ['scipy', 'h5netcdf'])
@pytest.mark.parametrize('kind', ['i8', 'u1', 'f4', bool])
def test_what_xarray_writes_is_read(tmp_path, engine, kind):
    path = tmp_path / 'a.nc'
    dataset(VALUES.astype(kind)).transpose(
        'annotators', 'time', 'behaviors').to_netcdf(path, engine=engine)
    found = read_movement_annotations(path)
    assert found.classes == tuple(NAMES)
    assert found.annotators == ('mia', 'leo')
    np.testing.assert_array_equal(found.labels, VALUES)


def test_one_annotator_need_not_be_named(tmp_path):
    path = tmp_path / 'a.nc'
    dataset().isel(annotators=0, drop=True).to_netcdf(path, engine='scipy')
    found = read_movement_annotations(path)
    assert found.annotators == ('annotator_0', )
    np.testing.assert_array_equal(found.labels, VALUES[..., :1])


@pytest.mark.parametrize('fps', [25., None])
def test_what_is_written_is_read_by_xarray_and_by_us(tmp_path, fps):
    labels = FrameLabels(Path('x'), ('a', 'b', 'é'), VALUES.astype('u1'),
                         ('mia', 'leo'))
    path = tmp_path / 'a.nc'
    write_movement_annotations(path, labels, fps, first_frame=50)
    found = read_movement_annotations(path)
    assert found.classes == labels.classes
    assert found.annotators == labels.annotators
    np.testing.assert_array_equal(found.labels, VALUES)
    with xarray.open_dataset(path, engine='h5netcdf') as other:
        assert other.target_cls.dims == ('time', 'behaviors', 'annotators')
        np.testing.assert_array_equal(
            other.target_cls.sel(behaviors='é', annotators='leo'),
            VALUES[:, 2, 1])
        assert other.time[0] == (50 if fps is None else 2)


@pytest.mark.parametrize('change, where', [
    (lambda d: d.rename(target_cls='labels'), "key 'target_cls'"),
    (lambda d: d.drop_vars('behaviors'), "key 'behaviors'"),
    (lambda d: d.rename(behaviors='classes'), "key 'behaviors'"),
    (lambda d: d.rename(time='row'), "key 'target_cls'"),
    (lambda d: d.assign_coords(behaviors=['a', 'a', 'b']), 'classes'),
    (lambda d: d.assign_coords(behaviors=['a', '', 'b']), 'classes'),
    (lambda d: d.isel(behaviors=[]), 'classes'),
    (lambda d: d.isel(annotators=[]), 'annotators'),
    (lambda d: d.isel(time=[]), 'labels'),
    (lambda d: d.assign_coords(annotators=['mia', 'mia']), 'annotators'),
    (lambda d: d * 2, "frame 0, 'attack'"),
    (lambda d: d.where(d.time < .2), "frame 5, 'attack'"),
    (lambda d: d.isel(time=[0, 2, 1]), "key 'time', row 2"),
    (lambda d: d.isel(time=[0, 1, 2, 5]), "key 'time', row 3")])
def test_damaged_files_are_refused(tmp_path, refused, change, where):
    values = VALUES.copy()
    values[0, 0] = 1
    path = tmp_path / 'a.nc'
    change(dataset(values)).to_netcdf(path, engine='h5netcdf')
    with refused(where):
        read_movement_annotations(path)


def test_poses_are_no_annotations(tmp_path, refused):
    path = tmp_path / 'a.nc'
    xarray.Dataset({'position': ('time', [1., 2.])}).to_netcdf(
        path, engine='scipy')
    with refused("key 'target_cls'"):
        read_movement_annotations(path)


def test_other_endings_are_refused(tmp_path):
    labels = FrameLabels(Path('x'), ('a', ), np.zeros((1, 1, 1), 'u1'),
                         ('m', ))
    with pytest.raises(DataError, match='ending in .nc'):
        write_movement_annotations(tmp_path / 'a.h5', labels)
