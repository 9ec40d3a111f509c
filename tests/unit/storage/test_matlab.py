from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from mmpose_ext.storage import DataError
from mmpose_ext.storage.matlab import (
    cell,
    read_integers,
    read_matlab,
    write_matlab,
)
from tests.unit.storage.matlab_files import Cell, save_v5, save_v73

# Files that MATLAB itself wrote come with SciPy.
MATLAB_OWN = Path(scipy.io.__file__).parent / 'matlab/tests/data'
CONTENT = {
    'number': np.arange(6.).reshape(2, 3),
    'volume': np.arange(24, dtype=np.int16).reshape(2, 3, 4),
    'text': 'mouse',
    'nothing': np.zeros((0, 0)),
    'outer': {'inner': {'name': 'a'}, 'row': np.array([[1., 2.]])},
    'parts': Cell(['x', np.array([[3.]]), Cell(['y', {'z': 'deep'}])]),
}


def same(first, second):
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(
            same(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(
            map(same, first, second))
    return (np.array_equal(first, second)
            and np.shape(first) == np.shape(second))


@pytest.mark.parametrize('save', [save_v5, save_v73])
def test_both_versions_give_the_same_plain_values(tmp_path, save):
    found = read_matlab(save(tmp_path / 'a.mat', CONTENT))
    expected = {**CONTENT, 'parts': list(CONTENT['parts'])}
    assert same(found, expected)


@pytest.mark.parametrize('save', [save_v5, save_v73])
def test_only_the_variables_asked_for_are_read(tmp_path, save):
    path = save(tmp_path / 'a.mat', CONTENT)
    assert list(read_matlab(path, ('text', 'absent'))) == ['text']


@pytest.mark.skipif(not MATLAB_OWN.is_dir(), reason='SciPy without tests')
def test_matlabs_own_files_are_read():
    def read(name):
        return read_matlab(MATLAB_OWN / f'test{name}_GLNX86.mat')[
            f'test{name.split("_")[0]}']

    expected = np.arange(9)[None] * np.pi / 4
    for version in ('hdf5_7.4', 'double_7.4', 'double_6.5.1'):
        found = next(iter(read_matlab(
            MATLAB_OWN / f'test{version}_GLNX86.mat').values()))
        assert np.allclose(found, expected)
    array = read('structarr_7.1')
    assert array[1] == {'one': 'number 1', 'two': 'number 2'}
    assert read('structnest_7.1')['two'] == {'three': 'number 3'}
    assert read('stringarray_7.1')[2] == 'three'
    assert read('emptycell_7.1')[2].shape == (0, 0)
    assert read('func_7.4') is None


def test_a_struct_array_of_version_7_3_becomes_a_list(tmp_path):
    path = tmp_path / 'a.mat'
    with h5py.File(path, 'w') as file:
        for i in range(2):
            file[f'#refs#/v{i}'] = np.array([[i + .5]])
        group = file.create_group('s')
        made = group.create_dataset('v', (2, 1), h5py.ref_dtype)
        made[:, 0] = [file[f'#refs#/v{i}'].ref for i in range(2)]
    assert [row['v'].item() for row in read_matlab(path)['s']] == [.5, 1.5]


@pytest.mark.parametrize('save', [save_v5, save_v73])
@pytest.mark.parametrize('share', [.3, .6, .95])
def test_a_file_cut_short_is_refused(tmp_path, refused, save, share):
    big = dict(CONTENT, random=np.random.default_rng(0).normal(size=4000))
    path = save(tmp_path / 'a.mat', big)
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * share)])
    with refused('file'):
        read_matlab(path)


@pytest.mark.parametrize('content', [b'', b'\x89HDF\r\n\x1a\nrest',
                                     b'MATLAB 7.3 MAT-file and no more',
                                     b'camnames,params\n1,2\n' * 9])
def test_what_is_no_matlab_file_is_refused(tmp_path, refused, content):
    path = tmp_path / 'a.mat'
    path.write_bytes(content)
    with refused('file'):
        read_matlab(path)


def test_what_is_written_scipy_reads(tmp_path):
    path = tmp_path / 'a.mat'
    write_matlab(path, {'names': cell(['a', 'bc']),
                        'rows': cell([np.eye(2), np.ones((2, 2))], True),
                        'structs': cell([{'k': 1.}, {'k': 2.}], True),
                        'none': cell([])})
    found = scipy.io.loadmat(path, simplify_cells=True)
    assert list(found['names']) == ['a', 'bc']
    assert found['structs'][1]['k'] == 2
    assert scipy.io.loadmat(path)['names'].shape == (1, 2)
    assert scipy.io.loadmat(path)['rows'].shape == (2, 1)
    with pytest.raises(DataError, match='ending in .mat'):
        write_matlab(tmp_path / 'a.txt', {})


def test_equal_content_gives_equal_bytes(tmp_path, monkeypatch):
    contents = []
    for name, day in (('a.mat', 'Mon'), ('b.mat', 'Sun')):
        monkeypatch.setattr('time.asctime', lambda day=day: day)
        write_matlab(tmp_path / name, CONTENT | {'parts': cell(['a', 'b'])})
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    assert contents[0][:19] == b'MATLAB 5.0 MAT-file'


@pytest.mark.parametrize('value', [
    'text', {}, [], np.eye(3), np.array([[1., np.nan]])])
def test_what_is_no_row_of_whole_numbers_is_refused(value):
    with pytest.raises(DataError) as caught:
        read_integers({'data_frame': value}, 'data_frame', Path('f.mat'),
                      'sync[0]')
    assert caught.value.where == 'sync[0].data_frame'
