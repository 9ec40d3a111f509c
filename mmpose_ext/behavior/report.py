"""What a run leaves behind beside its weights."""
from __future__ import annotations

import csv
import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from mmpose_ext.behavior.metric import LisbetMetric
from mmpose_ext.behavior.report_text import render_report
from mmpose_ext.registry import HOOKS
from mmpose_ext.storage import atomic_file
from mmpose_ext.storage.plain_files import plain, without_nan, write_json
from mmpose_ext.training.run_report import (
    best_model,
    evaluate_model,
    read_report,
    try_to_write,
    write_weights,
)
from mmpose_ext.training.stopwatch import describe_machine

HISTORY, REPORT = 'history.csv', 'report.json'
EVALUATION = 'evaluation_report.yml'
# figures of a task, the first that there is goes into the history
_SCORES = ('macro_f1', 'acc', 'mae', 'error', 'found')


@HOOKS.register_module()
class LisbetReportHook(Hook):
    """Writes history, report and pictures into the work directory.

    * after each epoch, and each validation of a run by iterations:
      ``history.csv`` with the columns ``epoch, step,
      <task>_{train,dev}_{loss,score}``
    * after training, with the best checkpoint, or the last one where none is
      kept: ``report.json`` and ``report.md`` (part ``val``), ``curves.png``,
      ``confusion.png`` and ``model_weights.pt``
    * after a test: the part ``test`` of the report, ``confusion_test.png``
      and, of a model that tells behaviours, ``evaluation_report.yml``

    A file that cannot be written is a warning: a training is never lost by
    its report.
    """

    # after the checkpoint hook
    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Take up the history of a run that is resumed."""
        self._history = [
            row for row in read_history(Path(runner.work_dir) / HISTORY)
            if int(row['step']) <= runner.iter] if runner.iter else []
        self._losses: dict[str, tuple[Any, int]] = {}

    def after_train_iter(self, runner: Runner, batch_idx: int,
                         data_batch: Any = None,
                         outputs: dict[str, Any] | None = None) -> None:
        """Add up losses and scores until the next row."""
        for name, value in (outputs or {}).items():
            if name.startswith(('loss_', 'acc_')):
                # kept where it is: a GPU is not waited for
                total, count = self._losses.get(name, (0, 0))
                self._losses[name] = (total + value.detach(), count + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Write a row, unless a validation will."""
        if runner.val_loop is None and is_main_process():
            self._add_row(runner, {}, runner.epoch + 1)

    def after_val_epoch(self, runner: Runner,
                        metrics: dict[str, float] | None = None) -> None:
        """Write a row."""
        if not is_main_process() or not hasattr(self, '_history'):
            return
        metric = find_metric(runner.val_evaluator)
        self._add_row(runner, metric.report.get('tasks', {}) if metric else {},
                      runner.epoch)

    def after_train(self, runner: Runner) -> None:
        """Evaluate the best weights and write all files."""
        model, weights = best_model(runner)
        metric = None
        if runner.val_loop is not None:
            evaluate_model(runner, model)
            metric = find_metric(runner.val_evaluator)
        if not is_main_process():
            return
        if metric is not None and metric.report:
            self._write_part(runner, 'val', metric, weights)
        try_to_write(runner, 'curves.png', lambda path: draw_curves(
            runner, path))
        try_to_write(runner, 'model_weights.pt', lambda path: write_weights(
            model, path))

    def after_test_epoch(self, runner: Runner,
                         metrics: dict[str, float] | None = None) -> None:
        """Add the test to the report."""
        metric = find_metric(runner.test_evaluator)
        if metric is None or not is_main_process() or not metric.report:
            return
        weights = runner._load_from or 'those of the running training'
        self._write_part(runner, 'test', metric, str(weights))
        for task in metric.report['tasks'].values():
            if task['kind'] in ('multiclass', 'multilabel'):
                try_to_write(runner, EVALUATION, functools.partial(
                    write_evaluation, task=task))

    def _add_row(self, runner: Runner, tasks: dict[str, Any],
                 epoch: int) -> None:
        row: dict[str, Any] = dict(epoch=epoch, step=runner.iter)
        for name, (total, count) in self._losses.items():
            kind, _, task = name.partition('_')
            ending = 'loss' if kind == 'loss' else 'score'
            row[f'{task}_train_{ending}'] = float(total) / count
        for name, task in tasks.items():
            figures = task['main']
            row[f'{name}_dev_loss'] = figures.get('loss', math.nan)
            score = next((key for key in _SCORES if key in figures), None)
            if score:
                row[f'{name}_dev_score'] = figures[score]
        self._losses.clear()
        self._history.append(row)
        try_to_write(runner, HISTORY,
                      lambda path: write_history(path, self._history))

    def _write_part(self, runner: Runner, part: str, metric: LisbetMetric,
                    weights: str) -> None:
        dataset = getattr(runner, f'{part}_dataloader').dataset
        section = dict(
            weights=weights, config=str(runner.cfg.filename),
            figures=metric.report, data=describe_data(dataset),
            machine=describe_machine(runner.model),
            training=_progress(runner))
        folder = Path(runner.work_dir)

        def write_report(path: Path) -> None:
            report = {**read_report(path), part: plain(section)}
            write_json(path, report)
            with atomic_file(folder / 'report.md') as temporary:
                temporary.write_text(render_report(report))

        try_to_write(runner, REPORT, write_report)
        name = 'confusion.png' if part == 'val' else f'confusion_{part}.png'
        try_to_write(runner, name,
                      lambda path: draw_confusion(path, metric.report))


def _progress(runner: Runner) -> dict[str, Any]:
    """How far the training is; nothing is trained where only a test runs."""
    # asking the runner itself would build the training data for a test
    loop = runner._train_loop
    training = isinstance(loop, BaseLoop)
    return dict(epochs=loop.epoch if training else 0,
                iterations=loop.iter if training else 0, seed=runner.seed)


def find_metric(evaluator: Any) -> LisbetMetric | None:
    """The family's metric among those of an evaluator."""
    return next((metric for metric in evaluator.metrics
                 if isinstance(metric, LisbetMetric)), None)


def describe_data(dataset: Any) -> dict[str, Any]:
    """Records, frames and windows of a data set, as far as it tells."""
    store = getattr(dataset, 'store', None)
    described: dict[str, Any] = dict(windows=len(dataset))
    if store is not None:
        described.update(root=str(store.source), records=len(store.ids),
                         frames=int(store.total_frames))
    return described


def draw_curves(runner: Runner, path: Path) -> None:
    """Draw the training curves of all runs in the work directory."""
    from mmpose_ext.drawing import draw_training_curves
    draw_training_curves(runner.work_dir, path)


def draw_confusion(path: Path, report: dict[str, Any]) -> None:
    """Draw the confusion matrices of all tasks that have one."""
    from mmpose_ext.behavior.confusion import draw_confusions
    tables = {name: (task['classes'], task['confusion'])
              for name, task in report['tasks'].items()
              if 'confusion' in task}
    if tables:
        draw_confusions(path, tables)


def write_evaluation(path: Path, task: dict[str, Any]) -> None:
    """Write the figures of behaviours under the original's names."""
    main, per_class = task['main'], task['per_class']
    names = ('f1', 'precision', 'recall')
    figures = dict(
        mode=task['kind'],
        f1_macro=main.get('macro_f1'),
        accuracy_macro=float(np.mean([
            one['recall'] for one in per_class.values() if one['count']]
            or [math.nan])) if task['kind'] == 'multiclass' else main['acc'],
        per_class={key: {name: one[key] for name, one in per_class.items()}
                   for key in names})
    with atomic_file(path) as temporary:
        temporary.write_text(yaml.safe_dump(
            without_nan(plain(figures)), sort_keys=False))


def write_history(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a row an epoch; the columns are those of any row."""
    columns = list(dict.fromkeys(
        ['epoch', 'step', *sorted({name for row in rows for name in row}
                                  - {'epoch', 'step'})]))
    with (atomic_file(path) as temporary,
          temporary.open('w', newline='') as stream):
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows({
            name: f'{value:.6g}' if isinstance(value, float) else value
            for name, value in row.items()} for row in rows)


def read_history(path: Path) -> list[dict[str, Any]]:
    """The history so far; none if there is none that can be read."""
    try:
        with path.open(newline='') as stream:
            rows = list(csv.DictReader(stream))
        return rows if all(int(row['step']) >= 0 for row in rows) else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
