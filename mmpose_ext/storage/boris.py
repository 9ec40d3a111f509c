"""Tables of events as the program BORIS exports them."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .behavior_events import (
    DEFAULT_FPS,
    BehaviorEvent,
    FrameLabels,
    label_frames,
)
from .checks import StrPath
from .errors import DataError
from .event_tables import TableRow, read_table

# The second name is that of BORIS 8.
_REQUIRED = {'time': ('Time', ),
             'media': ('Media file path', 'Media file name'),
             'behavior': ('Behavior', ),
             'status': ('Status', 'Behavior type')}
_OPTIONAL = {'subject': ('Subject', ), 'fps': ('FPS', )}
_START, _STOP, _POINT = 'START', 'STOP', 'POINT'


def read_boris_csv(path: StrPath,
                   frames: int,
                   fps: float | None = None,
                   first_frame: int = 0) -> FrameLabels:
    """Read tabular events that BORIS exported.

    Rows of START and STOP are paired for each media file, subject and
    behaviour, in order of time. Events of POINT have no duration and are
    passed over. Rows about the observation may come before the table.

    Args:
        path (str | Path): The .csv or .tsv.
        frames (int): T, rows of the record.
        fps (float, optional): Frames per second. Defaults to None: those of
            the column ``FPS``, else 30.
        first_frame (int): Frame of the video that is the record's first row.
            Defaults to 0.

    Returns:
        FrameLabels: See `label_frames`.

    Raises:
        DataError: If the file is damaged, a status is unknown, or an event
            has no beginning, no end, or no duration; names the line.
    """
    path = Path(path)
    groups: dict[tuple[str, str, str], list[TableRow]] = {}
    rows = read_table(path, _REQUIRED, _OPTIONAL)
    for row in rows:
        status = row.text('status').upper()
        if status not in (_START, _STOP, _POINT):
            raise DataError(path, row.where('Status'), 'START, STOP or POINT',
                            repr(row.cells['status']))
        row.number('time')
        behavior = row.text('behavior')
        if status != _POINT:
            key = row.cells['media'], row.cells.get('subject', ''), behavior
            groups.setdefault(key, []).append(row)
    events = [event for members in groups.values()
              for event in _pair(path, members)]
    return label_frames(path, events, frames, fps or _stated_fps(path, rows),
                        first_frame)


def _pair(path: Path, rows: Sequence[TableRow]) -> list[BehaviorEvent]:
    """Events of one behaviour of one subject in one file."""
    # Where one ends as the next starts, the end comes first.
    rows = sorted(rows, key=lambda row: (
        row.number('time'), row.cells['status'].upper() == _START))
    events, opened = [], None
    for place, row in enumerate(rows):
        what, time = repr(row.cells['behavior']), row.number('time')
        if row.cells['status'].upper() == _START:
            if opened is not None:
                raise DataError(
                    path, f'line {row.line}', f'STOP of {what}, which '
                    f'started on line {opened.line}', 'another START')
            opened = row
        elif opened is None:
            after = rows[place + 1] if place + 1 < len(rows) else None
            same = after is not None and after.number('time') == time
            raise DataError(
                path, f'line {row.line}', f'an event of {what} that lasts',
                'START and STOP at one time' if same
                else 'STOP without START')
        else:
            events.append(BehaviorEvent(
                row.cells['behavior'], opened.number('time'), time))
            opened = None
    if opened is not None:
        raise DataError(path, f'line {opened.line}', 'STOP of '
                        f'{opened.cells["behavior"]!r} behind START', 'none')
    return events


def _stated_fps(path: Path, rows: Sequence[TableRow]) -> float:
    """The rate in the table, 30 where there is none."""
    stated: float | None = None
    for row in rows:
        text = row.cells.get('fps', '')
        if text in ('', 'NA'):
            continue
        value = row.number('fps')
        if value <= 0 or stated not in (None, value):
            raise DataError(path, row.where('FPS'),
                            f'{stated:g}, as before' if stated
                            else 'a number above 0', text)
        stated = value
    return stated or DEFAULT_FPS
