"""What a report leaves: its text, and a picture and figures in a folder."""
from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmpose_ext.storage import DataError, write_json

Report = Mapping[str, Any]


def add_out_option(parser: argparse.ArgumentParser, name: str) -> None:
    """Add ``--out``, the folder for ``<name>.png`` and ``<name>.json``."""
    parser.add_argument(
        '--out', type=Path, metavar='DIR',
        help=f'folder for {name}.png and {name}.json (default: the table '
        'alone)')


def check_out_option(out: Path | None) -> None:
    """Check that ``--out`` can be a folder, before that takes time.

    Raises:
        DataError: If it is a file.
    """
    if out is not None and out.exists() and not out.is_dir():
        raise DataError(out, '--out', 'a folder or nothing', 'a file')


def leave_report(report: Report, text: str,
                 draw: Callable[[Report, Path], None], out: Path | None,
                 name: str) -> None:
    """Print a report and, if there is a folder for it, write it.

    Args:
        report (Mapping): Its figures.
        text (str): It in words.
        draw (Callable): Draws the figures into a PNG file.
        out (Path, optional): The folder, made if need be.
        name (str): Of the files, without their endings.
    """
    print(text)
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / f'{name}.json', report)
    draw(report, out / f'{name}.png')
    print(f'written: {out / name}.png, {name}.json beside it')
