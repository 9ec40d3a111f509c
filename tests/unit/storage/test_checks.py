from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.storage import (
    DataError,
    check_array,
    check_file,
    check_images,
    check_keys,
)
from mmpose_ext.storage.checks import check_names


def test_check_file_takes_any_case_of_a_compound_suffix(tmp_path):
    path = tmp_path / 'a.Analysis.H5'
    path.write_bytes(b'x')
    assert check_file(str(path), ['.analysis.h5']) == path


@pytest.mark.parametrize(('name', 'content', 'found'), [
    ('absent.csv', None, 'nothing'),
    ('.', None, 'a folder'),
    ('a.txt', b'x', "'.txt'"),
    ('empty.csv', b'', 'an empty file'),
])
def test_check_file_refuses(tmp_path, name, content, found):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        check_file(tmp_path / name, ['.csv'], 'a hint')
    assert (caught.value.where, caught.value.found) == ('file', found)
    assert caught.value.hint == 'a hint'


def test_check_keys_names_all_missing_and_the_likely_misspelling():
    check_keys({'a': 1, 'b': 2}, ['a', 'b'], 'f')
    with pytest.raises(DataError) as caught:
        check_keys(['images', 'locs_nek'], ['images', 'locs_neck', 'vis'], 'f',
                   'see the manual')
    error = caught.value
    assert error.where == "key 'locs_neck'"
    assert error.expected == "key 'locs_neck', 'vis'"
    assert error.found == "only 'images', 'locs_nek'"
    assert error.hint == ("'locs_nek' looks like 'locs_neck' misspelt; "
                          'see the manual')


@pytest.mark.parametrize(('names', 'expected', 'found'), [
    ((), 'at least one', 'none'),
    (('a', 'b', 'a'), 'each name once', "'a' 2 times"),
])
def test_check_names_refuses(names, expected, found):
    check_names(('a', 'b'), 'f', 'w')
    with pytest.raises(DataError) as caught:
        check_names(names, 'f', 'w')
    assert (caught.value.expected, caught.value.found) == (expected, found)


@pytest.mark.parametrize('arguments', [
    {'dtype': 'u1'}, {'dtype': 'iu'}, {'shape': (2, None)},
    {'shape': (None, 3), 'finite': True},
])
def test_check_array_accepts(arguments):
    array = np.zeros((2, 3), np.uint8)
    assert check_array(array, 'f', 'w', **arguments) is array


@pytest.mark.parametrize(('arguments', 'expected', 'found'), [
    ({'dtype': 'f4'}, 'float32', 'float64'),
    ({'dtype': 'iu'}, "a dtype of kind 'i', 'u'", 'float64'),
    ({'shape': (2, )}, 'shape (2)', 'shape (2, 3)'),
    ({'shape': (None, 4)}, 'shape (*, 4)', 'shape (2, 3)'),
    ({'finite': True}, 'finite values', 'nan at (1, 2) (1 in all)'),
])
def test_check_array_refuses(arguments, expected, found):
    array = np.zeros((2, 3))
    array[1, 2] = np.nan
    with pytest.raises(DataError) as caught:
        check_array(array, 'f', 'w', **arguments)
    assert (caught.value.expected, caught.value.found) == (expected, found)


def test_check_images_counts_each_missing_image_once(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'x')
    images = [tmp_path / name for name in ('a.png', 'b.png', 'b.png', 'c.png')]
    check_images(images[:1], 'f')
    with pytest.raises(DataError, match='b.png, 2 missing in all'):
        check_images(images, 'f')
