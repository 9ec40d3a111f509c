from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from mmpose_ext.storage import DataError


def test_message_is_one_line_with_all_parts():
    error = DataError(Path('a/b.npz'), "key 'x'", 'shape (3,)', 'shape (2,)',
                      'transpose it')
    assert str(error) == ("a/b.npz: key 'x': expected shape (3,), "
                          'found shape (2,) (transpose it)')
    assert isinstance(error, ValueError)
    assert (error.file, error.hint) == ('a/b.npz', 'transpose it')


def test_no_hint_leaves_no_brackets():
    assert str(DataError('f', 'w', 'e', 'n')) == 'f: w: expected e, found n'


@pytest.mark.parametrize('newline', ['\n', '\r\n', '\u2028', '\x0b'])
def test_line_breaks_in_any_part_are_flattened(newline):
    broken = f'a{newline}b'
    error = DataError(broken, broken, broken, broken, broken)
    assert len(str(error).splitlines()) == 1
    assert error.where == 'a b'


def test_survives_pickling():
    error = DataError('f', 'w', 'e', 'n', 'h')
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is DataError
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__
