"""``tools/segment_motifs.py``: hidden Markov models over embeddings."""
from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from mmpose_ext.behavior.annotation_files import DEFAULT_FPS
from mmpose_ext.behavior.embedding_files import (
    RecordEmbedding,
    read_embeddings,
)
from mmpose_ext.behavior.motif_files import (
    MOTIFS_JSON,
    read_model,
    write_scan,
    write_summary,
)
from mmpose_ext.behavior.motif_options import (
    add_folder_options,
    add_state_options,
    check_state_options,
    new_folder,
)
from mmpose_ext.behavior.motifs import (
    COVARIANCES,
    MotifModel,
    MotifOptions,
    MotifScan,
    scan_motifs,
)
from mmpose_ext.command_options import check_least
from mmpose_ext.progress import prediction_progress
from mmpose_ext.storage import DataError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        'embeddings', type=Path,
        help='folder that predict wrote: RECORD/embedding.nc, or '
        'RECORD/features_*_embedding.csv')
    add_folder_options(parser)
    add_state_options(parser, 2, 'the embeddings tell')
    parser.add_argument(
        '--iterations', type=int, default=10, metavar='N',
        help='of expectation maximisation (default: 10)')
    parser.add_argument(
        '--fit-fraction', type=float, metavar='F',
        help='share of the records to fit on; the others are held out '
        '(default: 0.8; with --parity 1)')
    parser.add_argument('--seed', type=int, default=1991,
                        help='default: 1991')
    parser.add_argument(
        '--covariance', choices=COVARIANCES, default='full',
        help='of each state (default: full)')
    parser.add_argument(
        '--whiten', type=int, default=16, metavar='K',
        help='principal components to take, made of equal size; 0: the '
        'embeddings as they are (default: 16)')
    parser.add_argument(
        '--sticky', type=float, default=1., metavar='S',
        help='prior for staying in a state; larger makes longer bouts '
        '(default: 1)')
    parser.add_argument(
        '--parity', action='store_true',
        help='as the original does it: no whitening, no prior, motifs in the '
        'order of the fit')
    parser.add_argument(
        '--pretrained', type=Path, metavar='DIR',
        help='take model_hmm<n>.npz of this folder, do not fit')
    parser.add_argument(
        '--jobs', type=int, metavar='N', default=os.cpu_count() or 1,
        help='models at a time (default: one a core)')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Fit, segment, write, draw and summarise."""
    options = _options(arguments)
    embeddings = read_embeddings(arguments.embeddings)
    fps = _fps(embeddings, arguments)
    numbers = range(arguments.min_states, arguments.max_states + 1)
    models = _pretrained(arguments, list(numbers), embeddings)
    records = [one.record for one in embeddings]
    scans: dict[int, MotifScan] = {}
    with (new_folder(arguments, [arguments.embeddings,
                                 arguments.pretrained]) as folder,
          prediction_progress() as progress):
        task = progress.add_task('models', total=len(numbers))
        for number, scan in scan_motifs(
                [one.values for one in embeddings], numbers, options, fps,
                models, arguments.jobs):
            write_scan(folder, records, number, scan)
            scans[number] = scan
            progress.advance(task)
        write_summary(folder, records, scans, dict(
            asdict(options), fps=fps,
            embeddings=str(arguments.embeddings.resolve()),
            pretrained=arguments.pretrained and str(arguments.pretrained)))
        _draw(folder, embeddings, scans, fps)
    best = min(scans, key=lambda number: scans[number].figures['bic'])
    figures = scans[best].figures
    print(f'records     {len(records)}, {int(figures["frames"])} frames\n'
          f'motifs      {numbers[0]} to {numbers[-1]}; least BIC at {best}, '
          f'mean bout {figures["mean_bout"]:.2f} s\n'
          f'written     {arguments.out}\n'
          f'            curves and pictures beside {MOTIFS_JSON}; next: '
          f'tools/select_prototypes.py CONFIG {arguments.out} --out DIR')
    return 0


def _options(arguments: argparse.Namespace) -> MotifOptions:
    """What the options say, checked."""
    check_state_options(arguments.embeddings, arguments)
    check_least(arguments.embeddings, arguments, jobs=1)
    fraction = arguments.fit_fraction
    if fraction is None:
        fraction = 1. if arguments.parity else .8
    try:
        return MotifOptions(
            arguments.iterations, fraction, arguments.seed,
            arguments.covariance, arguments.whiten or None, arguments.sticky,
            arguments.parity)
    except ValueError as error:
        raise DataError(arguments.embeddings, 'options', 'settings in range',
                        str(error)) from error


def _fps(embeddings: list[RecordEmbedding],
         arguments: argparse.Namespace) -> float:
    """Frames a second; records must agree."""
    if arguments.fps is not None:
        return float(arguments.fps)
    told = {one.fps: one.source for one in embeddings if one.fps is not None}
    if len(told) > 1:
        raise DataError(
            arguments.embeddings, 'fps', 'the same in all records',
            ', '.join(f'{fps:g} in {path}' for fps, path in told.items()),
            'name one by --fps')
    return next(iter(told), DEFAULT_FPS)


def _pretrained(arguments: argparse.Namespace, numbers: list[int],
                embeddings: list[RecordEmbedding]) -> dict[int, MotifModel]:
    if arguments.pretrained is None:
        return {}
    width = embeddings[0].values.shape[1]
    return {
        number: read_model(arguments.pretrained / f'model_hmm{number}.npz',
                           width) for number in numbers}


def _draw(folder: Path, embeddings: list[RecordEmbedding],
          scans: dict[int, MotifScan], fps: float) -> None:
    """Curves over the number of motifs, and the best number's bouts."""
    from mmpose_ext.behavior.motif_pictures import (
        draw_bout_statistics,
        draw_criteria,
        draw_transitions,
    )
    draw_criteria(folder / 'criteria.png',
                  [scan.figures for scan in scans.values()])
    best = min(scans, key=lambda number: scans[number].figures['bic'])
    states = np.concatenate(scans[best].states)
    lengths = list(map(len, scans[best].states))
    names = [str(i) for i in range(best)]
    extra: dict[str, Any] = dict(title=f'{best} motifs, the least BIC')
    draw_bout_statistics(folder / 'bouts.png', states, lengths, names, fps,
                         **extra)
    draw_transitions(folder / 'transitions.png', states, lengths, names,
                     **extra)
