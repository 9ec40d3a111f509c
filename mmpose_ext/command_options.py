"""Options that commands of several families have, and their checks."""
from __future__ import annotations

import math
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from mmpose_ext.storage import DataError


def add_device_option(parser: ArgumentParser) -> None:
    """Add ``--device``, a name for ``choose_device``."""
    parser.add_argument(
        '--device', default='auto',
        help='auto, cpu, cuda, cuda:1, ... (default: auto)')


def number_from(low: float, high: float = math.inf, *,
                kind: Callable[[str], float] = float
                ) -> Callable[[str], float]:
    """The ``type`` of an option that is a number in a range.

    Args:
        low (float): The least one.
        high (float): The greatest one. Defaults to infinity.
        kind (Callable): ``int`` or ``float``, which is the default.
    """

    def parse(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    # argparse names the type in its error
    parse.__name__ = f'{kind.__name__} ' + (
        f'of at least {low:g}' if high == math.inf else
        f'from {low:g} to {high:g}')
    return parse


def number_above_0(text: str) -> float:
    """The ``type`` of an option that is a finite number above 0."""
    value = float(text)
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f'expected more than 0, found {text}')
    return value


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


def check_new_folder(out: Path, overwrite: bool) -> None:
    """Check that the folder of a new data set would replace nothing.

    Args:
        out (Path): Where it will be; its parents need not be there.
        overwrite (bool): Whether what is there may be replaced.

    Raises:
        DataError: If a file or a folder with content is there and must stay.
    """
    if not overwrite and (any(out.iterdir()) if out.is_dir()
                          else out.exists()):
        raise DataError(out, 'folder', 'nothing there', 'an existing '
                        f'{"folder" if out.is_dir() else "file"}',
                        'choose another one, or replace it by --overwrite')


def check_out(out: Path, endings: Sequence[str] = (), *,
              folder: bool = False, overwrite: bool = True,
              option: str = '--out') -> None:
    """Check that ``--out`` can be written, before that takes time.

    Args:
        out (Path): A file or a folder, which need not be there.
        endings (Sequence[str]): Of files, in small letters, with dots.
            Defaults to (): a folder alone.
        folder (bool): Whether it may be a folder, which then has no ending
            if files may be meant. Defaults to False; without endings True.
        overwrite (bool): Whether what is there may be replaced. Defaults to
            True.
        option (str): What the error names. Defaults to ``--out``.

    Raises:
        DataError: If not.
    """
    ending = out.suffix.lower()
    is_file = ending in endings
    if endings and not is_file and (ending or not folder):
        raise DataError(
            out, option, f'a name ending in {" or ".join(endings)}'
            + (', or a folder' if folder else ''), repr(out.suffix))
    if out.is_dir() if is_file else out.is_file():
        kinds = ('a file', 'a folder')
        expected, found = kinds if is_file else kinds[::-1]
        raise DataError(out, option, expected, found)
    if not out.resolve().parent.is_dir():
        raise DataError(out, option, 'a path in an existing folder',
                        f'no folder {out.parent}')
    if not overwrite and (is_file and out.exists()
                          or out.is_dir() and any(out.iterdir())):
        raise DataError(out, option, 'a new name', 'something with content',
                        '--overwrite replaces it')
