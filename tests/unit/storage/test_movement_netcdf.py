from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from mmpose_ext.storage import (
    DataError,
    PoseTracks,
    fill_gaps,
    read_movement_netcdf,
    write_movement_netcdf,
    write_pose_tracks,
)

RNG = np.random.default_rng(0)
POSITION = RNG.normal(size=(5, 2, 4, 3)) * 100
POSITION[1, 0, 2] = np.nan
PARTS = dict(
    position=POSITION, confidence=RNG.uniform(size=(5, 2, 4)),
    individuals=('mouse_a', 'mouse_b'), keypoints=('nose', 'EarL', 'é', 'd'),
    sample_ids=np.array([1, 11, 21, 31, 51]))
FILMS = [('scipy', 'NETCDF3_64BIT'), ('h5netcdf', 'NETCDF4')]


def dataset(rows=6, axes='xy', time=None, plural=True, **attributes):
    """Poses as xarray holds them, in movement's order of axes."""
    position = RNG.normal(size=(rows, len(axes), 3, 2)).astype('f4')
    position[2, :, 1, 0] = np.nan
    keypoint, individual = (('keypoints', 'individuals') if plural else
                            ('keypoint', 'individual'))
    return xarray.Dataset(
        {'position': (('time', 'space', keypoint, individual), position),
         'confidence': (('time', keypoint, individual),
                        RNG.uniform(size=(rows, 3, 2)))},
        {'time': np.arange(rows) / 25 if time is None else time,
         'space': list(axes), keypoint: ['nose', 'ear', 'tail'],
         individual: ['first', 'second']},
        {'ds_type': 'poses', **attributes})


def save(data, path, engine='h5netcdf'):
    data.to_netcdf(path, engine=engine)
    return path


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
    assert found.axes == ('x', 'y', 'z') and found.image_size is None
    assert found.frames.tolist() == [0, 10, 20, 30, 50]
    assert found.time.tolist() == times.tolist() and found.fps == 100
    assert found.attributes == {'source_software': 'mmpose_ext'}
    with xarray.open_dataset(path, engine='h5netcdf') as other:
        assert other.sample_id.values.tolist() == [1, 11, 21, 31, 51]


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
        assert found.position.attrs['units'] == 'mm'


def test_tracks_in_the_plane_come_back_and_have_no_unit(tmp_path):
    tracks = PoseTracks(
        Path('a'), ('a', ), ('p', 'q'), ('x', 'y'),
        POSITION[:, :1, :2, :2].astype('f4'), None,
        np.array([3, 4, 5, 6, 7]), 25., (640., 480.),
        {'note': 'é', 'numbers': [1.5, 2.5]})
    path = tmp_path / 'a.nc'
    write_pose_tracks(path, tracks)
    found = read_movement_netcdf(path)
    for part in ('individuals', 'keypoints', 'axes', 'fps', 'image_size',
                 'attributes', 'confidence'):
        assert getattr(found, part) == getattr(tracks, part)
    np.testing.assert_array_equal(found.position, tracks.position)
    np.testing.assert_array_equal(found.frames, tracks.frames)
    with xarray.open_dataset(path, engine='h5netcdf') as other:
        assert 'units' not in other.position.attrs
        assert other.attrs['image_size_px'].tolist() == [640, 480]
    write_pose_tracks(path, replace(tracks, fps=None))
    found = read_movement_netcdf(path)
    assert found.fps is None and found.frames.tolist() == [3, 4, 5, 6, 7]


@pytest.mark.parametrize('engine, kind', FILMS)
@pytest.mark.parametrize('plural', [True, False])
@pytest.mark.parametrize('axes', ['xy', 'xyz'])
def test_what_xarray_writes_is_read(tmp_path, engine, kind, plural, axes):
    data = dataset(axes=axes, plural=plural, fps=25., time_unit='seconds',
                   image_size_px=[64, 48, 32][:len(axes)])
    path = tmp_path / 'a.nc'
    data.to_netcdf(path, engine=engine, format=kind)
    found = read_movement_netcdf(path)
    np.testing.assert_array_equal(
        found.position, data.position.values.transpose(0, 3, 2, 1))
    np.testing.assert_allclose(
        found.confidence, data.confidence.values.transpose(0, 2, 1))
    assert found.position.flags.c_contiguous
    assert found.individuals == ('first', 'second')
    assert found.keypoints == ('nose', 'ear', 'tail')
    assert found.axes == tuple(axes) and found.fps == 25
    assert found.frames.tolist() == list(range(6))
    assert found.image_size == (64, 48, 32)[:len(axes)]


@pytest.mark.parametrize('order', [
    ('individuals', 'time', 'keypoints', 'space'),
    ('time', 'individuals', 'keypoints', 'space')])
def test_axes_may_be_in_any_order(tmp_path, order):
    data = dataset(fps=25.)
    expected = read_movement_netcdf(save(data, tmp_path / 'a.nc'))
    other = data.assign(position=data.position.transpose(*order),
                        confidence=data.confidence.transpose(
                            'individuals', 'keypoints', 'time'))
    found = read_movement_netcdf(save(other, tmp_path / 'b.nc'))
    np.testing.assert_array_equal(found.position, expected.position)
    np.testing.assert_array_equal(found.confidence, expected.confidence)


def test_confidence_may_be_absent(tmp_path):
    data = dataset().drop_vars('confidence')
    assert read_movement_netcdf(save(data, tmp_path / 'a.nc')
                                ).confidence is None


def test_packed_numbers_and_fill_values_are_undone(tmp_path):
    data = dataset(fps=25.)
    data.to_netcdf(tmp_path / 'a.nc', engine='scipy', encoding={
        'position': dict(dtype='i2', scale_factor=.001, add_offset=.5,
                         _FillValue=-32768)})
    found = read_movement_netcdf(tmp_path / 'a.nc')
    np.testing.assert_allclose(
        found.position, data.position.values.transpose(0, 3, 2, 1),
        atol=6e-4)


def test_frames_that_are_left_out_can_be_filled(tmp_path):
    path = save(dataset(time=[4, 5, 8, 9, 10, 11]), tmp_path / 'a.nc')
    found = read_movement_netcdf(path)
    assert found.frames.tolist() == [4, 5, 8, 9, 10, 11]
    full = fill_gaps(found)
    assert full.frames.tolist() == list(range(4, 12))
    assert np.isnan(full.position[2:4]).all()
    np.testing.assert_array_equal(full.position[[0, 1, 4, 5, 6, 7]],
                                  found.position)
    with pytest.raises(DataError, match='at most 1 frames'):
        fill_gaps(found, 1)


@pytest.mark.parametrize('change, where', [
    ({'position': POSITION[:4]}, 'position'),
    ({'position': POSITION[..., :1]}, 'position'),
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


@pytest.mark.parametrize('engine', ['scipy', 'h5netcdf'])
def test_truncated_files_are_refused(tmp_path, refused, engine):
    path = save(dataset(500), tmp_path / 'a.nc', engine)
    content = path.read_bytes()
    for share in (.05, .3, .9):
        path.write_bytes(content[:int(len(content) * share)])
        with refused('file'):
            read_movement_netcdf(path)


@pytest.mark.parametrize('content', [
    b'CDF\x01 classic netCDF', b'CDF\x05' + bytes(40), b'plain text, no poses',
    b'\x89HDF\r\n\x1a\n' + bytes(100)])
def test_other_files_are_refused(tmp_path, refused, content):
    path = tmp_path / 'a.nc'
    path.write_bytes(content)
    with refused('file'):
        read_movement_netcdf(path)


def broken_point(data):
    data.position[3, 1, 2, 1] = np.nan
    return data


def infinite_point(data):
    data.position[3, :, 2, 1] = np.inf
    return data


@pytest.mark.parametrize('change, where', [
    (lambda d: d.drop_vars('position'), "key 'position'"),
    (lambda d: d.drop_vars('time'), "key 'time'"),
    (lambda d: d.drop_vars('keypoints'), "key 'keypoints'"),
    (lambda d: d.rename(position='shape'), "key 'position'"),
    (lambda d: d.rename(individuals='animals'), "key 'individuals'"),
    (lambda d: d.isel(individuals=0), "key 'position'"),
    (lambda d: d.isel(time=slice(0)), 'time'),
    (lambda d: d.assign_attrs(ds_type='bboxes'), 'attribute ds_type'),
    (lambda d: d.assign_attrs(fps=-1.), 'attribute fps'),
    (lambda d: d.assign_attrs(fps='quick'), 'attribute fps'),
    (lambda d: d.assign_attrs(fps=50.), 'attribute fps'),
    (lambda d: d.assign_attrs(time_unit='days'), 'attribute time_unit'),
    (lambda d: d.assign_attrs(image_size_px=[640]),
     'attribute image_size_px'),
    (lambda d: d.assign_attrs(image_size_px=[640., 480., 2.]), 'image size'),
    (lambda d: d.assign_attrs(image_size_px='big'),
     'attribute image_size_px'),
    (lambda d: d.assign_coords(space=['y', 'x']), 'axes'),
    (lambda d: d.assign_coords(individuals=['a', 'a']), 'individuals'),
    (lambda d: d.assign_coords(keypoints=['a', 'b', ' ']), 'keypoints'),
    (lambda d: d.assign_coords(time=d.time[::-1].values), "key 'time', row 1"),
    (lambda d: d.assign_coords(time=[0, 1, 1, 2, 3, 4]), "key 'time', row 2"),
    (lambda d: d.assign_coords(time=[0, .04, .04, .08, .12, .16]),
     "key 'time', row 2"),
    (lambda d: d.assign_coords(time=[0, .04, np.nan, .08, .12, .16]),
     "key 'time'"),
    (lambda d: d.assign_attrs(fps=25.).assign_coords(
        time=[0, .04, .08, .14, .18, .22]), "key 'time'"),
    (broken_point, "frame 3, 'second', 'tail'"),
    (infinite_point, "frame 3, 'second', 'tail'"),
])
def test_damaged_data_sets_are_refused(tmp_path, refused, change, where):
    path = save(change(dataset()), tmp_path / 'a.nc')
    with refused(where):
        read_movement_netcdf(path)


def test_a_contradicting_unit_of_the_time_is_refused(tmp_path, refused):
    """Frame numbers that say they are seconds."""
    path = save(dataset(time=np.arange(6), fps=25., time_unit='seconds'),
                tmp_path / 'a.nc')
    with refused('attribute fps'):
        read_movement_netcdf(path)


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(DataError, match='ending in .nc'):
        write_movement_netcdf(tmp_path / 'poses.h5', **PARTS)
