"""How far off 3D poses are."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from torch import Tensor

from mmpose_ext.registry import METRICS
from mmpose_ext.scoring.keypoint_files import leave_report
from mmpose_ext.training import text_table
from mmpose_ext.volumetric.pose_scores import (
    PoseResults3D,
    mean,
    pose_report,
)

Array = np.ndarray

# figures of the report that go to the log as they are
_PLAIN = ('P-MPJPE', 'ratio', 'COM', 'COM_input', 'reprojection_px',
          'body_share', 'jitter', 'jitter_labels')


@METRICS.register_module()
class VolumetricMetric(BaseMetric):
    """Errors of 3D keypoints in mm; ``save_best='volumetric/MPJPE'``.

    All keypoints of all samples and processes weigh the same. Logged are
    ``MPJPE``, ``median``, ``PCK@2mm`` ..., ``P-MPJPE`` (after the best
    rotation and shift of each pose, without scale), ``body_share`` (MPJPE by
    the longest extent of the labels, its median), ``reprojection_px`` (over
    views), ``COM`` and ``COM_input`` (centroid of the predicted keypoints
    and the given centre of mass, from the labels' centroid), ``bone_cv`` and
    ``bone_cv_labels`` (variation of bone lengths within an animal),
    ``jitter`` and ``jitter_labels`` (second difference in time, mm/frame²,
    where time points follow each other), ``trivial/MPJPE`` and
    ``trivial/median`` (the mean pose of what is evaluated, in the frame of
    each grid) and the ``ratio`` of the two MPJPE. Without labels there are
    ``bone_cv`` and ``jitter`` alone.

    A table of all keypoints is logged; ``keypoints.csv`` and
    ``keypoints.json`` hold all figures of the latest evaluation.

    Args:
        thresholds (Sequence[float]): mm, of PCK. Defaults to (2, 5, 10).
        out_dir (str, optional): Folder for the two files. Defaults to None,
            the folder of the run's log.
        collect_device (str): As in MMEngine. Defaults to ``cpu``.
        prefix (str, optional): Defaults to ``volumetric``.

    Raises:
        ValueError: If a threshold is not above 0.
    """

    default_prefix = 'volumetric'

    def __init__(self,
                 thresholds: Sequence[float] = (2., 5., 10.),
                 out_dir: str | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not all(limit > 0 for limit in thresholds):
            raise ValueError('thresholds: expected mm above 0, found '
                             f'{list(thresholds)}')
        self.thresholds = tuple(thresholds)
        self.out_dir = out_dir
        self.results_: PoseResults3D | None = None
        self.report: dict[str, Any] = {}

    def process(self, data_batch: Any,
                data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep what is needed of each sample."""
        for sample in data_samples:
            predicted = sample['pred_instances']
            points = _array(predicted['keypoints'])
            truth = _array(sample['gt_instances']['keypoints']).copy()
            # a label with a missing coordinate is none
            truth[~np.isfinite(truth).all(-1)] = np.nan
            ahead, _ = sample['cameras'].project(points)
            behind, _ = sample['cameras'].project(truth)
            pixels = np.linalg.norm(ahead - behind, axis=-1)
            seen = np.isfinite(pixels)
            self.results.append(
                dict(
                    key=(int(sample['recording_index']),
                         int(sample['sample_id']), float(sample['turn'])),
                    names=tuple(sample['keypoint_names']),
                    links=tuple(
                        (int(a), int(b)) for a, b in
                        sample['skeleton_links']),
                    points=points,
                    scores=_array(predicted['keypoint_scores']),
                    truth=truth,
                    centres=_array(sample['grid_centres']),
                    axes=_array(sample['grid_axes']),
                    coms=_array(sample['com']),
                    pixel_sums=np.where(seen, pixels, 0).sum(0),
                    pixel_counts=seen.sum(0)))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Main figures for the log; the rest goes to :attr:`report`."""
        self.results_ = gather_poses(results)
        first = results[0]
        self.report = pose_report(self.results_, first['names'],
                                  first['links'], self.thresholds)
        logger = MMLogger.get_current_instance()
        if 'all' in self.report:
            logger.info(f'errors by keypoint\n{render_report(self.report)}')
            leave_report(self.out_dir, self.report,
                         [*self.report['all'], 'trivial'], _rows(self.report))
        else:
            leave_report(self.out_dir, self.report, (), {})
        return main_figures(self.report)


def gather_poses(results: Sequence[dict[str, Any]]) -> PoseResults3D:
    """Join the results of samples, each counted once, in a fixed order.

    Padding of the last distributed batch repeats samples, and the order must
    not depend on the number of processes.
    """
    found = {item['key']: item for item in results}
    items = [found[key] for key in sorted(found)]
    counts = [len(item['points']) for item in items]

    def column(number: int) -> Array:
        return np.repeat([item['key'][number] for item in items], counts)

    return PoseResults3D(
        recordings=column(0),
        sample_ids=column(1),
        turns=column(2),
        individuals=np.concatenate([np.arange(count) for count in counts]),
        **{
            name: np.concatenate([item[name] for item in items])
            for name in ('points', 'scores', 'truth', 'centres', 'axes',
                         'coms', 'pixel_sums', 'pixel_counts')
        })


def main_figures(report: dict[str, Any]) -> dict[str, float]:
    """The figures of a report that belong in a log."""
    figures: dict[str, float] = {}
    if 'all' in report:
        figures.update(
            (name, value) for name, value in report['all'].items()
            if name not in ('count', 'score'))
        for name in ('MPJPE', 'median'):
            figures[f'trivial/{name}'] = report['trivial']['all'][name]
    figures.update(
        (name, report[name]) for name in _PLAIN
        # where time points do not follow each other there is no jitter
        if name in report and not np.isnan(report[name]))
    for name in ('cv', 'cv_labels'):
        value = mean(np.array(
            [row[name] for row in report['bones'].values()]))
        if not np.isnan(value):
            figures[f'bone_{name}'] = value
    return figures


def render_report(report: dict[str, Any]) -> str:
    """Lay out a report as a table: keypoints, then all of them."""
    columns = list(report['all'])
    lines = []
    for name, row in _rows(report).items():
        lines.append([
            name, str(row['count']),
            *(f'{row[key]:.{2 if key in ("MPJPE", "median") else 3}f}'
              for key in columns[1:]), f'{row["trivial"]:.2f}'
        ])
    return (f'{text_table(["", *columns, "MPJPE trivial"], lines)}\n'
            f'{report["count"]} poses, mm; the trivial answer is the mean '
            f'pose in the frame of each grid: ratio {report["ratio"]:.1%}')


def _rows(report: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Figures by the name of a keypoint and ``all``, the trivial beside."""
    trivial = report['trivial']
    rows = {
        name: dict(row, trivial=trivial['keypoints'][name]['MPJPE'])
        for name, row in report['keypoints'].items()
    }
    return {**rows,
            'all': dict(report['all'], trivial=trivial['all']['MPJPE'])}


def _array(values: Any) -> Array:
    """Float64 of an array or of a tensor on any device."""
    if isinstance(values, Tensor):
        values = values.detach().float().cpu().numpy()
    return np.asarray(values, np.float64)
