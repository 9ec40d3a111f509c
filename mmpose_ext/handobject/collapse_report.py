"""``tools/collapse_report.py``: whether predictions differ as hands do.

A network that has collapsed answers with one hand. Its positions in space
still vary, with the boxes; what is behind the wrist does not. So that is
compared with the truth, joint by joint, and beside it the mean hand of the
training data as the answer of who looks at nothing.
"""
from __future__ import annotations

import argparse
import contextlib
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from mmpose_ext.command_options import add_device_option, check_least
from mmpose_ext.drawing.curves import COLORS
from mmpose_ext.drawing.figures import new_figure, save_figure
from mmpose_ext.handobject.feature_spectrum import (
    FeatureCollector,
    effective_rank,
    singular_values,
)
from mmpose_ext.handobject.hand import (
    JOINT_NAMES,
    mirror_signs,
    root_relative,
)
from mmpose_ext.handobject.hand_scores import (
    HandResults,
    pooled_mean,
    relative_errors,
    spread_ratio,
    spreads,
)
from mmpose_ext.handobject.inference import HandObjectInferencer
from mmpose_ext.handobject.report_files import (
    add_out_option,
    check_out_option,
    leave_report,
)
from mmpose_ext.handobject.score_records import (
    CollectedSamples,
    collect_samples,
    sample_record,
)
from mmpose_ext.handobject.trivial_answers import read_mean_answers
from mmpose_ext.progress import prediction_progress
from mmpose_ext.splits import PARTS
from mmpose_ext.storage import DataError
from mmpose_ext.training import build_serial_loader, text_table
from mmpose_ext.training.loading import without_log

Array = np.ndarray

NAME = 'collapse_report'
# of the spread ratio
_COLLAPSED, _NARROW = .1, .5
_BASELINE_SHARE = .95
_COLORS = dict(predicted=COLORS[0], true=COLORS[2], features=COLORS[1])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument(
        '--split', choices=PARTS, default='val', help='default: val')
    parser.add_argument(
        '--limit', type=int, metavar='N', default=2000,
        help='most samples, the first ones of the split evenly spread '
        '(default: 2000)')
    add_out_option(parser, NAME)
    add_device_option(parser)


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Predict, compare, print; write picture and figures."""
    check_least('command line', arguments, limit=2)
    check_out_option(arguments.out)
    samples, features = predict(config, arguments)
    report = dict(
        config=str(config.filename), checkpoint=str(arguments.checkpoint),
        split=arguments.split,
        **make_report(samples, features, _mean_pose(config, samples)))
    leave_report(report, render(report), draw, arguments.out, NAME)
    return 0


def predict(config: Config, arguments: argparse.Namespace
            ) -> tuple[CollectedSamples, Array]:
    """What a trained model says of a split, and its features.

    Returns:
        tuple[CollectedSamples, ndarray]: The samples, and (N, C) features of
        the backbone, averaged over each picture.
    """
    with contextlib.redirect_stdout(sys.stderr), without_log():
        model = HandObjectInferencer(config, arguments.checkpoint,
                                     arguments.device).model
        config = Config(config.to_dict(), filename=config.filename)
        key = f'{arguments.split}_dataloader'
        if config.get(key):
            config[key].dataset.setdefault('limit', arguments.limit)
            # random crops would be variety of their own
            if arguments.split == 'train' and config.get('val_dataloader'):
                config[key].dataset.pipeline = (
                    config.val_dataloader.dataset.pipeline)
        loader = build_serial_loader(config, arguments.split)
    records: list[dict[str, Any]] = []
    collector = FeatureCollector(arguments.limit)
    with (torch.inference_mode(), collector.listening(model.backbone),
          prediction_progress() as progress):
        task = progress.add_task('batches', total=len(loader))
        for batch in loader:
            records += [sample_record(sample.to_dict())
                        for sample in model.val_step(batch)]
            progress.advance(task)
    return collect_samples(records), collector.features


def make_report(samples: CollectedSamples, features: Array,
                mean_pose: Array | None = None) -> dict[str, Any]:
    """How much predictions vary, and how far off they are.

    Args:
        samples (CollectedSamples): With predicted hands.
        features (ndarray): (N, C).
        mean_pose (ndarray, optional): (H, 21, 3) m, the answer of the
            training data's mean in each box. Defaults to None: the mean of
            these samples, which is harder to beat.

    Returns:
        dict: ``verdict``, ``spread_ratio``, ``MPJPE`` and ``MPJPE_trivial``
        (mm), ``baseline`` (what the latter is), ``hands``; ``joints`` by
        name with ``spread_mm``, ``true_spread_mm``, ``ratio`` and
        ``MPJPE``; ``spectra``, singular values of ``predicted`` and ``true``
        poses and of ``features``, each with ``effective_rank`` and
        ``values``, shares of the largest.

    Raises:
        DataError: If there are fewer than two labelled hands.
    """
    if not samples.has('points') or len(samples.hand_rows) < 2:
        raise DataError(
            'data set', 'labelled hands', 'two at least, and predictions of '
            'keypoints_cam', str(len(samples.hand_rows)))
    hands = samples.hands()
    baseline = 'mean of the training data'
    if mean_pose is None:
        mean_pose, baseline = _own_mean(hands), 'mean of these samples'
    spread, true = (spreads(points, hands.valid, hands.left)
                    for points in (hands.points, hands.truth))
    errors = relative_errors(hands.points, hands.truth, hands.valid)
    trivial = relative_errors(mean_pose, hands.truth, hands.valid)
    ratio = spread_ratio(spread, true)
    error, mean_error = pooled_mean(errors), pooled_mean(trivial)
    joints = {
        name: dict(spread_mm=float(spread[row]),
                   true_spread_mm=float(true[row]),
                   ratio=float(spread[row] / true[row])
                   if true[row] > 0 else math.nan,
                   MPJPE=pooled_mean(errors[:, row:row + 1]))
        for row, name in enumerate(JOINT_NAMES) if row}
    whole = hands.valid.all(1)
    spectra = dict(
        predicted=_spectrum(_aligned(hands.points, hands.left)[whole]),
        true=_spectrum(_aligned(hands.truth, hands.left)[whole]),
        features=_spectrum(features))
    return dict(
        verdict=verdict(ratio, error, mean_error), hands=len(hands.ids),
        spread_ratio=ratio, MPJPE=error, MPJPE_trivial=mean_error,
        baseline=baseline, joints=joints, spectra=spectra)


def verdict(ratio: float, error: float, trivial: float) -> str:
    """What the figures say, in words.

    Args:
        ratio (float): Spread of predictions over the true one.
        error (float): MPJPE.
        trivial (float): That of the mean hand.
    """
    if not math.isfinite(error):
        return 'predictions are not finite'
    if ratio < _COLLAPSED:
        return 'collapsed: one hand for all pictures'
    if error >= _BASELINE_SHARE * trivial:
        return 'no better than the mean hand'
    if ratio < _NARROW:
        return 'narrow: predictions vary less than half as much as hands'
    return 'well: predictions vary as hands do'


def render(report: Mapping[str, Any]) -> str:
    """The report as text."""
    rows = [[name, *(f'{part[key]:.{digits}f}' for key, digits in (
        ('spread_mm', 1), ('true_spread_mm', 1), ('ratio', 2), ('MPJPE', 1)))]
        for name, part in report['joints'].items()]
    table = text_table(('behind the wrist', 'spread, mm', 'true, mm',
                        'ratio', 'MPJPE, mm'), rows)
    ranks = ', '.join(f'{name} {part["effective_rank"]:.1f}'
                      for name, part in report['spectra'].items())
    return (f'{table}\n{report["hands"]} hands: spread ratio '
            f'{report["spread_ratio"]:.2f}, MPJPE {report["MPJPE"]:.1f} mm, '
            f'that of the {report["baseline"]} '
            f'{report["MPJPE_trivial"]:.1f} mm\neffective ranks: {ranks}\n'
            f'{report["verdict"]}')


def draw(report: Mapping[str, Any], path: Path) -> None:
    """Draw spreads by joint, and the spectra.

    Args:
        report (Mapping): Of :func:`make_report`.
        path (Path): PNG to write.
    """
    figure = new_figure(12, 4.6, layout='constrained')
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    names = list(report['joints'])
    places = np.arange(len(names))
    for shift, key, name in ((-.2, 'true_spread_mm', 'true'),
                             (.2, 'spread_mm', 'predicted')):
        left.bar(places + shift, [report['joints'][joint][key]
                                  for joint in names], .4, label=name,
                 color=_COLORS[name])
    left.set_xticks(places, [name.replace('_', ' ') for name in names],
                    rotation=90, fontsize=8)
    left.set(ylabel='standard deviation behind the wrist, mm',
             title=f'spread ratio {report["spread_ratio"]:.2f}; MPJPE '
             f'{report["MPJPE"]:.1f} mm, mean hand '
             f'{report["MPJPE_trivial"]:.1f} mm')
    for name, part in report['spectra'].items():
        values = np.array(part['values'][:60])
        if len(values):
            right.semilogy(
                np.arange(1, len(values) + 1), np.maximum(values, 1e-6),
                color=_COLORS[name],
                label=f'{name}, effective rank {part["effective_rank"]:.1f}')
    right.set(xlabel='direction', ylabel='singular value, of the largest',
              title=report['verdict'])
    for axis in (left, right):
        axis.spines[['top', 'right']].set_visible(False)
        axis.legend(frameon=False, fontsize=8)
    save_figure(figure, path)


def _mean_pose(config: Config, samples: CollectedSamples) -> Array | None:
    """The training data's mean in each box, as the config's metric has it."""
    settings = config.get('val_evaluator') or {}
    source = settings.get('mean_pose_from') if isinstance(
        settings, dict) else None
    if source is None:
        return None
    rows = samples.hand_rows
    dataset = (config.get('val_dataloader') or {}).get('dataset') or {}
    answer = read_mean_answers(source, dataset.get('bbox_mode', 'hand'))
    return answer.hands(samples.boxes[rows], samples.cameras[rows],
                        samples.left[rows])


def _own_mean(hands: HandResults) -> Array:
    """Mean of the true hands (H, 21, 3), on its own side for each."""
    signs = mirror_signs(hands.left)[:, None]
    relative = np.where(hands.valid[..., None],
                        root_relative(hands.truth) * signs, np.nan)
    return np.nanmean(relative, 0) * signs


def _aligned(points: Array, left: Array) -> Array:
    """Hands (H, 63) behind the wrist, left ones mirrored."""
    aligned = root_relative(points) * mirror_signs(left)[:, None]
    return aligned.reshape(len(points), -1)


def _spectrum(vectors: Array) -> dict[str, Any]:
    values = singular_values(vectors)
    largest = float(values.max(initial=0.))
    return dict(
        effective_rank=effective_rank(values),
        values=(values / largest if largest > 0 else values).tolist())
