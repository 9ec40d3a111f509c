"""Which animal is which, from one time point to the next.

T time points, I individuals. What is found at a time point is numbered
anyhow: by the peaks of one map for all, or by maps of their own that are
taken for each other now and then.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

Array = np.ndarray

_LEAST_STEP_MM = 1.  # places are not known better
_NEW = 200.  # cost of an animal that was never seen: a jump of 20 steps
_SURE = 5.  # costs are logarithms: odds of 150 to 1
_VOTES = 10  # maps by which votes must lead to name a track anew


@dataclass(frozen=True, eq=False)
class LinkedIdentities:
    """Places sorted by animal.

    Attributes:
        order: (T, I) int64, which of the places at a time point is each
            animal's.
        doubtful: (T,) bool, whether another order would explain the steps to
            a time point nearly as well.
    """

    order: Array
    doubtful: Array

    def sort(self, values: Array) -> Array:
        """Values (T, I, ...) of the places, by animal."""
        order = self.order.reshape(*self.order.shape,
                                   *(1, ) * (values.ndim - 2))
        return np.take_along_axis(values, order, 1)


def best_assignment(costs: Array) -> Array:
    """Give each row a column so that the sum of costs is least.

    Args:
        costs (ndarray): (I, I), NaN where a pair is impossible: as few of
            these as can be are taken. Of equal answers the one that leaves
            most numbers as they are.

    Returns:
        ndarray: (I,) int64, a permutation.
    """
    known = np.isfinite(costs)
    costs = np.where(known, costs, 0.)
    scale = 1 + abs(costs).sum()
    costs = np.where(known, costs, 2 * scale)
    costs = costs + 1e-9 * scale * (1 - np.eye(len(costs)))
    return linear_sum_assignment(costs)[1].astype(np.int64)


def link_identities(points: Array, times: Array, named: bool,
                    labels: Array | None = None) -> LinkedIdentities:
    """Follow animals over time.

    Steps are taken for those of a random walk: at each time point the order
    is taken by which they are likeliest. An animal that is not found stays
    where it was last, and may be the further from there the longer ago that
    is. At the first time point the order stays as it is.

    Where places are numbered by maps that know the animals, the maps then
    have a vote: between two doubtful links, tracks are named as most of
    their time points say, if these are clearly more. So have labels; one
    outweighs ten maps.

    Args:
        points (ndarray): (T, I, 3) mm; NaN where one is not found.
        times (ndarray): (T,) rising, such as sampleIDs.
        named (bool): Whether the numbers of the places mean something.
        labels (ndarray, optional): (T, I, 3) where the animals are known to
            be, mm; NaN unknown. Defaults to None.

    Returns:
        LinkedIdentities: The order.

    Differs from the original, which links two animals, to the nearest place
    of the last frame alone.
    """
    count, individuals = points.shape[:2]
    order = np.tile(np.arange(individuals), (count, 1))
    doubtful = np.zeros(count, bool)
    if individuals < 2 or not count:
        return LinkedIdentities(order, doubtful)
    times = np.asarray(times, np.float64)
    if count > 1:
        times = times / np.median(np.diff(times))
    step = _typical_step(points)
    last = np.full((individuals, 3), np.nan)
    seen = np.zeros(individuals)
    for row, (places, time) in enumerate(zip(points, times, strict=True)):
        costs = _costs(last, places, time - seen, step)
        order[row] = best_assignment(costs)
        doubtful[row] = row and _margin(costs, order[row]) < _SURE
        places = places[order[row]]
        found = np.isfinite(places).all(-1)
        last[found], seen[found] = places[found], time
    votes = np.zeros((count, individuals, individuals))
    if named:
        votes += np.eye(individuals) * np.isfinite(points).all(-1)[:, None]
    if labels is not None:
        votes += _VOTES * _votes_of_labels(points, labels)
    order = _name_tracks(order, doubtful, votes)
    return LinkedIdentities(order, doubtful)


def _typical_step(points: Array) -> float:
    """Median distance, mm, from a place to the nearest one that follows."""
    apart = np.linalg.norm(points[1:, None] - points[:-1, :, None], axis=-1)
    nearest = np.where(np.isfinite(apart), apart, np.inf).min(-1)
    known = nearest[np.isfinite(nearest)]
    return max(float(np.median(known)) if len(known) else 0., _LEAST_STEP_MM)


def _costs(last: Array, places: Array, gaps: Array, step: float) -> Array:
    """Logarithms (I, I) of how unlikely it is that an animal is at a place.

    NaN for places that are not known.
    """
    squares = np.square(places - last[:, None]).sum(-1)
    gaps = np.maximum(gaps, 1.)[:, None]
    costs = squares / (2 * step**2 * gaps) + 1.5 * np.log(gaps)
    costs = np.where(np.isfinite(last).all(-1)[:, None], costs, _NEW)
    return np.where(np.isfinite(places).all(-1), costs, np.nan)


def _margin(costs: Array, order: Array) -> float:
    """By how much the cost grows at least if two animals are exchanged."""
    there = costs[:, order]
    known = np.isfinite(there).all(0)
    taken = np.diagonal(there)
    # a place that nobody is at may be anybody's, for nothing
    there = np.where(known, there, 0.)
    taken = np.where(known, taken, 0.)
    more = there + there.T - taken - taken[:, None]
    pairs = np.triu(np.logical_or.outer(known, known), 1)
    return float(more[pairs].min()) if pairs.any() else np.inf


def _votes_of_labels(points: Array, labels: Array) -> Array:
    """Votes (T, I, I): which animal labels say is at which place."""
    votes = np.zeros((*points.shape[:2], points.shape[1]))
    apart = np.linalg.norm(labels[:, :, None] - points[:, None], axis=-1)
    for row in np.flatnonzero(np.isfinite(apart).any((1, 2))):
        place = best_assignment(apart[row])
        animals = np.arange(len(place))
        votes[row, animals, place] = np.isfinite(apart[row, animals, place])
    return votes


def _name_tracks(order: Array, doubtful: Array, votes: Array) -> Array:
    """Name tracks as most votes say.

    Args:
        order (ndarray): (T, I) which place each track is at.
        doubtful (ndarray): (T,) where tracks may have been exchanged.
        votes (ndarray): (T, I, I) for an animal (first) to be at a place.

    Returns:
        ndarray: (T, I) which place each animal is at.
    """
    individuals = order.shape[1]
    named = order.copy()
    rows = names = np.arange(individuals)  # the track that is each animal
    votes = np.take_along_axis(votes, order[:, None], 2)  # of tracks
    starts = [0, *np.flatnonzero(doubtful).tolist(), len(order)]
    for start, stop in zip(starts, starts[1:], strict=False):
        total = votes[start:stop].sum(0)
        asked = best_assignment(-total)
        if (total[rows, asked].sum() - total[rows, names].sum()) >= _VOTES:
            names = asked
        named[start:stop] = order[start:stop][:, names]
    return named
