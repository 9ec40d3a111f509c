"""Running the tools as users do."""
from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import mmpose

from tests.front_door.client import (
    ROOT,
    as_torchrun,
    environment,
    shared_server,
)

PACKAGED = Path(mmpose.__file__).parent / '.mim' / 'tools' / 'train.py'


def run(data: Path, script: str | Path, *words: str | Path, code: int = 0,
        processes: int = 1) -> str:
    """Run a script, or a tool by its name, in the data's folder.

    It has a process of its own, or several that train together. To import
    the stack for it would take most of the time: see `run_afresh`.

    Returns:
        str: Its output.
    """
    argv = [str(_path_of(script)), *map(str, words)]
    envs: list[dict[str, str]] = [{}]
    if processes > 1:
        argv[2:2] = ['--launcher', 'pytorch']
        envs = as_torchrun(processes)
    with tempfile.NamedTemporaryFile(suffix='.txt') as output:
        codes = shared_server().run(
            argv, Path(output.name),
            [dict(env, MMPOSE_EXT_DATA=str(data)) for env in envs],
            timeout=600, folder=data)
        said = Path(output.name).read_text()
    assert codes == [code] * processes, said[-6000:]
    return said


def run_afresh(data: Path, script: str | Path, *words: str | Path) -> str:
    """As `run`, by a Python that has imported nothing.

    Slower by five seconds: for one use of each of the common tools.
    """
    done = subprocess.run(
        [sys.executable, str(_path_of(script)), *map(str, words)],
        cwd=data,
        env=environment(MMPOSE_EXT_DATA=str(data)),
        capture_output=True,
        text=True,
        timeout=600)
    assert not done.returncode, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def _path_of(script: str | Path) -> str | Path:
    if isinstance(script, Path) or script.startswith('-'):
        return script
    return ROOT / f'tools/{script}.py'


def losses(work_dir: Path) -> list[float]:
    """Training losses that a run logged."""
    file, = work_dir.glob('*/vis_data/scalars.json')
    records = map(json.loads, file.read_text().splitlines())
    return [record['loss'] for record in records if 'loss' in record]


def log_of(work_dir: Path) -> str:
    """What the last run in a folder logged."""
    return max(work_dir.glob('*/*.log')).read_text()
