"""Running the tools as users do."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import mmpose

ROOT = Path(__file__).resolve().parents[2]
PACKAGED = Path(mmpose.__file__).parent / '.mim' / 'tools' / 'train.py'


def run(data: Path, *words: str | Path, code: int = 0) -> str:
    """Run a command in the data's folder; its output."""
    environment = dict(os.environ, MMPOSE_EXT_DATA=str(data))
    environment.setdefault('PYTHONPATH', str(ROOT))
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=data,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def losses(work_dir: Path) -> list[float]:
    """Training losses that a run logged."""
    file, = work_dir.glob('*/vis_data/scalars.json')
    records = map(json.loads, file.read_text().splitlines())
    return [record['loss'] for record in records if 'loss' in record]
