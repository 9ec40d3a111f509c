"""What is odd about the tracks of a record, and its figures.

T frames, N individuals, K keypoints, S axes.
"""
from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from mmpose_ext.behavior.gaps import longest_gaps, missing_points
from mmpose_ext.behavior.record_reader import Record
from mmpose_ext.storage import DataError

Array = np.ndarray

MOSTLY_MISSING = .3  # share of frames
JUMP = 10.  # times the step that 95 % of all steps stay below
SWAP = 4.  # likewise, for both of two individuals
FROZEN_SECONDS, FROZEN_FRAMES = 1., 30
_SAMPLE = 100_000  # steps that are looked at for the usual one
_NAMED = 5


def record_statistics(record: Record, left_out: int = 0) -> dict[str, Any]:
    """Figures of a record.

    Args:
        record (Record): Read with ``missing='keep'``.
        left_out (int): Frames that its file has no row for. Defaults to 0.

    Returns:
        dict: ``frames``, ``fps``, ``seconds``, ``frames_left_out``,
        ``missing`` (share), ``missing_by_individual``,
        ``missing_by_keypoint``, ``longest_gap`` (frames), ``ranges`` of the
        axes, and ``class_frames`` where there are labels.
    """
    missing = missing_points(record.position)
    frames = len(record.position)
    by_point = missing.mean(0)
    labels = record.labels
    return dict(
        frames=frames, fps=record.fps,
        seconds=None if record.fps is None else frames / record.fps,
        frames_left_out=left_out,
        missing=float(by_point.mean()),
        missing_by_individual=dict(zip(
            record.individuals, by_point.mean(1).tolist(), strict=True)),
        missing_by_keypoint=dict(zip(
            record.keypoints, by_point.mean(0).tolist(), strict=True)),
        longest_gap=int(longest_gaps(missing).max()),
        ranges={axis: [low, high] for axis, low, high in zip(
            record.axes, record.extent.lowest, record.extent.highest,
            strict=True)},
        class_frames=None if labels is None else dict(zip(
            labels.classes, labels.labels.sum(0, dtype=np.int64).tolist(),
            strict=True)))


def odd_tracks(record: Record) -> Iterator[DataError]:
    """What is possible and yet unlikely.

    Args:
        record (Record): Read with ``missing='keep'``.

    Yields:
        DataError: One for each kind of oddity and what it concerns.
    """
    missing = missing_points(record.position)
    yield from _mostly_missing(record, missing)
    yield from _outside(record)
    yield from _frozen(record, missing)
    if len(record.position) < 3:
        return
    steps = step_lengths(record.position)
    usual = usual_step(steps)
    swaps = identity_swaps(record.position, SWAP * usual)
    if swaps:
        pair = ' and '.join(record.individuals[i] for i in swaps[0][1:])
        yield _odd(
            record, f'frame {_frames(record, [row for row, _, _ in swaps])}',
            'each individual near its place of the frame before',
            f"{len(swaps)} frames where two are in each other's place, "
            f'first {pair}', 'look whether identities are exchanged there')
    # the steps of a swap are accounted for
    for row, one, other in swaps:
        steps[row - 1, [one, other]] = 0
    yield from _jumps(record, steps, usual)


def step_lengths(position: Array) -> Array:
    """How far each point moves to the next frame.

    Args:
        position (ndarray): (T, N, K, S).

    Returns:
        ndarray: (T - 1, N, K) float32, NaN where either is missing.
    """
    squares = np.zeros((len(position) - 1, *position.shape[1:3]), np.float32)
    for axis in range(position.shape[-1]):
        step = np.diff(position[..., axis], axis=0)
        squares += step * step
    return np.sqrt(squares, out=squares)


def usual_step(steps: Array) -> float:
    """The step that 95 % of all steps stay below; 0 without any.

    Args:
        steps (ndarray): Of points, NaN = unknown.
    """
    some = steps[::max(1, len(steps) // _SAMPLE)]
    known = some[np.isfinite(some)]
    return float(np.quantile(known, .95)) if len(known) else 0.


def identity_swaps(position: Array,
                   least: float) -> list[tuple[int, int, int]]:
    """Frames in which two individuals jump into each other's place.

    Both move further than `least`, the mean over their points, and less than
    half as far if the two are exchanged.

    Args:
        position (ndarray): (T, N, K, S).
        least (float): In the unit of the tracks.

    Returns:
        list[tuple[int, int, int]]: Frame and the two individuals; an
        exchange back counts as one more.
    """
    found = []
    now, before = position[1:], position[:-1]
    for one, other in combinations(range(position.shape[1]), 2):
        straight = [_mean_distance(now[:, i], before[:, i])
                    for i in (one, other)]
        crossed = (_mean_distance(now[:, one], before[:, other])
                   + _mean_distance(now[:, other], before[:, one]))
        swapped = ((np.minimum(*straight) > least)
                   & (2 * crossed < straight[0] + straight[1]))
        found += [(int(row) + 1, one, other)
                  for row in np.flatnonzero(swapped)]
    return sorted(found)


def _mean_distance(points: Array, others: Array) -> Array:
    """Mean distance over the points that are in both: (T,), NaN if none."""
    squares = np.zeros(points.shape[:2], np.float32)
    for axis in range(points.shape[-1]):
        step = points[..., axis] - others[..., axis]
        squares += step * step
    known = np.isfinite(squares)
    count = known.sum(-1)
    total = np.sqrt(np.where(known, squares, 0)).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _mostly_missing(record: Record, missing: Array) -> Iterator[DataError]:
    shares = missing.mean(0)
    for i, individual in enumerate(record.individuals):
        names = [f'{name} {share:.0%}' for name, share in zip(
            record.keypoints, shares[i], strict=True)
            if share > MOSTLY_MISSING]
        if names:
            yield _odd(
                record, repr(individual),
                f'points in at least {1 - MOSTLY_MISSING:.0%} of frames',
                f'missing: {", ".join(names)}',
                'leave such points out by select')


def _outside(record: Record) -> Iterator[DataError]:
    if record.image_size is None:
        return
    for axis, size, low, high in zip(
            record.axes, record.image_size, record.extent.lowest,
            record.extent.highest, strict=True):
        if low < 0 or high > size:
            yield _odd(record, f'axis {axis!r}', f'0 to {size:g}, the picture',
                       f'{low:g} to {high:g}',
                       'points off the picture are guesses')


def _frozen(record: Record, missing: Array) -> Iterator[DataError]:
    """Individuals none of whose points moves at all for long."""
    least = (FROZEN_FRAMES if record.fps is None else
             max(FROZEN_FRAMES, round(FROZEN_SECONDS * record.fps)))
    same: Array = np.ones(
        (len(record.position) - 1, len(record.individuals)), bool)
    for keypoint in range(len(record.keypoints)):
        for axis in range(len(record.axes)):
            track = record.position[:, :, keypoint, axis]
            same &= (track[1:] == track[:-1]) | (
                missing[1:, :, keypoint] & missing[:-1, :, keypoint])
    same &= ~missing[1:].all(-1)
    if not len(same):
        return
    for individual, longest in zip(record.individuals,
                                   longest_gaps(same).tolist(), strict=True):
        if longest + 1 >= least:
            yield _odd(
                record, repr(individual), 'points that move a little in '
                f'{least} frames', f'the same coordinates in {longest + 1} '
                'frames on end', 'was the tracker stuck?')


def _jumps(record: Record, steps: Array,
           usual: float) -> Iterator[DataError]:
    limit = max(JUMP * usual, _body_length(record.position))
    if not limit:
        return
    rows, individuals, keypoints = np.nonzero(steps > limit)
    if len(rows):
        largest = int(np.argmax(steps[rows, individuals, keypoints]))
        name = (f'{record.individuals[individuals[largest]]} '
                f'{record.keypoints[keypoints[largest]]}')
        length = steps[rows, individuals, keypoints][largest]
        yield _odd(
            record, f'frame {_frames(record, np.unique(rows) + 1)}',
            f'steps of at most {limit:.4g}',
            f'{len(rows)} longer ones, the longest {length:.4g} ({name})',
            'raise confidence_threshold, or mend the tracks')


def _body_length(position: Array) -> float:
    """Median over frames of the longest side of an individual; 0 unknown."""
    some = position[::max(1, len(position) // _SAMPLE)]
    known = np.isfinite(some)
    low = np.where(known, some, np.inf).min(2)
    high = np.where(known, some, -np.inf).max(2)
    sides = (high - low).max(-1)
    sides = sides[np.isfinite(sides)]
    return float(np.median(sides)) if len(sides) else 0.


def _odd(record: Record, where: str, expected: str, found: str,
         hint: str) -> DataError:
    return DataError(record.files.place,
                     f'record {record.files.id!r}, {where}', expected, found,
                     hint)


def _frames(record: Record, rows: Any) -> str:
    """Numbers of the first few frames."""
    rows = list(dict.fromkeys(int(row) for row in rows))
    more = f' and {len(rows) - _NAMED} more' if len(rows) > _NAMED else ''
    named = ', '.join(str(record.first_frame + row) for row in rows[:_NAMED])
    return named + more
