"""Annotations of a record as one table of classes a frame."""
from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpose_ext.behavior.record_files import RecordFiles
from mmpose_ext.behavior.record_options import RecordOptions
from mmpose_ext.storage import (
    DataError,
    FrameLabels,
    PoseTracks,
    read_boris_csv,
    read_event_csv,
    read_movement_annotations,
)
from mmpose_ext.storage.behavior_events import OTHER

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class RecordLabels:
    """Classes of the frames of a record; all annotators together.

    Attributes:
        classes: C names.
        labels: (T, C) uint8, 1 where a class is present.
        source: The first file.
    """

    classes: tuple[str, ...]
    labels: Array
    source: Path


def read_labels(files: RecordFiles, tracks: PoseTracks, fps: float | None,
                options: RecordOptions) -> RecordLabels:
    """Read the annotations of a record.

    Args:
        files (RecordFiles): With at least one file of annotations.
        tracks (PoseTracks): As they were read, gaps between frames included.
        fps (float | None): Frames per second.
        options (RecordOptions): Of the data set.

    Returns:
        RecordLabels: A row for each frame from the first to the last of the
        tracks; with ``frame_gaps='ignore'``, for each row of the tracks.

    Raises:
        DataError: If a file is damaged or does not fit the tracks.
    """
    read = [_read_file(path, tracks, fps, options)
            for path in files.annotations]
    classes = unite_classes(labels.classes for labels in read)
    votes = np.zeros((len(read[0].labels), len(classes)), np.int32)
    count = 0
    for labels in read:
        places = [classes.index(name) for name in labels.classes]
        votes[:, places] += labels.labels.sum(-1, dtype=np.int32)
        count += len(labels.annotators)
    least = 1 if options.annotators == 'any' else count // 2 + 1
    table = (votes >= least).astype(np.uint8)
    if count > 1 and OTHER in classes:
        # 'other' is not a thing to see but that nothing else was seen
        other = classes.index(OTHER)
        table[:, other] = 0
        table[:, other] = ~table.any(1)
    return RecordLabels(classes, table, read[0].source)


def unite_classes(lists: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """All classes that occur, sorted, with 'other' last.

    Args:
        lists (Iterable[Sequence[str]]): Of several files.
    """
    names = {name for classes in lists for name in classes}
    ordered = sorted(names - {OTHER})
    return (*ordered, OTHER) if OTHER in names else tuple(ordered)


def pack_labels(records: Sequence[RecordLabels],
                classes: Sequence[str] | None
                ) -> tuple[tuple[str, ...], Array]:
    """Give all records one list of classes.

    Args:
        records (Sequence[RecordLabels]): At least one.
        classes (Sequence[str], optional): The classes, in order; 'other' may
            be left out. Defaults to None: all that occur.

    Returns:
        tuple: C classes, and labels (F, C) uint8 of all frames.

    Raises:
        DataError: If a record has a class that is not in `classes`.
    """
    names = (unite_classes(record.classes for record in records)
             if classes is None else tuple(classes))
    table = np.zeros((sum(len(record.labels) for record in records),
                      len(names)), np.uint8)
    start = 0
    for record in records:
        stop = start + len(record.labels)
        for place, name in enumerate(record.classes):
            if name in names:
                table[start:stop, names.index(name)] = (
                    record.labels[:, place])
            elif name != OTHER:
                raise DataError(
                    record.source, 'classes', f'one of {", ".join(names)}',
                    repr(name), 'add it to classes, or mend its spelling')
        start = stop
    return names, table


def _read_file(path: Path, tracks: PoseTracks, fps: float | None,
               options: RecordOptions) -> FrameLabels:
    """Labels of one file, a row a frame of the tracks."""
    kind = options.annotation_format
    if kind == 'auto':
        kind = _guess_format(path)
    filled = options.frame_gaps != 'ignore'
    if kind == 'movement':
        return _fit_rows(read_movement_annotations(path), tracks, filled)
    first, rows = 0, len(tracks)
    if filled:
        first = int(tracks.frames[0])
        rows = int(tracks.frames[-1]) - first + 1
    if kind == 'boris':
        return read_boris_csv(path, rows, fps, first)
    if fps is None:
        raise DataError(
            tracks.source, 'fps', 'frames per second, to place events given '
            'in seconds', 'none',
            'set fps; the original takes 30 for granted')
    return read_event_csv(path, rows, fps, first)


def _fit_rows(labels: FrameLabels, tracks: PoseTracks,
              filled: bool) -> FrameLabels:
    """One row for each frame, also of those that the tracks leave out."""
    rows = len(tracks)
    places = tracks.frames - tracks.frames[0]
    frames = int(places[-1]) + 1 if filled else rows
    found = len(labels)
    if found == frames:
        return labels
    if found != rows:
        raise DataError(labels.source, 'time', f'{rows} frames, as '
                        f'{tracks.source.name} has', f'{found} frames')
    # a frame without a row goes on as the one before
    before = np.searchsorted(places, np.arange(frames), side='right') - 1
    return FrameLabels(labels.source, labels.classes, labels.labels[before],
                       labels.annotators)


def _guess_format(path: Path) -> str:
    """Format of a file of annotations by its ending or first line."""
    if path.suffix.lower() == '.nc':
        return 'movement'
    try:
        with path.open(encoding='utf-8-sig', newline='') as stream:
            first = next(csv.reader(stream), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return 'csv-events'  # damaged: the reader will say how
    names = {cell.strip().lower() for cell in first}
    return 'csv-events' if names & {'start_time', 'end_time'} else 'boris'
