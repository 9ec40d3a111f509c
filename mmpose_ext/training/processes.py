"""How fast several processes train together."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import all_gather_object, is_main_process

from mmpose_ext.layout import project_root
from mmpose_ext.storage import DataError
from mmpose_ext.training.benchmark_figures import Session, measure_training

_SECONDS = 1800


def measure_this_process(session: Session,
                         iterations: int) -> dict[str, Any] | None:
    """Measure the training of all processes, of which this is one.

    Args:
        session (Session): Of a config with a launcher; used up by this.
        iterations (int): To measure.

    Returns:
        dict | None: In the main process, of all together ``per_second`` and,
        the mean of a process, ``per_cpu_second`` in samples; ``processes``
        and ``batch_size`` of each.
    """
    mine = measure_training(session, iterations)['runner']
    rates = all_gather_object(mine)
    if not is_main_process():
        return None
    return dict(
        processes=len(rates), batch_size=session.batch_size,
        per_second=sum(rate['per_second'] for rate in rates),
        per_cpu_second=sum(
            rate['per_cpu_second'] for rate in rates) / len(rates))


def measure_processes(config: Config, count: int,
                      iterations: int) -> dict[str, Any]:
    """Train in so many processes, each with the config's batch size.

    Args:
        config (Config): Of a training.
        count (int): Processes, started by torchrun.
        iterations (int): To measure.

    Returns:
        dict: See :func:`measure_this_process`, and ``load``: how many
        processes of the machine wanted a core in the minute before.

    Raises:
        DataError: If the training fails.
    """
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / 'config.py', Path(folder) / 'out.json'
        config.dump(str(path))
        done = subprocess.run(
            [sys.executable, '-m', 'torch.distributed.run', '--standalone',
             f'--nproc_per_node={count}',
             str(project_root() / 'tools/benchmark.py'), str(path),
             '--launcher', 'pytorch', '--iterations', str(iterations),
             '--json', str(out)],
            capture_output=True, text=True, timeout=_SECONDS)
        if done.returncode or not out.exists():
            lines = done.stderr.strip().splitlines() or ['nothing']
            raise DataError(
                config.filename, 'processes', f'a training in {count}',
                next((line for line in lines if 'rror' in line), lines[-1]))
        found = json.loads(out.read_text())
    del found['config']  # which is gone
    return dict(found, load=load)
