"""``tools/select_prototypes.py``: one motif for each cluster of them."""
from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmpose_ext.behavior.annotation_files import DEFAULT_FPS
from mmpose_ext.behavior.motif_files import read_motifs, write_prototypes
from mmpose_ext.behavior.motif_options import (
    add_folder_options,
    add_state_options,
    check_state_options,
    new_folder,
)
from mmpose_ext.behavior.prototypes import (
    METHODS,
    PrototypeOptions,
    select_prototypes,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        'motifs', type=Path,
        help='folder that segment_motifs wrote: '
        'RECORD/machineAnnotation_hmm<n>.csv')
    add_folder_options(parser)
    add_state_options(parser, 6, 'motifs.json tells')
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
        '--parity', action='store_true',
        help='as the original does it: bouts run on from one record to the '
        'next, motifs are sorted by their names as text')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Select, write, draw and summarise."""
    check_state_options(arguments.motifs, arguments)
    motifs = read_motifs(arguments.motifs, arguments.min_states,
                         arguments.max_states)
    fps = arguments.fps or motifs.fps or DEFAULT_FPS
    options = PrototypeOptions(
        arguments.method, arguments.frame_threshold,
        arguments.bout_threshold, arguments.distance_threshold,
        arguments.parity)
    names, table = motifs.table()
    found = select_prototypes(names, table, motifs.lengths, fps, options,
                              arguments.motifs)
    name = (f'hmm{options.method}_{arguments.min_states}_'
            f'{arguments.max_states}')
    with new_folder(arguments, [arguments.motifs]) as folder:
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
