from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

from mmpose_ext.training.run_report import read_report, try_to_write


def test_a_report_is_read_back(tmp_path: Path) -> None:
    (tmp_path / 'a.json').write_text('{"a": [null, 1.0]}')
    assert read_report(tmp_path / 'a.json') == dict(a=[None, 1.])


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
