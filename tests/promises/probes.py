"""What the promise tests add to a family's config to look inside a run."""
from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.runner import _SlicedDataset

from mmpose_ext.registry import DATASETS, HOOKS

KILL_VARIABLE = 'PROMISE_KILL'


@HOOKS.register_module()
class KillProbe(Hook):
    """Kills the process at ``$PROMISE_KILL``: ``stage:iterations done``."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        stage, _, at = os.environ.get(KILL_VARIABLE, '').partition(':')
        if stage:
            self._at = int(at)
            setattr(self, stage, self._kill)

    def _kill(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if runner.iter == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module()
class LossProbe(Hook):
    """Writes the loss of every iteration of every process."""

    def before_run(self, runner: Runner) -> None:
        self._file = Path(runner.work_dir, f'losses_{runner.rank}.jsonl')

    def after_train_iter(self, runner: Runner, batch_idx: int,
                         data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        with self._file.open('a') as file:
            line = dict(iter=runner.iter, loss=float(outputs['loss']))
            file.write(json.dumps(line) + '\n')


@HOOKS.register_module()
class MetricProbe(Hook):
    """Writes the metrics of every validation, or of a test."""

    priority = 'VERY_HIGH'

    def after_val_epoch(self, runner: Runner,
                        metrics: dict | None = None) -> None:
        numbers = {key: float(value) for key, value in metrics.items()
                   if isinstance(value, (int, float))}
        file = Path(runner.work_dir, f'metrics_{runner.rank}.jsonl')
        with file.open('a') as stream:
            stream.write(json.dumps(dict(iter=runner.iter, **numbers)) + '\n')

    after_test_epoch = after_val_epoch


@DATASETS.register_module()
class FirstSamples(_SlicedDataset):
    """The first samples of a data set, so many that they divide unevenly."""

    def __init__(self, dataset: dict, count: int) -> None:
        built = DATASETS.build(dataset)
        if hasattr(built, 'full_init'):
            built.full_init()
        super().__init__(built, min(count, len(built)))
