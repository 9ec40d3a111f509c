"""Times, rates and memory of what runs in this process.

Rates are per CPU-second on a CPU, so that other work on the machine does not
count, and what is compared runs by turns, so that a change of the clock rate
hits both alike.
"""
from __future__ import annotations

import contextlib
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

Step = Callable[[], None]


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

    def has_lasted(self, seconds: float) -> bool:
        """Whether enough was seen; what waits takes no time of a CPU."""
        if torch.cuda.is_available():
            return self.wall >= seconds
        return self.cpu >= seconds or self.wall >= 20 * seconds

    def rate(self, samples: int) -> dict[str, float]:
        """Rates, if each time dealt with that many samples.

        Returns:
            dict: Samples ``per_cpu_second`` and ``per_second`` (wall), and
            ``cpu_ms``, ``ms`` of one time.
        """
        done = self.count * samples
        return dict(
            per_cpu_second=done / self.cpu,
            per_second=done / self.wall,
            cpu_ms=1e3 * self.cpu / self.count,
            ms=1e3 * self.wall / self.count)


def measure_by_turns(steps: dict[str, Step], samples: dict[str, int],
                     seconds: float) -> dict[str, dict[str, float]]:
    """Rates and latencies of several functions, called in turns.

    Args:
        steps (dict[str, Callable]): What to call, by name.
        samples (dict[str, int]): Samples dealt with in one call.
        seconds (float): About how long to measure each: CPU-seconds where
            there is no GPU, for the machine may be busy.

    Returns:
        dict: For each name the rates of :class:`Stopwatch` and
        ``median_ms``, ``p95_ms`` of a call.
    """
    watches = {name: Stopwatch() for name in steps}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    while not all(watch.has_lasted(seconds) for watch in watches.values()):
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


def _wait_for_device() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
