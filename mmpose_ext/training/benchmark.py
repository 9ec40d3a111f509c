"""``tools/benchmark.py`` for a config: the same figures for every family.

A family derives :class:`Benchmark` and says what is its own: what a sample
is, how it predicts, what stands beside it, what its cost depends on.
"""
from __future__ import annotations

import argparse
import contextlib
import copy
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmpose_ext.storage import DataError, atomic_file
from mmpose_ext.training.benchmark_figures import (
    Session,
    bare_training,
    count_complexity,
    measure_loading,
    measure_training,
    open_session,
    start_training,
)
from mmpose_ext.training.processes import (
    measure_processes,
    measure_this_process,
)
from mmpose_ext.training.stopwatch import (
    Step,
    describe_machine,
    measure_by_turns,
)

PROCESSES = 'processes'
_PROCESS_COUNTS = (1, 2)


class Work(NamedTuple):
    """Something to time.

    Attributes:
        step: Called again and again.
        samples: Dealt with in one call.
    """

    step: Step
    samples: int


class ScalingAxis(NamedTuple):
    """A number of a config on which the cost depends.

    Attributes:
        label: What is counted, for people.
        values: To try.
        apply: Changes a config to one of them.
    """

    label: str
    values: tuple[int, ...]
    apply: Callable[[Config, int], None]


def _set_batch_size(config: Config, value: int) -> None:
    config.train_dataloader.batch_size = value


class Benchmark:
    """What ``tools/benchmark.py`` measures of a config.

    Attributes:
        unit: What rates count.
        iterations: Of training, by default.
        batch_sizes: To try with ``--scaling batch``.
    """

    unit = 'samples'
    iterations = 160
    batch_sizes: tuple[int, ...] = (1, 4, 16, 64)

    def prepare(self, config: Config) -> Config:
        """A copy of a config that starts from nothing."""
        config = copy.deepcopy(config)
        config.load_from = None
        return config

    def count_samples(self, session: Session) -> int:
        """How many a batch has."""
        return session.batch_size

    def count_complexity(self, session: Session) -> dict[str, Any]:
        """See :func:`benchmark_figures.count_complexity`."""
        return count_complexity(session)

    def bare_training(self, runner: Runner, batch: Any) -> Step:
        """See :func:`benchmark_figures.bare_training`."""
        return bare_training(runner, batch)

    def inference(self, session: Session) -> dict[str, Work]:
        """What predicting is.

        Returns:
            dict[str, Work]: ``ours``, from a batch in memory to predictions,
            ``bare``, the network alone on as many ready tensors, and more if
            the family has more to compare.
        """
        raise NotImplementedError

    def axes(self, config: Config) -> dict[str, ScalingAxis]:
        """What the cost depends on, by the words of ``--scaling``."""
        return dict(batch=ScalingAxis(
            f'{self.unit} a batch', self.batch_sizes, _set_batch_size))

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the family's own options."""

    def measure_instead(self, config: Config,
                        arguments: argparse.Namespace
                        ) -> dict[str, Any] | None:
        """Figures that one of the family's options asks for alone."""

    def measure_more(self, session: Session,
                     arguments: argparse.Namespace) -> dict[str, Any]:
        """Figures that this family has beside those of all."""
        return {}

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of the command."""
        parser.add_argument(
            '--json', nargs='?', const='-', metavar='FILE',
            help='write figures as JSON to FILE, or in place of the text')
        parser.add_argument(
            '--iterations', type=_positive(int), default=self.iterations,
            help='training iterations to measure (default: %(default)s)')
        parser.add_argument(
            '--seconds', type=_positive(float), default=2.,
            help='length of each other measurement (default: 2)')
        parser.add_argument(
            '--threads', type=_positive(int), default=1,
            help='threads of torch; rates per CPU-second want 1 (default: 1)')
        parser.add_argument(
            '--scaling', nargs='*', metavar='AXIS',
            help='what a step costs for several values of each AXIS, by '
            'default of all that the config has: batch, processes ...')
        parser.add_argument(
            '--launcher', choices=['none', 'pytorch'], default='none',
            help='measure training alone, in all processes of torchrun')
        self.add_options(parser)

    def run(self, config: Config, arguments: argparse.Namespace) -> int:
        """Measure and publish."""
        torch.set_num_threads(arguments.threads)
        if arguments.launcher != 'none':
            config = self.prepare(config)
            config.launcher = arguments.launcher
            with self.open(config) as session:
                found = measure_this_process(session, arguments.iterations)
        elif arguments.scaling is not None:
            found = dict(scaling={
                name: self.measure_axis(config, name, arguments)
                for name in self._chosen_axes(config, arguments.scaling)})
        else:
            found = (self.measure_instead(config, arguments)
                     or self.measure(config, arguments))
        if found is not None:  # as in the main process
            publish(dict(config=str(config.filename), **found),
                    arguments.json)
        return 0

    @contextlib.contextmanager
    def open(self, config: Config) -> Iterator[Session]:
        """Open a session of a prepared config; its batch counts samples."""
        with open_session(config) as session:
            yield dataclasses.replace(
                session, batch_size=self.count_samples(session))

    def measure(self, config: Config,
                arguments: argparse.Namespace) -> dict[str, Any]:
        """The figures of all families, then those of this one."""
        with self.open(self.prepare(config)) as session:
            figures: dict[str, Any] = dict(
                unit=self.unit, batch_size=session.batch_size,
                axes=[*self.axes(config), PROCESSES],
                machine=describe_machine(session.runner.model),
                complexity=self.count_complexity(session),
                loading=measure_loading(session, arguments.iterations),
                training=measure_training(
                    session, arguments.iterations, self.bare_training),
                inference=self._measure_inference(
                    session, arguments.seconds))
            # before there was anything but a training
            figures['peak_memory_mib'] = figures['training'].pop(
                'peak_memory_mib')
            return dict(figures, **self.measure_more(session, arguments))

    def _measure_inference(self, session: Session,
                           seconds: float) -> dict[str, Any]:
        works = self.inference(session)
        rates: dict[str, Any] = dict(measure_by_turns(
            {name: work.step for name, work in works.items()},
            {name: work.samples for name, work in works.items()}, seconds))
        core = {name: rates.pop(name) for name in ('ours', 'bare')}
        ratio = (core['ours']['per_cpu_second']
                 / core['bare']['per_cpu_second'])
        return dict(core, ratio=ratio, **rates)

    def _chosen_axes(self, config: Config,
                     asked: list[str]) -> list[str]:
        known = [*self.axes(config), PROCESSES]
        for name in asked:
            if name not in known:
                raise DataError('command line', '--scaling',
                                f'some of {", ".join(known)}', name)
        return asked or known

    def measure_axis(self, config: Config, name: str,
                     arguments: argparse.Namespace) -> dict[str, Any]:
        """What a step costs for each value of an axis.

        Returns:
            dict: ``label``, and by value ``flops`` of a sample and the rates
            of ``training`` (a bare step), ``preparing`` (what the data
            preprocessor does) and ``inference``; of processes see
            :func:`measure_processes`.
        """
        if name == PROCESSES:
            return dict(label='processes', values={
                str(count): measure_processes(
                    self.prepare(config), count, arguments.iterations)
                for count in _PROCESS_COUNTS})
        axis = self.axes(config)[name]
        found = {}
        for value in axis.values:
            changed = self.prepare(config)
            axis.apply(changed, value)
            with self.open(changed) as session:
                found[str(value)] = self._measure_value(
                    session, arguments.seconds)
        return dict(label=axis.label, values=found)

    def _measure_value(self, session: Session,
                       seconds: float) -> dict[str, Any]:
        flops = self.count_complexity(session)['flops']
        runner, batch = session.runner, session.batch
        start_training(runner)
        preprocess = runner.model.data_preprocessor
        works = dict(
            training=Work(self.bare_training(runner, batch),
                          session.batch_size),
            preparing=Work(lambda: preprocess(batch, True),
                           session.batch_size),
            inference=self.inference(session)['ours'])
        return dict(measure_by_turns(
            {name: work.step for name, work in works.items()},
            {name: work.samples for name, work in works.items()}, seconds),
            flops=flops)


def _positive(kind: type) -> Callable[[str], Any]:

    def number(text: str) -> Any:
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f'{text} is not above 0')
        return value

    return number


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
            f'{value:,}' if isinstance(value, int) else
            ', '.join(value) if isinstance(value, list) else value)
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
