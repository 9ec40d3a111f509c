"""Square crops around the animal in full frames, and the way back.

A crop keeps the scale on both axes equal, so angles are those of the frame.
"""
from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from mmpose_ext.storage import (
    DataError,
    check_file,
    check_keys,
    read_dlc_tracks,
)

Array = np.ndarray

BACKGROUND_FRAMES = 51
# Grey levels below which no difference from the background counts.
LEAST_CONTRAST = 10.
NOISE_SIGMAS = 6.
LEAST_BLOB = 12  # px; smaller ones are specks


class CentreFinder(Protocol):
    """Tells where the animal is in a frame."""

    def find(self, number: int, frame: Array) -> Array:
        """Centre (2,) as x, y px; NaN if there is none.

        Args:
            number (int): Number of the frame, from 0.
            frame (ndarray): (H, W) uint8.
        """


class TrackedCentres:
    """Centres read from a table of tracks.

    Args:
        centres (ndarray): (T, 2) px, row t for frame t; NaN unknown.
    """

    def __init__(self, centres: Array) -> None:
        self.centres = centres

    def find(self, number: int, frame: Array) -> Array:
        """See :class:`CentreFinder`."""
        if number < len(self.centres):
            return self.centres[number]
        return np.full(2, np.nan)


class BlobFinder:
    """Finds what differs most from an unchanging background.

    The background is the median of frames spread over the recording; the
    animal is the largest connected part that differs, be it darker or
    brighter. An animal that does not move for half of the recording becomes
    part of the background.

    Args:
        samples (Sequence[ndarray]): Frames (H, W) uint8 from all over the
            recording.
    """

    def __init__(self, samples: Sequence[Array]) -> None:
        stack = np.stack(samples)
        background = np.median(stack, 0)
        noise = 1.4826 * np.median(np.abs(stack - background))
        self.background = background.astype(np.uint8)
        self.threshold = max(LEAST_CONTRAST, NOISE_SIGMAS * float(noise))

    def find(self, number: int, frame: Array) -> Array:
        """See :class:`CentreFinder`."""
        differs = cv2.absdiff(frame, self.background) > self.threshold
        # Opening removes specks of the noise.
        mask = cv2.morphologyEx(
            differs.astype(np.uint8), cv2.MORPH_OPEN,
            np.ones((3, 3), np.uint8))
        count, _, stats, centroids = cv2.connectedComponentsWithStats(mask)
        if count < 2:
            return np.full(2, np.nan)
        areas = stats[1:, cv2.CC_STAT_AREA]
        if areas.max() < LEAST_BLOB:
            return np.full(2, np.nan)
        return centroids[1 + areas.argmax()]


def cut_crop(frame: Array, centre: Array, side: int,
             size: int) -> tuple[Array, Array]:
    """Cut a square out of a frame; beyond the rim the edge is repeated.

    Args:
        frame (ndarray): (H, W) or (H, W, 3) uint8.
        centre (ndarray): (2,) x, y px.
        side (int): Side of the square in the frame, px.
        size (int): Side of the crop that is returned, px.

    Returns:
        tuple: The crop (size, size) uint8, grey, and the pixel (2,) of the
        frame at which its upper left pixel begins.
    """
    origin = np.rint(np.asarray(centre) - (side - 1) / 2).astype(int)
    height, width = frame.shape[:2]
    columns = np.clip(np.arange(origin[0], origin[0] + side), 0, width - 1)
    rows = np.clip(np.arange(origin[1], origin[1] + side), 0, height - 1)
    crop = frame[rows[:, None], columns]
    if crop.ndim == 3:
        crop = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    if side != size:
        how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        crop = cv2.resize(crop, (size, size), interpolation=how)
    return crop, origin


def crop_to_frame(points: Array, origin: Array, side: int,
                  size: int) -> Array:
    """Move points of a crop to its frame.

    Args:
        points (ndarray): (..., 2) px of the crop, pixel centres at integers.
        origin (ndarray): (..., 2) as given by :func:`cut_crop`.
        side (int): Side of the square in the frame, px.
        size (int): Side of the crop, px.
    """
    return origin + (np.asarray(points) + .5) * (side / size) - .5


def frame_to_crop(points: Array, origin: Array, side: int,
                  size: int) -> Array:
    """Undo :func:`crop_to_frame`."""
    return (np.asarray(points) - origin + .5) * (size / side) - .5


def read_centres(path: Path, individual: str | None = None) -> TrackedCentres:
    """Read centres from a table with frame, x and y, or DeepLabCut tracks.

    Of several tracked points the mean is taken, over those that are known.

    Args:
        path (Path): CSV, or DeepLabCut's .h5.
        individual (str, optional): Which animal, where there are several.
            Defaults to None.

    Raises:
        DataError: If it is neither, or damaged.
    """
    path = check_file(path, ('.csv', '.h5', '.hdf5'))
    if path.suffix.lower() != '.csv' or _first_cell(path) == 'scorer':
        tracks = read_dlc_tracks(path).select_individual(individual)
        points = tracks.points[:, 0]
        known = np.isfinite(points).all(-1)
        count = known.sum(1, keepdims=True)
        mean = np.where(known[..., None], points, 0).sum(1) / np.where(
            count == 0, np.nan, count)
        return TrackedCentres(_by_frame(tracks.frames, mean, path))
    frames, points = _read_table(path)
    return TrackedCentres(_by_frame(frames, points, path))


def _first_cell(path: Path) -> str:
    with path.open(encoding='utf-8-sig', errors='replace') as stream:
        return stream.readline().split(',')[0].strip()


def _read_table(path: Path) -> tuple[Array, Array]:
    """Frame numbers (T,) and positions (T, 2) of a CSV."""
    try:
        with path.open(newline='', encoding='utf-8-sig') as stream:
            rows = csv.DictReader(stream)
            check_keys(rows.fieldnames or (), ('frame', 'x', 'y'), path,
                       'a table frame,x,y or tracks of DeepLabCut')
            values = [[_number(row, key, i, path)
                       for key in ('frame', 'x', 'y')]
                      for i, row in enumerate(rows, 2)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(path, 'file', 'CSV text', str(error)) from error
    if not values:
        raise DataError(path, 'rows', 'at least one', 'none')
    table = np.array(values)
    if not np.isfinite(table[:, 0]).all() or (table[:, 0] % 1).any():
        raise DataError(path, "column 'frame'", 'whole numbers', 'others')
    return table[:, 0].astype(np.int64), table[:, 1:]


def _number(row: dict[str, Any], key: str, line: int, path: Path) -> float:
    text = row[key]
    try:
        return float(text) if text else float('nan')
    except ValueError as error:
        raise DataError(path, f'line {line}, column {key!r}', 'a number',
                        repr(text)) from error


def _by_frame(frames: Array, points: Array, path: Path) -> Array:
    """Spread rows over frames 0, 1, ...; unknown ones are NaN."""
    if frames.min() < 0 or len(np.unique(frames)) < len(frames):
        raise DataError(path, "column 'frame'",
                        'each frame once, numbered from 0',
                        'negative or repeated numbers')
    centres = np.full((frames.max() + 1, 2), np.nan)
    centres[frames] = points
    return centres
