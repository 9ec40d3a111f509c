"""What a run leaves behind beside its weights."""
from __future__ import annotations

import csv
import math
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from mmpose_ext.direction.angles import POINTS, VECTORS
from mmpose_ext.direction.datasets import DirectionDataset
from mmpose_ext.direction.estimator import DirectionEstimator
from mmpose_ext.direction.metric import DirectionResults
from mmpose_ext.direction.report_text import render_report
from mmpose_ext.direction.split import SplitRule
from mmpose_ext.registry import HOOKS
from mmpose_ext.storage import atomic_file
from mmpose_ext.storage.plain_files import (
    sha256_of,
    without_nan,
    write_json,
)
from mmpose_ext.training.run_report import (
    best_model,
    evaluate_model,
    read_report,
    try_to_write,
    write_weights,
)
from mmpose_ext.training.stopwatch import describe_machine

# predictions with truth, their figures, and the data set
Evaluated = tuple[DirectionResults, dict[str, Any], DirectionDataset]

LABEL_SIGMA_PX = .7


@HOOKS.register_module()
class DirectionReportHook(Hook):
    """Writes report, pictures and plain weights into the work directory.

    * before training: ``split.json``
    * after training, with the best checkpoint, or the last one where none is
      kept: ``report.json`` and ``report.md`` (part ``val``),
      ``predictions_val.csv``, ``worst.png``, ``curves.png``,
      ``model_weights.pt`` and, if asked for, ``movie.mp4``
    * after a test: the part ``test`` of the report, ``predictions_test.csv``
      and ``worst_test.png``

    A file that cannot be written is a warning: a training is never lost by
    its report.

    Args:
        movie (str, optional): Video of crops, folder of them or npz with
            ``images``, to be tagged and drawn. Defaults to None.
        movie_fps (float, optional): Defaults to None: the video's, or 30.
    """

    # after the checkpoint hook
    priority = 'LOWEST'

    def __init__(self,
                 movie: str | None = None,
                 movie_fps: float | None = None) -> None:
        self.movie, self.movie_fps = movie, movie_fps

    def before_train(self, runner: Runner) -> None:
        """Write the split."""
        if is_main_process():
            try_to_write(runner, 'split.json', lambda path: write_json(
                path, describe_split(runner)))

    def after_train(self, runner: Runner) -> None:
        """Evaluate the best weights and write all files."""
        model, weights = best_model(runner)
        if runner.val_loop is not None:
            evaluate_model(runner, model)
        if not is_main_process():
            return
        if runner.val_loop is not None:
            metric = runner.val_evaluator.metrics[0]
            self._write_part(runner, 'val',
                             (metric.results_, metric.report,
                              runner.val_dataloader.dataset), weights)
        try_to_write(runner, 'curves.png', lambda path: draw_curves(
            runner, path))
        try_to_write(runner, 'model_weights.pt', lambda path: write_weights(
            model, path))
        if self.movie is not None:
            try_to_write(runner, 'movie.mp4', lambda path: write_run_movie(
                model, Path(str(self.movie)), path, self.movie_fps))

    def after_test_epoch(self,
                         runner: Runner,
                         metrics: dict[str, float] | None = None) -> None:
        """Add the test to the report."""
        metric = runner.test_evaluator.metrics[0]
        if is_main_process() and metric.results_ is not None:
            weights = runner._load_from or 'those of the running training'
            self._write_part(runner, 'test',
                             (metric.results_, metric.report,
                              runner.test_dataloader.dataset), weights)

    def _write_part(self, runner: Runner, part: str,
                    evaluated: Evaluated,
                    weights: str) -> None:
        results, figures, dataset = evaluated
        section = describe_run(runner, results, figures, dataset, weights)
        folder = Path(runner.work_dir)

        def write_report(path: Path) -> None:
            report = without_nan({**read_report(path), part: section})
            write_json(path, report)
            with atomic_file(folder / 'report.md') as temporary:
                temporary.write_text(render_report(report))

        try_to_write(runner, 'report.json', write_report)
        try_to_write(runner, f'predictions_{part}.csv',
                      lambda path: write_predictions(path, results))
        name = 'worst.png' if part == 'val' else f'worst_{part}.png'
        try_to_write(runner, name, lambda path: draw_largest_errors(
            path, results, dataset))


def describe_split(runner: Runner) -> dict[str, Any]:
    """Group to part, seed, hash of the file, and leaks."""
    dataset = runner.train_dataloader.dataset
    settings = runner.cfg.train_dataloader.dataset.get('split_by') or {}
    rule = SplitRule(**settings)
    split = dataset.split
    described: dict[str, Any] = dict(
        file=str(dataset.record.file), sha256=sha256_of(dataset.record.file))
    if split is None:
        return dict(described, parts=dict(train=len(dataset.rows)),
                    summary='all rows train')
    return dict(
        described,
        method=rule.method,
        seed=rule.seed,
        fractions=list(rule.fractions),
        holdout=rule.holdout,
        grouped_by=split.grouped_by,
        parts={part: len(rows) for part, rows in split.parts.items()},
        near_duplicates_across_parts=len(split.leaks),
        allow_leaky_split=rule.allow_leaky_split,
        summary=split.describe(),
        groups=split.part_of_group())


def describe_run(runner: Runner, results: DirectionResults,
                 figures: dict[str, Any], dataset: DirectionDataset,
                 weights: str) -> dict[str, Any]:
    """Everything of one part of the report."""
    lengths = {
        name: float(np.nanmedian(np.linalg.norm(
            results.truth[:, end] - results.truth[:, start], axis=-1)))
        for name, (start, end) in VECTORS.items()
    }
    split = dataset.split
    return dict(
        weights=weights,
        config=str(runner.cfg.filename),
        figures=figures,
        data=dict(
            file=str(dataset.record.file),
            rows=len(results.rows),
            groups=len(np.unique(results.groups)),
            split='all rows of a file of its own' if split is None else
            split.describe()),
        median_length_px=lengths,
        # of the labels alone: s sqrt(2) / L
        label_floor_deg={
            name: math.degrees(LABEL_SIGMA_PX * math.sqrt(2) / length)
            for name, length in lengths.items()
        },
        label_sigma_px=LABEL_SIGMA_PX,
        machine=describe_machine(runner.model),
        training=describe_training(runner),
        git=git_state())


def describe_training(runner: Runner) -> dict[str, Any]:
    """Progress and images per second of the training; {} in a test."""
    loop = runner._train_loop
    if not isinstance(loop, BaseLoop):
        return {}
    described: dict[str, Any] = dict(
        epochs=runner.epoch, iterations=runner.iter, seed=runner.seed)
    times = runner.message_hub.log_scalars.get('train/time')
    if times is not None:
        batch = runner.cfg.train_dataloader.batch_size * get_world_size()
        described['images_per_second'] = batch / float(times.mean())
    return described


def write_predictions(path: Path, results: DirectionResults) -> None:
    """Write one row an image: points, truth, errors, confidence."""
    columns: dict[str, Any] = dict(
        row=results.rows, group=results.groups, **results.ids)
    for kind, points in (('', results.points), ('_true', results.truth)):
        for k, name in enumerate(POINTS):
            for i, axis in enumerate('xy'):
                columns[f'{name}_{axis}{kind}'] = points[:, k, i].round(3)
    for k, name in enumerate(POINTS):
        columns[f'score_{name}'] = results.scores[:, k].round(4)
    for name, error in results.angle_errors().items():
        columns[f'{name}_error_deg'] = error.round(3)
    columns['angle_conf'] = results.angle_conf.round(4)
    with atomic_file(path) as temporary, temporary.open(
            'w', newline='') as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def draw_largest_errors(path: Path, results: DirectionResults,
                        dataset: DirectionDataset) -> None:
    """Draw the images whose head angle is furthest off."""
    from mmpose_ext.direction.visualizer import draw_worst
    images, _ = dataset.read(results.rows)
    draw_worst(list(images), results.points, results.truth,
               np.abs(results.angle_errors()['head']), path)


def draw_curves(runner: Runner, path: Path) -> None:
    """Draw the training curves of all runs in the work directory."""
    from mmpose_ext.drawing import draw_training_curves
    draw_training_curves(runner.work_dir, path)


def write_run_movie(model: DirectionEstimator, source: Path, path: Path,
                    fps: float | None) -> None:
    """Tag a sequence of crops and draw it."""
    from mmpose_ext.direction.frames import open_source
    from mmpose_ext.direction.inference import DirectionTagger
    from mmpose_ext.direction.predict import (
        DEFAULT_FPS,
        draw_movie,
        tag_source,
    )
    device = str(next(model.parameters()).device)
    tagger = DirectionTagger(model, device,
                             model.test_cfg.get('tta') or 'none')
    crops = open_source(source, tagger.size)
    tracks = tag_source(tagger, crops, fps or crops.fps or DEFAULT_FPS)
    draw_movie(path, crops, tracks)


def git_state() -> str | None:
    """Commit of this package, ``-dirty`` if changed; None outside of git."""
    try:
        done = subprocess.run(
            ['git', 'describe', '--always', '--dirty', '--abbrev=12'],
            cwd=Path(__file__).parent, capture_output=True, text=True,
            timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
