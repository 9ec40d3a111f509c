"""What animals did, frame by frame, and files of events that say so."""
from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .atomic import atomic_file
from .checks import StrPath, check_array, check_names
from .errors import DataError
from .event_tables import read_table

Array = np.ndarray

OTHER = 'other'
DEFAULT_FPS = 30.
ANNOTATOR = 'annotator_0'  # where the file names none
COLUMNS = ('behavior', 'start_time', 'end_time')


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """Behaviours of each frame, checked when made.

    T frames, C classes, A annotators.

    Args:
        source (Path): The file that was read.
        classes (tuple[str, ...]): C names, in the order of the file; sorted
            with 'other' last where the file has events.
        labels (np.ndarray): (T, C, A) uint8, 1 where a behaviour goes on;
            several may at once.
        annotators (tuple[str, ...]): A names.

    Raises:
        DataError: If the parts do not fit together.
    """

    source: Path
    classes: tuple[str, ...]
    labels: Array
    annotators: tuple[str, ...]

    def __post_init__(self) -> None:
        for part in ('classes', 'annotators'):
            names = getattr(self, part)
            check_names(names, self.source, part)
            if not all(name.strip() for name in names):
                raise DataError(self.source, part, 'names', 'a blank one')
        check_array(self.labels, self.source, 'labels', 'u1',
                    (None, len(self.classes), len(self.annotators)))
        if not len(self.labels):
            raise DataError(self.source, 'labels', 'at least one frame',
                            'none')
        wrong = self.labels > 1
        if wrong.any():
            frame, place, _ = np.argwhere(wrong)[0]
            raise DataError(
                self.source, f'frame {frame}, {self.classes[place]!r}',
                '0 or 1', f'{self.labels[wrong][0]} ({int(wrong.sum())} in '
                'all)')

    def __len__(self) -> int:
        """T, the number of frames."""
        return len(self.labels)


class BehaviorEvent(NamedTuple):
    """Something that went on for a while.

    Attributes:
        behavior: What.
        start_time: Seconds since the beginning of the video.
        end_time: Likewise; not included.
        annotator: Who says so; '' = not known.
    """

    behavior: str
    start_time: float
    end_time: float
    annotator: str = ''


def read_event_csv(path: StrPath,
                   frames: int,
                   fps: float | None = None,
                   first_frame: int = 0) -> FrameLabels:
    """Read a table of events, one a row.

    Args:
        path (str | Path): The .csv with the columns ``behavior``,
            ``start_time`` and ``end_time`` (seconds) and maybe
            ``annotator``.
        frames (int): T, rows of the record.
        fps (float, optional): Frames per second. Defaults to None, 30.
        first_frame (int): Frame of the video that is the record's first row.
            Defaults to 0.

    Returns:
        FrameLabels: See `label_frames`.

    Raises:
        DataError: If the file is damaged, or an event ends before it
            starts; names the line.
    """
    rows = read_table(
        path, {'behavior': ('behavior', 'behaviour'),
               'start_time': ('start_time', ), 'end_time': ('end_time', )},
        {'annotator': ('annotator', )})
    events = []
    for row in rows:
        start, end = row.number('start_time'), row.number('end_time')
        if end <= start:
            raise DataError(row.path, row.where('end_time'),
                            f'an end after the start, {start:g} s',
                            f'{end:g} s')
        events.append(BehaviorEvent(
            row.text('behavior'), start, end,
            row.text('annotator') if 'annotator' in row.cells else ''))
    return label_frames(Path(path), events, frames, fps or DEFAULT_FPS,
                        first_frame)


def label_frames(source: Path,
                 events: Sequence[BehaviorEvent],
                 frames: int,
                 fps: float,
                 first_frame: int = 0) -> FrameLabels:
    """Labels of frames that events give.

    An event covers the frames ``floor(start * fps) ... ceil(end * fps) - 1``
    as far as they are in the record. The classes are the behaviours, sorted,
    and then 'other', which is 1 exactly where nothing else is; events of
    that name say nothing more.

    Args:
        source (Path): The file of the events.
        events (Sequence[BehaviorEvent]): In any order; they may overlap.
        frames (int): T, rows of the record.
        fps (float): Frames per second.
        first_frame (int): Frame of the record's first row. Defaults to 0.

    Raises:
        DataError: If no event is in the record, or names differ in case
            only.
    """
    behaviors = sorted({event.behavior for event in events} - {OTHER})
    _check_spelling(source, [*behaviors, OTHER])
    annotators = sorted({event.annotator or ANNOTATOR for event in events}
                        ) or [ANNOTATOR]
    labels = np.zeros((frames, len(behaviors) + 1, len(annotators)), np.uint8)
    inside = 0
    for event in events:
        first = max(math.floor(event.start_time * fps) - first_frame, 0)
        stop = min(math.ceil(event.end_time * fps) - first_frame, frames)
        inside += first < stop
        if event.behavior != OTHER and first < stop:
            labels[first:stop, behaviors.index(event.behavior),
                   annotators.index(event.annotator or ANNOTATOR)] = 1
    if events and not inside:
        starts = [event.start_time for event in events]
        raise DataError(
            source, 'events', f'one within the {frames} frames of the '
            f'record at {fps:g} fps', 'none; the first starts at '
            f'{min(starts):g} s', 'times are in seconds of the video')
    labels[:, -1] = ~labels.any(1)
    return FrameLabels(source, (*behaviors, OTHER), labels,
                       tuple(annotators))


def _check_spelling(source: Path, names: Sequence[str]) -> None:
    plain: dict[str, str] = {}
    for name in names:
        other = plain.setdefault(name.casefold(), name)
        if other != name:
            raise DataError(source, 'behavior', 'one spelling of a name',
                            f'{other!r} and {name!r}')


def write_event_csv(path: StrPath, events: Iterable[BehaviorEvent]) -> None:
    """Write a table of events, whole or not at all.

    Args:
        path (str | Path): The file, ending in .csv.
        events (Iterable[BehaviorEvent]): The column ``annotator`` is written
            if all of them name one.

    Raises:
        DataError: If an event ends before it starts, or some name an
            annotator and others do not.
    """
    path, events = Path(path), [BehaviorEvent(*event) for event in events]
    named = {bool(event.annotator) for event in events}
    if len(named) > 1:
        raise DataError(path, 'annotator', 'one for each event or none',
                        'some without')
    count = len(COLUMNS) + (named == {True})
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator='\n')
    writer.writerow((*COLUMNS, 'annotator')[:count])
    for number, event in enumerate(events):
        if not event.behavior.strip() or not (
                -math.inf < event.start_time < event.end_time < math.inf):
            raise DataError(path, f'event {number}',
                            'a name and an end after the start', str(event))
        writer.writerow((event.behavior, f'{event.start_time:.6f}',
                         f'{event.end_time:.6f}', event.annotator)[:count])
    with atomic_file(path) as temporary:
        temporary.write_text(stream.getvalue(), encoding='utf-8')


def events_of_labels(labels: Array,
                     classes: Sequence[str],
                     fps: float,
                     annotators: Sequence[str] = ()) -> list[BehaviorEvent]:
    """Events that `read_event_csv` turns back into the same labels.

    Args:
        labels (np.ndarray): (T, C) or (T, C, A), 1 where a behaviour goes
            on.
        classes (Sequence[str]): C names. Of 'other' there is no event.
        fps (float): Frames per second.
        annotators (Sequence[str]): A names. Defaults to (): not known, where
            there is one.

    Returns:
        list[BehaviorEvent]: In order of time. Each starts a quarter into
        its first frame and ends a quarter before its last is over, so that no
        rounding moves it to another.
    """
    labels = np.asarray(labels).reshape(len(labels), len(classes), -1) != 0
    rim = np.zeros((1, *labels.shape[1:]), bool)
    steps = np.diff(np.concatenate([rim, labels, rim]).astype(np.int8), axis=0)
    events = []
    for place, name in enumerate(classes):
        if name == OTHER:
            continue
        for who in range(labels.shape[2]):
            starts, = np.nonzero(steps[:, place, who] > 0)
            stops, = np.nonzero(steps[:, place, who] < 0)
            events += [
                BehaviorEvent(name, (start + .25) / fps, (stop - .25) / fps,
                              annotators[who] if annotators else '')
                for start, stop in zip(starts.tolist(), stops.tolist(),
                                       strict=True)]
    return sorted(events, key=lambda event: event[1:3])
