"""What ``tools/browse_dataset.py`` does alike for all families."""
from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from mmengine.config import Config
from rich.console import Console
from rich.progress import track

from mmpose_ext.drawing import contact_sheet, write_picture
from mmpose_ext.splits import PARTS
from mmpose_ext.storage import DataError

Array = np.ndarray
Item = TypeVar('Item')


def add_browse_arguments(parser: ArgumentParser, number: int,
                         what: str = 'samples to draw') -> None:
    """Add the options that every family has.

    Args:
        parser (ArgumentParser): Of the command.
        number (int): How many are drawn by default.
        what (str): What is counted. Defaults to samples.
    """
    parser.add_argument('--out-dir', type=Path, required=True,
                        help='folder for the pictures')
    parser.add_argument('--split', choices=PARTS, default='train',
                        help='default: train')
    parser.add_argument('--number', type=int, default=number,
                        help=f'{what} (default: {number})')


def check_browse_arguments(config: Config, arguments: Namespace) -> Path:
    """The folder for the pictures, which may not be there yet.

    Raises:
        DataError: If it cannot be one, or nothing is to be drawn.
    """
    out: Path = arguments.out_dir
    if out.exists() and not out.is_dir():
        raise DataError(out, 'folder', 'a folder or nothing', 'a file')
    if arguments.number < 1:
        raise DataError(config.filename or 'config', '--number',
                        'at least 1', str(arguments.number))
    return out


def track_drawing(items: Iterable[Item], number: int) -> Iterator[Item]:
    """Pass items on and show on the standard error how far it is."""
    yield from track(items, 'Drawing samples', number, transient=True,
                     console=Console(stderr=True))


def write_shown(path: Path, picture: Array) -> None:
    """Write a picture and print where it is; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(path, picture)
    print(path)


def write_sheets(stem: Path, tiles: Sequence[Array], captions: Sequence[str],
                 title: str, columns: int, per_sheet: int) -> None:
    """Write pictures in sheets, ``<stem>_000.png`` and so on.

    Args:
        stem (Path): Path without number and ending.
        tiles (Sequence[ndarray]): As ``contact_sheet`` takes them.
        captions (Sequence[str]): One a picture.
        title (str): On top of each sheet.
        columns (int): Pictures in a row.
        per_sheet (int): Pictures in a sheet.
    """
    for number, start in enumerate(range(0, len(tiles), per_sheet)):
        part = slice(start, start + per_sheet)
        write_shown(stem.with_name(f'{stem.name}_{number:03d}.png'),
                    contact_sheet(tiles[part], columns, captions[part],
                                  title))
