"""The one error that every damaged or unfitting input ends in, and hints."""
from __future__ import annotations

import difflib
from collections.abc import Iterable
from os import PathLike


def close_matches(name: str, known: Iterable[str]) -> str:
    """A hint that names the closest of the known names; '' if none is."""
    near = difflib.get_close_matches(name, list(known), n=3)
    return f'did you mean {" or ".join(near)}?' if near else ''


def _one_line(part: object) -> str:
    """Text of a part of the message without line breaks."""
    return ' '.join(str(part).splitlines())


class DataError(ValueError):
    """An input file is damaged or is not what the reader needs.

    The five parts stay available as attributes, the message is one line, and
    the error survives pickling, so it can cross from a worker process.

    Args:
        file (str | Path): The file or folder at fault.
        where (str): The place in it: a key, a row and column, a frame.
        expected (str): What the reader needs there.
        found (str): What is there.
        hint (str): How to mend it. Defaults to '' (no hint).
    """

    def __init__(self,
                 file: str | PathLike[str],
                 where: str,
                 expected: str,
                 found: str,
                 hint: str = '') -> None:
        self.file = _one_line(file)
        self.where = _one_line(where)
        self.expected = _one_line(expected)
        self.found = _one_line(found)
        self.hint = _one_line(hint)
        # All five go into `args`: pickle rebuilds an exception from them.
        super().__init__(self.file, self.where, self.expected, self.found,
                         self.hint)

    def __str__(self) -> str:
        text = (f'{self.file}: {self.where}: expected {self.expected}, '
                f'found {self.found}')
        return f'{text} ({self.hint})' if self.hint else text
