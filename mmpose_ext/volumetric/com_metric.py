"""How far off the animals' middles are, in pictures and in space."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from mmengine.evaluator import BaseMetric

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.geometry.triangulation import (
    Triangulation,
    triangulate_robust,
)
from mmpose_ext.registry import METRICS
from mmpose_ext.volumetric.body_centres import centroids
from mmpose_ext.volumetric.com_matching import match_views
from mmpose_ext.volumetric.identity_linking import best_assignment

Array = np.ndarray


class JoinedViews(NamedTuple):
    """Middles of I animals in V views.

    Attributes:
        found: Places (..., I, 3), errors in px of the frames as recorded,
            and views used (V, ..., I).
        scores: (V, ..., I) of the peaks; 0 where a view has none for an
            animal.
    """

    found: Triangulation
    scores: Array


def triangulate_com(cameras: Cameras,
                    pixels: Array,
                    scores: Array,
                    factor: int = 1,
                    threshold_px: float = 30.,
                    min_score: float = .2,
                    min_views: int = 2) -> Triangulation:
    """Middles from where the network sees them in each view.

    Args:
        cameras (Cameras): V cameras of the reduced frames.
        pixels (ndarray): (V, ..., 2) px of these.
        scores (ndarray): (V, ...) peaks of the maps, about 1 when sure.
        factor (int): By how much the frames are reduced. Defaults to 1.
        threshold_px (float): Distance up to which views agree, px of the
            frames as recorded. Defaults to 30.
        min_score (float): Views below have no say. Defaults to 0.2.
        min_views (int): Views that must agree. Defaults to 2.

    Returns:
        Triangulation: Its errors in px of the frames as recorded.
    """
    found = triangulate_robust(cameras, pixels, _weights(scores, min_score),
                               threshold_px / factor, min_views)
    return replace(found, errors_px=found.errors_px * factor)


def join_views(cameras: Cameras,
               pixels: Array,
               scores: Array,
               factor: int = 1,
               threshold_px: float = 30.,
               min_score: float = .2,
               min_views: int = 2,
               shared_map: bool = False) -> JoinedViews:
    """Middles of several animals, from a map each or from one for all.

    Args:
        cameras (Cameras): V cameras of the reduced frames.
        pixels (ndarray): (V, ..., I, 2) px of these.
        scores (ndarray): (V, ..., I) peaks of the maps.
        factor (int): As in :func:`triangulate_com`, like the next three.
        threshold_px (float): As there.
        min_score (float): As there.
        min_views (int): As there.
        shared_map (bool): Whether the peaks are of one map, so that a number
            may be another animal's in another view. Defaults to False.

    Returns:
        JoinedViews: Middles; of a shared map in no order.
    """
    if not shared_map:
        return JoinedViews(triangulate_com(
            cameras, pixels, scores, factor, threshold_px, min_score,
            min_views), scores)
    views, animals = len(cameras), pixels.shape[-2]
    shape = pixels.shape[1:-1]
    pixels = pixels.reshape(views, -1, animals, 2)
    scores = scores.reshape(views, -1, animals)
    weights = _weights(scores, min_score)
    points = np.full((pixels.shape[1], animals, 3), np.nan)
    errors = np.full(points.shape[:2], np.nan)
    peaks = np.full((views, *points.shape[:2]), -1)
    for time in range(len(points)):
        found, peaks[:, time] = match_views(
            cameras, pixels[:, time], weights[:, time], animals,
            threshold_px / factor, min_views)
        points[time], errors[time] = found.points, found.errors_px * factor
    used = peaks >= 0
    own = np.take_along_axis(scores, np.maximum(peaks, 0), -1)
    return JoinedViews(
        Triangulation(points.reshape(*shape, 3), errors.reshape(shape),
                      used.reshape(views, *shape)),
        np.where(used, own, 0.).reshape(views, *shape))


def _weights(scores: Array, min_score: float) -> Array:
    """Weights of views by the peaks of their maps."""
    return np.where(scores >= min_score, np.clip(scores, 0, 1), 0.)


@METRICS.register_module()
class ComMetric(BaseMetric):
    """Distances in pixels of each view, and in mm after triangulation.

    Beside them stands the best constant answer, the mean middle of each
    recording as evaluated. Pixels are those of frames as recorded. A time
    point on which too few views agree counts as wrong in shares and medians,
    and is left out of means; ``found`` tells how many are none.

    Of a map that animals share nobody knows who is who: what is found is
    compared with the animals that it fits best, and so is the constant
    answer. Distances in pictures are then of the peaks that have a say.

    ``save_best='com/mm_median'`` with ``rule='less'``.

    Args:
        threshold_px (float): Distance up to which views agree. Defaults to
            30.
        min_score (float): Views whose map has a lower peak have no say.
            Defaults to 0.2.
        min_views (int): Views that must agree. Defaults to 2.
        limits_mm (Sequence[float]): Distances of the shares. Defaults to
            (5, 10).
        shared_map (bool): Whether all animals have one map, see
            :class:`~mmpose_ext.volumetric.com_peaks.ComSharedHeatmap`.
            Defaults to False.
        collect_device (str): As in MMEngine. Defaults to ``cpu``.
        prefix (str, optional): Defaults to ``com``.
    """

    default_prefix = 'com'

    def __init__(self,
                 threshold_px: float = 30.,
                 min_score: float = .2,
                 min_views: int = 2,
                 limits_mm: Sequence[float] = (5., 10.),
                 shared_map: bool = False,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.threshold_px = threshold_px
        self.min_score = min_score
        self.min_views = min_views
        self.limits_mm = tuple(limits_mm)
        self.shared_map = shared_map

    def process(self, data_batch: Any,
                data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep what is needed of each picture."""
        for sample in data_samples:
            found, true = sample['pred_instances'], sample['gt_instances']
            visible = np.asarray(true['keypoints_visible'])[0] > 0
            truth = np.asarray(true['keypoints'], np.float64)[0]
            truth = np.where(visible[:, None], truth, np.nan)
            pixels = np.asarray(found['keypoints'], np.float64)[0]
            scores = np.asarray(found['keypoint_scores'], np.float64)[0]
            if self.shared_map:
                pixels = np.where(scores[:, None] >= self.min_score, pixels,
                                  np.nan)
                order = _best_order(pixels, truth)
                pixels, scores = pixels[order], scores[order]
            self.results.append(dict(
                time=(sample['recording_index'], sample['sample_id']),
                view=sample['view'], com=sample['com'],
                cameras=sample['cameras'], factor=sample['reduction'],
                pixels=pixels, scores=scores, truth=truth))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Figures for the log."""
        # padding of the last distributed batch repeats pictures
        results = list({(*item['time'], item['view']): item
                        for item in results}.values())
        by_time: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for item in results:
            by_time.setdefault(item['time'], []).append(item)
        times = sorted(by_time)
        com = np.stack([by_time[time][0]['com'] for time in times])
        found = [self._triangulate(by_time[time], there)
                 for time, there in zip(times, com, strict=True)]
        points = np.stack([item.points for item in found])
        errors = np.linalg.norm(points - com, axis=-1)
        known = np.isfinite(com).all(-1)
        mean = np.empty_like(com)
        recordings = np.array([recording for recording, _ in times])
        for recording in np.unique(recordings):
            own = recordings == recording
            mean[own] = centroids(com[own].swapaxes(0, 1))
        if self.shared_map:
            mean = np.stack([answer[_best_order(answer, there)]
                             for answer, there in zip(mean, com, strict=True)])
        trivial = np.linalg.norm(mean - com, axis=-1)[known]
        agreement = np.stack([item.errors_px for item in found])
        figures = self._figures(errors[known])
        figures.update(
            views_used=_mean(np.stack(
                [item.used.sum(0) for item in found])[known]),
            reprojection_px=_mean(agreement[known]),
            trivial_mm_mean=_mean(trivial),
            trivial_mm_median=_median(trivial))
        figures['ratio'] = figures['mm_median'] / max(
            figures['trivial_mm_median'], 1e-9)
        return {**_pixel_figures(results), **figures}

    def _triangulate(self, views: list[dict[str, Any]],
                     com: Array) -> Triangulation:
        """The middles (I, 3) of a time point, of the animals at ``com``."""
        cameras = views[0]['cameras'].select(
            [item['view'] for item in views])
        found, _ = join_views(
            cameras, np.stack([item['pixels'] for item in views]),
            np.stack([item['scores'] for item in views]),
            views[0]['factor'], self.threshold_px, self.min_score,
            self.min_views, self.shared_map)
        if not self.shared_map:
            return found
        order = _best_order(found.points, com)
        return Triangulation(found.points[order], found.errors_px[order],
                             found.used[:, order])

    def _figures(self, errors: Array) -> dict[str, float]:
        """Of distances (N,) mm, NaN where too few views agree."""
        wrong = np.where(np.isfinite(errors), errors, np.inf)
        figures = dict(
            mm_mean=_mean(errors), mm_median=_median(wrong),
            found=_mean(np.isfinite(errors)))
        for limit in self.limits_mm:
            figures[f'within@{limit:g}mm'] = _mean(wrong <= limit)
        return figures


def _best_order(found: Array, true: Array) -> Array:
    """Which of the places (I, D) found is each of the true ones."""
    return best_assignment(np.linalg.norm(true[:, None] - found, axis=-1))


def _pixel_figures(results: list[dict[str, Any]]) -> dict[str, float]:
    """Distances in single pictures, over all and by camera."""
    distances = np.stack([
        np.linalg.norm(item['pixels'] - item['truth'], axis=-1)
        * item['factor'] for item in results])
    names = np.array([item['cameras'].names[item['view']]
                      for item in results])
    figures = dict(px_mean=_mean(distances),
                   px_median=_median(distances[np.isfinite(distances)]))
    for name in np.unique(names):
        own = distances[names == name]
        figures[f'px/{name}'] = _median(own[np.isfinite(own)])
    return figures


def _mean(values: Array) -> float:
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float('nan')


def _median(values: Array) -> float:
    return float(np.median(values)) if len(values) else float('nan')
