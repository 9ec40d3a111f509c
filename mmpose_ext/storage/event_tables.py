"""Tables of events in text files, with their line numbers."""
from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .checks import StrPath, check_file
from .errors import DataError

_DELIMITERS = ',;\t'


@dataclass(frozen=True)
class TableRow:
    """One row below the header.

    Attributes:
        path: The file.
        line: Its line, from 1.
        cells: The columns that were asked for and are there, stripped.
    """

    path: Path
    line: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """A cell that must not be blank.

        Raises:
            DataError: If it is.
        """
        if not self.cells[column]:
            raise DataError(self.path, self.where(column), 'a text',
                            'nothing')
        return self.cells[column]

    def number(self, column: str) -> float:
        """A cell that must be a finite number.

        Raises:
            DataError: If it is not.
        """
        text = self.cells[column]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(self.path, self.where(column), 'a number',
                            repr(text)[:80])
        return value

    def where(self, column: str) -> str:
        """The place for an error."""
        return f'line {self.line}, column {column}'


def read_table(path: StrPath,
               required: Mapping[str, Sequence[str]],
               optional: Mapping[str, Sequence[str]]) -> list[TableRow]:
    """Read the rows below the header line, wherever that is.

    Cells are divided by commas, semicolons or tabs, as the header tells.

    Args:
        path (str | Path): The .csv or .tsv.
        required (Mapping[str, Sequence[str]]): Column to names it may have,
            compared without case. The first line that has them all is the
            header.
        optional (Mapping[str, Sequence[str]]): Likewise; may be absent.

    Raises:
        DataError: If there is no such line, or a row is shorter or longer.
    """
    path = check_file(path, ['.csv', '.tsv'])
    try:
        text = path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise DataError(path, 'file', 'text in UTF-8', str(error)) from error
    for delimiter in _DELIMITERS:
        lines = list(_lines(path, text, delimiter))
        for number, (_, row) in enumerate(lines):
            header = [cell.strip().lower() for cell in row]
            places = _find_columns(path, header, {**required, **optional})
            if set(required) <= set(places):
                return [_row(path, line, cells, len(header), places)
                        for line, cells in lines[number + 1:]]
    wanted = ', '.join(names[0] for names in required.values())
    first = text.splitlines()[0] if text.strip() else 'blank lines'
    raise DataError(path, 'header', f'a line with the columns {wanted}',
                    f'none; the first line is {first[:80]!r}')


def _lines(path: Path, text: str,
           delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of each row that is not blank."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise DataError(path, f'line {reader.line_num}', 'CSV text',
                        str(error)) from error


def _find_columns(path: Path, header: Sequence[str],
                  columns: Mapping[str, Sequence[str]]) -> dict[str, int]:
    places = {}
    for column, names in columns.items():
        # in the order of the names: the first is the usual one
        found = [place for name in names for place, cell in enumerate(header)
                 if cell == name.lower()]
        if found:
            places[column] = found[0]
            if header.count(header[found[0]]) > 1:
                raise DataError(path, 'header', 'each column once',
                                f'{header[found[0]]!r} several times')
    return places


def _row(path: Path, line: int, cells: Sequence[str], count: int,
         places: Mapping[str, int]) -> TableRow:
    # some programs leave out what is blank at the end, or end in a comma
    surplus = [cell for cell in cells[count:] if cell.strip()]
    if surplus or len(cells) <= max(places.values()):
        raise DataError(path, f'line {line}', f'{count} cells',
                        f'{len(cells)}')
    return TableRow(path, line, {
        column: cells[place].strip() for column, place in places.items()})
