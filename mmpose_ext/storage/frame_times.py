"""Times of a file turned into frame numbers."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .checks import check_array
from .errors import DataError

Array = np.ndarray

_FRAMES, _SECONDS = ('frame', 'frames'), ('s', 'sec', 'second', 'seconds')
_OFF_GRID = .2  # of a frame
_ROUNDED = 1e-3  # s; times are often rounded to it
_RATE_ERROR = .01  # 29.97 is often called 30
_LARGEST = 2.**53


def frames_of_times(path: Path,
                    times: Array,
                    of_variable: Mapping[str, Any],
                    of_file: Mapping[str, Any],
                    chosen: bool = False) -> tuple[Array, float | None]:
    """Frame numbers and the rate.

    Args:
        path (Path): The file for the error.
        times (np.ndarray): (T,) frames or seconds.
        of_variable (Mapping[str, Any]): Attributes of the time; ``units``
            may say frames or seconds.
        of_file (Mapping[str, Any]): Attributes of the file; ``time_unit``
            may say frames or seconds, ``fps`` the rate. Without a unit,
            whole numbers are frames.
        chosen (bool): Whether rows are some frames of many, so that the
            typical step may be more than one frame. Defaults to False.

    Returns:
        tuple[np.ndarray, float | None]: (T,) int64, and frames per second,
        None where nothing tells it.

    Raises:
        DataError: If the times do not rise strictly, are no frames or
            contradict the rate.
    """
    where = "key 'time'"
    check_array(times, path, where, 'iuf', (None, ), finite=True)
    times = times.astype(np.float64)
    steps = np.diff(times)
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 1
        raise DataError(path, f'{where}, row {row}', 'times that rise',
                        f'{times[row]:g} after {times[row - 1]:g}')
    fps = _read_rate(path, of_file.get('fps'))
    if _counts_frames(path, times, of_variable, of_file):
        return _whole(path, times, times, 'frames'), fps
    if len(times) > 1:
        fps = _check_rate(path, fps, steps, chosen)
    elif fps is None:
        raise DataError(path, 'attribute fps', 'frames per second', 'none',
                        'one time alone does not tell it')
    assert fps is not None
    # Rounded steps are added up: the error of a rate such as 30 for 29.97
    # must not.
    counted = steps * fps
    start = _whole(path, np.rint(times[:1] * fps), times, 'seconds')
    limit = min(_OFF_GRID + _ROUNDED * fps, .45)
    # over a long gap the error of the rate makes frames
    gap = np.maximum(np.abs(counted) - 1, 0)
    jumps = _whole(path, counted, times[1:], f'seconds at {fps:g} fps',
                   limit + _RATE_ERROR * gap)
    frames = np.concatenate([start, start + np.cumsum(jumps)])
    if (jumps < 1).any():
        row = int(np.argmax(jumps < 1)) + 1
        raise DataError(path, f'{where}, row {row}', 'a frame of its own at '
                        f'{fps:g} fps', f'{times[row]:g} s after '
                        f'{times[row - 1]:g} s', 'correct the attribute fps')
    return frames, fps


def _read_rate(path: Path, value: Any) -> float | None:
    if value in (None, '', 'None') or value != value:
        return None
    if not isinstance(value, (int, float)) or not 0 < value < np.inf:
        raise DataError(path, 'attribute fps', 'a number above 0',
                        repr(value)[:80])
    return float(value)


def _counts_frames(path: Path, times: Array, of_variable: Mapping[str, Any],
                   of_file: Mapping[str, Any]) -> bool:
    for where, unit in (("key 'time', units", of_variable.get('units')),
                        ('attribute time_unit', of_file.get('time_unit'))):
        if unit is None:
            continue
        if str(unit).lower() in _FRAMES:
            return True
        if str(unit).lower() in _SECONDS:
            return False
        raise DataError(path, where, 'frames or seconds', repr(unit)[:80])
    return bool((times == np.rint(times)).all())


def _check_rate(path: Path, fps: float | None, steps: Array,
                chosen: bool) -> float:
    """The rate, if the steps agree with it."""
    typical = float(np.median(steps))
    # over the whole time, for rounding blurs single steps
    duration = float(steps.sum())
    measured = float(np.maximum(np.rint(steps / typical), 1).sum()) / duration
    blur = _ROUNDED / duration
    if fps is None:
        near = float(round(measured))
        return near if abs(near - measured) < (2e-4 + blur) * near else (
            measured)
    # a single odd step is told as such, by the frames
    if not chosen and min(abs(fps / measured - 1), abs(fps * typical - 1)
                          ) > _RATE_ERROR + blur:
        raise DataError(
            path, 'attribute fps', f'{measured:g}, as the times step',
            f'{fps:g}', 'correct the attribute or the times')
    return fps


def _whole(path: Path, numbers: Array, times: Array, unit: str,
           limit: float | Array = _OFF_GRID) -> Array:
    """Round to whole frames what is almost whole."""
    if np.abs(numbers).max(initial=0) > _LARGEST:
        raise DataError(path, "key 'time'", f'times in {unit}',
                        f'{numbers[np.abs(numbers).argmax()]:g}')
    frames = np.rint(numbers)
    off = np.abs(numbers - frames) > limit
    if off.any():
        raise DataError(
            path, "key 'time'", f'whole frames of {unit}',
            f'{times[off][0]:g} ({int(off.sum())} in all)',
            'resample the tracks to a steady rate')
    return frames.astype(np.int64)
