"""Hands that grasp things, from nothing to pictures of what was found."""
from __future__ import annotations

from pathlib import Path

from mmpose_ext.demonstration import Demonstration, Figure

CONFIG = 'configs/handobject/hot_tiny_synthetic.py'
MINUTES = 8


def run(out: Path) -> None:
    """Synthesise, train, test, report, predict and draw.

    Args:
        out (Path): Folder for data and results; made if need be.

    Raises:
        subprocess.CalledProcessError: If a command fails.
    """
    demo = Demonstration(out, 'handobject', 'README.txt')
    work_dir, index = demo.work_dir, demo.world / 'index' / 's1_test.npz'
    demo.call('verify_dataset', CONFIG)
    demo.call('browse_dataset', CONFIG, '--out-dir', work_dir / 'seen')
    demo.call('train', CONFIG, '--work-dir', work_dir)
    best = demo.best_checkpoint()
    demo.call('test', CONFIG, best, '--work-dir', work_dir)
    demo.call('collapse_report', CONFIG, best,
              '--out', work_dir / 'collapse')
    demo.call('predict', CONFIG, best, index,
              '--out', work_dir / 'predictions', '--overwrite')
    demo.call('visualize', CONFIG, work_dir / 'predictions', index,
              '--labels', '--out', work_dir / 'hands.png', '--overwrite')
    demo.close(
        'Mean errors at subjects never met',
        [Figure('joints behind the wrist', 'hand/MPJPE',
                'hand/MPJPE_trivial'),
         Figure('object held, ADD-S', 'object/ADD-S', 'object/ADD-S_trivial'),
         Figure('object held, rotation', 'object/rotation_deg',
                'object/rotation_deg_trivial', '{:6.1f} deg')],
        {'hands': 'hands.png', 'is it collapsed?': 'collapse',
         'what was trained on': 'seen', 'predictions': 'predictions'})
