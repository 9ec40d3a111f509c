"""``tools/select_prototypes.py``: one motif for each cluster of them."""
from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmpose_ext.behavior.annotation_files import DEFAULT_FPS
from mmpose_ext.behavior.motif_files import read_motifs, write_prototypes
from mmpose_ext.behavior.prototypes import (
    METHODS,
    PrototypeOptions,
    select_prototypes,
)
from mmpose_ext.storage import DataError, atomic_folder, refuse_to_replace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        'motifs', type=Path,
        help='folder that segment_motifs wrote: '
        'RECORD/machineAnnotation_hmm<n>.csv')
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR',
        help='new folder to write')
    parser.add_argument(
        '--min-states', type=int, default=6, metavar='N',
        help='least number of motifs to take (default: 6)')
    parser.add_argument(
        '--max-states', type=int, default=32, metavar='N',
        help='largest number of motifs to take (default: 32)')
    parser.add_argument(
        '--method', choices=METHODS, default='best',
        help='best: the motif of the highest silhouette stands for its '
        'cluster; min: the first one (default: best)')
    parser.add_argument(
        '--frame-threshold', type=float, default=.05, metavar='F',
        help='least share of the frames (default: 0.05)')
    parser.add_argument(
        '--bout-threshold', type=float, default=.5, metavar='S',
        help='least mean bout, s (default: 0.5)')
    parser.add_argument(
        '--distance-threshold', type=float, default=.6, metavar='D',
        help='Jaccard distance within which another motif must lie '
        '(default: 0.6)')
    parser.add_argument(
        '--fps', type=float,
        help='frames a second (default: as motifs.json tells, else 30)')
    parser.add_argument(
        '--parity', action='store_true',
        help='as the original does it: bouts run on from one record to the '
        'next, motifs are sorted by their names as text')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the folder')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Select, write, draw and summarise."""
    if not 2 <= arguments.min_states <= arguments.max_states:
        raise DataError(
            arguments.motifs, '--min-states', 'from 2 to --max-states',
            f'{arguments.min_states} to {arguments.max_states}')
    motifs = read_motifs(arguments.motifs, arguments.min_states,
                         arguments.max_states)
    fps = arguments.fps or motifs.fps or DEFAULT_FPS
    if not fps > 0:
        raise DataError(arguments.motifs, '--fps', 'more than 0', str(fps))
    options = PrototypeOptions(
        arguments.method, arguments.frame_threshold,
        arguments.bout_threshold, arguments.distance_threshold,
        arguments.parity)
    names, table = motifs.table()
    found = select_prototypes(names, table, motifs.lengths, fps, options,
                              arguments.motifs)
    refuse_to_replace(arguments.out, [arguments.motifs])
    name = (f'hmm{options.method}_{arguments.min_states}_'
            f'{arguments.max_states}')
    arguments.out.resolve().parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(arguments.out, arguments.overwrite) as folder:
        write_prototypes(folder, name, motifs, table, found)
        from mmpose_ext.behavior.motif_pictures import draw_prototypes
        draw_prototypes(folder / 'prototypes.png', found)
    covered = table[:, found.columns[found.chosen]].any(1)
    print(f'motifs      {len(names)}, {len(found.names)} of them pass\n'
          f'prototypes  {len(found.chosen)}: '
          + ', '.join(found.names[i] for i in found.chosen)
          + f'\ncovered     {np.mean(covered):.1%} of the frames\n'
          f'written     {arguments.out}')
    return 0
