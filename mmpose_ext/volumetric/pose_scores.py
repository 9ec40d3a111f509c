"""Figures of predicted 3D poses beside their labels, in plain numpy.

N instances (an animal at a time point), K keypoints, E bones; all lengths in
mm of the world. A keypoint counts as labelled where all three of its
coordinates are known.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmpose_ext.volumetric.body_centres import centroids

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class PoseResults3D:
    """Predictions beside the labels.

    Attributes:
        recordings: (N,) number of the recording.
        sample_ids: (N,) int, the time point.
        individuals: (N,) int, which of the animals.
        turns: (N,) rad, by which the grid was turned.
        points: (N, K, 3) predicted.
        scores: (N, K) confidence.
        truth: (N, K, 3) labels; NaN where there is none.
        centres: (N, 3) middle of the grid.
        axes: (N, 3, 3) of the grid: world = centre + axes @ local.
        coms: (N, 3) centre of mass that the grid was laid around.
        pixel_sums: (N, K) px, sum over views of the distances between the
            projections of prediction and label.
        pixel_counts: (N, K) how many views these are.
    """

    recordings: Array
    sample_ids: Array
    individuals: Array
    turns: Array
    points: Array
    scores: Array
    truth: Array
    centres: Array
    axes: Array
    coms: Array
    pixel_sums: Array
    pixel_counts: Array

    @property
    def labelled(self) -> Array:
        """(N, K) whether a keypoint has a label."""
        return np.isfinite(self.truth).all(-1)


def pose_report(results: PoseResults3D,
                names: Sequence[str],
                links: Sequence[tuple[int, int]],
                thresholds: Sequence[float] = (2., 5., 10.)
                ) -> dict[str, Any]:
    """Everything that can be said of predicted poses.

    Args:
        results (PoseResults3D): N instances.
        names (Sequence[str]): K names.
        links (Sequence[tuple[int, int]]): E bones as pairs of keypoints.
        thresholds (Sequence[float]): mm, of PCK. Defaults to 2, 5 and 10.

    Returns:
        dict: ``count`` of instances; ``labelled`` keypoints; ``bones`` by
        name (see :func:`bone_figures`); ``jitter`` and ``jitter_labels``.
        With labels also ``all`` and ``keypoints`` by name (see
        :func:`error_figures`), ``trivial`` (the same of
        :func:`mean_pose_answer`), ``ratio`` of the two means, ``P-MPJPE``,
        ``COM`` and ``COM_input`` (distances of the predicted keypoints'
        centroid, and of the given centre of mass, from the labels' centroid),
        ``reprojection_px``, ``body_length`` and ``body_share`` (the mean
        error as a share of it). NaN where a figure is undefined.
    """
    known = results.labelled
    track = track_numbers(results)
    report: dict[str, Any] = dict(
        count=len(results.points),
        labelled=int(known.sum()),
        bones=bone_figures(results, names, links, track),
        jitter=jitter(results.points, results.sample_ids, track))
    if not known.any():
        return report
    errors = point_errors(results.points, results.truth)
    trivial = point_errors(mean_pose_answer(results), results.truth)

    def rows(distances: Array) -> dict[str, Any]:
        return dict(
            all=error_figures(distances, thresholds),
            keypoints={
                name: error_figures(distances[:, i], thresholds)
                for i, name in enumerate(names)
            })

    report.update(rows(errors), trivial=rows(trivial))
    report['all']['score'] = mean(results.scores[known])
    for i, name in enumerate(names):
        report['keypoints'][name]['score'] = mean(
            results.scores[known[:, i], i])
    mpjpe = report['all']['MPJPE']
    length = body_length(results.truth)
    own, given = com_errors(results)
    views = results.pixel_counts[known].sum()
    report.update(
        {'P-MPJPE': mean(aligned_errors(results.points, results.truth))},
        ratio=mpjpe / (report['trivial']['all']['MPJPE'] or np.nan),
        jitter_labels=jitter(results.truth, results.sample_ids, track),
        COM=mean(own),
        COM_input=mean(given),
        reprojection_px=float(results.pixel_sums[known].sum() / views)
        if views else float('nan'),
        body_length=length,
        body_share=mpjpe / length)
    return report


def point_errors(points: Array, truth: Array) -> Array:
    """Distances (N, K) in mm, NaN without a label.

    A prediction that is no number is infinitely far off: a network that
    diverged must not pass for one that was not asked.
    """
    distances = np.linalg.norm(points - truth, axis=-1)
    distances[~np.isfinite(points).all(-1)] = np.inf
    return np.where(np.isfinite(truth).all(-1), distances, np.nan)


def error_figures(distances: Array,
                  thresholds: Sequence[float]) -> dict[str, float]:
    """``count``, ``MPJPE``, ``median`` and ``PCK@...mm`` of distances."""
    known = distances[~np.isnan(distances)]
    return {
        'count': len(known),
        'MPJPE': mean(known),
        'median': float(np.median(known)) if len(known) else float('nan'),
        **{f'PCK@{limit:g}mm': mean(known <= limit) for limit in thresholds}
    }


def mean_pose_answer(results: PoseResults3D) -> Array:
    """What the best constant answer would say, (N, K, 3).

    The mean of the labelled poses as the grids see them, put back by each
    grid. It is taken from what is evaluated, so no constant has a smaller
    mean square: whoever looks at the images should do better.
    """
    local = np.linalg.solve(
        results.axes[:, None],
        (results.truth - results.centres[:, None])[..., None])[..., 0]
    pose = centroids(local.swapaxes(0, 1))
    return results.centres[:, None] + np.einsum('nij,kj->nki', results.axes,
                                                pose)


def aligned_errors(points: Array, truth: Array) -> Array:
    """Distances (N, K) after the best rotation and shift of each pose.

    Kabsch's solution over the labelled keypoints, without scale or
    reflection. NaN without a label, and where fewer than three make a pose.
    """
    known = np.isfinite(truth).all(-1) & np.isfinite(points).all(-1)
    known &= known.sum(1, keepdims=True) >= 3
    weights = known[..., None] / np.maximum(known.sum(1), 1)[:, None, None]

    def centred(values: Array) -> Array:
        values = np.where(known[..., None], values, 0)
        return np.where(known[..., None],
                        values - (weights * values).sum(1, keepdims=True), 0)

    moving, still = centred(points), centred(truth)
    left, _, right = np.linalg.svd(np.einsum('nki,nkj->nij', still, moving))
    # the last axis flips where the best match would be a mirror image
    left[..., 2] *= np.sign(np.linalg.det(left @ right))[:, None]
    turned = np.einsum('nij,nkj->nki', left @ right, moving)
    return np.where(known, np.linalg.norm(turned - still, axis=-1), np.nan)


def track_numbers(results: PoseResults3D) -> Array:
    """A number (N,) for each animal of each recording under each turn."""
    keys = np.stack([
        np.unique(column, return_inverse=True)[1].ravel() for column in (
            results.recordings, results.individuals, results.turns)
    ], 1)
    return np.unique(keys, axis=0, return_inverse=True)[1].ravel()


def bone_figures(results: PoseResults3D, names: Sequence[str],
                 links: Sequence[tuple[int, int]],
                 track: Array) -> dict[str, dict[str, float]]:
    """How constant bones are that ought to be.

    Returns:
        dict: By ``first-second``: ``length`` (mm) and ``cv`` (standard
        deviation over mean within an animal, its mean over animals) of
        predicted bones, ``length_labels`` and ``cv_labels`` of labelled
        ones.
    """
    both = {'': bone_lengths(results.points, links),
            '_labels': bone_lengths(results.truth, links)}
    figures = {}
    for bone, (start, end) in enumerate(links):
        row = {}
        for suffix, lengths in both.items():
            own = lengths[:, bone]
            row[f'length{suffix}'] = mean(own[np.isfinite(own)])
            row[f'cv{suffix}'] = _variation(own, track)
        figures[f'{names[start]}-{names[end]}'] = row
    return figures


def bone_lengths(points: Array, links: Sequence[tuple[int, int]]) -> Array:
    """Lengths (..., E) mm of the links of poses (..., K, 3)."""
    if not len(links):
        return np.zeros((*points.shape[:-2], 0))
    first, second = np.array(links).T
    return np.linalg.norm(points[..., first, :] - points[..., second, :],
                          axis=-1)


def jitter(points: Array, sample_ids: Array, track: Array) -> float:
    """Mean size of the second difference in time, mm/frame².

    A frame is the smallest step between a recording's evaluated time points;
    three of them that follow each other at this step make a difference.
    """
    sizes = []
    for chosen in _tracks(track):
        chosen = chosen[np.argsort(sample_ids[chosen], kind='stable')]
        steps = np.diff(sample_ids[chosen])
        if len(steps) < 2:
            continue
        even = (steps[1:] == steps.min()) & (steps[:-1] == steps.min())
        second = np.diff(points[chosen], 2, axis=0)[even]
        sizes.append(np.linalg.norm(second, axis=-1).ravel())
    found = np.concatenate([np.empty(0), *sizes])
    return mean(found[np.isfinite(found)])


def body_length(truth: Array) -> float:
    """Median over poses of the largest distance between two labels, mm."""
    lengths = []
    for pose in truth:
        known = pose[np.isfinite(pose).all(-1)]
        if len(known) > 1:
            lengths.append(
                np.linalg.norm(known[:, None] - known, axis=-1).max())
    return float(np.median(lengths)) if lengths else float('nan')


def com_errors(results: PoseResults3D) -> tuple[Array, Array]:
    """Distances from the labels' centroid, of labelled instances, mm.

    Returns:
        tuple[ndarray, ndarray]: Of the centroid of the same keypoints as
        predicted, and of the centre of mass that was given.
    """
    some = results.labelled.any(1)
    known = results.labelled[some][..., None]

    def centroid(points: Array) -> Array:
        return np.where(known, points, 0).sum(1) / known.sum(1)

    true = centroid(results.truth[some])
    return (np.linalg.norm(centroid(results.points[some]) - true, axis=-1),
            np.linalg.norm(results.coms[some] - true, axis=-1))


def mean(values: Array) -> float:
    """Mean of values that are not NaN; NaN of none."""
    values = np.asarray(values, np.float64)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float('nan')


def _variation(lengths: Array, track: Array) -> float:
    """Coefficient of variation within tracks, its mean over tracks."""
    found = []
    for chosen in _tracks(track):
        known = lengths[chosen][np.isfinite(lengths[chosen])]
        if len(known) > 1 and known.mean() > 0:
            found.append(known.std() / known.mean())
    return mean(np.array(found))


def _tracks(track: Array) -> Iterator[Array]:
    """The rows of each track."""
    for number in np.unique(track):
        yield np.flatnonzero(track == number)
