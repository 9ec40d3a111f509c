"""The command behind ``tools/download_checkpoints.py``.

A family offers its published weights by a module ``checkpoints`` with a table
``CHECKPOINTS``: :class:`mmpose_ext.storage.downloads.Checkpoint` by key.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from mmpose_ext.families import family_module, family_names
from mmpose_ext.storage import DataError
from mmpose_ext.storage.downloads import (
    Checkpoint,
    UnreachableError,
    fetch_checkpoint,
    has_hash,
    place_by_hand,
)


def run_download(description: str, argv: Sequence[str] | None = None) -> int:
    """Run ``tools/download_checkpoints.py``.

    Args:
        description (str): For ``--help``.
        argv (Sequence[str], optional): Defaults to the command line.

    Returns:
        int: Exit code; 0 all there, 1 some missing, 2 wrong usage.
    """
    known = published_checkpoints()
    parser = argparse.ArgumentParser(prog='tools/download_checkpoints.py',
                                     description=description)
    parser.add_argument('--list', action='store_true',
                        help='say what there is, and do no more')
    parser.add_argument('--only', nargs='+', choices=list(known),
                        metavar='KEY', help='keys of --list (default: all '
                        'that are not optional)')
    parser.add_argument('--dir', type=Path, default=Path('checkpoints'),
                        help='folder to fill (default: checkpoints)')
    parser.add_argument('--mirror', metavar='URL',
                        help='http://, https:// or file:// address, or a '
                        'folder, that has the files')
    parser.add_argument('--offline', action='store_true',
                        help='fetch nothing; say what to fetch elsewhere')
    arguments = parser.parse_args(argv)
    chosen = {key: item for key, item in known.items()
              if (key in arguments.only if arguments.only
                  else arguments.list or not item.optional)}
    if arguments.list:
        for key, item in chosen.items():
            print(_describe(key, item, arguments.dir))
        return 0
    missing = (_missing(chosen, arguments.dir) if arguments.offline else
               _fetch(chosen, arguments.dir, arguments.mirror))
    for key in missing:
        print(f'{key}: ' + place_by_hand(chosen[key], arguments.dir,
                                         arguments.mirror))
    return int(bool(missing))


def published_checkpoints() -> dict[str, Checkpoint]:
    """What all families offer, by key.

    Raises:
        ValueError: If two families use the same key.
    """
    found: dict[str, Checkpoint] = {}
    for family in family_names():
        module = family_module(family, 'checkpoints')
        for key, item in ({} if module is None else
                          module.CHECKPOINTS).items():
            if key in found:
                raise ValueError(f'two families offer a checkpoint {key!r}')
            found[key] = item
    return found


def _fetch(chosen: Mapping[str, Checkpoint], folder: Path,
           mirror: str | None) -> list[str]:
    """Fetch files; the keys of those that could not be had."""
    missing: list[str] = []
    reachable = True
    with Progress(TextColumn('{task.description}'), BarColumn(),
                  DownloadColumn(), TimeRemainingColumn(),
                  console=Console(stderr=True)) as progress:
        for key, item in chosen.items():
            if not reachable and not _is_there(item, folder):
                missing.append(key)
                continue
            task = progress.add_task(key, total=None)

            def report(there: int, whole: int | None, task: TaskID = task
                       ) -> None:
                progress.update(task, completed=there, total=whole)

            try:
                path = fetch_checkpoint(item, folder, mirror, report)
                size = path.stat().st_size
                progress.update(task, completed=size, total=size)
                print(f'{key}: {path}')
            except DataError as error:
                progress.remove_task(task)
                print(f'error: {key}: {error}', file=sys.stderr)
                missing.append(key)
                reachable = not isinstance(error, UnreachableError)
    return missing


def _missing(chosen: Mapping[str, Checkpoint], folder: Path) -> list[str]:
    return [key for key, item in chosen.items()
            if not _is_there(item, folder)]


def _is_there(item: Checkpoint, folder: Path) -> bool:
    path = folder / item.file
    return path.is_file() and has_hash(path, item.sha256)


def _describe(key: str, item: Checkpoint, folder: Path) -> str:
    size = 'size unknown' if item.size_mb is None else f'~{item.size_mb} MB'
    state = 'there' if _is_there(item, folder) else 'not there'
    optional = ', optional' if item.optional else ''
    return (f'{key}: {item.description}, {size}{optional}; {state}\n'
            f'  {item.url}\n  {folder / item.file}')
