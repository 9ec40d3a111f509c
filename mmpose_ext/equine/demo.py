"""Horse pose from nothing to pictures, in about five minutes."""
from __future__ import annotations

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
    demo.call('browse_dataset', CONFIG, '--out-dir', work_dir / 'browse')
    demo.call('train', CONFIG, '--work-dir', work_dir)
    best = demo.best_checkpoint()
    demo.call('test', CONFIG, best, '--work-dir', work_dir)
    demo.call('visualize', CONFIG, best,
              demo.world / 'annotations' / 'horse_test.json', '--out',
              work_dir / 'pictures')
    demo.call('monitor_training', work_dir, '--out-dir', work_dir)
