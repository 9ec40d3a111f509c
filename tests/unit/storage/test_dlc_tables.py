from __future__ import annotations

import os
import pickle

import h5py
import numpy as np
import pytest

from mmpose_ext.storage.dlc_tables import (
    read_dlc_csv,
    read_dlc_hdf5,
    read_dlc_shape,
)

COORDINATES = ('x', 'y', 'likelihood')
COLUMNS = [('DLC_net', part, coordinate) for part in ('nose', 'tail')
           for coordinate in COORDINATES]
VALUES = np.random.default_rng(0).random((4, 6))


def write_hdf5(path, columns=COLUMNS, values=VALUES, header=None):
    """The layout of pandas' to_hdf(format='table')."""
    fields = [('index', 'i8'), ('values_block_0', 'f8', values.shape[1:])]
    table = np.zeros(len(values), fields)
    table['index'] = np.arange(len(values))
    table['values_block_0'] = values
    with h5py.File(path, 'w') as file:
        file['df_with_missing/table'] = table
        file['df_with_missing/table'].attrs['values_block_0_kind'] = np.bytes_(
            header if header is not None else pickle.dumps(columns, 0))


def test_hdf5_table_holds_names_and_numbers(tmp_path):
    write_hdf5(tmp_path / 'a.h5')
    table = read_dlc_hdf5(tmp_path / 'a.h5', COORDINATES)
    assert table.individuals == ('individual_0', )
    assert table.bodyparts == ('nose', 'tail')
    assert table.index == ('0', '1', '2', '3')
    assert np.array_equal(table.values, VALUES)
    gathered = table.gather(['individual_0', 'other'], ['tail'], COORDINATES)
    assert np.array_equal(gathered[:, 0, 0], VALUES[:, 3:])
    assert np.isnan(gathered[:, 1]).all()


def test_column_names_that_would_run_code_are_refused(tmp_path, refused):

    class Payload:

        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'pwned'), )

    write_hdf5(tmp_path / 'a.h5', header=pickle.dumps([Payload()], 0))
    with refused('table'):
        read_dlc_hdf5(tmp_path / 'a.h5', COORDINATES)
    assert not (tmp_path / 'pwned').exists()


@pytest.mark.parametrize(('arguments', 'where'), [
    ({'header': b'(lp0'}, 'table'),
    ({'columns': COLUMNS[:5]}, 'table'),
    ({'columns': [*COLUMNS[:5], COLUMNS[2]]}, "header, bodypart 'nose'"),
    ({'values': np.where(VALUES > 0.9, np.inf, VALUES)},
     'row 0, column tail likelihood'),
])
def test_unfit_hdf5_table_is_refused(tmp_path, refused, arguments, where):
    write_hdf5(tmp_path / 'a.h5', **arguments)
    with refused(where):
        read_dlc_hdf5(tmp_path / 'a.h5', COORDINATES)


def test_hdf5_of_another_layout_points_to_csv(tmp_path, refused):
    with h5py.File(tmp_path / 'a.h5', 'w') as file:
        file['df_with_missing/block0_values'] = VALUES
    with refused('file'):
        read_dlc_hdf5(tmp_path / 'a.h5', COORDINATES)
    assert read_dlc_shape(tmp_path / 'a.h5') == VALUES.shape
    write_hdf5(tmp_path / 'a.h5')
    assert read_dlc_shape(tmp_path / 'a.h5') == VALUES.shape


@pytest.mark.parametrize('index', ['labeled-data/s/img1.png',
                                   'labeled-data,s,img1.png'])
def test_csv_index_of_one_or_three_columns(tmp_path, index):
    blank = ',' * index.count(',')
    (tmp_path / 'a.csv').write_text(
        f'scorer{blank},me,me\nbodyparts{blank},nose,nose\n'
        f'coords{blank},x,y\n{index},1.5,\n', encoding='utf-8-sig')
    table = read_dlc_csv(tmp_path / 'a.csv', ('x', 'y'))
    assert table.columns == (('individual_0', 'nose', 'x'),
                             ('individual_0', 'nose', 'y'))
    assert table.index == ('labeled-data/s/img1.png', )
    assert np.array_equal(table.values, [[1.5, np.nan]], equal_nan=True)


def test_real_labels_have_the_shape_of_their_csv(real_data):
    folder = real_data / 'openfield_mouse' / 'labeled-data' / 'm4s1'
    table = read_dlc_csv(folder / 'CollectedData_Pranav.csv', ('x', 'y'))
    stored = folder / 'CollectedData_Pranav.h5'
    assert read_dlc_shape(stored) == table.values.shape == (116, 8)
    with h5py.File(stored) as file:
        values = file['df_with_missing/table'][()]['values_block_0']
    assert np.allclose(table.values, values, rtol=0, atol=1e-9)


TOP = ('scorer,net,net,net\nbodyparts,nose,nose,nose\n'
       'coords,x,y,likelihood\n')


@pytest.mark.parametrize('body', [
    '0,1.5,2,.25\n1,,,\n2,,1e-3,\n\n3,4,,5',
    '0,1.5,2,.25\r\n1,,,\r\n2,,1e-3,\r\n3,4,,5\r\n',
    '0, 1.5,+2,2.5e-1\n1,nan,NaN,\n2,,1_0e-4,\n3,4, ,5\n',
    '0,"1.5",2,.25\n1,"","",\n2,,.001,\n3,4,,5\n'])
@pytest.mark.parametrize('block', [2, 10_000])
def test_numbers_and_blanks_however_they_are_written(
        tmp_path, monkeypatch, body, block):
    monkeypatch.setattr('mmpose_ext.storage.dlc_tables._BLOCK', block)
    (tmp_path / 'a.csv').write_text(TOP + body)
    table = read_dlc_csv(tmp_path / 'a.csv', COORDINATES)
    assert table.index == ('0', '1', '2', '3')
    nan = np.nan
    np.testing.assert_array_equal(
        table.values, [[1.5, 2, .25], [nan, nan, nan], [nan, .001, nan],
                       [4, nan, 5]])


@pytest.mark.parametrize('body, where', [
    ('', 'rows'),
    ('\n\n', 'rows'),
    ('0,1,2,3\n1,2,3\n', 'line 5'),
    ('0,1,2,3\n1,2,3,4,5\n', 'line 5'),
    ('0,1,2\n1,2,3\n', 'line 4'),
    ('0,1,2,3\n \n', 'line 5'),
    ('0,1,2,3\n\n1,2,x,4\n', 'line 6, column nose y'),
    ('0,1,2,3\n1,2,3,inf\n', 'line 5, column nose likelihood'),
    ('0,1,2,3\n1,2,3,1e999\n', 'line 5, column nose likelihood'),
    ('0,1,2,3#\n', 'line 4, column nose likelihood'),
    ('0,1,0x2,3\n', 'line 4, column nose y'),
    ('0,1,2j,3\n', 'line 4, column nose y'),
    ('0,1,2,\xe9\n', 'file')])
def test_what_is_wrong_is_named_by_line_and_column(
        tmp_path, refused, body, where):
    (tmp_path / 'a.csv').write_bytes((TOP + body).encode('latin-1'))
    with refused(where):
        read_dlc_csv(tmp_path / 'a.csv', COORDINATES)
