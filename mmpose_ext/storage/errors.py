"""The one error that every damaged or unfitting input ends in."""
from __future__ import annotations

from os import PathLike


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
