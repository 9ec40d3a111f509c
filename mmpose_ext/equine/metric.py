"""How far off points are, and average precision with other tolerances."""
from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.evaluation.metrics import CocoMetric

from mmpose_ext.equine.horse26 import (
    ANATOMICAL_SIGMAS,
    BODY_SHARE,
    NAMES,
    SIGMAS,
)
from mmpose_ext.equine.keypoint_scores import (
    FIGURES,
    PoseResults,
    keypoint_report,
    read_mean_pose,
)
from mmpose_ext.registry import METRICS
from mmpose_ext.scoring.keypoint_files import leave_report
from mmpose_ext.training.parameter_table import text_table

_HEADLINE = 'PCK@0.2'
_BY_PART = 'PCK@0.1', 'PCK@0.2'  # of each point, in the log
_NAMED_SIGMAS = dict(horse26=SIGMAS, anatomical=ANATOMICAL_SIGMAS)


@METRICS.register_module()
class HorseKeypointMetric(BaseMetric):
    """Errors of points in pixels of the photographs.

    Logged are ``EPE`` (px), ``NE`` (share of the root of the box's area),
    ``NE_body`` (share of the length from withers to tail base),
    ``PCK@0.05``, ``PCK@0.1`` and ``PCK@0.2`` (of the box's longer side),
    ``OKS``, ``swap_rate`` (left and right), ``visible_precision`` and
    ``visible_recall``; ``_low`` and ``_high`` bound 95 %, ``_trivial`` is the
    mean pose of the training data put into the box. ``PCK@0.2/hind`` and
    ``PCK@0.2/lf_hoof`` are those of a part and a point. Occluded points
    count, absent ones do not.

    A table of all points is logged; ``keypoints.csv`` and ``keypoints.json``
    hold all figures of the latest evaluation.

    Args:
        mean_pose_from (str, optional): COCO file of the training data.
            Defaults to None, no trivial figures.
        score_thr (float): A point that scores as much is called visible.
            Defaults to .3.
        out_dir (str, optional): Folder for the two files. Defaults to None,
            the folder of the run's log.
        collect_device (str): As in MMEngine. Defaults to ``cpu``.
        prefix (str, optional): Defaults to ``horse``.

    Raises:
        DataError: If ``mean_pose_from`` is missing or damaged.
    """

    default_prefix = 'horse'

    def __init__(self,
                 mean_pose_from: str | None = None,
                 score_thr: float = .3,
                 out_dir: str | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.mean_pose = None
        if mean_pose_from is not None:
            self.mean_pose = read_mean_pose(mean_pose_from)
        self.score_thr = score_thr
        self.out_dir = out_dir
        self.results_: PoseResults | None = None
        self.report: dict[str, Any] = {}

    def process(self, data_batch: Any,
                data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep what is needed of each sample."""
        for sample in data_samples:
            label = sample.get('raw_ann_info')
            if label is None:
                raise ValueError('HorseKeypointMetric compares with the '
                                 'annotation of each box: boxes of a detector '
                                 'have none')
            predicted = sample['pred_instances']
            points = np.reshape(label['keypoints'], (-1, 3)).astype(float)
            width, height = label['bbox'][2:]
            self.results.append(
                dict(
                    id=label['id'],
                    images=sample['img_id'],
                    points=np.asarray(predicted['keypoints'])[0, :, :2],
                    scores=np.asarray(predicted['keypoint_scores'])[0],
                    truth=np.where(points[:, 2:] > 0, points[:, :2], np.nan),
                    boxes=label['bbox'],
                    areas=label.get('area', BODY_SHARE * width * height)))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Main figures for the log; the rest goes to :attr:`report`."""
        # Padding of the last distributed batch repeats horses; the order
        # must not depend on the number of processes.
        found = {item['id']: item for item in results}
        unique = [found[key] for key in sorted(found)]
        self.results_ = PoseResults(
            images=np.array([item['images'] for item in unique]),
            **{
                name: np.array([item[name] for item in unique], np.float64)
                for name in ('points', 'scores', 'truth', 'boxes', 'areas')
            })
        sigmas = np.asarray((self.dataset_meta or {}).get('sigmas', SIGMAS))
        self.report = keypoint_report(self.results_, sigmas, self.score_thr,
                                      self.mean_pose)
        logger = MMLogger.get_current_instance()
        logger.info(f'errors by keypoint\n{render_report(self.report)}')
        leave_report(self.out_dir, self.report, ['count', *FIGURES, 'score'],
                     _rows(self.report))
        return main_figures(self.report)


@METRICS.register_module()
class HorseCocoMetric(CocoMetric):
    """``CocoMetric`` with tolerances other than the data set's.

    Args:
        sigmas (str | Sequence[float]): ``anatomical``, ``horse26`` or one
            number a keypoint. Defaults to ``anatomical``.
        prefix (str, optional): Defaults to ``coco_`` and the name of the
            sigmas, ``coco_own`` for numbers.
        **kwargs: Those of ``CocoMetric``.

    Raises:
        ValueError: If the sigmas have no such name, are not as many as
            keypoints, or not above 0.
    """

    def __init__(self,
                 sigmas: str | Sequence[float] = 'anatomical',
                 prefix: str | None = None,
                 **kwargs: Any) -> None:
        named = isinstance(sigmas, str)
        values = _NAMED_SIGMAS.get(sigmas, ()) if isinstance(
            sigmas, str) else sigmas
        if len(values) != len(NAMES) or min(values) <= 0:
            raise ValueError(f'sigmas: expected {len(NAMES)} numbers above 0 '
                             f'or one of {", ".join(_NAMED_SIGMAS)}, found '
                             f'{sigmas!r}')
        self.sigmas = np.array(values, np.float32)
        prefix = prefix or f'coco_{sigmas if named else "own"}'
        super().__init__(prefix=prefix, **kwargs)

    @property
    def dataset_meta(self) -> dict[str, Any] | None:
        """Meta information of the data set, with the sigmas replaced."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict[str, Any]) -> None:
        """Take the meta information; the data set's own is not changed."""
        CocoMetric.dataset_meta.fset(
            self, dict(dataset_meta, sigmas=self.sigmas))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """As ``CocoMetric`` does, without what COCO's code prints."""
        with redirect_stdout(StringIO()):
            return super().compute_metrics(results)


def main_figures(report: dict[str, Any]) -> dict[str, float]:
    """The figures of a report that belong in a log."""
    figures = {}
    for name in FIGURES:
        figures[name] = report['all'][name]
        figures[f'{name}_low'], figures[f'{name}_high'] = (
            report['intervals'][name])
        if 'trivial' in report:
            figures[f'{name}_trivial'] = report['trivial']['all'][name]
    figures['swap_rate'] = report['swaps']['rate']
    figures['swap_rate_low'], figures['swap_rate_high'] = (
        report['swaps']['interval'])
    for name in ('precision', 'recall'):
        figures[f'visible_{name}'] = report['visibility'][name]
    parts = {**report['groups'], **report['keypoints']}
    for name in _BY_PART:
        # a point without a label has no figure
        figures.update((f'{name}/{part}', row[name])
                       for part, row in parts.items() if row['count'])
    return figures


def render_report(report: dict[str, Any]) -> str:
    """Lay out a report as a table: points, parts of the body, all."""
    header = ['', 'count', *FIGURES, 'score']
    trivial = _rows(report['trivial']) if 'trivial' in report else None
    if trivial is not None:
        header.append(f'{_HEADLINE} trivial')
    lines = []
    for name, row in _rows(report).items():
        line = [name, str(row['count'])]
        line += [f'{row[key]:.1f}' if key == 'EPE' else f'{row[key]:.3f}'
                 for key in (*FIGURES, 'score')]
        if trivial is not None:
            line.append(f'{trivial[name][_HEADLINE]:.3f}')
        lines.append(line)
    swaps = report['swaps']['rate']
    seen = report['visibility']
    return (f'{text_table(header, lines)}\n'
            f'{report["count"]} horses; left and right exchanged: '
            f'{swaps:.1%} of pairs; scores from {seen["score_thr"]:g} on: '
            f'precision {seen["precision"]:.3f}, '
            f'recall {seen["recall"]:.3f}')


def _rows(report: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Figures by the name of a keypoint, of a part of the body, ``all``."""
    return {**report['keypoints'], **report['groups'], 'all': report['all']}
