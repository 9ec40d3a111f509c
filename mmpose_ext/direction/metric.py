"""How far off directions and points are."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from mmpose_ext.direction.angles import (
    POINTS,
    VECTORS,
    circular_mean,
    circular_std,
    direction_angles,
    wrap,
)
from mmpose_ext.registry import METRICS
from mmpose_ext.scoring.bootstrap import grouped_interval

Array = np.ndarray


@dataclass(frozen=True)
class DirectionResults:
    """Predictions beside the truth.

    Attributes:
        rows: (N,) row of each image in its file.
        points: (N, 3, 2) predicted base, neck, head, px.
        truth: (N, 3, 2) labels, px; NaN hidden.
        scores: (N, 3) in [0, 1].
        angle_conf: (N,) in [0, 1].
        groups: (N,) text, the split's group: what the bootstrap draws.
        ids: Further groupings (``animal``, ``session``), each (N,) text.
        size: Side of the images, px.
    """

    rows: Array
    points: Array
    truth: Array
    scores: Array
    angle_conf: Array
    groups: Array
    ids: dict[str, Array]
    size: int

    def angle_errors(self) -> dict[str, Array]:
        """Signed errors (N,) in degrees of body, head and overall."""
        predicted = direction_angles(self.points)
        true = direction_angles(self.truth)
        return {
            name: np.degrees(wrap(predicted[name] - true[name]))
            for name in VECTORS
        }

    def point_errors(self) -> Array:
        """Distances (N, 3), px; NaN where the label is hidden."""
        return np.linalg.norm(self.points - self.truth, axis=-1)


@METRICS.register_module()
class DirectionMetric(BaseMetric):
    """Errors of angles and points; ``save_best='dir/head_mae_deg'``.

    Angle errors are wrapped, so +179 and -179 degrees are 2 apart. Vectors
    shorter than 1 px have no direction; they are counted in ``invalid_frac``
    and left out of means. Beside the main figures stand those of the best
    constant answer (``*_trivial``), and a 95 % interval that draws groups.

    After each evaluation :attr:`results_` and :attr:`report` hold all
    predictions and the full report (orientation bins, animals, sessions, turn
    terciles, calibration).

    Args:
        collect_device (str): As in MMEngine. Defaults to ``cpu``.
        prefix (str, optional): Defaults to ``dir``.
    """

    default_prefix = 'dir'

    def __init__(self,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.results_: DirectionResults | None = None
        self.report: dict[str, Any] = {}

    def process(self, data_batch: Any,
                data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep what is needed of each sample."""
        for sample in data_samples:
            predicted, true = sample['pred_instances'], sample['gt_instances']
            visible = np.asarray(true['keypoints_visible'])[0] > 0
            truth = np.asarray(true['keypoints'], np.float64)[0]
            conf = predicted.get('angle_conf', np.ones(1))
            self.results.append(
                dict(
                    row=int(sample['img_id']),
                    points=np.asarray(predicted['keypoints'])[0],
                    scores=np.asarray(predicted['keypoint_scores'])[0],
                    angle_conf=float(np.asarray(conf)[0]),
                    truth=np.where(visible[:, None], truth, np.nan),
                    # a file of its own is not split, yet its rows are
                    # no more independent than others
                    group=next(
                        str(sample[key]) for key in
                        ('group', 'session', 'animal', 'img_id')
                        if sample.get(key) is not None),
                    animal=sample.get('animal'),
                    session=sample.get('session'),
                    size=sample['input_size'][0]))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Main figures for the log; the rest goes to :attr:`report`."""
        # Padding of the last distributed batch repeats rows.
        unique = list({item['row']: item for item in results}.values())
        self.results_ = gather_results(unique)
        self.report = direction_report(self.results_)
        return main_figures(self.report)


def gather_results(items: list[dict[str, Any]]) -> DirectionResults:
    """Join per-image results into arrays, in the order of rows."""
    items = sorted(items, key=lambda item: item['row'])

    def column(name: str) -> Array:
        return np.array([item[name] for item in items])

    ids = {
        key: column(key).astype(str)
        for key in ('animal', 'session') if items[0][key] is not None
    }
    return DirectionResults(
        rows=column('row'),
        points=column('points').astype(np.float64),
        truth=column('truth'),
        scores=column('scores'),
        angle_conf=column('angle_conf'),
        groups=column('group').astype(str),
        ids=ids,
        size=int(items[0]['size']))


def direction_report(results: DirectionResults) -> dict[str, Any]:
    """Everything that can be said of predictions with truth.

    Returns:
        dict: ``angles`` and ``points`` by name, ``mse_norm`` (comparable with
        the published loss), ``trivial``, ``groups`` (mean head error by
        animal, session, orientation, turn) and ``calibration``.
    """
    errors = results.angle_errors()
    distances = results.point_errors()
    normed = (results.points - results.truth) / (results.size / 2)
    return dict(
        count=len(results.rows),
        angles={
            name: _angle_figures(error, results.groups)
            for name, error in errors.items()
        },
        points=_point_figures(distances, results.truth),
        mse_norm=float(np.nanmean(np.square(normed))),
        trivial=_trivial_figures(results.truth),
        groups=_group_figures(results, np.abs(errors['head'])),
        calibration=_calibration(results.angle_conf, np.abs(errors['head'])))


def main_figures(report: dict[str, Any]) -> dict[str, float]:
    """The figures of a report that belong in a log."""
    figures = {}
    for name in ('head', 'body', 'overall'):
        angle = report['angles'][name]
        for key in ('mae_deg', 'median_deg', 'acc@10', 'reversal_rate'):
            figures[f'{name}_{key}'] = angle[key]
    low, high = report['angles']['head']['mae_deg_interval']
    figures.update(head_mae_deg_low=low, head_mae_deg_high=high)
    figures['head_mae_deg_trivial'] = report['trivial']['head_mae_deg']
    figures['invalid_frac'] = report['angles']['head']['invalid_frac']
    for name in POINTS:
        figures[f'{name}_px'] = report['points'][name]['mean_px']
    figures['mse_norm'] = report['mse_norm']
    return figures


def _trivial_figures(truth: Array) -> dict[str, float]:
    """Errors of the best constant answer: mean direction, mean points."""
    figures = {}
    for name, true in direction_angles(truth).items():
        error = wrap(np.nan_to_num(circular_mean(true)) - true)
        figures[f'{name}_mae_deg'] = _mean(np.abs(np.degrees(error)))
    distances = np.linalg.norm(truth - np.nanmean(truth, 0), axis=-1)
    return dict(figures, mean_px=_mean(distances))


def _angle_figures(error: Array, groups: Array) -> dict[str, Any]:
    """Figures of signed errors in degrees; NaN is no direction."""
    known = error[np.isfinite(error)]
    size = np.abs(known)
    figures: dict[str, Any] = dict(
        invalid_frac=1 - len(known) / len(error),
        mae_deg=_mean(size),
        mae_deg_interval=grouped_interval(np.abs(error), groups),
        rmse_deg=_mean(np.square(size))**.5,
        bias_deg=float(np.degrees(circular_mean(np.radians(known)))),
        std_deg=float(np.degrees(circular_std(np.radians(known)))),
        flip_rate=_mean(size > 90),
        reversal_rate=_mean(size > 150))
    for name, quantile in (('median', .5), ('p90', .9), ('p95', .95)):
        figures[f'{name}_deg'] = _quantile(size, quantile)
    for limit in (5, 10, 15, 30):
        figures[f'acc@{limit}'] = _mean(size <= limit)
    return figures


def _point_figures(distances: Array, truth: Array) -> dict[str, Any]:
    length = np.linalg.norm(truth[:, 2] - truth[:, 0], axis=-1)
    figures: dict[str, Any] = {}
    for i, name in enumerate(POINTS):
        known = np.isfinite(distances[:, i])
        size = distances[known, i]
        figures[name] = dict(
            mean_px=_mean(size),
            median_px=_quantile(size, .5),
            p95_px=_quantile(size, .95),
            **{f'pck@{limit}px': _mean(size <= limit)
               for limit in (1, 2, 3)},
            **{f'pck@{share}': _mean((size <= share * length[known])
                                     [np.isfinite(length[known])])
               for share in (.1, .2)})
    return figures


def _group_figures(results: DirectionResults,
                   error: Array) -> dict[str, dict[str, float]]:
    """Mean head error in degrees by what may explain it."""
    true = direction_angles(results.truth)
    heading = np.degrees(true['overall']) % 360
    turn = np.abs(np.degrees(true['turn']))
    groupings = dict(results.ids)
    groupings['orientation'] = np.array([
        f'{int(angle // 30) * 30:03d}-{int(angle // 30) * 30 + 30:03d}'
        if np.isfinite(angle) else 'none' for angle in heading
    ])
    if np.isfinite(turn).any():
        edges = np.nanquantile(turn, [1 / 3, 2 / 3])
        names = np.array(['small', 'middle', 'large'])
        groupings['turn'] = np.where(
            np.isfinite(turn), names[np.searchsorted(edges, turn).clip(max=2)],
            'none')
    return {
        grouping: {
            str(name): _mean(error[values == name])
            for name in np.unique(values)
        }
        for grouping, values in groupings.items()
    }


def _calibration(conf: Array, error: Array) -> dict[str, Any]:
    """Does confidence foretell the error?

    Returns:
        dict: Mean head error in ten bins of equal count, from doubtful to
        sure; the largest rise from one bin to the next (0 when ordered well);
        mean error of the surest 90 %.
    """
    known = np.isfinite(error)
    conf, error = conf[known], error[known]
    if len(error) < 20 or np.ptp(conf) == 0:
        return dict(bins=[], worst_rise_deg=float('nan'),
                    mae_deg_at_90=float('nan'))
    order = np.argsort(conf)
    bins = [_mean(part) for part in np.array_split(error[order], 10)]
    sure = error[order[len(order) // 10:]]
    return dict(
        bins=bins,
        worst_rise_deg=float(max(0., np.max(np.diff(bins)))),
        mae_deg_at_90=_mean(sure))


def _mean(values: Array) -> float:
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float('nan')


def _quantile(values: Array, quantile: float) -> float:
    return float(np.quantile(values, quantile)) if len(values) else float(
        'nan')
