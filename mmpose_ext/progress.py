"""How far a prediction is, on the terminal."""
from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _RateColumn(ProgressColumn):
    """Items a second so far."""

    def render(self, task: Task) -> Text:
        return Text(f'{task.finished_speed or task.speed or 0:,.1f}/s')


def prediction_progress() -> Progress:
    """A bar with count, rate, time gone and time left.

    It goes to standard error and is gone when done: what a command prints can
    be piped.
    """
    return Progress(
        TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
        _RateColumn(), TimeElapsedColumn(), TextColumn('left'),
        TimeRemainingColumn(), console=Console(stderr=True), transient=True)
