"""MANO's files are read as arrays, and nothing in them is run."""
from __future__ import annotations

import os
import pickle
import pickletools
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from mmpose_ext.handobject.mano_files import read_mano
from mmpose_ext.storage import DataError

from .mano_stand_in import mano_arrays, write_mano


@pytest.fixture
def chumpy(monkeypatch):
    """Modules with the names and states of chumpy's classes."""
    ch, reordering = types.ModuleType('chumpy.ch'), types.ModuleType(
        'chumpy.reordering')

    def make(module, name):
        kind = type(name, (), dict(__module__=module.__name__))
        setattr(module, name, kind)
        return kind

    make(ch, 'Ch'), make(reordering, 'Select'), make(reordering, 'Other')
    package = types.ModuleType('chumpy')
    package.ch, package.reordering = ch, reordering
    for module in (package, ch, reordering):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return package


def with_state(kind, **state):
    value = kind()
    value.__dict__.update(state)
    return value


def write(path: Path, value, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def as_released(chumpy) -> dict:
    """The stand-in with the classes of the released files."""
    arrays = dict(mano_arrays(), bs_style='lbs', bs_type='lrotmin')
    whole = np.concatenate([arrays['shapedirs'].ravel(), np.ones(5)])
    arrays['shapedirs'] = with_state(
        chumpy.reordering.Select,
        a=with_state(chumpy.ch.Ch, x=whole, _dirty_vars=set(), _itr=None),
        idxs=np.arange(778 * 30), preferred_shape=(778, 3, 10))
    arrays['J_regressor'] = scipy.sparse.csc_matrix(arrays['J_regressor'])
    return arrays


@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_released_files_are_read_without_chumpy(tmp_path, chumpy, protocol,
                                                monkeypatch):
    path = write(tmp_path / 'MANO_RIGHT.pkl', as_released(chumpy), protocol)
    for name in ('chumpy', 'chumpy.ch', 'chumpy.reordering'):
        monkeypatch.delitem(sys.modules, name)
    found, want = read_mano(path, 'right'), mano_arrays()
    np.testing.assert_array_equal(found.shapedirs, want['shapedirs'])
    np.testing.assert_allclose(found.joint_regressor, want['J_regressor'],
                               atol=1e-15)
    np.testing.assert_array_equal(found.components, want['hands_components'])
    assert found.faces.dtype == np.int64
    assert 'chumpy' not in sys.modules


def test_bytes_of_python_2_are_read(tmp_path):
    """There bytes were text: a pickle of an array holds a string."""
    values = np.arange(48.).reshape(16, 3)
    data = pickle.dumps(values, 0)
    text = values.tobytes().decode('latin-1')
    assert any(op.name == 'GLOBAL' for op, *_ in pickletools.genops(data))
    older = pickle.loads(data)
    assert np.array_equal(older, values)

    class Raw:
        """Reduces to what Python 2 wrote: bytes as text."""

        def __reduce__(self):
            kind = np._core.multiarray._reconstruct
            return kind, (np.ndarray, (0, ), 'b'), (
                1, (16, 3), values.dtype, False, text)

    arrays = dict(mano_arrays(), J=Raw())
    path = write(tmp_path / 'MANO_RIGHT.pkl', arrays, 0)
    assert read_mano(path, 'right').v_template.shape == (778, 3)


def test_rows_of_a_compressed_matrix_are_read_too(tmp_path):
    arrays = mano_arrays()
    dense = arrays['J_regressor']
    arrays['J_regressor'] = scipy.sparse.csr_matrix(dense)
    found = read_mano(write(tmp_path / 'a.pkl', arrays), 'right')
    np.testing.assert_allclose(found.joint_regressor, dense, atol=1e-15)


class Malicious:

    def __reduce__(self):
        return os.mkdir, ('was_run', )


@pytest.mark.parametrize('bad', [
    Malicious(), os.system, eval, np.frombuffer, types.SimpleNamespace()])
def test_what_is_no_array_is_refused_and_not_run(tmp_path, monkeypatch, bad):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / 'MANO_RIGHT.pkl', dict(mano_arrays(), extra=bad))
    with pytest.raises(DataError) as caught:
        read_mano(path, 'right')
    error = caught.value
    assert error.file == str(path) and error.where == 'file'
    assert 'arrays' in error.expected and 'not run' in error.found
    assert not (tmp_path / 'was_run').exists()


def test_an_unknown_class_of_chumpy_is_refused(tmp_path, chumpy):
    arrays = dict(mano_arrays(), shapedirs=chumpy.reordering.Other())
    path = write(tmp_path / 'a.pkl', arrays)
    with pytest.raises(DataError, match='chumpy.reordering.Other'):
        read_mano(path, 'right')


def test_a_missing_file_tells_where_to_get_it(tmp_path):
    with pytest.raises(DataError) as caught:
        read_mano(tmp_path / 'MANO_RIGHT.pkl', 'right')
    error = caught.value
    assert (error.where, error.expected, error.found) == (
        'file', 'a file', 'nothing')
    assert 'https://mano.is.tue.mpg.de' in error.hint
    assert 'works without' in error.hint


def test_the_other_hand_is_refused_by_its_name(tmp_path):
    path = write_mano(tmp_path, 'left')
    with pytest.raises(DataError, match='expected the right hand'):
        read_mano(path, 'right')
    assert read_mano(path, 'left').weights.shape == (778, 16)


def _tree(table):
    table[0, 4] = 3
    return table


@pytest.mark.parametrize('key, change, where, expected, found', [
    ('v_template', lambda a: a[:-1], "key 'v_template'", '(778, 3)',
     '(777, 3)'),
    ('shapedirs', lambda a: a[..., :9], "key 'shapedirs'", '(778, 3, 10)',
     '(778, 3, 9)'),
    ('posedirs', lambda a: a * np.nan, "key 'posedirs'", 'finite', 'nan'),
    ('weights', lambda a: a * 2, "key 'weights'", 'sum to 1', '2 in row'),
    ('kintree_table', _tree, "key 'kintree_table'", 'MANO', '0, 1, 2, 3'),
    ('f', lambda a: a + 778, "key 'f'", 'vertices 0 to 777', '778 to'),
    ('hands_mean', None, "key 'hands_mean'", "'hands_mean'", 'only'),
])
@pytest.mark.parametrize('suffix', ['.pkl', '.npz'])
def test_damage_is_told(tmp_path, key, change, where, expected, found,
                        suffix):
    arrays = mano_arrays()
    if change is None:
        del arrays[key]
    else:
        arrays[key] = change(arrays[key])
    path = tmp_path / f'hand{suffix}'
    if suffix == '.pkl':
        write(path, arrays)
    else:
        np.savez(path, **arrays)
    with pytest.raises(DataError) as caught:
        read_mano(path, 'right')
    error = caught.value
    assert error.file == str(path) and error.where == where
    assert expected in error.expected and found in error.found


def test_damaged_matrices_and_pickles_are_told(tmp_path, chumpy):
    matrix = scipy.sparse.csc_matrix(mano_arrays()['J_regressor'])
    matrix.indices = matrix.indices + 16
    path = write(tmp_path / 'a.pkl', dict(mano_arrays(), J_regressor=matrix))
    with pytest.raises(DataError, match="key 'J_regressor'.*damaged"):
        read_mano(path, 'right')
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match='file: expected a model file'):
        read_mano(path, 'right')
    write(path, [1, 2])
    with pytest.raises(DataError, match='dictionary.*found list'):
        read_mano(path, 'right')
    bare = with_state(chumpy.ch.Ch)
    write(path, dict(mano_arrays(), shapedirs=bare))
    with pytest.raises(DataError, match="key 'shapedirs'"):
        read_mano(path, 'right')
    turning = with_state(chumpy.reordering.Select, idxs=np.arange(3))
    turning.a = turning
    write(path, dict(mano_arrays(), shapedirs=turning))
    with pytest.raises(DataError, match="key 'shapedirs'.*damaged"):
        read_mano(path, 'right')
    with pytest.raises(DataError, match='right or left'):
        read_mano(path, 'both')
