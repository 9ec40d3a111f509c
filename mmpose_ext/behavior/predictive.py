"""Pretext tasks that ask for tracks: hidden ones, future ones, equal ones."""
from __future__ import annotations

import numpy as np

from mmpose_ext.behavior.ground import Anchors, WindowGround
from mmpose_ext.behavior.tasks import LisbetTask, TaskWindows, check_delays
from mmpose_ext.registry import TASK_UTILS

Array = np.ndarray


@TASK_UTILS.register_module()
class LisbetMaskedTask(LisbetTask):
    """``masked``: where are the points that were taken away?

    Points disappear for stretches of random length; the answer is their
    course.

    Args:
        ratio (float): About how much of a point's time is hidden in a point
            that is chosen. Defaults to .5.
        share (float): Share of points that are chosen. Defaults to .3.

    Raises:
        ValueError: If a setting is out of range.
    """

    def __init__(self, ratio: float = .5, share: float = .3) -> None:
        for name, value in (('ratio', ratio), ('share', share)):
            if not 0 < value <= 1:
                raise ValueError(f'{name}: expected 0 to 1, found {value}')
        self.ratio, self.share = ratio, share

    def prepare(self, ground: WindowGround) -> None:
        """See :meth:`LisbetTask.prepare`."""
        super().prepare(ground)
        self.draws = 2 * len(ground.store.individuals) * len(
            ground.store.keypoints) + 1

    def ask(self, anchors: Anchors, draws: Array,
            sources: Array | None = None) -> TaskWindows:
        """See :meth:`LisbetTask.ask`."""
        ground, size = self.ground, self.ground.shape.size
        points = (len(ground.store.individuals), len(ground.store.keypoints))
        chosen, place = draws[:, 1:].reshape(-1, 2, 1, *points).swapaxes(0, 1)
        # never all, never none: the smallest number is chosen at least
        chosen = chosen <= np.maximum(
            self.share, chosen.min((2, 3), keepdims=True))
        length = np.maximum(1, np.rint(
            2 * self.ratio * draws[:, :1] * size))[:, :, None, None]
        start = np.floor(place * (size + length - 1)) - length + 1
        steps = np.arange(size)[:, None, None]
        hidden = chosen & (steps >= start) & (steps < start + length)
        return TaskWindows(ground.cut(anchors, sources),
                           ground.valid(anchors), dict(hidden=hidden))


@TASK_UTILS.register_module()
class LisbetForecastTask(LisbetTask):
    """``forecast``: how do the individuals move on after the window?

    Args:
        horizon (int): Frames to foresee, H. Defaults to 15.

    Raises:
        ValueError: If it is not positive.
    """

    def __init__(self, horizon: int = 15) -> None:
        if horizon < 1:
            raise ValueError(f'horizon: expected 1 or more, found {horizon}')
        self.horizon = horizon

    def prepare(self, ground: WindowGround) -> None:
        """See :meth:`LisbetTask.prepare`."""
        super().prepare(ground)
        ground.require_span(self.horizon, 'forecast')

    def ask(self, anchors: Anchors, draws: Array,
            sources: Array | None = None) -> TaskWindows:
        """See :meth:`LisbetTask.ask`."""
        ground = self.ground
        present, _ = ground.pair(anchors, self.horizon, self.horizon,
                                 np.zeros(len(anchors.rows)))
        windows = ground.cut(present, sources)
        # the windows of the frames behind end with what is to be foreseen
        steps = np.arange(1, self.horizon + 1)
        count = len(present.rows)
        behind = Anchors(np.repeat(present.records, self.horizon),
                         (present.rows[:, None] + steps).reshape(-1))
        last = None if sources is None else np.repeat(
            sources[:, -1:], self.horizon, 0)
        future = ground.frames(behind, last).reshape(
            count, self.horizon, *windows.shape[2:])
        return TaskWindows(windows, ground.valid(present),
                           dict(future=future))


@TASK_UTILS.register_module()
class LisbetContrastTask(LisbetTask):
    """``contrast``: which windows show the same stretch of a recording?

    Two windows `max_delay` frames apart at most belong together; the other
    ones of the batch do not.

    Args:
        max_delay (int): Defaults to 15.

    Raises:
        ValueError: If it is not positive.
    """

    draws = 1

    def __init__(self, max_delay: int = 15) -> None:
        check_delays(1, max_delay)
        self.max_delay = max_delay

    def prepare(self, ground: WindowGround) -> None:
        """See :meth:`LisbetTask.prepare`."""
        super().prepare(ground)
        ground.require_span(1, 'contrast')

    def ask(self, anchors: Anchors, draws: Array,
            sources: Array | None = None) -> TaskWindows:
        """See :meth:`LisbetTask.ask`."""
        early, late = self.ground.pair(anchors, 1, self.max_delay,
                                       draws[:, 0])
        both = Anchors(np.concatenate([early.records, late.records]),
                       np.concatenate([early.rows, late.rows]))
        if sources is not None:
            sources = np.concatenate([sources, sources])
        return TaskWindows(self.ground.cut(both, sources),
                           self.ground.valid(both))
