"""Pretext tasks: questions whose answers nobody has to label.

The four of the original are here without the shortcuts by which they can be
answered without looking at behaviour (docs/behavior.md tells which); its own
sampling is in :mod:`mmpose_ext.behavior.published`.
"""
from __future__ import annotations

import numpy as np

from mmpose_ext.behavior.ground import Anchors, WindowGround
from mmpose_ext.behavior.tasks import LisbetTask, TaskWindows, check_delays
from mmpose_ext.behavior.tempo import estimate_noise, play_at_speeds
from mmpose_ext.registry import TASK_UTILS

Array = np.ndarray

_NOISE_FRAMES = 5000  # from which the noise of a record is estimated


@TASK_UTILS.register_module()
class LisbetConsistencyTask(LisbetTask):
    """``cons``: do all individuals belong to one moment of one recording?

    Label 1: some are taken from another moment, half of the time of the same
    recording, where neither arena nor identity gives the answer away.

    Args:
        min_gap (int, optional): Least distance in frames within a recording.
            Defaults to None: twice the window.
        same_record (float): Share of other moments from the same recording;
            1 if there is only one. Defaults to .5.

    Raises:
        ValueError: If a setting is out of range.
    """

    draws, individuals = 4, 2

    def __init__(self, min_gap: int | None = None,
                 same_record: float = .5) -> None:
        if not 0 <= same_record <= 1:
            raise ValueError('same_record: expected 0 to 1, found '
                             f'{same_record}')
        if min_gap is not None and min_gap < 1:
            raise ValueError(f'min_gap: expected 1 or more, found {min_gap}')
        self.min_gap, self.same_record = min_gap, same_record

    def prepare(self, ground: WindowGround) -> None:
        """See :meth:`LisbetTask.prepare`."""
        super().prepare(ground)
        self._gap = self.min_gap or 2 * ground.shape.size
        self._alone = (ground.counts > 0).sum() < 2
        if self._alone:
            ground.require_span(
                2 * self._gap, 'cons with a single recording and a min_gap '
                f'of {self._gap}')

    def ask(self, anchors: Anchors, draws: Array,
            sources: Array | None = None) -> TaskWindows:
        """See :meth:`LisbetTask.ask`."""
        ground = self.ground
        label = draws[:, 0] < .5
        near, exists = ground.far_away(anchors, self._gap, draws[:, 2])
        if self._alone:
            other = near
        else:
            far = ground.elsewhere(anchors, draws[:, 2])
            inside = exists & (draws[:, 1] < self.same_record)
            other = Anchors(np.where(inside, near.records, far.records),
                            np.where(inside, near.rows, far.rows))
        after = first_individuals(draws[:, 3], len(ground.store.individuals))
        mixed = ground.mix(anchors, other, after & label[:, None, None],
                           sources)
        return TaskWindows(mixed, ground.valid(anchors), as_labels(label))


@TASK_UTILS.register_module()
class LisbetOrderTask(LisbetTask):
    """``order``: does the second part of a window come later than the first?

    Both parts are joined at a random place, with a jump in time of
    `min_delay` to `max_delay` frames, forward (label 1) or back.

    Args:
        min_delay (int): Defaults to 10.
        max_delay (int): Defaults to 60.
        margin (float): Least share of the window on either side of the
            joint. Defaults to .125.

    Raises:
        ValueError: If a setting is out of range.
    """

    draws = 3

    def __init__(self, min_delay: int = 10, max_delay: int = 60,
                 margin: float = .125) -> None:
        check_delays(min_delay, max_delay)
        if not 0 <= margin < .5:
            raise ValueError(f'margin: expected 0 to .5, found {margin}')
        self.min_delay, self.max_delay = min_delay, max_delay
        self.margin = margin

    def prepare(self, ground: WindowGround) -> None:
        """See :meth:`LisbetTask.prepare`."""
        super().prepare(ground)
        ground.require_span(self.min_delay, 'order')

    def ask(self, anchors: Anchors, draws: Array,
            sources: Array | None = None) -> TaskWindows:
        """See :meth:`LisbetTask.ask`."""
        size = self.ground.shape.size
        least = max(1, round(self.margin * size))
        label = draws[:, 0] < .5
        early, late = self.ground.pair(anchors, self.min_delay,
                                       self.max_delay, draws[:, 1])
        joint = least + (draws[:, 2] * (size + 1 - 2 * least)).astype(
            np.int64)
        first = choose(label, early, late)
        second = choose(label, late, early)
        after = np.arange(size)[:, None] >= joint[:, None, None]
        mixed = self.ground.mix(first, second, after, sources)
        return TaskWindows(mixed, self.ground.valid(first), as_labels(label))


@TASK_UTILS.register_module()
class LisbetShiftTask(LisbetTask):
    """``shift``: are the last individuals shown later than the first ones?

    Args:
        min_delay (int): Frames. Defaults to 10.
        max_delay (int): Frames. Defaults to 60.
        regression (bool): Ask for the delay, from 0 (``-max_delay``) to 1.
            Defaults to False.

    Raises:
        ValueError: If a setting is out of range.
    """

    draws, individuals = 3, 2

    def __init__(self, min_delay: int = 10, max_delay: int = 60,
                 regression: bool = False) -> None:
        check_delays(min_delay, max_delay)
        self.min_delay, self.max_delay = min_delay, max_delay
        self.regression = regression

    def prepare(self, ground: WindowGround) -> None:
        """See :meth:`LisbetTask.prepare`."""
        super().prepare(ground)
        ground.require_span(self.min_delay, 'shift')

    def ask(self, anchors: Anchors, draws: Array,
            sources: Array | None = None) -> TaskWindows:
        """See :meth:`LisbetTask.ask`."""
        label = draws[:, 0] < .5
        early, late = self.ground.pair(anchors, self.min_delay,
                                       self.max_delay, draws[:, 1])
        first, rest = choose(label, early, late), choose(label, late, early)
        after = first_individuals(draws[:, 2],
                                  len(self.ground.store.individuals))
        mixed = self.ground.mix(first, rest, after, sources)
        answer = label
        if self.regression:
            answer = ((rest.rows - first.rows + self.max_delay)
                      / (2 * self.max_delay))
        return TaskWindows(mixed, self.ground.valid(first), as_labels(answer))


@TASK_UTILS.register_module()
class LisbetWarpTask(LisbetTask):
    """``warp``: is the window played faster than it was recorded?

    Speeds are uniform in the logarithm, with a gap around 1. How the windows
    are made tells nothing: see :mod:`mmpose_ext.behavior.tempo`.

    Args:
        max_speed (float): Largest speed; the lowest is its inverse. Defaults
            to 1.5.
        min_speed_up (float): Speeds between its inverse and it are not used.
            Defaults to 1.1.
        regression (bool): Ask for the logarithm of the speed, from 0 (the
            lowest) to 1. Defaults to False.

    Raises:
        ValueError: If a setting is out of range.
    """

    draws = 4

    def __init__(self, max_speed: float = 1.5, min_speed_up: float = 1.1,
                 regression: bool = False) -> None:
        if not 1 <= min_speed_up < max_speed:
            raise ValueError(
                'max_speed, min_speed_up: expected 1 <= min_speed_up < '
                f'max_speed, found {min_speed_up} and {max_speed}')
        self.max_speed, self.min_speed_up = max_speed, min_speed_up
        self.regression = regression

    def prepare(self, ground: WindowGround) -> None:
        """See :meth:`LisbetTask.prepare`."""
        super().prepare(ground)
        self._noise = np.array([
            estimate_noise(ground.store.tracks[begin:min(
                end, begin + _NOISE_FRAMES)])
            for begin, end in zip(ground.begins, ground.ends, strict=True)
        ])

    def ask(self, anchors: Anchors, draws: Array,
            sources: Array | None = None) -> TaskWindows:
        """See :meth:`LisbetTask.ask`."""
        ground, size = self.ground, self.ground.shape.size
        label = draws[:, 0] < .5
        low, high = np.log(self.min_speed_up), np.log(self.max_speed)
        change = low + draws[:, 1] * (high - low)
        change = np.where(label, change, -change)
        factors = ground.factors[anchors.records]
        speeds = np.exp(change) * factors
        begins = ground.begins[anchors.records]
        ends = ground.ends[anchors.records]
        # the middle of the frame's own window, moved where it would not fit
        half = (size / 2 + 1) * speeds
        middles = anchors.rows + (ground.shape.offset - (size - 1) / 2
                                  ) * factors + draws[:, 2]
        middles = np.clip(middles, begins + half,
                          np.maximum(ends - half, begins + half))
        windows = play_at_speeds(
            ground.store.tracks, middles, begins, ends, speeds, size, sources,
            self._noise[anchors.records],
            ground.factors.min() / self.max_speed,
            (draws[:, 3] * 2**40).astype(np.int64))
        answer = (change + high) / (2 * high) if self.regression else label
        whole = np.broadcast_to([0, size], (len(label), 2)).copy()
        return TaskWindows(windows, whole, as_labels(answer))


def first_individuals(share: Array, count: int) -> Array:
    """A cut between individuals, 1 to N - 1, as a mask (B, 1, N) after it."""
    cut = 1 + (share * (count - 1)).astype(np.int64)
    return np.arange(count) >= cut[:, None, None]


def as_labels(answers: Array) -> dict[str, Array]:
    """Answers as labels float32 (B, 1)."""
    return dict(labels=answers.astype(np.float32)[:, None])


def choose(which: Array, one: Anchors, other: Anchors) -> Anchors:
    """Of each pair the first where `which` holds, else the second."""
    return Anchors(np.where(which, one.records, other.records),
                   np.where(which, one.rows, other.rows))
