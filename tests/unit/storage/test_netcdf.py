from __future__ import annotations

import warnings

import h5netcdf
import h5py
import numpy as np
import pytest
import xarray

from mmpose_ext.storage import DataError
from mmpose_ext.storage.netcdf import read_netcdf


@pytest.mark.parametrize('engine', ['scipy', 'h5netcdf'])
def test_both_kinds_are_read_alike(tmp_path, engine):
    data = xarray.Dataset(
        {'numbers': (('b', 'a'), np.arange(6, dtype='i4').reshape(2, 3)),
         'halves': ('a', np.array([.5, np.nan, 2.])),
         'alone': ((), 7.)},
        {'a': ['é', 'long name', 'z']}, {'text': 'ü', 'number': 3,
                                         'list': [1., 2.]})
    path = tmp_path / 'a.nc'
    data.to_netcdf(path, engine=engine)
    found = read_netcdf(path, ['numbers', 'halves', 'a', 'alone', 'absent'])
    assert set(found.names) == {'numbers', 'halves', 'a', 'alone'}
    assert set(found.variables) == set(found.names)
    numbers = found.variables['numbers']
    assert numbers.dims == ('b', 'a') and numbers.values.dtype.isnative
    assert numbers.values.tolist() == [[0, 1, 2], [3, 4, 5]]
    np.testing.assert_array_equal(found.variables['halves'].values,
                                  [.5, np.nan, 2])
    assert found.variables['a'].dims == ('a', )
    assert found.variables['a'].values.tolist() == ['é', 'long name', 'z']
    assert found.variables['alone'].values == 7
    assert found.attributes == {'text': 'ü', 'number': 3, 'list': [1., 2.]}


def test_only_what_is_wanted_is_read(tmp_path):
    path = tmp_path / 'a.nc'
    xarray.Dataset({'one': 1, 'two': 2}).to_netcdf(path, engine='scipy')
    found = read_netcdf(path, ['two'])
    assert list(found.variables) == ['two'] and len(found.names) == 2


@pytest.mark.parametrize('attributes', [
    dict(scale_factor='x'), dict(add_offset=np.nan),
    dict(scale_factor=[1., 2.])])
def test_senseless_packing_is_refused(tmp_path, refused, attributes):
    path = tmp_path / 'a.nc'
    with h5netcdf.File(path, 'w') as file:
        file.dimensions = {'a': 2}
        variable = file.create_variable('v', ('a', ), 'i2', data=[1, 2])
        for key, value in attributes.items():
            variable.attrs[key] = value
    with refused(f"key 'v', {next(iter(attributes))}"):
        read_netcdf(path, ['v'])


def test_axes_that_were_deleted_are_refused(tmp_path, refused):
    path = tmp_path / 'a.nc'
    xarray.Dataset({'numbers': (('b', 'a'), np.ones((2, 3)))},
                   {'a': ['x', 'y', 'z']}).to_netcdf(path, engine='h5netcdf')
    with h5py.File(path, 'r+') as file:
        del file['a']
    with refused("key 'numbers'"):
        read_netcdf(path, ['numbers', 'a'])


@pytest.mark.parametrize('engine', ['scipy', 'h5netcdf'])
def test_damaged_files_are_read_or_refused(tmp_path, engine):
    rng = np.random.default_rng(0)
    path = tmp_path / 'a.nc'
    xarray.Dataset({'numbers': (('b', 'a'), np.ones((2, 3)))},
                   {'a': ['x', 'long', 'z']}, {'text': 'x'}).to_netcdf(
                       path, engine=engine)
    whole = path.read_bytes()
    refused = 0
    for _ in range(100):
        content = bytearray(whole)
        start, length = rng.integers(len(whole)), rng.integers(1, 20)
        content[start:start + length] = rng.bytes(
            len(content[start:start + length]))
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter('error')  # nothing is told beside it
            try:
                read_netcdf(path, ['numbers', 'a'])
            except DataError as error:
                refused += 1
                assert error.file == str(path)
    assert 10 < refused < 100


def test_texts_in_another_encoding_are_refused(tmp_path, refused):
    path = tmp_path / 'a.nc'
    xarray.Dataset({'names': ('a', np.array([b'caf\xe9', b'b']))}).to_netcdf(
        path, engine='scipy')
    with refused("key 'names'"):
        read_netcdf(path, ['names'])


def test_missing_empty_and_misnamed_files_are_refused(tmp_path, refused):
    with refused('file'):
        read_netcdf(tmp_path / 'none.nc', [])
    for name in ('empty.nc', 'poses.csv'):
        (tmp_path / name).write_bytes(b'')
        with refused('file'):
            read_netcdf(tmp_path / name, [])
