"""Points that are missing: which they are, and short gaps that are closed.

T frames, N individuals, K keypoints, S axes.
"""
from __future__ import annotations

import numpy as np

Array = np.ndarray

SECONDS = .2  # longest gap that is closed by default
FRAMES = 5  # the same where the frame rate is unknown


def default_max_gap(fps: float | None) -> int:
    """Longest gap that is closed where nothing is set, in frames.

    Args:
        fps (float | None): Frames per second, None if unknown.

    Returns:
        int: 0.2 s, at least one frame; 5 frames for an unknown rate.
    """
    return FRAMES if fps is None else max(1, round(SECONDS * fps))


def missing_points(position: Array) -> Array:
    """Whether each point is missing: (..., S) to (...) bool.

    One missing axis is enough.
    """
    # axis by axis: a reduction over so short an axis is ten times slower
    missing = np.isnan(position[..., 0])
    for axis in range(1, position.shape[-1]):
        missing |= np.isnan(position[..., axis])
    return missing


def drop_uncertain(position: Array, confidence: Array,
                   threshold: float) -> None:
    """Make points missing, in place, whose confidence is too low.

    Points of unknown confidence stay.

    Args:
        position (ndarray): (T, N, K, S).
        confidence (ndarray): (T, N, K); NaN = unknown.
        threshold (float): Lowest confidence that counts.
    """
    position[confidence < threshold] = np.nan


def fill_gaps(position: Array, max_gap: int) -> int:
    """Close short gaps in place.

    Between two known frames of a point the missing ones lie on the straight
    line, at even steps. A gap at the beginning or the end, which has one
    neighbour, takes that. Longer gaps stay.

    Args:
        position (ndarray): (T, ..., S) float, C-ordered; NaN = missing.
        max_gap (int): Longest gap that is closed, in frames; 0 closes none.

    Returns:
        int: Points that were filled.

    Raises:
        ValueError: If the array is not C-ordered.
    """
    if not position.flags.c_contiguous:
        raise ValueError('position: expected a C-ordered array')
    if max_gap < 1 or not len(position):
        return 0
    rows, axes = len(position), position.shape[-1]
    # a view, so that writing into it changes what was passed
    tracks = position.reshape(rows, -1, axes)
    first, last, track = _missing_runs(missing_points(tracks))
    short = (last - first <= max_gap) & ((first > 0) | (last < rows))
    first, last, track = first[short], last[short], track[short]
    lengths = last - first
    if not len(lengths):
        return 0
    # one entry for each frame of each short gap
    run = np.repeat(np.arange(len(lengths)), lengths)
    step = np.arange(len(run)) - np.repeat(np.cumsum(lengths) - lengths,
                                           lengths)
    before = np.where(first > 0, first - 1, last)[run]
    after = np.where(last < rows, last, first - 1)[run]
    share = ((step + 1) / (lengths + 1)[run])[:, None]
    column = track[run]
    known, coming = tracks[before, column], tracks[after, column]
    tracks[first[run] + step, column] = known + share * (
        coming.astype(np.float64) - known)
    return len(run)


def longest_gaps(missing: Array) -> Array:
    """Longest run of missing frames of each point.

    Args:
        missing (ndarray): (T, ...) bool.

    Returns:
        ndarray: (...) int64.
    """
    flat = missing.reshape(len(missing), -1)
    first, last, track = _missing_runs(flat)
    longest = np.zeros(flat.shape[1], np.int64)
    np.maximum.at(longest, track, last - first)
    return longest.reshape(missing.shape[1:])


def _missing_runs(missing: Array) -> tuple[Array, Array, Array]:
    """First row, row after the last and column of each run of True.

    Args:
        missing (ndarray): (T, columns) bool.
    """
    rows, columns = missing.shape
    # each column between two False, so that runs neither begin before it nor
    # go on into the next one
    padded = np.zeros((columns, rows + 2), np.int8)
    padded[:, 1:-1] = missing.T
    steps = np.diff(padded.ravel())
    begins = np.flatnonzero(steps == 1)
    ends = np.flatnonzero(steps == -1)
    track, first = np.divmod(begins, rows + 2)
    return first, ends - track * (rows + 2), track
