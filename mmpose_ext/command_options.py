"""Options that commands of several families have, and their checks."""
from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from mmpose_ext.storage import DataError


def add_device_option(parser: ArgumentParser) -> None:
    """Add ``--device``, a name for ``choose_device``."""
    parser.add_argument(
        '--device', default='auto',
        help='auto, cpu, cuda, cuda:1, ... (default: auto)')


def check_least(source: str | Path, arguments: Namespace,
                **least: float) -> None:
    """Check that numbers are not too small.

    Args:
        source (str | Path): What the error names: the input, say.
        arguments (Namespace): Of the command; None passes.
        **least (float): The least value of arguments by name.

    Raises:
        DataError: If one is below.
    """
    for name, limit in least.items():
        value = getattr(arguments, name)
        if value is not None and not value >= limit:
            raise DataError(source, f'--{name.replace("_", "-")}',
                            f'at least {limit:g}', f'{value:g}')


def check_out(out: Path, endings: Sequence[str] = (), *,
              folder: bool = False, overwrite: bool = True) -> None:
    """Check that ``--out`` can be written, before that takes time.

    Args:
        out (Path): A file or a folder, which need not be there.
        endings (Sequence[str]): Of files, in small letters, with dots.
            Defaults to (): a folder alone.
        folder (bool): Whether it may be a folder, which then has no ending
            if files may be meant. Defaults to False; without endings True.
        overwrite (bool): Whether what is there may be replaced. Defaults to
            True.

    Raises:
        DataError: If not.
    """
    ending = out.suffix.lower()
    is_file = ending in endings
    if endings and not is_file and (ending or not folder):
        raise DataError(
            out, '--out', f'a name ending in {" or ".join(endings)}'
            + (', or a folder' if folder else ''), repr(out.suffix))
    if out.is_dir() if is_file else out.is_file():
        kinds = ('a file', 'a folder')
        expected, found = kinds if is_file else kinds[::-1]
        raise DataError(out, '--out', expected, found)
    if not out.resolve().parent.is_dir():
        raise DataError(out, '--out', 'a path in an existing folder',
                        f'no folder {out.parent}')
    if not overwrite and (is_file and out.exists()
                          or out.is_dir() and any(out.iterdir())):
        raise DataError(out, '--out', 'a new name', 'something with content',
                        '--overwrite replaces it')
