"""Horse pose from nothing to pictures, in about five minutes."""
from __future__ import annotations

import json
from pathlib import Path

from mmpose_ext.demonstration import Demonstration

CONFIG = 'configs/equine/rtmpose-m_tiny_synthetic.py'


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
    _summarise(work_dir)


def _summarise(work_dir: Path) -> None:
    """Print the figures and where the pictures are."""
    newest = max(work_dir.glob('*/keypoints.json'),
                 key=lambda path: path.stat().st_mtime)
    figures = json.loads(newest.read_text())
    print('\nPoints of unseen horses within a share of the box\'s longer '
          'side:')
    for name in ('PCK@0.2', 'PCK@0.1', 'PCK@0.05'):
        print(f'  {name:<10}{figures["all"][name]:6.1%}   mean pose '
              f'{figures["trivial"]["all"][name]:6.1%}')
    for name, text in (('pictures/worst.jpg', 'largest errors'),
                       ('pictures/best.jpg', 'smallest errors'),
                       ('seen', 'what was trained on'),
                       ('monitor/report.html', 'course of the training')):
        print(f'{text:<24}{work_dir / name}')
    print(f'{"errors by keypoint":<24}{newest.with_suffix(".csv")}')
