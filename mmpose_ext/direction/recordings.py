"""One animal's points in images or a video, and crops about them."""
from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from mmpose_ext.direction.angles import POINTS, VECTORS
from mmpose_ext.direction.crops import cut_crop, frame_to_crop
from mmpose_ext.direction.landmarks import landmark_points, match_landmarks
from mmpose_ext.storage import DataError, PointTracks, VideoReader
from mmpose_ext.storage.pictures import read_picture

Array = np.ndarray


@dataclass(frozen=True)
class Recording:
    """Points of one animal that are worth a crop each.

    Attributes:
        tracks: What was read, of one individual.
        parts: Base, neck and head to names of points.
        rows: (N,) rows of the tracks that are kept.
        points: (N, 3, 2) px of the frame, NaN hidden.
        dropped: Rows left out because too little is known of them.
    """

    tracks: PointTracks
    parts: dict[str, tuple[str, ...]]
    rows: Array
    points: Array
    dropped: int

    @property
    def sessions(self) -> Array:
        """(N,) name of the recording of each row."""
        return np.array(self.tracks.sessions, np.str_)[self.rows]


@dataclass(frozen=True)
class Crops:
    """Crops of a recording, in the units of the data set.

    Attributes:
        images: (N, S, S) uint8.
        points: (N, 3, 2) px of the crop, NaN hidden.
        centers: (N, 2) middles of the crops, px of the frame.
        sides: (N,) sides of the crops, px of the frame.
    """

    images: Array
    points: Array
    centers: Array
    sides: Array


def choose_rows(tracks: PointTracks, arguments: Namespace) -> Recording:
    """Choose the animal, its landmarks and the rows that show them.

    Raises:
        DataError: If a choice is missing or nothing is left.
    """
    if arguments.individual is None and len(tracks.individuals) > 1:
        raise DataError(tracks.source, 'individuals', 'one individual',
                        ', '.join(tracks.individuals),
                        'choose one by --individual NAME')
    tracks = tracks.select_individual(arguments.individual)
    given = {name: getattr(arguments, name) for name in POINTS}
    parts = match_landmarks(tracks, given)
    scores = np.stack([
        np.min([tracks.scores[:, 0, tracks.names.index(name)]
                for name in parts[landmark]], 0) for landmark in POINTS
    ], 1)
    points = landmark_points(tracks, parts)
    points[~(scores >= arguments.min_score)] = np.nan
    rows = np.arange(0, len(points), arguments.every)
    known = np.isfinite(points[rows]).all(-1).sum(1)
    kept = rows[known >= 2]
    if len(kept) == 0:
        raise DataError(tracks.source, 'points',
                        'rows with two of base, neck and head',
                        f'none in {len(rows)} rows',
                        f'--min-score is {arguments.min_score:g}')
    return Recording(tracks, parts, kept, points[kept], len(rows) - len(kept))


def crop_sides(recording: Recording, scale: float) -> Array:
    """Side of the crops of each row (N,), one for a whole session.

    It is a multiple of the animal's typical length, the median distance of
    base and head.
    """
    points, sessions = recording.points, recording.sessions
    lengths = np.linalg.norm(points[:, 2] - points[:, 0], axis=-1)
    sides = np.zeros(len(points), np.int64)
    for session in np.unique(sessions):
        inside = sessions == session
        known = lengths[inside & np.isfinite(lengths)]
        if len(known) == 0 or np.median(known) < 1:
            raise DataError(recording.tracks.source, f'session {session!r}',
                            'rows with base and head, at least 1 px apart',
                            'none', 'the scale is taken from them')
        sides[inside] = max(round(scale * float(np.median(known))), 2)
    return sides


def cut_crops(recording: Recording, frames: Iterator[Array],
              arguments: Namespace) -> Crops:
    """Cut the crop of each row out of its frame.

    A crop is centred on the middle between the two points farthest from each
    other, off by a random jitter. Without it, a network could tell one end of
    the animal from the other, and good crops from bad ones as a tracker will
    give.

    Args:
        recording (Recording): N rows.
        frames (Iterator[ndarray]): N frames (H, W, 3) uint8, BGR.
        arguments (Namespace): ``crop_scale``, ``size``, ``jitter``, ``seed``.
    """
    sides = crop_sides(recording, arguments.crop_scale)
    jitter = np.random.default_rng(arguments.seed).uniform(
        -arguments.jitter, arguments.jitter, (len(sides), 2))
    centers = _middles(recording.points) + jitter * sides[:, None]
    size = arguments.size
    images = np.empty((len(sides), size, size), np.uint8)
    points = np.empty_like(recording.points)
    for i, frame in enumerate(_show_progress(frames, len(sides))):
        side = int(sides[i])
        images[i], origin = cut_crop(frame, centers[i], side, size)
        points[i] = frame_to_crop(recording.points[i], origin, side, size)
        centers[i] = origin + (side - 1) / 2
    return Crops(images, points, centers, sides)


def iter_images(recording: Recording) -> Iterator[Array]:
    """Frames of labelled images.

    Raises:
        DataError: If an image is damaged, of another size than the session's
            others, or too small for its points.
    """
    assert recording.tracks.images is not None
    sizes: dict[str, tuple[int, ...]] = {}
    for i, row in enumerate(recording.rows):
        path = recording.tracks.images[row]
        image = read_picture(path, cv2.IMREAD_COLOR)
        if image is None:
            raise DataError(path, 'file', 'an image',
                            'another format or a damaged file')
        size = sizes.setdefault(recording.sessions[i], image.shape[1::-1])
        if image.shape[1::-1] != size:
            raise DataError(
                path, 'size', f'{size[0]}x{size[1]} px, as the first image '
                f'of {recording.sessions[i]}',
                f'{image.shape[1]}x{image.shape[0]} px',
                'the labels may belong to images of another size')
        outside = _outside(recording.points[i], size)
        if outside.any():
            name = POINTS[int(outside.argmax())]
            point = np.round(recording.points[i][outside.argmax()], 1)
            raise DataError(path, f'point {name}',
                            f'a point on the {size[0]}x{size[1]} px image',
                            str(point.tolist()))
        yield image


def iter_video(recording: Recording, video: VideoReader) -> Iterator[Array]:
    """Frames of a video.

    Raises:
        DataError: If the video is shorter than the tracks.
    """
    frames = recording.tracks.frames[recording.rows]
    if frames.max() >= len(video):
        raise DataError(
            video.path, 'frames', f'at least {frames.max() + 1}, as '
            f'{recording.tracks.source} has', str(len(video)),
            'is it the video of these points?')
    for frame in frames:
        yield video.read(int(frame))


def label_floor(recording: Recording) -> dict[str, float]:
    """Angle error in degrees that 1 px of label noise makes, by vector.

    A mean of n points has 1 / sqrt(n) of the noise. For small angles the
    error of a vector of length L is the noise of its two ends over L.
    """
    noise = np.array([len(recording.parts[name])**-.5 for name in POINTS])
    floors = {}
    for name in ('body', 'head'):
        start, end = VECTORS[name]
        vectors = recording.points[:, end] - recording.points[:, start]
        length = float(np.nanmedian(np.linalg.norm(vectors, axis=-1)))
        floors[name] = float(
            np.degrees(np.hypot(noise[start], noise[end]) / max(length, 1.)))
    return floors


def hide_outside(recording: Recording, size: Sequence[int]) -> Recording:
    """Predicted points off the frame are guesses: they count as hidden."""
    points = recording.points.copy()
    points[_outside(points, size)] = np.nan
    kept = np.isfinite(points).all(-1).sum(1) >= 2
    if kept.sum() < .5 * len(kept):
        raise DataError(recording.tracks.source, 'points',
                        f'points on the {size[0]}x{size[1]} px frames',
                        f'{len(kept) - kept.sum()} of {len(kept)} rows off '
                        'them', 'is it the video of these points?')
    return Recording(recording.tracks, recording.parts, recording.rows[kept],
                     points[kept], recording.dropped + int((~kept).sum()))


def check_one_animal(recording: Recording) -> None:
    """Refuse images with several annotations: which one is the animal?"""
    images = recording.tracks.images or ()
    seen = set()
    for row in recording.rows if images else ():
        if images[row] in seen:
            raise DataError(recording.tracks.source,
                            f'image {images[row].name}',
                            'one animal an image', 'several annotations')
        seen.add(images[row])


def _outside(points: Array, size: Sequence[int]) -> Array:
    """Whether known points (..., 2) lie off a frame (width, height)."""
    limit = np.asarray(size) - .5
    off = (points < -.5) | (points > limit)
    return np.any(off, -1)


def _middles(points: Array) -> Array:
    """Middles (N, 2) between the two known points farthest apart."""
    pairs = np.array([(0, 1), (1, 2), (0, 2)])
    ends = points[:, pairs]  # (N, pair, end, 2)
    lengths = np.linalg.norm(ends[:, :, 1] - ends[:, :, 0], axis=-1)
    longest = np.nan_to_num(lengths, nan=-1.).argmax(1)
    return ends[np.arange(len(points)), longest].mean(1)


def _show_progress(frames: Iterator[Array], total: int) -> Iterator[Array]:
    yield from track(frames, 'cutting', total, console=Console(stderr=True),
                     transient=True, disable=not sys.stderr.isatty())
