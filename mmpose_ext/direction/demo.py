"""The direction tagger from nothing to pictures, in about three minutes."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import mmpose_ext
from mmpose_ext.commands import run_synthesize

CONFIG = 'configs/direction/direction-cnn_tiny_synthetic.py'


def run(out: Path) -> None:
    """Synthesise, train, test and predict, by the commands one would type.

    Args:
        out (Path): Folder for data and results; made if need be.

    Raises:
        subprocess.CalledProcessError: If a command fails.
    """
    root = _find_root()
    data, work_dir = (out / 'data').resolve(), (out / 'run').resolve()
    work_dir.mkdir(parents=True, exist_ok=True)
    world = data / 'synthetic' / 'direction'
    world.parent.mkdir(parents=True, exist_ok=True)
    # Several threads gain little on images of 50 px, and on a busy machine
    # they wait for each other: ten times slower.
    environment = {'OMP_NUM_THREADS': '1', **os.environ,
                   'MMPOSE_EXT_DATA': str(data)}

    def announce(tool: str, *arguments: str | Path) -> list[str]:
        words = [f'tools/{tool}.py', *map(str, arguments)]
        print(f'\n$ python {" ".join(words)}', flush=True)
        return words

    def call(tool: str, *arguments: str | Path) -> None:
        words = announce(tool, *arguments)
        subprocess.run([sys.executable, *words], cwd=root, env=environment,
                       check=True)

    if not (world / 'movie.npz').is_file():
        # here, where everything is imported already
        words = announce('synthesize', 'direction', '--out', world)
        if run_synthesize('', words[1:]):
            raise subprocess.CalledProcessError(1, words)
    call('train', CONFIG, '--work-dir', work_dir)
    best = max(work_dir.glob('best_*.pth'), key=lambda p: p.stat().st_mtime)
    call('test', CONFIG, best, '--work-dir', work_dir)
    tracks, movie = work_dir / 'tracks.csv', work_dir / 'movie.mp4'
    call('predict', CONFIG, best, world / 'movie.npz', '--out', tracks,
         '--smooth', 'median:5', '--repair', '--movie', movie)
    _summarise(work_dir)


def _summarise(work_dir: Path) -> None:
    """Print the figures and where the pictures are."""
    report = json.loads((work_dir / 'report.json').read_text())
    print('\nMean error of the head angle, degrees:')
    for part, title in (('val', 'validation'), ('test', 'unseen animals')):
        figures = report[part]['figures']
        print(f'  {title:<16}{_degrees(figures["angles"]["head"]["mae_deg"])}'
              '   best constant answer '
              f'{_degrees(figures["trivial"]["head_mae_deg"])}')
    for name, text in (('movie.mp4', 'movie'), ('curves.png', 'curves'),
                       ('worst_test.png', 'largest errors'),
                       ('tracks.csv', 'tracks'), ('report.md', 'report')):
        print(f'{text:<18}{work_dir / name}')


def _degrees(value: float | None) -> str:
    return '  none' if value is None else f'{value:6.1f}'


def _find_root() -> Path:
    """Folder of ``tools`` and ``configs``: a checkout, or what mim has."""
    package = Path(mmpose_ext.__file__).parent
    checkout = package.parent
    return checkout if (checkout / 'tools').is_dir() else package / '.mim'
