"""Horse pose from nothing to pictures."""
from __future__ import annotations

from pathlib import Path

from mmpose_ext.demonstration import Demonstration, Figure

CONFIG = 'configs/equine/rtmpose-m_tiny_synthetic.py'
MINUTES = 5


def run(out: Path) -> None:
    """Synthesise, train, test and draw, by the commands one would type.

    Args:
        out (Path): Folder for data and results; made if need be.

    Raises:
        subprocess.CalledProcessError: If a command fails.
    """
    demo = Demonstration(out, 'equine', 'annotations')
    work_dir = demo.work_dir
    demo.call('browse_dataset', CONFIG, '--out-dir', work_dir / 'seen')
    demo.call('train', CONFIG, '--work-dir', work_dir)
    best = demo.best_checkpoint()
    demo.call('test', CONFIG, best, '--work-dir', work_dir)
    demo.call('visualize', CONFIG, best,
              demo.world / 'annotations' / 'horse_test.json', '--ann',
              '--out', work_dir / 'pictures', '--overwrite')
    demo.call('monitor_training', work_dir)
    errors = demo.newest('*/keypoints.csv')
    demo.close(
        "Points of unseen horses within a share of the box's longer side",
        [Figure(f'PCK@{share}', f'horse/PCK@{share}',
                f'horse/PCK@{share}_trivial', '{:6.1%}')
         for share in (.2, .1, .05)],
        {'largest errors': 'pictures/worst.jpg',
         'smallest errors': 'pictures/best.jpg',
         'what was trained on': 'seen',
         'course of the training': 'monitor/report.html',
         'errors by keypoint': errors})
