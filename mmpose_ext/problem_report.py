"""What a check of a data set found, for people or as JSON."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mmpose_ext.storage import DataError


@dataclass
class ProblemReport:
    """What was found out.

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

    def finish(self, as_json: bool, strict: bool = False) -> int:
        """Print everything.

        Args:
            as_json (bool): Whether to print JSON.
            strict (bool): Whether warnings count. Defaults to False.

        Returns:
            int: The exit code, 1 if something counts against the data.
        """
        if as_json:
            print(json.dumps(dict(
                problems=[_fields(item) for item in self.problems],
                warnings=[_fields(item) for item in self.warnings],
                parts=self.parts), indent=2))
        else:
            for name, text in self.parts.items():
                print(f'{name}: {text}')
            for warning in self.warnings:
                print(f'warning: {warning}')
            for problem in self.problems:
                print(f'error: {problem}')
            if not self.problems:
                print('no problems')
        return int(bool(self.problems or (strict and self.warnings)))


def _fields(error: DataError) -> dict[str, str]:
    return {name: getattr(error, name)
            for name in ('file', 'where', 'expected', 'found', 'hint')}
