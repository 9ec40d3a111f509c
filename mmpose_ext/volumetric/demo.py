"""3D pose from several cameras, from nothing to a movie."""
from __future__ import annotations

from pathlib import Path

from mmpose_ext.demonstration import Demonstration, Figure

COM_CONFIG = 'configs/volumetric/com_tiny_synthetic.py'
CONFIG = 'configs/volumetric/dannce_tiny_synthetic.py'
PAIRS_CONFIG = 'configs/volumetric/sdannce_tiny_synthetic.py'
MINUTES = 11


def run(out: Path) -> None:
    """Synthesise, train the networks, test, predict and draw.

    Args:
        out (Path): Folder for data and results; made if need be.

    Raises:
        subprocess.CalledProcessError: If a command fails.
    """
    demo = Demonstration(out, 'volumetric', 'test')
    work_dir, recording = demo.work_dir, demo.world / 'test'
    demo.call('verify_dataset', CONFIG)
    demo.call('browse_dataset', CONFIG, '--out-dir', work_dir / 'seen')
    # where the animal is ...
    demo.call('train', COM_CONFIG, '--work-dir', work_dir / 'com')
    com = demo.best_checkpoint('com')
    demo.call('predict', COM_CONFIG, com, recording,
              '--out', work_dir / 'com_test', '--overwrite')
    # ... and how it stands
    demo.call('train', CONFIG, '--work-dir', work_dir / 'pose')
    best = demo.best_checkpoint('pose')
    demo.call('test', CONFIG, best, '--work-dir', work_dir / 'pose')
    demo.call('predict', CONFIG, best, recording,
              '--com', work_dir / 'com_test' / 'com3d.mat',
              '--out', work_dir / 'pose_test', '--overwrite')
    demo.call('visualize', CONFIG, work_dir / 'pose_test', recording,
              '--labels', '--out', work_dir / 'pose_test.mp4', '--overwrite')
    # from there to two rats, with few labels
    demo.call('train', PAIRS_CONFIG, '--work-dir', work_dir / 'pairs',
              '--cfg-options', f'load_from={best}')
    refined, pair = demo.best_checkpoint('pairs'), demo.world / 'pair_test'
    demo.call('test', PAIRS_CONFIG, refined, '--work-dir',
              work_dir / 'pairs')
    demo.call('predict', PAIRS_CONFIG, refined, pair,
              '--out', work_dir / 'pair_test', '--overwrite')
    demo.call('visualize', PAIRS_CONFIG, work_dir / 'pair_test', pair,
              '--labels', '--out', work_dir / 'pair_test.mp4', '--overwrite')
    errors = [Figure('keypoints', 'volumetric/MPJPE',
                     'volumetric/trivial/MPJPE')]
    demo.close('Mean errors at a rat never met', errors,
               {'movie': 'pose_test.mp4', 'what was trained on': 'seen'},
               test='pose')
    demo.close('At two rats that meet, few labels', errors,
               {'movie': 'pair_test.mp4', 'predictions': 'pair_test'},
               test='pairs')
