"""The scripts that start several processes call what they should."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from .commands import ROOT

TOOLS = ROOT / 'tools'


@pytest.fixture
def launch(tmp_path: Path):
    """Runs a script with launchers that write down how they are called."""
    for name in ('torchrun', 'srun'):
        program = tmp_path / name
        program.write_text('#!/bin/sh\nprintf "%s\\n" "$PYTHONPATH" "$@"\n')
        program.chmod(0o755)

    def run(script: str, *words: str, **variables: str) -> list[str]:
        return subprocess.run(
            [str(TOOLS / script), *words], capture_output=True, text=True,
            check=True, env={**os.environ, **variables,
                             'PATH': f'{tmp_path}:{os.environ["PATH"]}'}
        ).stdout.splitlines()
    return run


def test_dist_train(launch) -> None:
    path, *words = launch('dist_train.sh', 'CONFIG', '2', '--work-dir', 'W',
                          PORT='29511')
    assert str(TOOLS.parent) == os.path.abspath(path.split(':')[0])
    assert {'--nproc_per_node=2', '--master_port=29511'} <= set(words)
    assert words[-6:] == [str(TOOLS / 'train.py'), 'CONFIG', '--launcher',
                          'pytorch', '--work-dir', 'W']


def test_dist_test(launch) -> None:
    words = launch('dist_test.sh', 'CONFIG', 'CHECKPOINT', '4', '--dump', 'D')
    assert '--nproc_per_node=4' in words
    assert words[-7:] == [str(TOOLS / 'test.py'), 'CONFIG', 'CHECKPOINT',
                          '--launcher', 'pytorch', '--dump', 'D']


def test_slurm_train(launch) -> None:
    words = launch('slurm_train.sh', 'gpu', 'name', 'CONFIG', 'W', '--resume',
                   GPUS='16', GPUS_PER_NODE='4', SRUN_ARGS='--quiet --mem=8G')
    assert {'--ntasks=16', '--ntasks-per-node=4', '--gres=gpu:4', '--quiet',
            '--mem=8G', '--job-name=name'} <= set(words)
    assert words[-5:] == [str(TOOLS / 'train.py'), 'CONFIG', '--work-dir=W',
                          '--launcher=slurm', '--resume']
