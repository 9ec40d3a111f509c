"""How well tasks are answered, with chance and certainty beside it."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from mmpose_ext.behavior.task_scores import (
    binary_figures,
    multiclass_figures,
    multilabel_figures,
    regression_figures,
)
from mmpose_ext.registry import METRICS
from mmpose_ext.scoring.bootstrap import grouped_interval

Array = np.ndarray

# in the report only: curves of a run show what is logged
_UNLOGGED = ('auc', 'loss', 'correlation')


@METRICS.register_module()
class LisbetMetric(BaseMetric):
    """Accuracy of each task; ``save_best='lisbet/mean_acc'``.

    Beside each figure stands that of the most frequent answer
    (``*_trivial``), and beside the main one a 95 % interval that draws
    records (``*_low``, ``*_high``).

    * yes-or-no tasks: ``<task>_acc``
    * a class a frame: ``<task>_acc``, ``<task>_macro_f1``, ``<task>_map``
    * classes that may meet: the same; the accuracy is the mean over classes
    * numbers: ``<task>_mae``
    * hidden or future points: ``<task>_error``, root mean square
    * pairs of windows: ``<task>_found``, the share that finds its partner in
      its batch

    After each evaluation :attr:`report` has all figures: also losses, areas
    under curves, figures by class and confusion matrices.

    Args:
        threshold (float): From which a class holds, of several that may meet.
            Defaults to .5.
        ignore_index (int | Sequence[int], optional): Classes whose frames are
            left out, where there is one class a frame. Defaults to None.
        ignore_classes (Sequence[str]): Classes that are left out of macro F1
            and mean average precision, as CalMS21 leaves out ``other``.
            Defaults to ().
        collect_device (str): As in MMEngine. Defaults to ``cpu``.
        prefix (str, optional): Defaults to ``lisbet``.

    Raises:
        ValueError: If the threshold is out of range.
    """

    default_prefix = 'lisbet'

    def __init__(self,
                 threshold: float = .5,
                 ignore_index: int | Sequence[int] | None = None,
                 ignore_classes: Sequence[str] = (),
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not 0 < threshold < 1:
            raise ValueError('threshold: expected a number between 0 and 1, '
                             f'found {threshold}')
        self.threshold = threshold
        self.ignored = {ignore_index} if isinstance(ignore_index, int) else {
            *(ignore_index or ())}
        self.ignore_classes = tuple(ignore_classes)
        self.report: dict[str, Any] = {}

    def process(self, data_batch: Any,
                data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep what is needed of each item.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[Mapping]): One a task, each of B items.
        """
        # one result an item: MMEngine cuts results to the number of items
        # where processes had to pad the last batch
        first = data_samples[0]
        kept: list[dict[str, Any]] = [
            dict(item=int(item), tasks={}) for item in first['item_ids']]
        for sample in data_samples:
            name = sample['task']
            labels = sample.get('gt_instance_labels', {})
            predicted = sample.get('pred_instances', {})
            records = sample.get('record_ids', [''] * len(kept))
            for i, answer in enumerate(_answers(labels, predicted)):
                kept[i]['tasks'][name] = (str(records[i]), *answer)
        self.results.extend(kept)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Figures for the log; all of them go to :attr:`report`."""
        # padding of the last distributed batch repeats items
        unique = {item['item']: item['tasks'] for item in results}
        items = [unique[number] for number in sorted(unique)]
        tasks = {name: self._figures(name, [one[name] for one in items])
                 for name in items[0]}
        self.report = dict(count=len(items), tasks=tasks)
        figures: dict[str, float] = {}
        for name, task in tasks.items():
            figures.update({f'{name}_{key}': value
                            for key, value in task['main'].items()
                            if key not in _UNLOGGED})
        for ending in ('', '_trivial'):
            known = [task['main'][f'acc{ending}'] for task in tasks.values()
                     if f'acc{ending}' in task['main']]
            if known:
                figures[f'mean_acc{ending}'] = float(np.mean(known))
        self.report['main'] = figures
        return figures

    def _figures(self, name: str,
                 answers: list[tuple[Any, ...]]) -> dict[str, Any]:
        """All figures of a task; ``main`` are those for the log."""
        records = np.array([answer[0] for answer in answers])
        kind = answers[0][1]
        first, second = (np.stack([answer[i] for answer in answers])
                         for i in (2, 3))
        if kind != 'scored':
            return dict(kind=kind, main=_plain_figures(
                kind, first, second, records))
        kind, truth, scores = _kind_of(name, first, second)
        classes = self._class_names(kind, scores)
        if kind == 'regression':
            figures = regression_figures(truth, scores, records)
        elif kind == 'binary':
            figures = binary_figures(truth, scores, records)
        elif kind == 'multiclass':
            # below 0 is a frame without a label
            kept = ~np.isin(truth, list(self.ignored)) & (truth >= 0)
            figures = multiclass_figures(
                truth[kept], scores[kept], records[kept], classes,
                self.ignore_classes)
        else:
            kept = np.asarray((truth >= 0).all(1))
            figures = multilabel_figures(
                truth[kept], scores[kept], records[kept], classes,
                self.threshold, self.ignore_classes)
        return dict(kind=kind, **figures)

    def _class_names(self, kind: str, scores: Array) -> tuple[str, ...]:
        if kind not in ('multiclass', 'multilabel'):
            return ()
        count = scores.shape[1]
        names = tuple((self.dataset_meta or {}).get('classes') or ())
        return names if len(names) == count else tuple(
            map(str, range(count)))


def _answers(labels: Mapping[str, Any],
             predicted: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Of each item of a task: kind, and two numbers or arrays.

    ``scored``: truth and scores; ``error``: that of the answer and of one
    that does not look at the window; ``found``: the share that found its
    partner, and that of guessing.
    """
    if 'errors' in predicted:
        return [('error', *pair) for pair in zip(
            _array(predicted['errors']), _array(predicted['trivial_errors']),
            strict=True)]
    if 'scores' not in predicted:
        return []
    scores = _array(predicted['scores'])
    if 'labels' in labels:
        return [('scored', *pair) for pair in zip(
            _array(labels['labels']), scores, strict=True)]
    if 'vectors' in predicted:
        guess = np.float32(1 / max(2 * len(scores) - 1, 1))
        return [('found', score, guess) for score in scores]
    return []


def _plain_figures(kind: str, values: Array, trivial: Array,
                   records: Array) -> dict[str, float]:
    """Mean of what needs no truth, with its interval."""
    low, high = grouped_interval(values, records)
    return {kind: float(values.mean()), f'{kind}_low': low,
            f'{kind}_high': high, f'{kind}_trivial': float(trivial.mean())}


def _kind_of(name: str, truth: Array,
             scores: Array) -> tuple[str, Array, Array]:
    """What kind of question it is; truth and scores as it needs them."""
    if truth.dtype.kind in 'iu':
        return 'multiclass', truth.reshape(-1), scores
    if name == 'multiclass':  # shares of annotators
        return name, np.where((truth > 0).any(1), truth.argmax(1),
                              -1), scores
    if 'multilabel' in name or (truth.ndim == 2 and truth.shape[1] > 1):
        return 'multilabel', truth, scores
    truth, scores = truth.reshape(-1), scores.reshape(-1)
    kind = 'binary' if np.isin(truth, (0, 1)).all() else 'regression'
    return kind, truth, scores


def _array(values: Any) -> Array:
    """Values on the CPU."""
    if hasattr(values, 'detach'):
        values = values.detach().cpu().float().numpy() if (
            values.is_floating_point()) else values.cpu().numpy()
    return np.asarray(values)
