"""Scripts in processes of their own, at the price of a fork."""
from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from mmpose_ext.families import family_names

ROOT = Path(__file__).resolve().parents[2]

# What scripts spend seconds on importing; the package first: it supplies
# what MMPose lacks. Optimizers import torch._dynamo, CSPNeXt all of MMDet.
MODULES = ('mmpose_ext', 'mmpose.apis', 'mmdet.models', 'torch._dynamo',
           'torch.onnx', 'torch.utils.tensorboard', 'matplotlib.pyplot',
           'setuptools', 'mmpose_ext.commands',
           *(f'mmpose_ext.{family}' for family in family_names()))


class Server:
    """Runs scripts from ``server.py``, which has imported the stack."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name('server.py')),
             *MODULES],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment())
        assert self._answer() == 'ready'
        self.seconds: tuple[float, ...] = ()

    def run(self, argv: list[str], log: Path,
            processes: list[dict[str, str]], timeout: float,
            folder: Path = ROOT) -> list[int]:
        """Run a script in as many processes as there are environments.

        Args:
            argv (list[str]): A script and its arguments.
            log (Path): What the processes write is added to it.
            processes (list[dict[str, str]]): Each one's environment, beside
                the one that we have now.
            timeout (float): Seconds until they are killed.
            folder (Path): Where they start. Defaults to the checkout.

        Returns:
            list[int]: Their exit codes; ``seconds`` has when they ended.
        """
        request = dict(
            argv=argv, log=str(log), folder=str(folder), timeout=timeout,
            processes=[environment(**each) for each in processes])
        self._process.stdin.write(json.dumps(request) + '\n')
        self._process.stdin.flush()
        codes, self.seconds = zip(*json.loads(self._answer()), strict=True)
        return list(codes)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=120)

    def _answer(self) -> str:
        line = self._process.stdout.readline()
        assert line, 'the server ended; its output is above'
        return line.strip()


@functools.cache
def shared_server() -> Server:
    """The one of this process; it ends with it."""
    return Server()


def environment(**further: str) -> dict[str, str]:
    """The environment for a script of the checkout."""
    path = os.pathsep.join(
        [str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])])
    return {**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1',
            **further}


def as_torchrun(processes: int) -> list[dict[str, str]]:
    """The environments that torchrun would give to the processes."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    return [
        dict(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes),
             LOCAL_WORLD_SIZE=str(processes), MASTER_ADDR='127.0.0.1',
             MASTER_PORT=str(port)) for rank in range(processes)
    ]
