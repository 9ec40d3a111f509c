"""The direction tagger from nothing to pictures, in about three minutes."""
from __future__ import annotations

import json
from pathlib import Path

from mmpose_ext.demonstration import Demonstration

CONFIG = 'configs/direction/direction-cnn_tiny_synthetic.py'


def run(out: Path) -> None:
    """Synthesise, train, test and predict, by the commands one would type.

    Args:
        out (Path): Folder for data and results; made if need be.

    Raises:
        subprocess.CalledProcessError: If a command fails.
    """
    demo = Demonstration(out, 'direction', 'movie.npz')
    work_dir = demo.work_dir
    demo.call('train', CONFIG, '--work-dir', work_dir)
    best = demo.best_checkpoint()
    demo.call('test', CONFIG, best, '--work-dir', work_dir)
    tracks, movie = work_dir / 'tracks.csv', work_dir / 'movie.mp4'
    demo.call('predict', CONFIG, best, demo.world / 'movie.npz', '--out',
              tracks, '--smooth', 'median:5', '--repair', '--movie', movie)
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
