"""Faults of a data set, each named once however often it occurs."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmpose_ext.storage import DataError

NAMED_PLACES = 5


@dataclass(frozen=True)
class Place:
    """One spot with a fault.

    Attributes:
        name: Of the entry, as ``annotation 7 (a.jpg)``.
        found: What is there.
        image: Position in the list of images, -1 for none.
        annotation: Position in the list of annotations, -1 for none.
    """

    name: str
    found: str
    image: int = -1
    annotation: int = -1


@dataclass(frozen=True)
class Finding:
    """One kind of fault and everywhere it occurs.

    Attributes:
        file: The annotation file.
        field: What is wrong of the entry: a key, ``image file``.
        expected: What should be there.
        places: At least one.
        hint: How to mend it.
        is_warning: Whether it is only worth a look.
    """

    file: Path
    field: str
    expected: str
    places: tuple[Place, ...]
    hint: str = ''
    is_warning: bool = False

    def as_error(self) -> DataError:
        """One line that names the first places and counts them all."""
        first, *others = self.places
        found = first.found
        if others:
            names = ', '.join(
                place.name for place in others[:NAMED_PLACES - 1])
            found += f'; {len(self.places)} in all, also {names}'
        where = f'{first.name}, {self.field}' if first.name else self.field
        return DataError(self.file, *map(printable, (
            where, self.expected, found, self.hint)))

    def as_dict(self) -> dict[str, Any]:
        """The finding for ``--json``, with every place."""
        error = self.as_error()
        return dict(
            file=error.file, where=error.where, field=self.field,
            expected=error.expected, found=error.found, hint=error.hint,
            count=len(self.places),
            places=[dict(name=place.name, found=place.found)
                    for place in self.places])


def printable(text: str) -> str:
    """Text of a file without escapes that stand for no letter."""
    return text.encode('utf-8', 'backslashreplace').decode()
