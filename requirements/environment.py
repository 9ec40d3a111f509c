"""The environment that a setup works on: what it is, and commands run in it.

Used by install.py beside this file; standard library only.
"""
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Asked of the environment's own interpreter.
PROBE = """
import json, os, sys, sysconfig
from importlib import metadata
include = sysconfig.get_paths()['include']
packages = {(item.metadata['Name'] or '').lower().replace('_', '-'):
            item.version for item in metadata.distributions()}
print(json.dumps(dict(
    prefix=os.path.realpath(sys.prefix), version=sys.version_info[:3],
    packages=packages, include=include,
    headers=os.path.exists(os.path.join(include, 'Python.h')),
    compiler=os.environ.get('CC') or sysconfig.get_config_var('CC') or 'cc')))
"""

# What an installer says, what it means, and the cure.
UNTRUSTED = (
    r'invalid peer certificate|CERTIFICATE_VERIFY_FAILED|UnknownIssuer',
    'the package index shows a certificate that is not trusted here',
    'pip config set global.cert /path/to/ca-bundle.crt')
UNREACHABLE = (
    r'dns error|name resolution|Name or service not known|timed? ?out'
    r'|onnection refused|ConnectError|NewConnectionError|unreachable'
    r'|Failed to fetch|error sending request',
    'the package index cannot be reached',
    'mend the network or its proxy (HTTPS_PROXY), or name a mirror: '
    'pip config set global.index-url URL')
DIAGNOSES = (
    UNTRUSTED,
    UNREACHABLE,
    (r'No space left on device|os error 28', 'the disk is full',
     'free some space; the caches of the installers can go: '
     '`uv cache clean`, `pip cache purge`'),
    (r'Permission denied|os error 13', 'a file or folder cannot be written',
     'use an environment of your own: make setup VENV=.venv'),
    (r'No solution found|ResolutionImpossible|conflicting dependencies'
     r'|No matching distribution|not satisfiable',
     'the package index lacks a version in requirements/constraints.txt, or '
     'the environment holds packages that exclude it',
     'use a fresh environment: make setup VENV=.venv'),
)

class SetupError(Exception):
    """Something that stops the setup, with its cure."""

    def __init__(self, cause: str, cure: str) -> None:
        super().__init__(cause)
        self.cure = cure


class Progress:
    """Shows which step runs and how long it takes.

    On a terminal the line of the running step is rewritten every second;
    elsewhere a line is printed at its end, and every half minute before.

    Args:
        steps (tuple[str]): Names of the steps.
    """

    def __init__(self, steps: tuple[str, ...]) -> None:
        self.steps = steps
        self.live = sys.stdout.isatty()
        self.done = 0
        self.started = self.told = time.monotonic()

    @property
    def step(self) -> str:
        """Name of the running step."""
        return self.steps[self.done]

    def tick(self, doing: str) -> None:
        """Show that the running step goes on, and with what."""
        now = time.monotonic()
        line = self._line(doing)[:shutil.get_terminal_size().columns - 1]
        if self.live:
            print(f'\r\033[K{line}', end='', flush=True)
        elif now - self.told >= 30:
            self.told = now
            print(line, flush=True)

    def end(self, result: str) -> None:
        """Close the running step and start the next."""
        self.clear()
        print(self._line(result), flush=True)
        self.done += 1
        self.started = self.told = time.monotonic()

    def clear(self) -> None:
        """Take the unfinished line away."""
        if self.live:
            print('\r\033[K', end='', flush=True)

    def _line(self, text: str) -> str:
        seconds = time.monotonic() - self.started
        return (f'[{self.done + 1}/{len(self.steps)}] {self.step:<12}'
                f'{seconds:5.0f} s  {text}')


class Environment:
    """The Python environment that is set up.

    Args:
        folder (Path): Where it is, or will be.
        progress (Progress): Told of what goes on.
    """

    def __init__(self, folder: Path, progress: Progress) -> None:
        self.folder = folder
        self.python = folder / 'bin' / 'python'
        self.notes = folder / 'mmpose_ext-setup.json'
        self.log = folder / 'mmpose_ext-setup.log'
        self.progress = progress
        self.variables = dict(os.environ)
        self.installer: list[str | Path] = []
        self.reinstall = ''
        self.facts: dict = {}
        try:
            self.noted = json.loads(self.notes.read_text())
        except (OSError, ValueError):
            self.noted = {}
        self.ours = folder == ROOT / '.venv' or self.noted.get('ours', False)
        self.interrupted = self.noted.get('state') == 'running'

    @property
    def packages(self) -> dict[str, str]:
        """Versions of what was installed at the last :meth:`probe`."""
        return self.facts.get('packages', {})

    def probe(self) -> dict:
        """Ask the environment what it is; empty if it is none that runs."""
        self.facts = {}
        try:
            answer = subprocess.run([self.python, '-c', PROBE],
                                    capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return self.facts
        facts = json.loads(answer.stdout)
        # Without its pyvenv.cfg a link to Python speaks for another folder.
        if facts['prefix'] == os.path.realpath(self.folder):
            self.facts = facts
        return self.facts

    def note(self, state: str, **facts: object) -> None:
        """Leave word for the next setup; killed, it stays 'running'."""
        self.notes.write_text(
            json.dumps(dict(ours=self.ours, state=state, **facts)))

    def evaluate(self, statement: str) -> str | None:
        """Run a statement there; the last line of its error, or None."""
        answer = subprocess.run([self.python, '-c', statement],
                                capture_output=True, text=True)
        if answer.returncode == 0:
            return None
        return (answer.stderr.strip().splitlines() or ['killed'])[-1]

    def run(self, *command: str | Path) -> tuple[int, str]:
        """Run a command, its last line shown, everything in the log.

        Returns:
            tuple[int, str]: Exit status and output.
        """
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, cwd=ROOT, env=self.variables, text=True,
            errors='replace')
        lines: queue.Queue[str | None] = queue.Queue()

        def read() -> None:
            for line in process.stdout:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        output, last, ended = [], '', False
        try:
            while not ended:
                try:
                    line = lines.get(timeout=1)
                    ended = line is None
                    output.append(line or '')
                    last = (line or '').strip() or last
                except queue.Empty:
                    pass
                self.progress.tick(last)
        except BaseException:
            process.kill()
            raise
        with self.log.open('a') as log:
            print('$', *command, file=log)
            log.writelines(output)
        return process.wait(), ''.join(output)

    def install(self, *arguments: str | Path) -> None:
        """Install with uv or pip; what goes wrong becomes a SetupError."""
        status, output = self.run(*self.installer, *arguments)
        if status:
            raise self.failure(output)

    def failure(self, output: str) -> SetupError:
        """Tell cause and cure from what an installer printed."""
        self.progress.clear()
        for line in output.strip().splitlines()[-12:]:
            print('   |', line, flush=True)
        for pattern, cause, cure in DIAGNOSES:
            if re.search(pattern, output):
                return SetupError(cause, cure)
        return SetupError(f'{self.progress.step} could not be installed, '
                          'see above',
                          f'the whole story is in {self.log}')
