from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace

from mmpose_ext.training.run_report import (
    read_report,
    try_to_write,
    write_json,
)


def test_json_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / 'a.json', dict(a=[float('nan'), 1.], b=(2, )))
    found = json.loads((tmp_path / 'a.json').read_text())
    assert found == dict(a=[None, 1.], b=[2]) == read_report(
        tmp_path / 'a.json')


def test_a_report_that_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    for text in ('{"a": ', '[1]'):
        (tmp_path / 'a.json').write_text(text)
        assert read_report(tmp_path / 'a.json') == {}
    assert read_report(tmp_path / 'b.json') == {}


def test_a_file_that_cannot_be_written_is_a_warning(tmp_path: Path,
                                                    caplog) -> None:
    def write(path: Path) -> None:
        raise OSError('no ink')

    try_to_write(SimpleNamespace(work_dir=tmp_path,
                                 logger=logging.getLogger('run')),
                 'a.png', write)
    assert 'a.png was not written: OSError: no ink' in caplog.text
