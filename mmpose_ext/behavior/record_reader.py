"""One record: files joined, selected and mended, not yet scaled.

T frames, N individuals, K keypoints, S axes.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmpose_ext.behavior.coordinates import (
    ChosenTracks,
    rename_tracks,
    select_tracks,
)
from mmpose_ext.behavior.gaps import (
    default_max_gap,
    drop_uncertain,
    fill_gaps,
    missing_points,
)
from mmpose_ext.behavior.record_files import RecordFiles
from mmpose_ext.behavior.record_labels import RecordLabels, read_labels
from mmpose_ext.behavior.record_options import RecordOptions
from mmpose_ext.behavior.scaling import Extent
from mmpose_ext.storage import (
    DataError,
    PoseTracks,
    join_individuals,
    read_dlc_tracks,
    read_movement_netcdf,
    read_sleap_analysis,
    read_slp,
    tracks_of_points,
)
from mmpose_ext.storage import fill_gaps as fill_frames

Array = np.ndarray

_NO_NAME = re.compile(r'(individual|instance|track|id)_0')  # made up


@dataclass(frozen=True, eq=False)
class Record:
    """Tracks of one record, before scaling.

    Attributes:
        files: Where it came from.
        individuals: N names.
        keypoints: K names.
        axes: S names.
        position: (T, N, K, S) float32, C-ordered; NaN = missing.
        extent: Of the points that are not missing.
        first_frame: Number of the first frame.
        fps: Frames per second, None = unknown.
        image_size: Of the picture along each axis, None = unknown.
        labels: None where none were asked for.
    """

    files: RecordFiles
    individuals: tuple[str, ...]
    keypoints: tuple[str, ...]
    axes: tuple[str, ...]
    position: Array
    extent: Extent
    first_frame: int
    fps: float | None
    image_size: tuple[float, ...] | None
    labels: RecordLabels | None


def read_record(files: RecordFiles, options: RecordOptions) -> Record:
    """Read a record in the order in which the original does.

    Files are joined, frames that are left out filled in, individuals, axes
    and keypoints selected and renamed, then missing points treated.

    Args:
        files (RecordFiles): Its files.
        options (RecordOptions): Of the data set.

    Raises:
        DataError: If anything is not as it should be.
    """
    return finish_record(read_tracks(files, options), files, options)


def finish_record(tracks: PoseTracks, files: RecordFiles,
                  options: RecordOptions) -> Record:
    """Make a record of tracks that were read.

    Args:
        tracks (PoseTracks): From :func:`read_tracks`; used up.
        files (RecordFiles): Its files.
        options (RecordOptions): Of the data set.

    Raises:
        DataError: If anything is not as it should be.
    """
    labels = (read_labels(files, tracks, tracks.fps, options)
              if files.annotations else None)
    if options.frame_gaps == 'fill':
        tracks = fill_frames(tracks)
    elif options.frame_gaps == 'refuse':
        _refuse_gaps(tracks)
    chosen = rename_tracks(
        select_tracks(tracks, options.select),  # type: ignore[arg-type]
        options.rename)  # type: ignore[arg-type]
    if len(chosen.individuals) < options.min_individuals:
        raise DataError(
            files.place, f'record {files.id!r}, individuals',
            f'at least {options.min_individuals}',
            f'{len(chosen.individuals)}: {", ".join(chosen.individuals)}',
            'tasks on pairs need two; set min_individuals=1 for others')
    position = np.require(chosen.position, np.float32, ['C', 'W'])
    treat_missing(position, chosen, files, options)
    return Record(files, chosen.individuals, chosen.keypoints, chosen.axes,
                  position, Extent.of_position(position),
                  int(tracks.frames[0]), chosen.fps, chosen.image_size,
                  labels)


def read_tracks(files: RecordFiles, options: RecordOptions) -> PoseTracks:
    """Read and join the files of tracks of a record, as they are.

    Args:
        files (RecordFiles): Its files.
        options (RecordOptions): ``fps`` is used.

    Raises:
        DataError: If a file is damaged or files do not fit together.
    """
    parts = [_read_file(kind, path) for kind, path in files.tracking]
    if options.fps is not None:
        parts = [part if part.fps == options.fps else
                 replace(part, fps=float(options.fps)) for part in parts]
    if len(parts) > 1 and all(
            len(part.individuals) == 1 and _NO_NAME.fullmatch(
                part.individuals[0]) for part in parts):
        # files of one animal each, which have no name in them
        parts = [replace(part, individuals=(f'individual_{i}', ))
                 for i, part in enumerate(parts)]
    return join_individuals(parts)


def treat_missing(position: Array, tracks: ChosenTracks,
                  files: RecordFiles, options: RecordOptions) -> None:
    """Drop uncertain points and treat missing ones, in place.

    Args:
        position (ndarray): (T, N, K, S) float32, C-ordered.
        tracks (ChosenTracks): Whose confidence, names and rate are used.
        files (RecordFiles): For errors.
        options (RecordOptions): Of the data set.

    Raises:
        DataError: If an individual is never there, or a threshold is set
            and there is no confidence.
    """
    zero = options.missing == 'zero'
    if options.confidence_threshold > 0 and not zero:
        if tracks.confidence is None:
            raise DataError(
                files.place, f'record {files.id!r}, confidence',
                'one for each point, for confidence_threshold', 'none',
                'set confidence_threshold=0')
        drop_uncertain(position, tracks.confidence,
                       options.confidence_threshold)
    missing = missing_points(position)
    absent = [name for i, name in enumerate(tracks.individuals)
              if missing[:, i].all()]
    if absent:
        everyone = len(absent) == len(tracks.individuals)
        raise DataError(
            files.place, f'record {files.id!r}, '
            f'{"all individuals" if everyone else repr(absent[0])}',
            'a point in some frame', 'missing points alone',
            'leave the individual out by select, or the record by '
            'data_filter' if options.confidence_threshold == 0 else
            'lower confidence_threshold?')
    if zero:
        position[missing] = 0
    elif options.missing == 'interpolate':
        fill_gaps(position, default_max_gap(tracks.fps)
                  if options.max_gap is None else options.max_gap)


def _read_file(kind: str, path: Path) -> PoseTracks:
    if kind == 'movement':
        return read_movement_netcdf(path)
    if kind == 'dlc':
        return tracks_of_points(read_dlc_tracks(path))
    if path.suffix.lower() == '.slp':
        return tracks_of_points(read_slp(path))
    return tracks_of_points(read_sleap_analysis(path))


def _refuse_gaps(tracks: PoseTracks) -> None:
    steps = np.diff(tracks.frames)
    if (steps > 1).any():
        row = int(np.argmax(steps > 1))
        raise DataError(
            tracks.source, f'frame {tracks.frames[row]}',
            'the next frame behind it', f'frame {tracks.frames[row + 1]}',
            "frame_gaps='fill' puts missing points there")
