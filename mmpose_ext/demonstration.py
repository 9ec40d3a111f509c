"""What the demos of all families do: type commands, and show them."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from rich.progress import (
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from mmpose_ext.commands import run_synthesize
from mmpose_ext.families import family_module, family_names
from mmpose_ext.layout import project_root

LOG = 'demo.log'
_PROMPT = '$ python '
_POLL_S = .5
_TAIL = 15  # lines of a demo that failed


@dataclass(frozen=True)
class Figure:
    """A line of what came out.

    Attributes:
        title: What it is called.
        key: What the log of a test calls it.
        trivial: What it calls the same of the trivial answer.
        form: How to write both. Defaults to mm.
    """

    title: str
    key: str
    trivial: str
    form: str = '{:6.1f} mm'


class Demonstration:
    """Runs the tools as one would, on a synthetic world of its own.

    Args:
        out (Path): Folder for data and results; made if need be.
        family (str): Whose world is made.
        made (str): A file of the world that is written last; where it is,
            the world stands already.
    """

    def __init__(self, out: Path, family: str, made: str) -> None:
        data = (out / 'data').resolve()
        self.work_dir = (out / 'run').resolve()
        self.work_dir.mkdir(parents=True, exist_ok=True)
        self.world = data / 'synthetic' / family
        self.world.parent.mkdir(parents=True, exist_ok=True)
        # Several threads gain little on small images, and on a busy machine
        # they wait for each other: ten times slower.
        self._environment = {'OMP_NUM_THREADS': '1', **os.environ,
                             'MMPOSE_EXT_DATA': str(data)}
        if not (self.world / made).exists():
            # here, where everything is imported already
            words = self._announce('synthesize', family, '--out', self.world)
            if run_synthesize('', words[1:]):
                raise subprocess.CalledProcessError(1, words)

    def call(self, tool: str, *arguments: str | Path) -> None:
        """Run one of the tools.

        Raises:
            subprocess.CalledProcessError: If it fails.
        """
        words = self._announce(tool, *arguments)
        subprocess.run([sys.executable, *words], cwd=project_root(),
                       env=self._environment, check=True)

    def best_checkpoint(self, training: str = '') -> Path:
        """The newest of the best checkpoints.

        Args:
            training (str): Folder of a training in the working directory.
                Defaults to '': the directory itself.
        """
        return max((self.work_dir / training).glob('best_*.pth'),
                   key=lambda path: path.stat().st_mtime)

    def newest(self, pattern: str) -> Path:
        """The newest file of a pattern, looked for in the results."""
        return max(self.work_dir.glob(pattern),
                   key=lambda path: path.stat().st_mtime)

    def close(self, title: str, figures: Sequence[Figure],
              files: Mapping[str, str | Path], test: str = '') -> None:
        """Print what a test found, and where it can be looked at.

        Args:
            title (str): What the figures are.
            figures (Sequence[Figure]): A line each.
            files (Mapping[str, str | Path]): What there is to look at, and
                its path in the results.
            test (str): Folder of the test in the working directory. Defaults
                to '': the directory itself.
        """
        # MMEngine's log of a test, named by the second in which it began
        folder = Path(test)
        found = json.loads(self.newest(
            str(folder / '[0-9]*' / '[0-9]*.json')).read_text())
        print(f'\n{title}:')
        for figure in figures:
            ours, trivial = (figure.form.format(found[key])
                             for key in (figure.key, figure.trivial))
            print(f'  {figure.title:<24}{ours}   trivial answer {trivial}')
        for name, path in files.items():
            print(f'{name:<26}{self.work_dir / path}')

    @staticmethod
    def _announce(tool: str, *arguments: str | Path) -> list[str]:
        words = [f'tools/{tool}.py', *map(str, arguments)]
        print(f'\n{_PROMPT}{" ".join(words)}', flush=True)
        return words


def find_demos() -> dict[str, ModuleType]:
    """The demo of each family that has one, by the family's name.

    Each has ``run(out)`` and ``MINUTES``, about what it takes on one core.
    """
    return {
        name: module for name in family_names()
        if (module := family_module(name, 'demo')) is not None
    }


def run_side_by_side(commands: Mapping[str, Sequence[str]], out: Path,
                     at_once: int) -> list[str]:
    """Run demos as processes, some at a time, each with a log of its own.

    What is printed are the closing lines of each, in the order in which they
    end, and what goes on, on the standard error.

    Args:
        commands (Mapping[str, Sequence[str]]): Name to command line.
        out (Path): Each has its log in the folder of its name here.
        at_once (int): Processes at a time.

    Returns:
        list[str]: The names of those that failed.
    """
    failed: list[str] = []
    columns = (SpinnerColumn(), TimeElapsedColumn(),
               TextColumn('{task.description}'))
    with Progress(*columns, transient=True) as progress:

        def run(name: str) -> None:
            log = out / name / LOG
            log.parent.mkdir(parents=True, exist_ok=True)
            task = progress.add_task(name)
            began = time.monotonic()
            with log.open('wb') as file:
                process = subprocess.Popen(commands[name], stdout=file,
                                           stderr=subprocess.STDOUT)
                while process.poll() is None:
                    progress.update(
                        task, description=f'{name}: {_current_step(log)}')
                    time.sleep(_POLL_S)
            progress.remove_task(task)
            minutes = (time.monotonic() - began) / 60
            if process.returncode:
                failed.append(name)
            progress.console.print(
                f'\n{name}: {"FAILED" if process.returncode else "done"} '
                f'after {minutes:.1f} minutes, log {log}\n'
                + _last_words(log, bool(process.returncode)),
                markup=False, highlight=False, soft_wrap=True)

        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(run, commands))
    return failed


def _current_step(log: Path) -> str:
    """The last command that a log shows, without paths."""
    lines = [line for line in _lines(log) if line.startswith(_PROMPT)]
    words = lines[-1].removeprefix(_PROMPT).split() if lines else []
    return ' '.join(Path(word).name for word in words[:2]) or 'starting'


def _last_words(log: Path, failed: bool) -> str:
    """What a demo closed with, or printed before it failed."""
    lines = _lines(log)
    if failed:
        return '\n'.join(lines[-_TAIL:])
    last = max((i for i, line in enumerate(lines)
                if line.startswith(_PROMPT)), default=0)
    # `Demonstration.close` begins with an empty line and a title
    titles = [i + 1 for i in range(last, len(lines) - 1)
              if not lines[i] and lines[i + 1].endswith(':')]
    return '\n'.join(lines[titles[0]:] if titles else lines[-_TAIL:])


def _lines(log: Path) -> list[str]:
    return log.read_text(errors='replace').splitlines()
