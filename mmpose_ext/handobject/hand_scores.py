"""Figures of predicted hands beside their labels, in plain numpy.

N hands of K = 21 joints. Positions are in metres of the camera's frame, all
errors in mm. A joint without a label is NaN in every table of errors; a
prediction that is no number is infinitely far off.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmpose_ext.handobject.hand import (
    JOINT_NAMES,
    WRIST,
    mirror_signs,
    root_relative,
)

Array = np.ndarray

PCK2D_PX = 5.
PCK3D_MM = 20.
BOX_SHARES = (.05, .2)
AUC_RANGE = (0., 50.)
_AUC_STEPS = 100
_MM = 1000.


@dataclass(frozen=True, eq=False)
class HandResults:
    """Predictions beside the labels.

    Attributes:
        ids: (N,) int, number of the sample in its split.
        points: (N, 21, 3) m, predicted.
        truth: (N, 21, 3) m, labels.
        valid: (N, 21) bool, which joints are labelled.
        pixels: (N, 21, 2) px of the photograph, where ``points`` are seen.
        true_pixels: (N, 21, 2) px.
        seen: (N, 21) bool, which labels lie inside the photograph.
        box_sides: (N,) px, longer side of the box.
        left: (N,) bool.
        groups: Names of what (N,) the tables go by, like ``subject``.
    """

    ids: Array
    points: Array
    truth: Array
    valid: Array
    pixels: Array
    true_pixels: Array
    seen: Array
    box_sides: Array
    left: Array
    groups: dict[str, Array]


def absolute_errors(points: Array, truth: Array, valid: Array) -> Array:
    """Distances (N, K) mm of joints (N, K, 3) m in the camera's frame."""
    with np.errstate(invalid='ignore'):
        distances = _MM * np.linalg.norm(points - truth, axis=-1)
    distances[~np.isfinite(points).all(-1)] = np.inf
    return np.where(valid, distances, np.nan)


def relative_errors(points: Array, truth: Array, valid: Array,
                    include_root: bool = True) -> Array:
    """Distances (N, K) mm, each pose's own wrist subtracted.

    Args:
        points (ndarray): (N, K, 3) m.
        truth (ndarray): (N, K, 3) m.
        valid (ndarray): (N, K) bool. Without the wrist, no joint counts.
        include_root (bool): Whether the wrist's error, which is 0, counts,
            as it does in the evaluation of DexYCB. Defaults to True.
    """
    valid = valid & valid[:, WRIST:WRIST + 1]
    if not include_root:
        valid = valid & (np.arange(valid.shape[1]) != WRIST)
    with np.errstate(invalid='ignore'):
        return absolute_errors(root_relative(points), root_relative(truth),
                               valid)


def align_poses(points: Array, truth: Array, valid: Array,
                reflection: bool = False) -> Array:
    """Lay poses upon others by scale, rotation and shift.

    The three minimise the squared distances over valid joints.

    Args:
        points (ndarray): (N, K, 3) what is moved.
        truth (ndarray): (N, K, 3) what it is laid upon.
        valid (ndarray): (N, K) bool.
        reflection (bool): Whether a mirror image will do, as in the
            evaluation of DexYCB. Defaults to False, proper rotations.

    Returns:
        ndarray: (N, K, 3); NaN with fewer than three valid joints or a
        prediction that is no number.
    """
    usable = valid & np.isfinite(points).all(-1)
    usable &= ((usable == valid).all(1) & (usable.sum(1) >= 3))[:, None]
    weights = (usable / np.maximum(usable.sum(1), 1)[:, None])[..., None]
    moving, still = (np.where(usable[..., None], values, 0)
                     for values in (points, truth))
    means = [(weights * values).sum(1, keepdims=True)
             for values in (moving, still)]
    moving, still = (np.where(usable[..., None], values - centre, 0)
                     for values, centre in zip((moving, still), means,
                                               strict=True))
    left, singular, right = np.linalg.svd(
        np.einsum('nki,nkj->nij', still, moving))
    if not reflection:
        sign = np.sign(np.linalg.det(left @ right))
        left[..., 2] *= sign[:, None]
        singular[:, 2] *= sign
    spread = np.square(moving).sum((1, 2))
    scale = singular.sum(1) / np.where(spread > 0, spread, 1)
    aligned = scale[:, None, None] * np.einsum(
        'nij,nkj->nki', left @ right, moving) + means[1]
    return np.where(usable[..., None], aligned, np.nan)


def aligned_errors(points: Array, truth: Array, valid: Array,
                   reflection: bool = False) -> Array:
    """Distances (N, K) mm after :func:`align_poses`."""
    aligned = align_poses(points, truth, valid, reflection)
    enough = valid.sum(1, keepdims=True) >= 3
    return absolute_errors(aligned, truth, valid & enough)


def pixel_errors(pixels: Array, true_pixels: Array, seen: Array) -> Array:
    """Distances (N, K) px in the photograph, NaN where not seen."""
    return absolute_errors(pixels / _MM, true_pixels / _MM, seen)


def pooled_mean(errors: Array) -> float:
    """Mean over all joints of all hands; NaN of none."""
    known = errors[~np.isnan(errors)]
    return float(known.mean()) if known.size else float('nan')


def mean_of_joints(errors: Array) -> float:
    """Mean over joints of each joint's mean, DexYCB's own.

    It is the pooled mean where every hand has every joint.
    """
    return pooled_mean(np.array([pooled_mean(column)
                                 for column in errors.T]))


def share_within(errors: Array, limit: float, strict: bool = False) -> float:
    """Share of joints off by at most a limit, or by less if ``strict``."""
    known = errors[~np.isnan(errors)]
    if not known.size:
        return float('nan')
    return float((known < limit if strict else known <= limit).mean())


def area_under_curve(errors: Array,
                     limits: tuple[float, float] = AUC_RANGE,
                     steps: int = _AUC_STEPS) -> float:
    """Area under the share of joints within a threshold, over thresholds.

    Args:
        errors (ndarray): (N, K); each column has its own curve, and the mean
            of their areas is taken.
        limits (tuple[float, float]): First and last threshold, in the unit
            of the errors. Defaults to (0, 50).
        steps (int): Thresholds, ends included. Defaults to 100.

    Returns:
        float: 0..1, the trapezoids over the width of the range; NaN of none.
    """
    thresholds = np.linspace(*limits, steps)
    areas = []
    for column in errors.T:
        known = np.sort(column[~np.isnan(column)])
        if known.size:
            curve = np.searchsorted(known, thresholds, 'right') / known.size
            areas.append(((curve[1:] + curve[:-1]) / 2).mean())
    return float(np.mean(areas)) if areas else float('nan')


def spreads(points: Array, valid: Array, left: Array) -> Array:
    """Standard deviation (K,) mm over hands of joints behind the wrist.

    Left hands are mirrored first: telling sides apart is not spread. The
    three axes are joined as the root of the sum of variances.
    """
    relative = root_relative(points) * mirror_signs(left)[:, None]
    usable = valid & valid[:, WRIST:WRIST + 1] & np.isfinite(relative).all(-1)
    found = []
    for joint in range(points.shape[1]):
        rows = relative[usable[:, joint], joint]
        found.append(np.sqrt(rows.var(0).sum()) if len(rows) > 1 else np.nan)
    return _MM * np.array(found)


def spread_ratio(predicted: Array, true: Array) -> float:
    """Spread of predictions over that of labels, all joints but the wrist.

    Args:
        predicted (ndarray): (K,) of :func:`spreads`.
        true (ndarray): (K,) of :func:`spreads`.

    Returns:
        float: 1 is right, 0 a collapsed network; NaN if labels have none.
    """
    sums = [np.square(np.delete(values, WRIST)).sum()
            for values in (predicted, true)]
    return float(np.sqrt(sums[0] / sums[1])) if sums[1] > 0 else float('nan')


def hand_errors(results: HandResults,
                include_root: bool = True) -> dict[str, Array]:
    """Each kind of error of each joint.

    Returns:
        dict[str, ndarray]: (N, 21) each: ``MPJPE`` behind the wrist,
        ``MPJPE_abs``, ``PA-MPJPE``, ``PA-MPJPE_kit`` in mm, ``EPE`` in px
        and ``share`` of the box's longer side.
    """
    three = results.points, results.truth, results.valid
    pixels = pixel_errors(results.pixels, results.true_pixels, results.seen)
    return {
        'MPJPE': relative_errors(*three, include_root),
        'MPJPE_abs': absolute_errors(*three),
        'PA-MPJPE': aligned_errors(*three),
        'PA-MPJPE_kit': aligned_errors(*three, reflection=True),
        'EPE': pixels,
        'share': pixels / results.box_sides[:, None],
    }


def hand_figures(errors: dict[str, Array],
                 auc_range: tuple[float, float] = AUC_RANGE
                 ) -> dict[str, float]:
    """Figures of errors.

    Args:
        errors (dict[str, ndarray]): Of :func:`hand_errors`, or some of its
            rows and columns.
        auc_range (tuple[float, float]): mm. Defaults to (0, 50).

    Returns:
        dict: The means, ``AUC`` and ``PCK3D@20mm`` behind the wrist, the
        areas ``AUC_abs`` and ``AUC_PA``, ``PCK2D@5px``, ``PCK2D@0.05box``
        and ``PCK2D@0.2box``.
    """
    means = ('MPJPE', 'MPJPE_abs', 'PA-MPJPE', 'PA-MPJPE_kit', 'EPE')
    figures = {name: pooled_mean(errors[name]) for name in means}
    for name, kind in (('AUC', 'MPJPE'), ('AUC_abs', 'MPJPE_abs'),
                       ('AUC_PA', 'PA-MPJPE')):
        figures[name] = area_under_curve(errors[kind], auc_range)
    figures[f'PCK3D@{PCK3D_MM:g}mm'] = share_within(errors['MPJPE'], PCK3D_MM)
    figures[f'PCK2D@{PCK2D_PX:g}px'] = share_within(errors['EPE'], PCK2D_PX,
                                                    strict=True)
    for share in BOX_SHARES:
        figures[f'PCK2D@{share:g}box'] = share_within(errors['share'], share,
                                                      strict=True)
    return figures


def hand_report(results: HandResults, include_root: bool = True,
                auc_range: tuple[float, float] = AUC_RANGE
                ) -> dict[str, Any]:
    """Everything that can be said of predicted hands.

    Args:
        results (HandResults): N hands, those without any label left out.
        include_root (bool): See :func:`relative_errors`. Defaults to True.
        auc_range (tuple[float, float]): mm. Defaults to (0, 50).

    Returns:
        dict: ``count`` of hands; ``all`` (:func:`hand_figures`, and
        ``MPJPE_joints`` and others that are means of joints' means); tables
        by ``joint`` (also ``std`` and ``std_labels``, mm behind the wrist),
        ``side`` and the groups; ``spread_ratio``.
    """
    errors = hand_errors(results, include_root)
    overall = hand_figures(errors, auc_range)
    for name in ('MPJPE', 'MPJPE_abs', 'PA-MPJPE', 'PA-MPJPE_kit'):
        overall[f'{name}_joints'] = mean_of_joints(errors[name])
    spread = [spreads(points, results.valid, results.left)
              for points in (results.points, results.truth)]
    tables: dict[str, Any] = {'joint': {
        name: dict(
            count=int(results.valid[:, joint].sum()),
            **hand_figures({kind: values[:, joint:joint + 1]
                            for kind, values in errors.items()}, auc_range),
            std=float(spread[0][joint]), std_labels=float(spread[1][joint]))
        for joint, name in enumerate(JOINT_NAMES)}}
    sides = np.where(results.left, 'left', 'right')
    for group, names in {**results.groups, 'side': sides}.items():
        tables[group] = group_rows(names, errors, auc_range)
    return dict(count=len(results.ids), all=overall,
                spread_ratio=spread_ratio(*spread), **tables)


def group_rows(names: Sequence[str] | Array, errors: dict[str, Array],
               auc_range: tuple[float, float] = AUC_RANGE
               ) -> dict[str, dict[str, float]]:
    """Figures of the hands of each name, with their ``count``."""
    names = np.asarray(names)
    return {
        str(name): dict(
            count=int((names == name).sum()),
            **hand_figures({kind: values[names == name]
                            for kind, values in errors.items()}, auc_range))
        for name in np.unique(names)
    }
