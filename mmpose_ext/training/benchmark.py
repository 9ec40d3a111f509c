"""What a config costs: parameters, operations, rates and memory.

Rates are per CPU-second on a CPU, so that other work on the machine does not
count, and what is compared runs by turns, so that a change of the clock rate
hits both alike.
"""
from __future__ import annotations

import argparse
import contextlib
import copy
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmpose_ext.storage import atomic_file

# Builds what is compared with an iteration of the Runner; called once, with
# the Runner and its first batch.
MakeStep = Callable[[Runner, Any], Callable[[], None]]

WARM_UP = 10
ROUNDS = 8


class Stopwatch:
    """Adds up wall and CPU time of the pieces it is started for."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.
        self.count = 0

    @contextlib.contextmanager
    def timing(self, count: int = 1) -> Iterator[None]:
        """Time the body, which does a thing ``count`` times."""
        self.start()
        yield
        self.stop(count)

    def start(self) -> None:
        """Begin a piece."""
        _wait_for_device()
        self._began = time.perf_counter(), time.process_time()

    def stop(self, count: int = 1) -> None:
        """End the piece, in which a thing was done ``count`` times."""
        _wait_for_device()
        self.wall += time.perf_counter() - self._began[0]
        self.cpu += time.process_time() - self._began[1]
        self.count += count

    def rate(self, samples: int) -> dict[str, float]:
        """Rates, if each time dealt with that many samples."""
        done = self.count * samples
        return dict(
            per_second=done / self.wall,
            per_cpu_second=done / self.cpu,
            ms=1e3 * self.wall / self.count,
            cpu_ms=1e3 * self.cpu / self.count)


@dataclass(frozen=True)
class Session:
    """A Runner that is ready to train, and its first batch.

    Attributes:
        runner: Without validation, working in a temporary folder.
        batch: As the data loader gives it.
        batch_size: Samples in it.
    """

    runner: Runner
    batch: Any
    batch_size: int


@contextlib.contextmanager
def open_session(config: Config) -> Iterator[Session]:
    """Build a config's Runner for measuring; what it logs goes to stderr.

    Validation and testing are left out and the schedule is long enough. On a
    CPU the data is loaded in this process, where its CPU time is seen.

    Args:
        config (Config): Of a training.
    """
    config = copy.deepcopy(config)
    # one with a name would be shared with other sessions
    config.get('visualizer', {}).pop('name', None)
    for part in ('val', 'test'):
        for key in ('dataloader', 'cfg', 'evaluator'):
            config[f'{part}_{key}'] = None
    for limit in ('max_epochs', 'max_iters'):
        if limit in config.train_cfg:
            config.train_cfg[limit] = 10**6
    if not torch.cuda.is_available():
        config.train_dataloader.update(
            num_workers=0, persistent_workers=False)
        config.train_dataloader.pop('prefetch_factor', None)
    with (tempfile.TemporaryDirectory() as folder,
          contextlib.redirect_stdout(sys.stderr)):
        config.work_dir = folder
        # MMEngine shares visualizers and loggers between equal names, and
        # makes them from the second in which a Runner is built.
        config.experiment_name = Path(folder).name
        runner = Runner.from_cfg(config)
        batch = next(iter(runner.build_dataloader(config.train_dataloader)))
        yield Session(runner, batch, config.train_dataloader.batch_size)


def count_complexity(session: Session) -> dict[str, int]:
    """Parameters, and operations of one sample's forward pass.

    Returns:
        dict[str, int]: ``parameters``, ``trainable``, ``flops`` (additions
        and multiplications of convolutions and matrix products) and
        ``macs``, half of them.
    """
    model = session.runner.model
    training = model.training
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(**model.data_preprocessor(session.batch, False), mode='tensor')
    model.train(training)
    flops = counter.get_total_flops() // session.batch_size
    parameters = list(model.parameters())
    return dict(
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        flops=flops,
        macs=flops // 2)


def measure_loading(session: Session, batches: int) -> dict[str, float]:
    """Rate of the training data loader alone."""
    loader = session.runner.build_dataloader(
        session.runner.cfg.train_dataloader)
    watch = Stopwatch()

    def endless() -> Iterator[Any]:
        while True:
            yield from loader

    stream = endless()
    next(stream)
    with watch.timing(batches):
        for _ in range(batches):
            next(stream)
    return watch.rate(session.batch_size)


def measure_training(session: Session,
                     iterations: int,
                     make_bare: MakeStep | None = None) -> dict[str, Any]:
    """Rate of training through the Runner, with all hooks of the config.

    Timed is the steady state: from the end of an iteration to the end of a
    later one, loading, augmentation, optimisation and hooks included.

    Args:
        session (Session): Used up by this.
        iterations (int): To measure, after a warm-up.
        make_bare (MakeStep, optional): Builds an iteration to compare with,
            run in turns with the Runner's. Defaults to None.

    Returns:
        dict: ``runner`` and, if compared, ``bare`` rates in samples,
        ``ratio`` of the CPU rates (above 1: the Runner is faster),
        ``preprocessing_ms`` (transfer, normalisation and augmentation) and
        ``overhead_ms`` (all that the Runner does beside those and the
        iteration itself), both of CPU time an iteration.
    """
    runner = session.runner
    step = None
    if make_bare is not None:
        step = make_bare(runner, session.batch)
    hook = _TakingTurns(step, max(1, iterations // ROUNDS))
    runner.register_hook(hook, priority='LOWEST')
    with contextlib.suppress(_Measured):
        runner.train()
    result: dict[str, Any] = dict(runner=hook.runner.rate(session.batch_size))
    if step is not None:
        ours, bare = result['runner'], hook.bare.rate(session.batch_size)
        preprocessing = _time_preprocessing(session, iterations)
        result.update(
            bare=bare,
            ratio=ours['per_cpu_second'] / bare['per_cpu_second'],
            preprocessing_ms=preprocessing,
            overhead_ms=ours['cpu_ms'] - bare['cpu_ms'] - preprocessing)
    return result


def _time_preprocessing(session: Session, iterations: int) -> float:
    """CPU-milliseconds of preparing a batch for training."""
    preprocess = session.runner.model.data_preprocessor
    preprocess(session.batch, True)
    start = time.process_time()
    for _ in range(iterations):
        preprocess(session.batch, True)
    return (time.process_time() - start) / iterations * 1e3


class _Measured(Exception):  # noqa: N818 - it is no error
    """Enough iterations were seen."""


class _TakingTurns(Hook):
    """Times blocks of the Runner's iterations, and of others in between."""

    def __init__(self, step: Callable[[], None] | None, block: int) -> None:
        self.step, self.block = step, block
        self.runner, self.bare = Stopwatch(), Stopwatch()
        self._seen = -WARM_UP

    def after_train_iter(self, runner: Runner, *args: Any,
                         **kwargs: Any) -> None:
        """Change turns at the end of a block."""
        self._seen += 1
        if self._seen < 0 or self._seen % self.block:
            return
        if self._seen:
            self.runner.stop(self.block)
        if self.step is not None:
            self.step()  # warm caches, as the Runner's are within a block
            with self.bare.timing(self.block):
                for _ in range(self.block):
                    self.step()
        if self._seen >= ROUNDS * self.block:
            raise _Measured
        self.runner.start()


def measure_by_turns(steps: dict[str, Callable[[], None]],
                     samples: dict[str, int],
                     seconds: float) -> dict[str, dict[str, float]]:
    """Rates and latencies of several functions, called in turns.

    Args:
        steps (dict[str, Callable]): What to call, by name.
        samples (dict[str, int]): Samples dealt with in one call.
        seconds (float): About how long to measure each.

    Returns:
        dict: For each name the rates of :class:`Stopwatch` and
        ``median_ms``, ``p95_ms`` of a call.
    """
    watches = {name: Stopwatch() for name in steps}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    while min(watch.wall for watch in watches.values()) < seconds:
        for name, step in steps.items():
            began = watches[name].wall
            # as many calls a turn as take about a tenth of a second
            for _ in range(1000):
                before = watches[name].wall
                with watches[name].timing():
                    step()
                times[name].append(watches[name].wall - before)
                if watches[name].wall - began > .1:
                    break
    return {
        name: dict(
            watch.rate(samples[name]),
            median_ms=1e3 * statistics.median(times[name]),
            p95_ms=1e3 * float(np.quantile(times[name], .95)))
        for name, watch in watches.items()
    }


def peak_memory() -> dict[str, float]:
    """Largest memory that this process and its GPU took so far, MiB."""
    memory = dict(process=_process_peak())
    if torch.cuda.is_available():
        memory['gpu'] = torch.cuda.max_memory_allocated() / 2**20
    return memory


def _process_peak() -> float:
    status = Path('/proc/self/status')
    if status.exists():
        # what getrusage tells begins with that of the process's parent
        line = next(line for line in status.read_text().splitlines()
                    if line.startswith('VmHWM:'))
        return int(line.split()[1]) / 2**10
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, others KiB
    return rss / (2**20 if sys.platform == 'darwin' else 2**10)


def bare_optimizer(runner: Runner, model: nn.Module) -> torch.optim.Optimizer:
    """The config's optimiser of all parameters, as plain torch has it.

    Args:
        runner (Runner): Whose config to follow.
        model (nn.Module): What learns.
    """
    settings = dict(runner.cfg.optim_wrapper.optimizer)
    kind = getattr(torch.optim, settings.pop('type'))
    optimizer: torch.optim.Optimizer = kind(model.parameters(), **settings)
    return optimizer


def describe_machine(model: nn.Module) -> dict[str, Any]:
    """Device, precision, threads and torch release of a measurement."""
    parameter = next(model.parameters())
    name = (torch.cuda.get_device_name(parameter.device)
            if parameter.is_cuda else 'cpu')
    return dict(
        device=name,
        precision=str(parameter.dtype).removeprefix('torch.'),
        threads=torch.get_num_threads(),
        torch=torch.__version__)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that every family's benchmark has."""
    parser.add_argument(
        '--json', nargs='?', const='-', metavar='FILE',
        help='write figures as JSON to FILE, or in place of the text')
    parser.add_argument(
        '--iterations', type=int, default=160,
        help='training iterations to measure (default: 160)')
    parser.add_argument(
        '--seconds', type=float, default=2.,
        help='length of each other measurement (default: 2)')
    parser.add_argument(
        '--threads', type=int, default=1,
        help='threads of torch; rates per CPU-second want 1 (default: 1)')


def publish(figures: dict[str, Any], target: str | None) -> None:
    """Print figures as text, or write them as JSON.

    Args:
        figures (dict): Nested.
        target (str, optional): File, or ``-`` for standard output in place
            of the text. Defaults to None: text only.
    """
    text = json.dumps(figures, indent=2)
    if target == '-':
        print(text)
        return
    for name, value in flatten(figures):
        number = f'{value:,.6g}' if isinstance(value, float) else (
            f'{value:,}' if isinstance(value, int) else value)
        print(f'{name:<50}{number}')
    if target is not None:
        with atomic_file(Path(target)) as temporary:
            temporary.write_text(text + '\n')


def flatten(figures: dict[str, Any],
            prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Names joined by dots, and values, of nested figures."""
    for key, value in figures.items():
        if isinstance(value, dict):
            yield from flatten(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value


def _wait_for_device() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
