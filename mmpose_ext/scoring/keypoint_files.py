"""Figures by keypoint, left beside the log of a run."""
from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger

from mmpose_ext.storage import DataError, atomic_file
from mmpose_ext.storage.plain_files import without_nan, write_json

Rows = Mapping[str, Mapping[str, float]]


def leave_report(out_dir: str | None, report: Mapping[str, Any],
                 columns: Sequence[str], rows: Rows) -> None:
    """Write a report; a training is never lost by its report.

    Args:
        out_dir (str, optional): Folder. None: that of the log, if there is
            one.
        report (Mapping): See :func:`write_report`.
        columns (Sequence[str]): See there.
        rows (Mapping): See there.
    """
    logger = MMLogger.get_current_instance()
    if out_dir is None and logger.log_file is not None:
        out_dir = str(Path(logger.log_file).parent)
    if out_dir is not None:
        try:
            write_report(Path(out_dir), report, columns, rows)
        except (OSError, DataError) as error:
            logger.warning(f'keypoint report not written: {error}')


def write_report(folder: Path, report: Mapping[str, Any],
                 columns: Sequence[str], rows: Rows) -> None:
    """Write ``keypoints.csv``, a line a keypoint, and ``keypoints.json``.

    Args:
        folder (Path): Made if need be.
        report (Mapping): All figures.
        columns (Sequence[str]): Those of the table.
        rows (Mapping): Name of each line to its figures; of none, there is no
            table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if rows:
        with (atomic_file(folder / 'keypoints.csv') as temporary,
              temporary.open('w', newline='') as stream):
            writer = csv.DictWriter(stream, ['name', *columns])
            writer.writeheader()
            writer.writerows(dict(without_nan(dict(row)), name=name)
                             for name, row in rows.items())
    write_json(folder / 'keypoints.json', report, indent=1)
