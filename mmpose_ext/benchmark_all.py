"""``tools/benchmark.py``: of a config, or with ``--all`` of every tiny one.

Each config is measured in a process of its own, so that its peak memory is
its own, and so that what fails leaves the others alone.
"""
from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmpose_ext.benchmark_page import write_page
from mmpose_ext.commands import run_command, run_synthesize
from mmpose_ext.families import family_names
from mmpose_ext.layout import project_root
from mmpose_ext.progress import prediction_progress
from mmpose_ext.storage import DataError, atomic_file

TINY = '*_tiny_synthetic.py'
_QUICK = ['--seconds', '0.05', '--iterations', '8']
_SECONDS = 7200  # a process may take


@dataclass
class Results:
    """What was measured.

    Attributes:
        machine: ``cpu``, ``cores``, ``load`` and ``python``.
        configs: By path from the project's root the figures of a config, or
            its ``error``.
        scaling: By family the ``config``, the ``unit`` and the figures of
            ``--scaling``, or its ``error``.
    """

    machine: dict[str, Any] = field(default_factory=dict)
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    scaling: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether anything did not work."""
        return any('error' in found for found in (
            *self.configs.values(), *self.scaling.values()))


def run_benchmark(description: str,
                  argv: Sequence[str] | None = None) -> int:
    """Run ``tools/benchmark.py``.

    Args:
        description (str): For ``--help``.
        argv (Sequence[str], optional): Defaults to the command line.

    Returns:
        int: Exit code; 1 for bad data or a config that fails, 2 for wrong
        usage.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if '--all' not in argv:
        return run_command(
            'benchmark',
            f'{description} In place of CONFIG, --all measures the tiny '
            'configs of all families: --all --help lists its options.', argv)
    arguments = _parse(description, argv)
    try:
        for target in (arguments.markdown, arguments.json):
            if target not in (None, '-') and not Path(
                    target).resolve().parent.is_dir():
                raise DataError(target, 'file', 'a folder that exists',
                                'none')
        results = measure_all(
            arguments.family, _options(arguments), not arguments.quick)
        _publish(results, arguments)
    except DataError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return int(results.failed)


def _parse(description: str, argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='tools/benchmark.py', description=description)
    parser.add_argument(
        '--all', action='store_true', required=True,
        help='measure every *_tiny_synthetic config; data that is not there '
        'is synthesised into $MMPOSE_EXT_DATA (or data)')
    parser.add_argument(
        '--markdown', nargs='?', const='-', metavar='FILE',
        help='write a page to FILE, with curves in images/ beside it '
        '(default: print the page)')
    parser.add_argument(
        '--json', nargs='?', const='-', metavar='FILE',
        help='write figures as JSON to FILE, or print them')
    parser.add_argument(
        '--family', nargs='+', choices=family_names(),
        default=list(family_names()), help='only the configs of these')
    parser.add_argument('--seconds', help='as for a config')
    parser.add_argument('--iterations', help='as for a config')
    parser.add_argument(
        '--quick', action='store_true',
        help='as short as possible, and no curves')
    return parser.parse_args(argv)


def _options(arguments: argparse.Namespace) -> list[str]:
    """For the command of a config; the last of equal ones counts."""
    options = list(_QUICK) if arguments.quick else []
    for name in ('seconds', 'iterations'):
        value = getattr(arguments, name)
        if value is not None:
            options += [f'--{name}', value]
    return options


def measure_all(families: Sequence[str], options: Sequence[str],
                scaling: bool = True) -> Results:
    """Measure the tiny configs of families.

    Args:
        families (Sequence[str]): Their names.
        options (Sequence[str]): Of ``tools/benchmark.py`` for a config.
        scaling (bool): Whether to measure also, of each family, the config
            that depends on most. Defaults to True.
    """
    paths = {
        family: sorted((project_root() / 'configs' / family).glob(TINY))
        for family in families}
    results = Results(machine=describe_host())
    count = sum(map(len, paths.values())) + scaling * len(paths)
    with prediction_progress() as progress:
        task = progress.add_task('benchmark', total=count)

        def measuring(name: str) -> Iterator[None]:
            progress.update(task, description=name)
            yield
            progress.advance(task)

        shown = contextlib.contextmanager(measuring)
        for family, configs in paths.items():
            with contextlib.redirect_stdout(sys.stderr):
                _synthesize(family)
            for path in configs:
                with shown(path.stem):
                    name = str(path.relative_to(project_root()))
                    results.configs[name] = dict(
                        measure_apart(path, options), family=family)
            if scaling and configs:
                with shown(f'scaling of {family}'):
                    results.scaling[family] = _scale(
                        results.configs, family, options)
    return results


def _synthesize(family: str) -> None:
    root = Path(os.environ.get('MMPOSE_EXT_DATA', 'data'), 'synthetic')
    if not (root / family).exists():
        root.mkdir(parents=True, exist_ok=True)
        run_synthesize('', [family])  # what fails is seen by its configs


def _scale(configs: dict[str, dict[str, Any]], family: str,
           options: Sequence[str]) -> dict[str, Any]:
    """The curves of the config that depends on most."""
    found = {name: figures for name, figures in configs.items()
             if figures['family'] == family and 'error' not in figures}
    if not found:
        return dict(error='none of its configs could be measured')
    name = max(found, key=lambda name: len(found[name]['axes']))
    figures = measure_apart(project_root() / name, [*options, '--scaling'])
    return dict(figures, config=name, unit=found[name]['unit'])


def measure_apart(config: Path, options: Sequence[str]) -> dict[str, Any]:
    """Measure a config in a process of its own.

    Returns:
        dict: What ``tools/benchmark.py --json`` writes, or ``error``.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / 'figures.json'
        try:
            done = subprocess.run(
                [sys.executable, str(project_root() / 'tools/benchmark.py'),
                 str(config), *options, '--json', str(out)],
                env={'OMP_NUM_THREADS': '1', **os.environ},
                capture_output=True, text=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            return dict(error=f'not done after {_SECONDS} s')
        if done.returncode or not out.exists():
            lines = done.stderr.strip().splitlines()
            return dict(error=lines[-1].removeprefix('error: ') if lines else
                        f'exit code {done.returncode}')
        figures: dict[str, Any] = json.loads(out.read_text())
    return figures


def describe_host() -> dict[str, Any]:
    """The processor, its cores, and how busy they are."""
    info = Path('/proc/cpuinfo')
    names = [line.partition(':')[2].strip()
             for line in info.read_text().splitlines()
             if line.startswith('model name')] if info.exists() else []
    return dict(
        cpu=names[0] if names else platform.processor() or platform.machine(),
        cores=os.cpu_count(), load=os.getloadavg()[0],
        python=platform.python_version())


def _publish(results: Results, arguments: argparse.Namespace) -> None:
    figures = asdict(results)
    text = json.dumps(figures, indent=2)
    if arguments.json == '-':
        print(text)
    elif arguments.json is not None:
        with atomic_file(arguments.json) as temporary:
            temporary.write_text(text + '\n')
    if arguments.markdown is not None or arguments.json is None:
        write_page(figures, arguments.markdown or '-')
