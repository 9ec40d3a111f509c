"""Which of the peaks in several views are the same animal.

V views, P peaks in each, I individuals.
"""
from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.geometry.triangulation import (
    Triangulation,
    triangulate,
    triangulate_robust,
)
from mmpose_ext.volumetric.identity_linking import best_assignment

Array = np.ndarray

_ROUNDS = 3  # of giving peaks to places; one is enough as a rule


class MatchedViews(NamedTuple):
    """Animals at a time point.

    Attributes:
        found: Places (I, 3), their errors (I,) and views used (V, I).
        peaks: (V, I) number of each animal's peak in a view, -1 for none.
    """

    found: Triangulation
    peaks: Array


def match_views(cameras: Cameras, pixels: Array, weights: Array,
                count: int, threshold_px: float,
                min_views: int = 2) -> MatchedViews:
    """Find animals by peaks that fit together.

    Every two peaks of two views propose a place. The one that most peaks of
    all views support is an animal, and takes these peaks; the next is found
    among what is left. At last each view's peaks are given to the animals
    anew, all at once, until nothing changes.

    Args:
        cameras (Cameras): V cameras.
        pixels (ndarray): (V, P, 2).
        weights (ndarray): (V, P) of the peaks; 0 for those without a say.
        count (int): Animals to find, I.
        threshold_px (float): Distance up to which a peak supports a place.
        min_views (int): Views that must support one, at least 2. Defaults to
            2.

    Returns:
        MatchedViews: Animals, the best supported first; NaN for those that
        too few views see.

    Differs from the original, which links views greedily, one after the
    other.
    """
    weights = np.where(np.isfinite(pixels).all(-1), weights, 0.)
    peaks = _take_best(cameras, pixels, weights, count, threshold_px,
                       min_views)
    for _ in range(_ROUNDS):
        found = _triangulate(cameras, pixels, weights, peaks, threshold_px,
                             min_views)
        again = _give_peaks(cameras, found.points, pixels, weights,
                            threshold_px)
        if (again == peaks).all():
            break
        peaks = again
    else:
        found = _triangulate(cameras, pixels, weights, peaks, threshold_px,
                             min_views)
    return MatchedViews(found, np.where(found.used, peaks, -1))


def _take_best(cameras: Cameras, pixels: Array, weights: Array, count: int,
               threshold_px: float, min_views: int) -> Array:
    """Peaks (V, I) of the best supported places; -1 for none."""
    peaks = np.full((len(cameras), count), -1)
    places = _propose(cameras, pixels, weights)
    if not len(places):
        return peaks
    there, _ = cameras.project(places)
    squares = np.square(there[:, :, None] - pixels[:, None]).sum(-1)
    gains = weights[:, None] * (1 - squares / threshold_px**2)
    gains = np.where(np.isfinite(gains), np.maximum(gains, 0), 0.)
    views = np.arange(len(cameras))
    for animal in range(count):
        best = gains.max(-1)
        support = np.where((best > 0).sum(0) >= min_views, best.sum(0), 0.)
        place = int(support.argmax())
        if not support[place]:
            break
        chosen = gains[:, place].argmax(-1)
        seen = best[:, place] > 0
        peaks[seen, animal] = chosen[seen]
        gains[views[seen], :, chosen[seen]] = 0
    return peaks


def _propose(cameras: Cameras, pixels: Array, weights: Array) -> Array:
    """Places (H, 3) where two peaks of two views meet."""
    pairs = []
    for one, other in itertools.combinations(range(len(cameras)), 2):
        for first in np.flatnonzero(weights[one]):
            for second in np.flatnonzero(weights[other]):
                pairs.append((one, first, other, second))
    if not pairs:
        return np.zeros((0, 3))
    one, first, other, second = np.array(pairs).T
    rows = np.arange(len(pairs))
    seen = np.full((len(cameras), len(pairs), 2), np.nan)
    seen[one, rows] = pixels[one, first]
    seen[other, rows] = pixels[other, second]
    places = triangulate(cameras, seen)
    return places[np.isfinite(places).all(-1)]


def _triangulate(cameras: Cameras, pixels: Array, weights: Array,
                 peaks: Array, threshold_px: float,
                 min_views: int) -> Triangulation:
    """Places (I, 3) of the animals that have these peaks."""
    chosen = np.maximum(peaks, 0)
    own = np.take_along_axis(pixels, chosen[..., None], 1)
    scores = np.take_along_axis(weights, chosen, 1) * (peaks >= 0)
    return triangulate_robust(cameras, own, scores, threshold_px, min_views)


def _give_peaks(cameras: Cameras, points: Array, pixels: Array,
                weights: Array, threshold_px: float) -> Array:
    """Peaks (V, I) of animals at known places, all of a view at once."""
    there, _ = cameras.project(points)
    squares = np.square(there[:, :, None] - pixels[:, None]).sum(-1)
    squares = np.where((weights > 0)[:, None]
                       & (squares <= threshold_px**2), squares, np.nan)
    count, places = squares.shape[1:]
    side = max(count, places)
    given = np.full((len(cameras), count), -1)
    for view, costs in enumerate(squares):
        square = np.full((side, side), np.nan)
        square[:count, :places] = costs
        column = best_assignment(square)[:count]
        known = np.isfinite(square[np.arange(count), column])
        given[view] = np.where(known, column, -1)
    return given
