"""The original's sampling, draw by draw.

Every task of the original draws from a generator of its own, without end, so
a question depends on all that were asked before. Here they are numbered, and
a stream is wound forward, or back to its start, to the number that is asked
for: workers, processes and a resumed training then get what one process would
have got. Drawing without cutting windows takes microseconds.

The shortcuts of the original are all in it; for comparison alone.

Source: the sampling of LISBET (arXiv:2311.04069), as its behaviour tells.
"""
from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mmpose_ext.behavior.ground import Anchors, WindowGround
from mmpose_ext.behavior.tasks import KINDS, LisbetFrameTask, TaskWindows
from mmpose_ext.behavior.windows import resample
from mmpose_ext.storage import DataError

Array = np.ndarray

TASKS = ('cons', 'order', 'shift', 'warp', *KINDS)
SEED = 1991


def named_seeds(seed: int, tasks: Sequence[str]) -> dict[str, int]:
    """Seeds of all generators of a run, spawned from one.

    Args:
        seed (int): Of the run.
        tasks (Sequence[str]): Names, in the order of the run.

    Returns:
        dict[str, int]: ``torch``, ``dev_split``, ``test_split``, then for
        each task ``train_shuffle_TASK``, ``dev_shuffle_TASK``,
        ``test_shuffle_TASK``, ``transform_TASK`` and ``dataset_TASK``, kind
        by kind.
    """
    generator = np.random.default_rng(seed)
    names = ['torch', 'dev_split', 'test_split']
    names += [f'{kind}_{task}'
              for kind in ('train_shuffle', 'dev_shuffle', 'test_shuffle',
                           'transform', 'dataset') for task in tasks]
    return {name: int(generator.integers(0, 2**31 - 1)) for name in names}


def worker_seed(dataset_seed: int, rank: int = 0, worker: int = 0) -> int:
    """Seed of the generator in a worker process of the original's loader.

    Args:
        dataset_seed (int): Of the data set.
        rank (int): Defaults to 0.
        worker (int): Defaults to 0.
    """
    packed = struct.pack('>IHH', dataset_seed, rank, worker)
    digest = hashlib.blake2b(packed, digest_size=8).digest()
    return int.from_bytes(digest, 'big')


@dataclass(frozen=True)
class PublishedSettings:
    """What could be set in the original.

    Args:
        seed (int): Of the run. Defaults to 1991.
        max_shift (int): Frames, of ``shift``. Defaults to 60.
        max_warp (float): Per cent, of ``warp``, in [0, 100). Defaults to 50.
        order_method (str): ``strict`` or ``simple``. Defaults to ``strict``.
        regression (bool): Whether ``shift`` and ``warp`` ask for a number.
            Defaults to False.

    Raises:
        ValueError: If a setting is out of range.
    """

    seed: int = SEED
    max_shift: int = 60
    max_warp: float = 50
    order_method: str = 'strict'
    regression: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.max_warp < 100:
            raise ValueError('max_warp: expected 0 to 100, found '
                             f'{self.max_warp}')
        if self.max_shift < 1:
            raise ValueError('max_shift: expected 1 or more, found '
                             f'{self.max_shift}')
        if self.order_method not in ('strict', 'simple'):
            raise ValueError("order_method: expected 'strict' or 'simple', "
                             f'found {self.order_method!r}')


class PublishedStream:
    """Questions of one task of the original, by their number.

    Args:
        task (str): ``cons``, ``order``, ``shift``, ``warp``, ``multiclass``
            or ``multilabel``.
        ground (WindowGround): All frames, with zero padding.
        settings (PublishedSettings): What could be set.
        seed (int): Of the generator, see :func:`worker_seed`.

    Raises:
        DataError: If the task cannot be asked of the data.
    """

    def __init__(self, task: str, ground: WindowGround,
                 settings: PublishedSettings, seed: int) -> None:
        if task not in TASKS:
            raise ValueError(f'parity: expected tasks among {TASKS}, found '
                             f'{task!r}')
        self.task, self.ground, self.settings = task, ground, settings
        self._seed = seed
        self._individuals = len(ground.store.individuals)
        if task in ('cons', 'shift') and self._individuals < 2:
            raise DataError(ground.store.ids[0], 'individuals',
                            f'2 or more, for {task}', '1')
        if task == 'cons' and len(ground.store.ids) < 2:
            raise DataError(
                ground.store.source, 'records',
                'two or more, for cons with parity', '1',
                'without parity the partner may come from the same record')
        self._frames: LisbetFrameTask | None = None
        if task in KINDS:  # all that is drawn is the frame
            self._frames = LisbetFrameTask(task)
            self._frames.prepare(ground)
        self._draw = getattr(self, f'_draw_{task}', self._draw_frame)
        self._rewind()

    def ask(self, numbers: Sequence[int]) -> TaskWindows:
        """The questions of some numbers.

        Args:
            numbers (Sequence[int]): Best rising.
        """
        drawn = []
        for number in numbers:
            if number < self._position:
                self._rewind()
            while self._position < number:
                self._next()
            drawn.append(self._next())
        plan = {key: np.array([row[key] for row in drawn])
                for key in drawn[0]}
        return self._cut(plan)

    def _rewind(self) -> None:
        self._generator = torch.Generator().manual_seed(self._seed)
        self._position = 0

    def _next(self) -> dict[str, Any]:
        self._position += 1
        return self._draw()

    def _integer(self, low: int, high: int) -> int:
        """A number in [low, high)."""
        return int(torch.randint(low, high, (1, ),
                                 generator=self._generator))

    def _uniform(self) -> float:
        return float(torch.rand((1, ), generator=self._generator))

    def _frame(self) -> tuple[int, int]:
        """Record and row of a random frame."""
        number = self._integer(0, self.ground.count)
        found = self.ground.locate(np.array([number]))
        return int(found.records[0]), int(found.rows[0])

    def _draw_frame(self) -> dict[str, Any]:
        record, row = self._frame()
        return dict(record=record, row=row)

    def _draw_cons(self) -> dict[str, Any]:
        record, row = self._frame()
        plan = dict(record=record, row=row, other_record=record,
                    other_row=row, cut=self._individuals, label=0.)
        if self._uniform() < .5:
            while plan['other_record'] == record:
                plan['other_record'], plan['other_row'] = self._frame()
            plan.update(cut=self._integer(1, self._individuals), label=1.)
        return plan

    def _draw_order(self) -> dict[str, Any]:
        record, row = self._frame()
        begin, end = (int(part[record])
                      for part in (self.ground.begins, self.ground.ends))
        ordered = self._uniform() < .5
        other_record = record
        if ordered:
            other = begin + self._integer(row - begin, end - begin)
        elif self.settings.order_method == 'strict':
            other = begin + self._integer(0, row - begin + 1)
        else:
            other_record, other = self._frame()
            while other_record == record and other >= row:
                other_record, other = self._frame()
        return dict(record=record, row=row, other_record=other_record,
                    other_row=other, label=float(ordered),
                    cut=self._integer(1, self.ground.shape.size))

    def _draw_shift(self) -> dict[str, Any]:
        record, row = self._frame()
        begin, end = (int(part[record])
                      for part in (self.ground.begins, self.ground.ends))
        most, frame = self.settings.max_shift, row - begin
        other = self._integer(max(frame - most, 0),
                              min(frame + most, end - begin))
        label = float(other > frame)
        if self.settings.regression:
            label = (other - frame + most) / (2 * most)
        return dict(record=record, row=row, other_record=record,
                    other_row=begin + other, label=label,
                    cut=self._integer(1, self._individuals))

    def _draw_warp(self) -> dict[str, Any]:
        record, row = self._frame()
        share = self._uniform()
        low, high = (1 + sign * self.settings.max_warp / 100
                     for sign in (-1, 1))
        speed = share * (high - low) + low
        label = share if self.settings.regression else float(speed > 1)
        return dict(record=record, row=row, speed=speed, label=label)

    def _cut(self, plan: dict[str, Array]) -> TaskWindows:
        ground = self.ground
        anchors = Anchors(plan['record'], plan['row'])
        if self._frames is not None:
            return self._frames.ask(anchors, np.empty((len(anchors.rows), 0)))
        labels = dict(labels=plan['label'].astype(np.float32)[:, None])
        if self.task == 'warp':
            # the speed stands in for the factor of the frame rates
            windows = resample(
                ground.store.tracks, anchors.rows,
                ground.begins[anchors.records], ground.ends[anchors.records],
                plan['speed'], ground.shape)
        else:
            places = np.arange(ground.shape.size)[:, None] if (
                self.task == 'order') else np.arange(self._individuals)
            windows = ground.mix(
                anchors, Anchors(plan['other_record'], plan['other_row']),
                places >= plan['cut'][:, None, None])
        return TaskWindows(windows, ground.valid(anchors), labels)
