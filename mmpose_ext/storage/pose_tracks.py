"""Poses of individuals over time, however a file lays them out."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .checks import check_array, check_names
from .errors import DataError
from .records import PointTracks
from .video import VideoReader

Array = np.ndarray

AXES = (('x', 'y'), ('x', 'y', 'z'))
MAX_GAP = 1000  # frames
MAX_STRETCH = 20  # frames a row, on the average


@dataclass(frozen=True, eq=False)
class PoseTracks:
    """Poses over time, checked when made.

    T rows, N individuals, K keypoints, S axes.

    Args:
        source (Path): The file that was read.
        individuals (tuple[str, ...]): N names.
        keypoints (tuple[str, ...]): K names.
        axes (tuple[str, ...]): S names, ('x', 'y') or ('x', 'y', 'z').
        position (np.ndarray): (T, N, K, S) float32 in the unit of the file;
            NaN = missing, all axes of a point or none.
        confidence (np.ndarray | None): (T, N, K) float32; NaN = unknown.
        frames (np.ndarray): (T,) int64 frame numbers, strictly rising.
        fps (float | None): Frames per second, None = unknown.
        image_size (tuple[float, ...] | None): Size of the picture along each
            axis, in the unit of `position`.
        attributes (dict[str, Any]): Further texts and numbers of the file.

    Raises:
        DataError: If the parts do not fit together.
    """

    source: Path
    individuals: tuple[str, ...]
    keypoints: tuple[str, ...]
    axes: tuple[str, ...]
    position: Array
    confidence: Array | None
    frames: Array
    fps: float | None
    image_size: tuple[float, ...] | None
    attributes: dict[str, Any]

    def __post_init__(self) -> None:
        self._check_names()
        shape = (None, len(self.individuals), len(self.keypoints),
                 len(self.axes))
        check_array(self.position, self.source, 'position', 'f4', shape)
        check_array(self.frames, self.source, 'frames', 'i8',
                    (len(self.position), ))
        if not len(self.frames):
            raise DataError(self.source, 'time', 'at least one frame', 'none')
        if (np.diff(self.frames) <= 0).any():
            row = int(np.argmax(np.diff(self.frames) <= 0)) + 1
            raise DataError(
                self.source, f'row {row}', 'rising frame numbers',
                f'{self.frames[row]} after {self.frames[row - 1]}')
        self._check_positions()
        if self.confidence is not None:
            check_array(self.confidence, self.source, 'confidence', 'f4',
                        self.position.shape[:3])
            self._refuse(np.isinf(self.confidence), 'a finite confidence',
                         'infinity')
        for name, values in (('fps', (self.fps, )),
                             ('image size', self.image_size or ())):
            if any(value is not None and not 0 < value < np.inf
                   for value in values):
                raise DataError(self.source, name, 'a number above 0',
                                ', '.join(map(str, values)))
        if (self.image_size is not None
                and len(self.image_size) != len(self.axes)):
            raise DataError(self.source, 'image size',
                            f'{len(self.axes)} numbers, one an axis',
                            f'{len(self.image_size)}')

    def __len__(self) -> int:
        """T, the number of rows."""
        return len(self.frames)

    @property
    def time(self) -> Array:
        """(T,) float64: seconds where the rate is known, else frames."""
        return self.frames / (self.fps or 1.)

    @property
    def missing_share(self) -> float:
        """Points that are missing, as a share of all."""
        return float(np.isnan(self.position[..., 0]).mean())

    def _check_names(self) -> None:
        if self.axes not in AXES:
            raise DataError(self.source, 'axes', 'x, y or x, y, z',
                            ', '.join(self.axes) or 'none')
        for part in ('individuals', 'keypoints'):
            names = getattr(self, part)
            check_names(names, self.source, part)
            if not all(name.strip() for name in names):
                raise DataError(self.source, part, 'names', 'a blank one')

    def _check_positions(self) -> None:
        # axis by axis: reductions over so short an axis are ten times slower
        axes = [self.position[..., axis] for axis in range(len(self.axes))]
        first = np.isnan(axes[0])
        partly, infinite = np.zeros_like(first), np.isinf(axes[0])
        for values in axes[1:]:
            partly |= first != np.isnan(values)
            infinite |= np.isinf(values)
        self._refuse(partly, f'all of {", ".join(self.axes)} or none',
                     'some of them')
        self._refuse(infinite, 'finite coordinates', 'an infinite value')

    def _refuse(self, bad: Array, expected: str, found: str) -> None:
        """Raise for the first True of a (T, N, K) mask."""
        if not bad.any():
            return
        row, individual, keypoint = np.argwhere(bad)[0]
        raise DataError(
            self.source,
            f'frame {self.frames[row]}, {self.individuals[individual]!r}, '
            f'{self.keypoints[keypoint]!r}', expected,
            f'{found} ({int(bad.sum())} in all)')


def fill_gaps(tracks: PoseTracks, limit: int = MAX_GAP) -> PoseTracks:
    """Give each frame between the first and the last a row.

    Args:
        tracks (PoseTracks): Whose frame numbers may leave some out.
        limit (int): The most frames that one gap may leave out. Defaults to
            1000.

    Returns:
        PoseTracks: With rows of missing points in the gaps; the same object
        where there is no gap.

    Raises:
        DataError: If a gap is longer; these are two recordings, or the time
            is not what it seems.
    """
    left_out = np.diff(tracks.frames) - 1
    if not left_out.any():
        return tracks
    if left_out.max() > limit:
        row = int(left_out.argmax())
        raise DataError(
            tracks.source, f'frame {tracks.frames[row]}',
            f'a gap of at most {limit} frames behind it',
            f'{left_out[row]} frames without a row',
            'cut the file there into two records')
    first, last = int(tracks.frames[0]), int(tracks.frames[-1])
    return _place_rows(tracks, first, last + 1)


def _place_rows(tracks: PoseTracks, first: int, stop: int) -> PoseTracks:
    """Rows at their places among the frames first ... stop-1."""
    places = tracks.frames - first

    def place(values: Array) -> Array:
        placed = np.full((stop - first, *values.shape[1:]), np.nan, np.float32)
        placed[places] = values
        return placed

    return replace(
        tracks, position=place(tracks.position),
        confidence=(None if tracks.confidence is None
                    else place(tracks.confidence)),
        frames=np.arange(first, stop, dtype=np.int64))


def tracks_of_points(points: PointTracks,
                     video: Path | None = None) -> PoseTracks:
    """Turn tracks in the pixels of one video into poses over its frames.

    Row t is frame t of the video, from 0 to the last that has a row;
    frames without one are missing.

    Args:
        points (PointTracks): As the readers of DeepLabCut's and SLEAP's
            files give them.
        video (Path, optional): Where rate and size of the picture are taken
            from. Defaults to None: the video that the file names, and
            neither rate nor size if it is not on the disk.

    Raises:
        DataError: If several videos are in the file, the rows are so few
            that they are no tracks, or the video ends before them.
    """
    sessions = list(dict.fromkeys(points.sessions))
    if len(sessions) > 1:
        raise DataError(points.source, 'videos', 'one', ', '.join(sessions),
                        'save the tracks of each as a file of its own')
    if not len(points.frames):
        raise DataError(points.source, 'frames', 'at least one', 'none')
    stop = int(points.frames[-1]) + 1
    if points.frames[0] < 0 or stop > MAX_STRETCH * len(points.frames) + 100:
        raise DataError(
            points.source, f'frame {points.frames[-1]}',
            'tracks that run through the video',
            f'rows for {len(points.frames)} of {stop} frames',
            'labels of single pictures are no tracks')
    fps, size = _measure(points, video, stop)
    return _place_rows(
        PoseTracks(points.source, points.individuals, points.names,
                   AXES[0], points.points.astype(np.float32),
                   points.scores.astype(np.float32), points.frames, fps,
                   size, {}), 0, stop)


def _measure(points: PointTracks, video: Path | None,
             stop: int) -> tuple[float | None, tuple[float, ...] | None]:
    """Rate and size of a video; unknown if none is named or there."""
    path = video or points.video
    if path is None or (video is None and not path.is_file()):
        return None, None
    with VideoReader(path) as reader:
        if len(reader) < stop:
            raise DataError(points.source, f'frame {stop - 1}',
                            f'frames below {len(reader)}, which '
                            f'{path.name} has', 'a later one',
                            'the tracks are of another video')
        width, height = reader.size
        return reader.fps or None, (float(width), float(height))


def join_individuals(parts: Sequence[PoseTracks]) -> PoseTracks:
    """Put files of one record, each with animals of its own, together.

    Args:
        parts (Sequence[PoseTracks]): At least one; of the same frames,
            keypoints, axes, rate and size. Where one does not know rate or
            size, the others do.

    Returns:
        PoseTracks: The individuals one file after the other; `source` is
        the folder of several files. Without confidence if one has none.

    Raises:
        DataError: If they differ, or an individual is in two of them.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    owner: dict[str, PoseTracks] = {}
    for part in parts:
        _check_alike(first, part)
        for name in part.individuals:
            if name in owner:
                raise DataError(
                    part.source, 'individuals', 'names that no other file '
                    'of the record has',
                    f'{name!r}, which {owner[name].source.name} has, too',
                    'rename one of them')
            owner[name] = part
    confidences = [part.confidence for part in parts
                   if part.confidence is not None]
    return replace(
        first, source=first.source.parent, individuals=tuple(owner),
        position=np.concatenate([part.position for part in parts], 1),
        confidence=(np.concatenate(confidences, 1)
                    if len(confidences) == len(parts) else None),
        fps=_first_known(part.fps for part in parts),
        image_size=_first_known(part.image_size for part in parts))


def _first_known(values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _check_alike(first: PoseTracks, other: PoseTracks) -> None:
    """Refuse what differs from the first file of a record."""
    for part in ('keypoints', 'axes', 'fps', 'image_size'):
        ours, theirs = getattr(first, part), getattr(other, part)
        if ours != theirs and ours is not None and theirs is not None:
            raise DataError(
                other.source, part.replace('_', ' '),
                f'{_shown(ours)}, as {first.source.name} has',
                _shown(theirs), 'files of one record must agree')
    if not np.array_equal(first.frames, other.frames):
        raise DataError(
            other.source, 'frames', f'{len(first)} frames from '
            f'{first.frames[0]} to {first.frames[-1]}, as '
            f'{first.source.name} has',
            f'{len(other)} from {other.frames[0]} to {other.frames[-1]}',
            'files of one record must agree')


def _shown(value: Any) -> str:
    return (', '.join(map(str, value)) if isinstance(value, tuple)
            else str(value))
