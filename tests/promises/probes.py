"""What the promise tests add to a family's config to look inside a run."""
from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.runner import _SlicedDataset

from mmpose_ext.registry import DATASETS, HOOKS


@HOOKS.register_module()
class KillProbe(Hook):
    """Disturbs the process at ``$PROMISE_KILL``.

    It reads ``stage:iterations done``; the stage is a method of a hook.
    ``+.2`` after it is for .2 seconds later, whatever is going on then.
    ``$PROMISE_DISTURBANCE`` tells what happens in place of a SIGKILL:
    ``raise``; ``worker``, which kills one of the data loader; or the size in
    bytes that no file may exceed from then on, as on a full disk.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        stage, _, moment = os.environ.get('PROMISE_KILL', '').partition(':')
        if stage:
            at, _, delay = moment.partition('+')
            self._at, self._delay = int(at), float(delay or 0)
            setattr(self, stage, self._disturb)

    def _disturb(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if runner.iter != self._at:
            return
        what = os.environ.get('PROMISE_DISTURBANCE', '')
        if what.isdigit():
            _write_through_pipe()
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(what), ) * 2)
        elif what == 'worker':
            multiprocessing.active_children()[0].kill()
        elif what:
            raise RuntimeError('disturbed on purpose')
        elif self._delay:
            threading.Timer(
                self._delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        else:
            os.kill(os.getpid(), signal.SIGKILL)


def _write_through_pipe() -> None:
    """Let the output, which would be a terminal's, go where files may grow."""
    log = subprocess.Popen(['cat'], stdin=subprocess.PIPE)
    for stream in (1, 2):
        os.dup2(log.stdin.fileno(), stream)


def _append(path: Path, **figures: float) -> None:
    """Add a line to a file, if the disk is not full."""
    with contextlib.suppress(OSError), path.open('a') as file:
        file.write(json.dumps(figures) + '\n')


@HOOKS.register_module()
class LossProbe(Hook):
    """Writes the loss of every iteration of every process."""

    def before_run(self, runner: Runner) -> None:
        self._file = Path(runner.work_dir, f'losses_{runner.rank}.jsonl')

    def after_train_iter(self, runner: Runner, batch_idx: int,
                         data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        _append(self._file, iter=runner.iter,
                loss=float(outputs['loss'].detach()))


@HOOKS.register_module()
class MetricProbe(Hook):
    """Writes the metrics of every validation, or of a test."""

    priority = 'VERY_HIGH'

    def after_val_epoch(self, runner: Runner,
                        metrics: dict | None = None) -> None:
        numbers = {key: float(value) for key, value in metrics.items()
                   if isinstance(value, (int, float))}
        file = Path(runner.work_dir, f'metrics_{runner.rank}.jsonl')
        _append(file, iter=runner.iter, **numbers)

    after_test_epoch = after_val_epoch


@HOOKS.register_module()
class CompileProbe(Hook):
    """Writes how much was compiled, where that was asked for."""

    def after_train(self, runner: Runner) -> None:
        if runner.cfg.get('compile'):
            from torch._dynamo.utils import counters
            Path(runner.work_dir, 'compiled.json').write_text(
                json.dumps(counters['stats']))


@DATASETS.register_module()
class FirstSamples(_SlicedDataset):
    """The first samples of a data set, so many that they divide unevenly."""

    def __init__(self, dataset: dict, count: int) -> None:
        built = DATASETS.build(dataset)
        if hasattr(built, 'full_init'):
            built.full_init()
        super().__init__(built, min(count, len(built)))
