"""What the demos of all families do: type commands, and show them."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mmpose_ext.commands import run_synthesize
from mmpose_ext.layout import project_root


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

    @staticmethod
    def _announce(tool: str, *arguments: str | Path) -> list[str]:
        words = [f'tools/{tool}.py', *map(str, arguments)]
        print(f'\n$ python {" ".join(words)}', flush=True)
        return words
