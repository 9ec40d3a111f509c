"""Tracks of other programs turned into a folder of records.

``tools/convert_dataset.py`` finds the converters in :data:`CONVERTERS`. Each
record becomes a folder with ``tracking.nc`` (poses as movement lays them out)
and, where labels are known, ``annotations.nc``.
"""
from __future__ import annotations

import functools
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.behavior.convert_sources import (
    DLC_ENDINGS,
    SLEAP_ENDINGS,
    Records,
    accepts_tracks,
    iter_calms21,
    iter_mabe22,
    iter_movement,
    iter_points,
    read_sleap_file,
)
from mmpose_ext.commands import Converter
from mmpose_ext.progress import prediction_progress
from mmpose_ext.storage import (
    DataError,
    atomic_folder,
    read_dlc_tracks,
    refuse_to_replace,
    write_movement_annotations,
    write_pose_tracks,
)
from mmpose_ext.storage.labelled_tracks import LabelledTracks

TRACKS_FILE, LABELS_FILE = 'tracking.nc', 'annotations.nc'
README_FILE = 'README.txt'
_SHOWN = 20  # records told one by one on the terminal


@dataclass(frozen=True)
class RecordSummary:
    """What became of one record.

    Attributes:
        text: One line for people.
        frames: T.
        labelled: Whether labels were known.
    """

    text: str
    frames: int
    labelled: bool


def describe(record: LabelledTracks) -> RecordSummary:
    """Size, names, missing points, rate and classes of a record."""
    tracks, labels = record.tracks, record.labels
    parts = [
        f'{len(tracks)} frames',
        f'{len(tracks.individuals)} individuals '
        f'({", ".join(tracks.individuals)})',
        f'{len(tracks.keypoints)} keypoints',
        f'{tracks.missing_share:.1%} of the points missing',
        'rate unknown' if tracks.fps is None else f'{tracks.fps:g} fps']
    if tracks.image_size is not None:
        parts.append('picture ' + ' x '.join(
            f'{side:g}' for side in tracks.image_size))
    if labels is not None:
        shares = labels.labels.mean((0, 2))
        parts.append('labels ' + ', '.join(
            f'{name} {share:.1%}' for name, share in
            zip(labels.classes, np.atleast_1d(shares), strict=True)))
    return RecordSummary(f'{record.id}: {"; ".join(parts)}', len(tracks),
                         labels is not None)


def write_record(folder: Path, record: LabelledTracks) -> None:
    """Write a record into the folder of its id.

    Args:
        folder (Path): Of the data set.
        record (LabelledTracks): What to write.

    Raises:
        DataError: If there is a record of this id.
    """
    place = folder / record.id
    if (place / TRACKS_FILE).exists():
        raise DataError(record.tracks.source, 'record', 'an id of its own',
                        f'{record.id!r}, which another file has, too')
    place.mkdir(parents=True, exist_ok=True)
    tracks = record.tracks
    write_pose_tracks(place / TRACKS_FILE, tracks)
    if record.labels is not None:
        write_movement_annotations(place / LABELS_FILE, record.labels,
                                   tracks.fps, int(tracks.frames[0]))


def _convert(read: Callable[[Namespace], Iterator[Records]],
             arguments: Namespace) -> None:
    out: Path = arguments.out
    if out.exists() and not arguments.overwrite and (
            not out.is_dir() or any(out.iterdir())):
        raise DataError(out, 'folder', 'nothing there', 'an existing '
                        f'{"folder" if out.is_dir() else "file"}',
                        'choose another one, or replace it by --overwrite')
    refuse_to_replace(out, [path for path in (
        arguments.input, *(getattr(arguments, option, None) for option in (
            'video', 'annotations', 'labels'))) if path])
    summaries = []
    made = [folder for folder in (out.parent, *out.parent.parents)
            if not folder.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        progress = prediction_progress()
        progress.disable = not progress.console.is_terminal
        with atomic_folder(out, arguments.overwrite) as folder, progress:
            task = progress.add_task('records', total=None)
            for records in read(arguments):
                for record in records:
                    write_record(folder, record)
                    summaries.append(describe(record))
                    progress.advance(task)
            text = _summarise(summaries, arguments)
            (folder / README_FILE).write_text('\n'.join(
                [text, *(summary.text for summary in summaries), '']),
                encoding='utf-8')
    except BaseException:
        for parent in made:  # nothing half-written: no empty folders either
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        raise
    print(text)
    for summary in summaries[:_SHOWN]:
        print(f'  {summary.text}')
    if len(summaries) > _SHOWN:
        print(f'  ... and {len(summaries) - _SHOWN} more: see {README_FILE}')
    print(f'written: {out}: {len(summaries)} folders with {TRACKS_FILE}'
          + (f' and {LABELS_FILE}' if any(
              summary.labelled for summary in summaries) else '')
          + f', {README_FILE}')


def _summarise(summaries: list[RecordSummary], arguments: Namespace) -> str:
    labelled = sum(summary.labelled for summary in summaries)
    return (f'{len(summaries)} records, '
            f'{sum(summary.frames for summary in summaries)} frames, '
            f'{labelled} records with labels; from {arguments.input} '
            f'({arguments.format}).')


def _add_options(parser: ArgumentParser, video: bool = True) -> None:
    """Options of converters of tracks."""
    parser.set_defaults(video=None)
    if video:
        parser.add_argument(
            '--video', type=Path, help='video of the tracks, for the frame '
            'rate and the size of the picture (default: the one the file '
            'names or that lies beside it, if it is there)')
    parser.add_argument('--fps', type=_rate, metavar='N',
                        help='frames per second, where no file tells it')
    parser.add_argument(
        '--annotations', type=Path, metavar='FILE',
        help='what the animals did: events (.csv with behavior, start_time, '
        'end_time), a table of BORIS, or .nc')


def _add_labels(parser: ArgumentParser) -> None:
    parser.add_argument('--labels', type=Path, metavar='FILE',
                        help='labels of the sequences in INPUT (.npy), where '
                        'it does not hold them itself')


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value < np.inf:
        raise ArgumentTypeError(f'{text} is no number above 0')
    return value


def _nothing(parser: ArgumentParser) -> None:
    """There are no options."""


def _points_converter(text: str, endings: tuple[str, ...],
                      read: Callable[..., Any]) -> Converter:
    return Converter(
        text, functools.partial(accepts_tracks, endings, read), _add_options,
        functools.partial(_convert,
                          functools.partial(iter_points, endings, read)))


def _ends_in(suffix: str) -> Callable[[Path], bool]:
    return lambda path: path.is_dir() or path.suffix.lower() == suffix


CONVERTERS: dict[str, Converter] = {
    'sleap': _points_converter(
        'SLEAP tracks of several animals (.slp, .analysis.h5, or a folder of '
        'them), one record a file', SLEAP_ENDINGS, read_sleap_file),
    'dlc': _points_converter(
        'DeepLabCut predictions (.csv, .h5, or a folder of them), one record '
        'a file', DLC_ENDINGS, read_dlc_tracks),
    'movement': Converter(
        'poses as the package movement writes them (.nc, netCDF 3 or 4, or a '
        'folder of them), one record a file', _ends_in('.nc'),
        functools.partial(_add_options, video=False),
        functools.partial(_convert, iter_movement)),
    'calms21': Converter(
        'CalMS21 (.json, or a folder of them), one record a video',
        _ends_in('.json'), _nothing,
        functools.partial(_convert, iter_calms21)),
    'mabe22': Converter(
        'MABe22 mouse triplets (.npy, or a folder of them), one record a '
        'sequence', _ends_in('.npy'), _add_labels,
        functools.partial(_convert, iter_mabe22)),
}
