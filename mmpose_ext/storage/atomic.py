"""Files and folders that appear whole or not at all."""
from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .checks import StrPath
from .errors import DataError


@contextmanager
def atomic_file(path: StrPath) -> Iterator[Path]:
    """Write a file under a temporary name and move it into place at the end.

    The temporary lies in the same folder, starts with a dot and keeps the
    suffix, because some writers choose the format by it. If the body raises,
    an interrupt included, it is removed and an older file stays untouched.

    Args:
        path (str | Path): The file to make or replace; its folder exists.

    Yields:
        Path: The temporary, which the body writes and closes.

    Raises:
        DataError: If the folder is missing or `path` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(path, 'file', 'a file or nothing', 'a folder')
    temporary = _temporary_beside(path)
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


@contextmanager
def atomic_folder(path: StrPath, overwrite: bool = False) -> Iterator[Path]:
    """Fill a folder under a temporary name and move it into place at the end.

    Args:
        path (str | Path): The folder to make; its parent exists.
        overwrite (bool): Whether a folder with content may be replaced.
            Defaults to False.

    Yields:
        Path: The temporary folder, which exists and is empty.

    Raises:
        DataError: If the parent is missing, `path` is a file, or it has
            content and `overwrite` is False.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise DataError(path, 'folder', 'a folder or nothing', 'a file')
    if not overwrite and path.is_dir() and any(path.iterdir()):
        raise DataError(path, 'folder', 'nothing or an empty folder',
                        'a folder with content',
                        'choose another one or allow overwriting')
    temporary = _temporary_beside(path)
    replaced = _temporary_beside(path)
    temporary.mkdir()
    try:
        yield temporary
        for folder, _, files in os.walk(temporary):
            for name in files:
                _sync(Path(folder, name))
            _sync(Path(folder))
        # A folder with content cannot be replaced in one step: the old one
        # steps aside and comes back if the new one cannot take its place.
        if overwrite and path.is_dir():
            os.replace(path, replaced)
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if replaced.is_dir() and not path.exists():
            os.replace(replaced, path)
        raise
    _sync(path.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def refuse_to_replace(out: StrPath, sources: Iterable[StrPath]) -> None:
    """Check that replacing a folder would not delete what is read.

    Args:
        out (str | Path): The folder or file to be replaced; it need not
            exist.
        sources (Iterable[str | Path]): Files and folders that are read.
            Links are followed, and the way to a source counts as well: one
            that leads through `out` would be cut.

    Raises:
        DataError: If `out` is one of them or holds one.
    """
    whole = Path(out).resolve()
    checked: set[Path] = set()  # folders that are not `out`
    for source in map(Path, sources):
        named = Path(os.path.abspath(source))
        way = {named, *named.parents} - checked
        if whole in source.resolve().parents or any(
                place.resolve() == whole for place in way):
            raise DataError(out, 'folder', 'a place without the input, '
                            'because what is there will be replaced',
                            f'{source}, which is read',
                            'choose another one')
        checked |= way


def refuse_other_content(folder: StrPath, ours: Iterable[str]) -> None:
    """Check that replacing a folder deletes nothing but an older world.

    Args:
        folder (str | Path): It need not exist.
        ours (Iterable[str]): Names that a world has.

    Raises:
        DataError: If it holds anything else.
    """
    folder = Path(folder)
    if folder.is_dir() and not {
            path.name for path in folder.iterdir()} <= {*ours}:
        raise DataError(folder, 'folder', 'nothing or an older world',
                        'a folder with other content', 'choose another one')


def _temporary_beside(path: Path) -> Path:
    """A fresh hidden name in the folder of `path`, with its suffix."""
    if not path.parent.is_dir():
        raise DataError(path, 'folder', 'an existing folder to write into',
                        f'no folder {path.parent}')
    return path.with_name(
        f'.{path.stem}.{secrets.token_hex(4)}{path.suffix}')


def _sync(path: Path) -> None:
    """Ask the system to bring a file or a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
