from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mmpose_ext.storage.plain_files import sha256_of, without_nan


def test_numbers_that_json_lacks_become_null() -> None:
    value = {'a': [1., float('nan'), (float('-inf'), 2)], 'b': {'c': 'nan'}}
    assert json.dumps(without_nan(value), allow_nan=False) == (
        '{"a": [1.0, null, [null, 2]], "b": {"c": "nan"}}')


def test_sum_is_that_of_the_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000
    (tmp_path / 'x').write_bytes(data)
    assert sha256_of(tmp_path / 'x') == hashlib.sha256(data).hexdigest()
