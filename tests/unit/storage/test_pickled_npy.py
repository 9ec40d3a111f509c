from __future__ import annotations

import builtins
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from mmpose_ext.storage.pickled_npy import read_pickled_npy


def save(path, content):
    np.save(path, np.array(content, object), allow_pickle=True)
    return path


def save_pickle(path, content, protocol):
    """A .npy whose pickle is of another protocol than numpy's."""
    array = np.empty((), object)
    array[()] = content
    with path.open('wb') as stream:
        np.lib.format.write_array_header_1_0(stream, dict(
            descr='|O', fortran_order=False, shape=()))
        pickle.dump(array, stream, protocol=protocol)
    return path


@pytest.mark.parametrize('protocol', [0, 1, 2, 3, 4, 5])
def test_plain_content_comes_back(tmp_path, protocol):
    content = dict(
        numbers=np.arange(6, dtype='i2').reshape(2, 3),
        columns=np.asfortranarray(np.arange(6.).reshape(2, 3)),
        names=np.array(['a', 'é']), nothing=None, empty=np.zeros((0, 3)),
        nested=[(1, 2.5), {'b': {1: b'\xff'}}], scalar=np.float32(1.5),
        order=OrderedDict(x=1), several=np.array([1, 'x'], object))
    found = read_pickled_npy(save_pickle(tmp_path / 'a.npy', content,
                                         protocol))
    assert set(found) == set(content)
    for key, value in content.items():
        assert type(found[key]) is type(value)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(found[key], value)
            assert found[key].dtype == value.dtype
        else:
            assert found[key] == value


def test_what_numpy_saves_is_read(tmp_path):
    found = read_pickled_npy(save(tmp_path / 'a.npy', {'a': np.ones(3)}))
    assert found['a'].tolist() == [1, 1, 1]


class Calls:
    """Asks the reader to call something."""

    def __init__(self, *what):
        self.what = what

    def __reduce__(self):
        return self.what


def write_mark(path):
    """What an attacker would run."""
    path.write_text('ran')


@pytest.mark.parametrize('what', [
    lambda mark: (os.system, (f'touch {mark}', )),
    lambda mark: (builtins.eval, (f'open({str(mark)!r}, "w")', )),
    lambda mark: (builtins.open, (str(mark), 'w')),
    lambda mark: (write_mark, (mark, )),
    lambda mark: (builtins.getattr, ('x', 'upper')),
    lambda mark: (np.fromfile, (str(mark), ))])
def test_a_file_that_would_run_code_does_not(tmp_path, refused, what):
    mark = tmp_path / 'mark'
    path = save(tmp_path / 'a.npy', {'sequences': [Calls(*what(mark))]})
    with refused('file'):
        read_pickled_npy(path)
    assert not mark.exists()


def test_files_of_other_content_are_refused(tmp_path, refused):
    path = tmp_path / 'a.npy'
    np.save(path, np.ones(3))
    with refused('file'):
        read_pickled_npy(path)
    save(path, [1, 'x'])
    with refused('file'):
        read_pickled_npy(path)
    save(path, {'a': np.arange(1000)})
    content = path.read_bytes()
    for size in (3, 60, 200, len(content) - 2):
        path.write_bytes(content[:size])
        with refused('file'):
            read_pickled_npy(path)
    path.write_bytes(b'no numpy at all')
    with refused('file'):
        read_pickled_npy(path)
