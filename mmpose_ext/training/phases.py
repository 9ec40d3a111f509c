"""Phases of a run: what holds is a function of the progress alone.

Progress is what the train loop counts: finished epochs, or finished
iterations in a loop without epochs. A resumed run is therefore in the right
phase without having stored anything.
"""
from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from numbers import Integral, Real

from mmengine.config import Config
from mmengine.runner import IterBasedTrainLoop, Runner

from mmpose_ext.storage.errors import DataError


def run_progress(runner: Runner) -> tuple[int, int]:
    """What a runner's train loop has finished, and how much there will be.

    Returns:
        tuple[int, int]: Epochs, or iterations if the loop has no epochs.
    """
    loop = runner.train_loop
    if isinstance(loop, IterBasedTrainLoop):
        return loop.iter, loop.max_iters
    return loop.epoch, loop.max_epochs


def config_name(config: Config) -> str:
    """The config's file, for errors."""
    return config.filename or 'config'


def nearest_start(begin: float, total: int, shift: float = 0) -> int:
    """The progress at which a boundary lies.

    A fraction of the run moves with the run's length, to the nearest border
    of epochs (halves go up), so that thirds stay thirds in a trial run of
    three epochs.

    Args:
        begin (float): A fraction of the run in [0, 1), or a whole number.
        total (int): The whole run.
        shift (float): A distance from there, in the unit of `begin` or as a
            whole number. Defaults to 0.

    Returns:
        int: Where it lies, which may be after the run's end.
    """
    parts = (part if isinstance(part, Integral) else part * total
             for part in (begin, shift))
    return int(sum(parts) + .5)


def check_boundary(value: object, file: str, where: str) -> None:
    """Refuse what is no boundary between phases.

    Raises:
        DataError: If it is neither a fraction in [0, 1) nor a whole number.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= value < (  # type: ignore[operator]
            math.inf if isinstance(value, Integral) else 1):
        raise DataError(
            file, where, 'a fraction of the run from 0 to below 1, or a '
            'whole number of epochs', repr(value))


def phase_starts(begins: Sequence[float], total: int, file: str,
                 where: str) -> tuple[int, ...]:
    """Place the phases of a run.

    Args:
        begins (Sequence[float]): Boundaries, see :func:`nearest_start`.
        total (int): The whole run.
        file (str): The config, for the error.
        where (str): The setting the boundaries come from, for the error.

    Returns:
        tuple[int]: The progress at which each phase starts, never falling.

    Raises:
        DataError: If there are none, the first is not 0, one is no boundary,
            or they are not in order.
    """
    if not begins:
        raise DataError(file, where, 'at least one', 'none')
    for number, begin in enumerate(begins):
        check_boundary(begin, file, f'{where}[{number}].begin')
    starts = tuple(nearest_start(begin, total) for begin in begins)
    if begins[0] != 0:
        raise DataError(file, f'{where}[0].begin', '0, the start of the run',
                        repr(begins[0]))
    for number in range(1, len(starts)):
        if starts[number] < starts[number - 1]:
            raise DataError(
                file, f'{where}[{number}].begin',
                f'{begins[number - 1]} or later', repr(begins[number]),
                'phases are listed in their order')
    return starts


def phase_of(progress: int, starts: Sequence[int]) -> int:
    """The phase that holds at a moment: the last one started by then.

    Args:
        progress (int): Finished epochs or iterations.
        starts (Sequence[int]): Never falling, the first 0.

    Returns:
        int: Index of the phase, from 0.
    """
    return bisect_right(starts, progress) - 1


def skipped_phases(starts: Sequence[int], total: int) -> list[int]:
    """Phases that hold at no moment of the run.

    Either the next one starts at the same moment, or the run is over before.

    Returns:
        list[int]: Their indices, from 0.
    """
    ends = [*starts[1:], total]
    return [number for number, (start, end) in enumerate(
        zip(starts, ends, strict=True)) if start >= min(end, total)]
