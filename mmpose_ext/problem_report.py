"""What a check of a data set found, for people or as JSON."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mmpose_ext.storage import DataError


@dataclass
class ProblemReport:
    """What was found out.

    A family that tells more extends :meth:`as_dict` and :meth:`lines`.

    Attributes:
        problems: What must be mended.
        warnings: What is worth a look.
        parts: Lines about what was read, by data loader or file.
    """

    problems: list[DataError] = field(default_factory=list)
    warnings: list[DataError] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)

    def add(self, problem: DataError) -> None:
        """Note a problem, once: several data sets may read one file."""
        if str(problem) not in map(str, self.problems):
            self.problems.append(problem)

    def gather(self, find: Callable[[], Iterator[DataError]]) -> None:
        """Note all problems that a check finds, or the one it ends in."""
        try:
            for problem in find():
                self.add(problem)
        except DataError as error:
            self.add(error)

    def as_dict(self) -> dict[str, Any]:
        """Everything, in values that JSON knows."""
        return dict(
            problems=[_fields(item) for item in self.problems],
            warnings=[_fields(item) for item in self.warnings],
            parts=self.parts)

    def lines(self) -> Iterator[str]:
        """What was read, for people."""
        for name, text in self.parts.items():
            yield f'{name}: {text}'

    def finish(self, as_json: bool, strict: bool | None = None) -> int:
        """Print everything.

        Args:
            as_json (bool): Whether to print JSON.
            strict (bool, optional): Whether warnings count, as ``--strict``
                says. Defaults to None: they do not, and the command has no
                such option.

        Returns:
            int: The exit code, 1 if something counts against the data.
        """
        if as_json:
            print(json.dumps(self.as_dict(), indent=2))
        else:
            for line in self.lines():
                print(line)
            for warning in self.warnings:
                print(f'warning: {warning}')
            for problem in self.problems:
                print(f'error: {problem}')
            if not self.problems:
                print(self._verdict(strict))
        return int(bool(self.problems or (strict and self.warnings)))

    def _verdict(self, strict: bool | None) -> str:
        if not self.warnings:
            return 'no problems'
        text = f'no errors, {len(self.warnings)} warnings'
        return text if strict is None else f'{text}; --strict counts these'


def _fields(error: DataError) -> dict[str, str]:
    return {name: getattr(error, name)
            for name in ('file', 'where', 'expected', 'found', 'hint')}
