"""Reports by keypoint are written whole, and cost no training."""
from __future__ import annotations

import csv
import json
from pathlib import Path

from mmpose_ext.scoring.keypoint_files import leave_report, write_report

REPORT = dict(count=2, error=float('nan'))
ROWS = dict(nose=dict(count=1, error=2.5), tail=dict(count=0,
                                                     error=float('nan')))


def test_table_and_figures_say_nothing_where_nothing_is_known(
        tmp_path: Path) -> None:
    write_report(tmp_path / 'run', REPORT, ['count', 'error'], ROWS)
    with (tmp_path / 'run' / 'keypoints.csv').open() as stream:
        found = list(csv.DictReader(stream))
    assert found == [dict(name='nose', count='1', error='2.5'),
                     dict(name='tail', count='0', error='')]
    text = (tmp_path / 'run' / 'keypoints.json').read_text()
    assert json.loads(text) == dict(count=2, error=None)


def test_without_rows_there_is_no_table(tmp_path: Path) -> None:
    write_report(tmp_path, REPORT, (), {})
    assert [path.name for path in tmp_path.iterdir()] == ['keypoints.json']


def test_a_report_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    leave_report(str(tmp_path / 'file'), REPORT, ['count', 'error'], ROWS)
    assert (tmp_path / 'file').read_bytes() == b''
