"""The direction tagger from nothing to pictures."""
from __future__ import annotations

from pathlib import Path

from mmpose_ext.demonstration import Demonstration, Figure

CONFIG = 'configs/direction/direction-cnn_tiny_synthetic.py'
MINUTES = 3


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
    demo.close(
        'Mean error at unseen animals',
        [Figure('head angle', 'dir/head_mae_deg', 'dir/head_mae_deg_trivial',
                '{:6.1f} deg')],
        {'movie': 'movie.mp4', 'curves': 'curves.png',
         'largest errors': 'worst_test.png', 'tracks': 'tracks.csv',
         'report': 'report.md'})
