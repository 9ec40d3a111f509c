from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmpose_ext.storage import DataError, read_json, write_json
from mmpose_ext.storage.plain_files import plain, sha256_of, without_nan


def test_plain_values_are_texts_numbers_lists_and_dicts() -> None:
    value = {3: np.float32(.5), 'a': (np.arange(2), torch.ones(1)),
             'b': Path('x'), 'c': None}
    found = plain(value)
    assert repr(found) == repr({3: .5, 'a': [[0, 1], [1.]], 'b': 'x',
                                'c': None})


def test_numbers_that_json_lacks_become_null() -> None:
    value = {'a': [1., float('nan'), (float('-inf'), 2)], 'b': {'c': 'nan'}}
    assert json.dumps(without_nan(value), allow_nan=False) == (
        '{"a": [1.0, null, [null, 2]], "b": {"c": "nan"}}')


def test_json_is_written_without_nan_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / 'a.json'
    write_json(path, {'a': [float('nan'), 1.], 'b': (2, )})
    assert read_json(path) == {'a': [None, 1.], 'b': [2]}
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize('content', [b'{"a": ', b'\xff\xfe\xfa', b'[' * 10**5])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'a.json').write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_json(tmp_path / 'a.json', 'a hint')
    assert (caught.value.expected, caught.value.hint) == ('JSON', 'a hint')


def test_sum_is_that_of_the_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000
    (tmp_path / 'x').write_bytes(data)
    assert sha256_of(tmp_path / 'x') == hashlib.sha256(data).hexdigest()
