"""What a config costs: operations, and rates of loading and training."""
from __future__ import annotations

import contextlib
import copy
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmpose_ext.training.stopwatch import Step, Stopwatch, peak_memory

# Builds what is compared with an iteration of the Runner; called once, when
# the run has begun, with the Runner and its first batch.
MakeStep = Callable[[Runner, Any], Step]

WARM_UP = 10
ROUNDS = 8


@dataclass(frozen=True)
class Session:
    """A Runner that is ready to train, and its first batch.

    Attributes:
        runner: Without validation, working in a temporary folder.
        batch: As the data loader gives it.
        batch_size: Samples in it.
        config: What it was opened with.
    """

    runner: Runner
    batch: Any
    batch_size: int
    config: Config = field(default_factory=Config)


@contextlib.contextmanager
def open_session(config: Config) -> Iterator[Session]:
    """Build a config's Runner for measuring; what it logs goes to stderr.

    Validation and testing are left out and the schedule is long enough. On a
    CPU the data is loaded in this process, where its CPU time is seen.

    Args:
        config (Config): Of a training.
    """
    given, config = config, copy.deepcopy(config)
    # one with a name would be shared with other sessions
    config.get('visualizer', {}).pop('name', None)
    for part in ('val', 'test'):
        for key in ('dataloader', 'cfg', 'evaluator'):
            config[f'{part}_{key}'] = None
    # MMEngine takes 10^9 iterations for a run without an end
    for limit, enough in (('max_epochs', 2000), ('max_iters', 10**6)):
        if limit in config.train_cfg:
            config.train_cfg[limit] = enough
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
        yield Session(runner, batch, config.train_dataloader.batch_size,
                      given)


def count_parameters(model: nn.Module) -> dict[str, int]:
    """All ``parameters`` of a model, and those that are ``trainable``."""
    parameters = list(model.parameters())
    return dict(
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad))


def count_operations(model: nn.Module,
                     forward: Callable[[Any], Any]) -> int:
    """Additions and multiplications of convolutions and matrix products.

    Args:
        model (nn.Module): Not changed.
        forward (Callable): A forward pass; given a copy of the model.
    """
    # the counter's hooks take parameters for inputs with a gradient
    model = copy.deepcopy(model).requires_grad_(False).eval()
    # as products of matrices, attention is counted on every device
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (torch.no_grad(), sdpa_kernel(SDPBackend.MATH),
              FlopCounterMode(display=False) as counter):
            forward(model)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops())


def count_complexity(session: Session) -> dict[str, int]:
    """Parameters, and operations of one sample's forward pass.

    Returns:
        dict[str, int]: ``parameters``, ``trainable``, ``flops``, see
        :func:`count_operations`, and ``macs``, half of them.
    """
    model: Any = session.runner.model
    training = model.training
    model.eval()
    ready = model.data_preprocessor(session.batch, False)
    model.train(training)
    flops = count_operations(
        model, lambda network: network(**ready, mode='tensor')
    ) // session.batch_size
    return dict(count_parameters(model), flops=flops, macs=flops // 2)


def measure_loading(session: Session, batches: int) -> dict[str, float]:
    """Rate of the training data loader alone."""
    stream = endless(session.runner.build_dataloader(
        session.runner.cfg.train_dataloader))
    watch = Stopwatch()
    next(stream)
    with watch.timing(batches):
        for _ in range(batches):
            next(stream)
    return watch.rate(session.batch_size)


def endless(loader: Iterable[Any]) -> Iterator[Any]:
    """Batches of one epoch after the other."""
    while True:
        yield from loader


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
        iteration itself), both of CPU time an iteration; and
        ``peak_memory_mib``, as it was before anything was compared.
    """
    runner = session.runner
    hook = _TakingTurns(make_bare, session.batch,
                        max(1, iterations // ROUNDS))
    runner.register_hook(hook, priority='LOWEST')
    with contextlib.suppress(_Measured):
        runner.train()
    result: dict[str, Any] = dict(runner=hook.runner.rate(session.batch_size))
    if make_bare is not None:
        ours, bare = result['runner'], hook.bare.rate(session.batch_size)
        preprocessing = _time_preprocessing(session, iterations)
        result.update(
            bare=bare,
            ratio=ours['per_cpu_second'] / bare['per_cpu_second'],
            preprocessing_ms=preprocessing,
            overhead_ms=ours['cpu_ms'] - bare['cpu_ms'] - preprocessing)
    return dict(result, peak_memory_mib=hook.peak)


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

    def __init__(self, make_bare: MakeStep | None, batch: Any,
                 block: int) -> None:
        self.make_bare, self.batch, self.block = make_bare, batch, block
        self.runner, self.bare = Stopwatch(), Stopwatch()
        self.peak: dict[str, float] = {}
        self._step: Step | None = None
        self._seen = -WARM_UP

    def after_train_iter(self, runner: Runner, *args: Any,
                         **kwargs: Any) -> None:
        """Change turns at the end of a block."""
        self._seen += 1
        if self._seen < 0 or self._seen % self.block:
            return
        if self._seen:
            self.runner.stop(self.block)
        else:
            self.peak = peak_memory()
            # now, for hooks change the model as the run begins
            if self.make_bare is not None:
                self._step = self.make_bare(runner, self.batch)
        if self._step is not None:
            self._step()  # warm caches, as the Runner's are within a block
            with self.bare.timing(self.block):
                for _ in range(self.block):
                    self._step()
        if self._seen >= ROUNDS * self.block:
            raise _Measured
        self.runner.start()


def start_training(runner: Runner) -> Step:
    """Start a Runner and return an iteration of it, with all its hooks."""
    stop = _StopAtOnce()
    runner.register_hook(stop, priority='LOWEST')
    with contextlib.suppress(_Started):
        runner.train()
    runner.hooks.remove(stop)
    loop = runner.train_loop
    stream = enumerate(endless(loop.dataloader))

    def step() -> None:
        loop.run_iter(*next(stream))

    return step


class _Started(Exception):  # noqa: N818 - it is no error
    """The first iteration is over."""


class _StopAtOnce(Hook):

    def after_train_iter(self, *args: Any, **kwargs: Any) -> None:
        raise _Started


def bare_training(runner: Runner, batch: Any) -> Step:
    """An iteration of training on a ready batch, and nothing else.

    Args:
        runner (Runner): Whose network to copy.
        batch (dict): As the data loader gives it.
    """
    model: Any = copy.deepcopy(runner.model).train()
    ready = model.data_preprocessor(batch, True)
    optimizer = bare_optimizer(runner, model)

    def step() -> None:
        optimizer.zero_grad()
        losses = model(**ready, mode='loss')
        sum(value for name, value in losses.items()
            if 'loss' in name).backward()
        optimizer.step()

    return step


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
