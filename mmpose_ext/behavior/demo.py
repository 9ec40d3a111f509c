"""Behaviour from pose tracks, from nothing to motifs one can look at."""
from __future__ import annotations

from pathlib import Path

from mmpose_ext.demonstration import Demonstration, Figure

CONFIG = 'configs/behavior/lisbet_tiny_synthetic.py'
FINETUNING = 'configs/behavior/lisbet_multiclass_synthetic.py'
MINUTES = 5


def run(out: Path) -> None:
    """Synthesise, train, test, embed, find motifs, finetune and annotate.

    Args:
        out (Path): Folder for data and results; made if need be.

    Raises:
        subprocess.CalledProcessError: If a command fails.
    """
    demo = Demonstration(out, 'behavior', 'README.txt')
    work_dir, recordings = demo.work_dir, demo.world / 'test'
    demo.call('verify_dataset', CONFIG)
    demo.call('browse_dataset', CONFIG, '--out-dir', work_dir / 'seen',
              '--number', '1')
    # questions that nobody has to answer ...
    demo.call('train', CONFIG, '--work-dir', work_dir / 'tasks')
    best = demo.best_checkpoint('tasks')
    demo.call('test', CONFIG, best, '--work-dir', work_dir / 'tasks')
    # ... give a description of every frame, and that gives motifs
    embeddings, motifs = work_dir / 'embeddings', work_dir / 'motifs'
    demo.call('predict', CONFIG, best, recordings, '--out', embeddings,
              '--overwrite')
    demo.call('segment_motifs', CONFIG, embeddings, '--out', motifs,
              '--max-states', '8', '--overwrite')
    demo.call('visualize', CONFIG, motifs, recordings, '--out',
              work_dir / 'motif_sheets', '--overwrite')
    # a few labels give names to them
    demo.call('train', FINETUNING, '--work-dir', work_dir / 'behaviours',
              '--cfg-options', f'load_from={best}')
    named = demo.best_checkpoint('behaviours')
    demo.call('test', FINETUNING, named, '--work-dir',
              work_dir / 'behaviours')
    demo.call('predict', FINETUNING, named, recordings, '--out',
              work_dir / 'annotations', '--overwrite')
    demo.close(
        'Right answers in unseen recordings',
        [Figure(task, f'lisbet/{task}_acc', f'lisbet/{task}_acc_trivial',
                '{:6.1%}') for task in ('cons', 'order', 'shift', 'warp')],
        {'motifs': 'motif_sheets', 'map of embeddings': 'embeddings',
         'behaviours': 'annotations', 'report': 'tasks/report.md',
         'questions': 'seen'},
        test='tasks')
