"""Options that the commands about motifs share, and their folder."""
from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmpose_ext.storage import DataError, atomic_folder, refuse_to_replace


def add_folder_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--out`` and ``--overwrite``, of :func:`new_folder`."""
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR',
        help='new folder to write')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the folder')


@contextmanager
def new_folder(arguments: argparse.Namespace,
               inputs: Iterable[Path | None]) -> Iterator[Path]:
    """The folder to fill, which becomes ``--out`` once all is written.

    Args:
        arguments (Namespace): With ``out`` and ``overwrite``.
        inputs (Iterable[Path | None]): What is read, and must not be
            replaced.

    Raises:
        DataError: If the folder has content, or an input is in it.
    """
    out: Path = arguments.out
    refuse_to_replace(out, [path for path in inputs if path is not None])
    out.resolve().parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(out, arguments.overwrite) as folder:
        yield folder


def add_state_options(parser: argparse.ArgumentParser, least: int,
                      told_by: str) -> None:
    """Add the numbers of states, and the frame rate.

    Args:
        parser (ArgumentParser): Of the command.
        least (int): Least number of states by default.
        told_by (str): What tells the frame rate by default.
    """
    parser.add_argument(
        '--min-states', type=int, default=least, metavar='N',
        help=f'least number of motifs (default: {least})')
    parser.add_argument(
        '--max-states', type=int, default=32, metavar='N',
        help='largest number of motifs (default: 32)')
    parser.add_argument(
        '--fps', type=float,
        help=f'frames a second (default: as {told_by}, else 30)')


def check_state_options(source: Path, arguments: argparse.Namespace) -> None:
    """Check what :func:`add_state_options` added.

    Args:
        source (Path): What the error names.
        arguments (Namespace): Of the command.

    Raises:
        DataError: If a value is out of range.
    """
    if not 2 <= arguments.min_states <= arguments.max_states:
        raise DataError(
            source, '--min-states', 'from 2 to --max-states',
            f'{arguments.min_states} to {arguments.max_states}')
    if arguments.fps is not None and not arguments.fps > 0:
        raise DataError(source, '--fps', 'more than 0', f'{arguments.fps:g}')
