"""Figures of predicted poses beside their truth, in plain numpy."""
from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.equine.horse26 import GROUPS, NAMES, PAIRS
from mmpose_ext.scoring.bootstrap import grouped_interval
from mmpose_ext.storage import DataError, check_file

Array = np.ndarray

PCK_LIMITS = (.05, .1, .2)
FIGURES = ('EPE', 'NE', 'NE_body', *(f'PCK@{t:g}' for t in PCK_LIMITS), 'OKS')
_BODY = NAMES.index('withers'), NAMES.index('tail_base')


@dataclass(frozen=True)
class PoseResults:
    """Predictions beside the truth, in pixels of the photographs.

    Attributes:
        images: (N,) photograph of each horse: what the bootstrap draws.
        points: (N, K, 2) predicted.
        scores: (N, K) confidence.
        truth: (N, K, 2) labels; NaN where there is none.
        boxes: (N, 4) left, top, width, height.
        areas: (N,) px², what OKS divides by.
    """

    images: Array
    points: Array
    scores: Array
    truth: Array
    boxes: Array
    areas: Array

    @property
    def labelled(self) -> Array:
        """(N, K) whether a point has a label, seen or occluded."""
        return np.isfinite(self.truth).all(-1)


def keypoint_report(results: PoseResults,
                    sigmas: Array,
                    score_thr: float = .3,
                    mean_pose: Array | None = None) -> dict[str, Any]:
    """Everything that can be said of predicted poses with truth.

    Args:
        results (PoseResults): N horses of K points.
        sigmas (ndarray): (K,) tolerances of OKS.
        score_thr (float): A point that scores as much is called visible.
            Defaults to .3.
        mean_pose (ndarray, optional): (K, 2) as :func:`read_mean_pose`
            gives it: the answer of a predictor that looks at the box alone.
            Defaults to None.

    Returns:
        dict: ``count``; ``all``, ``groups`` and ``keypoints`` with
        :data:`FIGURES`, ``score`` and ``count`` of points; ``intervals`` of
        95 % of ``all``, drawing photographs; the same figures of the mean
        pose in ``trivial`` (if given); ``swaps`` (rate over all pairs, its
        interval and by pair); ``visibility``. Means are over labelled points;
        NaN where there is none.
    """
    errors = point_errors(results, results.points, sigmas)
    swapped = find_swaps(results.points, results.truth)
    report: dict[str, Any] = dict(
        count=len(results.images),
        **_rows(errors, results),
        intervals={
            name: _interval(values, results.images)
            for name, values in errors.items()
        },
        swaps=dict(
            rate=_mean(swapped),
            interval=_interval(swapped, results.images),
            pairs={
                f'{NAMES[left]}/{NAMES[right]}': _mean(swapped[:, i])
                for i, (left, right) in enumerate(PAIRS)
            }),
        visibility=visibility_figures(results.scores, results.labelled,
                                      score_thr))
    if mean_pose is not None:
        corners, sides = np.split(results.boxes[:, None], 2, axis=-1)
        trivial = corners + mean_pose * sides
        report['trivial'] = _rows(
            point_errors(results, trivial, sigmas), results)
    return report


def point_errors(results: PoseResults, points: Array,
                 sigmas: Array) -> dict[str, Array]:
    """Each figure of each point.

    Args:
        results (PoseResults): The truth.
        points (ndarray): (N, K, 2) what is compared with it, px.
        sigmas (ndarray): (K,) tolerances of OKS.

    Returns:
        dict[str, ndarray]: (N, K) each, NaN without a label: distance in px
        (``EPE``), as a share of the root of the box's area (``NE``) and of
        the trunk's length from withers to tail base (``NE_body``, NaN also
        where that is unknown), whether it is at most a share of the box's
        longer side (``PCK``), and the similarity of COCO (``OKS``).
    """
    distance = np.linalg.norm(points - results.truth, axis=-1)
    width, height = results.boxes[:, 2:].T[..., None]
    trunk = np.linalg.norm(
        results.truth[:, _BODY[0]] - results.truth[:, _BODY[1]],
        axis=-1)[:, None]
    share = distance / np.maximum(width, height)
    known = np.isfinite(distance)
    with np.errstate(divide='ignore', invalid='ignore'):
        by_trunk = np.where(trunk > 0, distance / trunk, np.nan)
    areas = results.areas[:, None] + np.spacing(1)
    return {
        'EPE': distance,
        'NE': distance / np.sqrt(width * height),
        'NE_body': by_trunk,
        **{
            f'PCK@{limit:g}': np.where(known, share <= limit, np.nan)
            for limit in PCK_LIMITS
        },
        'OKS': np.exp(-distance**2 / (2 * areas * (2 * sigmas)**2)),
    }


def find_swaps(points: Array, truth: Array) -> Array:
    """Find pairs whose error would shrink were left and right exchanged.

    Args:
        points (ndarray): (N, K, 2) predicted.
        truth (ndarray): (N, K, 2); NaN where there is no label.

    Returns:
        ndarray: (N, P) 1 or 0 for each pair of the 26 points
        (``horse26.PAIRS``), NaN where either label is missing.
    """
    left, right = np.array(PAIRS).T

    def length(start: Array, end: Array) -> Array:
        return np.linalg.norm(points[:, start] - truth[:, end], axis=-1)

    straight = length(left, left) + length(right, right)
    crossed = length(left, right) + length(right, left)
    return np.where(np.isfinite(straight), crossed < straight, np.nan)


def visibility_figures(scores: Array, labelled: Array,
                       score_thr: float) -> dict[str, float]:
    """How well scores tell points that are there from those that are not.

    Args:
        scores (ndarray): (N, K).
        labelled (ndarray): (N, K) whether a point has a label.
        score_thr (float): A point that scores as much is called visible.

    Returns:
        dict[str, float]: The threshold, counts of true and false positives
        and negatives, precision and recall; NaN where they are undefined.
    """
    called = scores >= score_thr
    counts = dict(
        true_positives=int((called & labelled).sum()),
        false_positives=int((called & ~labelled).sum()),
        false_negatives=int((~called & labelled).sum()),
        true_negatives=int((~called & ~labelled).sum()))
    return dict(
        score_thr=score_thr,
        **counts,
        precision=_mean(labelled[called]),
        recall=_mean(called[labelled]))


def read_mean_pose(path: str | Path) -> Array:
    """Mean pose of a COCO file, in units of the box.

    Args:
        path (str | Path): Annotations, of the part that was trained on.

    Returns:
        ndarray: (K, 2), 0..1 from the box's left to right and top to bottom;
        NaN for a point that is never labelled.

    Raises:
        DataError: If the file is missing or damaged.
    """
    path = check_file(path, hint='mean_pose_from=None goes without')
    try:
        annotations = json.loads(path.read_bytes())['annotations']
        points = np.array([a['keypoints'] for a in annotations], np.float64)
        points = points.reshape(-1, len(NAMES), 3)
        boxes = np.array([a['bbox'] for a in annotations], np.float64)
        boxes = boxes.reshape(len(points), 4)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            path, 'annotations', f'{len(NAMES)} keypoints and a box each',
            f'{type(error).__name__}: {error}') from error
    proper = (boxes[:, 2:] > 0).all(1)
    points, boxes = points[proper], boxes[proper, None]
    placed = (points[..., :2] - boxes[..., :2]) / boxes[..., 2:]
    weights = (points[..., 2] > 0)[..., None]
    with np.errstate(invalid='ignore'):
        return np.where(weights, placed, 0).sum(0) / weights.sum(0)


def _rows(errors: dict[str, Array], results: PoseResults) -> dict[str, Any]:
    """Means over all points, by group and by keypoint."""
    labelled = results.labelled

    def row(members: Any) -> dict[str, float]:
        figures = {
            name: _mean(values[:, members])
            for name, values in errors.items()
        }
        known = labelled[:, members]
        return dict(
            figures,
            score=_mean(results.scores[:, members][known]),
            count=int(known.sum()))

    return dict(
        all=row(slice(None)),
        groups={name: row(list(ids)) for name, ids in GROUPS.items()},
        keypoints={name: row([i]) for i, name in enumerate(NAMES)})


def _interval(values: Array, images: Array) -> tuple[float, float]:
    """95 % of the mean of values (N, ...), drawing photographs."""
    return grouped_interval(values.ravel(),
                            np.repeat(images, values.shape[1]))


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float('nan')
