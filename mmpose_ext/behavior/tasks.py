"""Tasks: questions about windows, and what all of them share."""
from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np

from mmpose_ext.behavior.ground import Anchors, WindowGround
from mmpose_ext.registry import TASK_UTILS
from mmpose_ext.storage import DataError

Array = np.ndarray

KINDS = ('multiclass', 'multilabel')  # of tasks that need labels


@dataclass(frozen=True)
class TaskWindows:
    """Windows of one task, and what is asked about them.

    Attributes:
        inputs: float32 (M, W, N, K, S), NaN = missing.
        valid: int64 (M, 2), positions that lie in the record.
        labels: Arrays by name, each with a row for each question, B.
    """

    inputs: Array
    valid: Array
    labels: dict[str, Array] = field(default_factory=dict)


class LisbetTask:
    """What all tasks have: a ground of frames, and numbers drawn for each.

    Attributes:
        draws: How many uniform numbers a question needs.
        whole: Whether windows must lie within their record.
        individuals: Least number of individuals.
    """

    draws = 0
    whole = True
    individuals = 1

    def prepare(self, ground: WindowGround) -> None:
        """Take the ground, and check that questions can be asked there.

        Raises:
            DataError: If they cannot.
        """
        self.ground = ground
        count = len(ground.store.individuals)
        if count < self.individuals:
            raise DataError(
                ground.store.ids[0], 'individuals',
                f'{self.individuals} or more, for {type(self).__name__}',
                f'{count}', 'leave the task out')

    @abstractmethod
    def ask(self, anchors: Anchors, draws: Array,
            sources: Array | None = None) -> TaskWindows:
        """Make a question about each frame.

        Args:
            anchors (Anchors): B frames of the ground.
            draws (ndarray): float64 (B, draws) uniform in [0, 1).
            sources (ndarray, optional): int64, broadcast to (B, W, N): whose
                track each individual shows, as identities are augmented
                before the question is made: it then keeps its answer.
                Defaults to None: its own.
        """


@TASK_UTILS.register_module()
class LisbetFrameTask(LisbetTask):
    """``multiclass`` and ``multilabel``: which behaviour is a frame?

    Args:
        kind (str): ``multiclass`` (one behaviour a frame) or ``multilabel``.
            Defaults to ``multiclass``.

    Raises:
        ValueError: If the kind is another.
    """

    whole = False

    def __init__(self, kind: str = 'multiclass') -> None:
        if kind not in KINDS:
            raise ValueError("kind: expected 'multiclass' or 'multilabel', "
                             f'found {kind!r}')
        self.kind = kind

    def prepare(self, ground: WindowGround) -> None:
        """See :meth:`LisbetTask.prepare`."""
        super().prepare(ground)
        if ground.store.labels is None:
            raise DataError(
                ground.store.ids[0], 'annotations', 'labelled frames, for '
                f'{self.kind}', 'none', 'set annotation_format, and put the '
                'files beside the tracking files')

    def ask(self, anchors: Anchors, draws: Array,
            sources: Array | None = None) -> TaskWindows:
        """See :meth:`LisbetTask.ask`."""
        assert self.ground.store.labels is not None
        rows = self.ground.store.labels[anchors.rows]
        labels = (rows.argmax(1).astype(np.int64)
                  if self.kind == 'multiclass' else rows.astype(np.float32))
        return TaskWindows(self.ground.cut(anchors, sources),
                           self.ground.valid(anchors), dict(labels=labels))


def check_delays(least: int, most: int) -> None:
    """Check a range of delays.

    Raises:
        ValueError: If it is none.
    """
    if not 1 <= least <= most:
        raise ValueError('min_delay, max_delay: expected 1 <= min_delay <= '
                         f'max_delay, found {least} and {most}')


# What configs may write in place of settings.
TASKS = dict(
    cons=dict(type='mmpose_ext.LisbetConsistencyTask'),
    order=dict(type='mmpose_ext.LisbetOrderTask'),
    shift=dict(type='mmpose_ext.LisbetShiftTask'),
    warp=dict(type='mmpose_ext.LisbetWarpTask'),
    masked=dict(type='mmpose_ext.LisbetMaskedTask'),
    forecast=dict(type='mmpose_ext.LisbetForecastTask'),
    contrast=dict(type='mmpose_ext.LisbetContrastTask'),
    multiclass=dict(type='mmpose_ext.LisbetFrameTask'),
    multilabel=dict(type='mmpose_ext.LisbetFrameTask', kind='multilabel'))
