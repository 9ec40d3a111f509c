"""Prototypes: the motifs that return in models of many sizes.

Motifs of all models that hold in nearly the same frames are one cluster, and
one of each cluster stands for it.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpose_ext.behavior.bouts import find_bouts, mean_durations
from mmpose_ext.behavior.extra_packages import require_packages
from mmpose_ext.storage import DataError

Array = np.ndarray

METHODS = ('best', 'min')
_ROWS = 65536  # frames that are counted at a time
_SMOOTH_ORDER = 2


@dataclass(frozen=True)
class PrototypeOptions:
    """Which motifs are taken, and how one stands for a cluster.

    Args:
        method (str): ``best``, the one of the highest silhouette, or ``min``,
            the first one. Defaults to ``best``.
        frame_threshold (float): Least share of the frames. Defaults to .05.
        bout_threshold (float): Least mean bout, s. Defaults to .5.
        distance_threshold (float): There must be another motif nearer than
            this Jaccard distance. Defaults to .6.
        parity (bool): As the original does it: bouts run on from one record
            to the next, and motifs are sorted by their names as text.
            Defaults to False.

    Raises:
        ValueError: If the method is not known.
    """

    method: str = 'best'
    frame_threshold: float = .05
    bout_threshold: float = .5
    distance_threshold: float = .6
    parity: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f'method: expected one of {METHODS}, found '
                             f'{self.method!r}')


@dataclass(frozen=True, eq=False)
class Prototypes:
    """Clusters of motifs and what stands for them.

    M motifs that passed the filters.

    Attributes:
        names: M names, ``HMM_<n>_Motif_<i>``.
        columns: (M,) place of each among all motifs.
        distances: (M (M - 1) / 2,) Jaccard distances, condensed.
        links: (M - 1, 4) of average linkage.
        numbers: (k,) numbers of clusters that were tried.
        scores: (k,) their mean silhouettes.
        smoothed: (k,) the same along a smooth curve.
        all_labels: (k, M) cluster of each motif, from 1.
        best: Place of the chosen number among `numbers`.
        chosen: Place of each prototype among the M.
    """

    names: tuple[str, ...]
    columns: Array
    distances: Array
    links: Array
    numbers: Array
    scores: Array
    smoothed: Array
    all_labels: Array
    best: int
    chosen: Array

    @property
    def labels(self) -> Array:
        """(M,) cluster of each motif."""
        return np.asarray(self.all_labels[self.best])


def select_prototypes(names: Sequence[str],
                      motifs: Array,
                      lengths: Sequence[int],
                      fps: float,
                      options: PrototypeOptions,
                      source: Path) -> Prototypes:
    """Filter motifs, cluster them and choose one of each cluster.

    Args:
        names (Sequence[str]): Of all motifs.
        motifs (ndarray): (T, motifs) uint8, 0 or 1; records one after
            another.
        lengths (Sequence[int]): Frames of each record.
        fps (float): Frames a second.
        options (PrototypeOptions): How.
        source (Path): For errors.

    Raises:
        DataError: If fewer than three motifs are left, or they form no
            clusters.
    """
    require_packages('sklearn')
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform
    kept, square = _filter(names, motifs, lengths, fps, options, source)
    condensed = squareform(square, checks=False)
    links = linkage(condensed, 'average', optimal_ordering=True)
    numbers, scores, labels = _score_cuts(square, links)
    if not np.isfinite(scores).any():
        raise DataError(
            source, 'clusters', 'motifs that form clusters',
            f'{len(kept)} motifs at equal distances',
            'segment by other numbers of states')
    smoothed = smooth_scores(scores)
    best = int(np.nanargmax(smoothed))
    return Prototypes(
        tuple(names[i] for i in kept), kept, condensed, links, numbers,
        scores, smoothed, labels, best,
        _choose(square, labels[best], options.method))


def jaccard_distances(motifs: Array) -> Array:
    """Share of the frames of either motif that are not frames of both.

    Args:
        motifs (ndarray): (T, M), 0 or 1.

    Returns:
        ndarray: (M, M) float64; 0 between two that are empty.
    """
    count = motifs.shape[1]
    both = np.zeros((count, count))
    for start in range(0, len(motifs), _ROWS):
        # whole numbers below 2^24 are exact in single precision
        block = motifs[start:start + _ROWS].astype(np.float32)
        both += block.T @ block
    sizes = np.diag(both)
    either = sizes[:, None] + sizes - both
    return 1 - np.divide(both, either, out=np.ones_like(both),
                         where=either > 0)


def smooth_scores(scores: Array) -> Array:
    """Scores along a Savitzky-Golay curve; as they are if fewer than three.

    Args:
        scores (ndarray): (k,) for 2 ... k + 1 clusters; NaN is left NaN and
            smoothed over.
    """
    from scipy.signal import savgol_filter
    # of k + 2 motifs
    window = max(3, (len(scores) + 2) // 10)
    if len(scores) < window:
        return scores.copy()
    known = np.isfinite(scores)
    places = np.arange(len(scores))
    filled = np.interp(places, places[known], scores[known])
    smoothed: Array = savgol_filter(filled, window, _SMOOTH_ORDER)
    return np.where(known, smoothed, np.nan)


def _filter(names: Sequence[str], motifs: Array, lengths: Sequence[int],
            fps: float, options: PrototypeOptions,
            source: Path) -> tuple[Array, Array]:
    """Columns that pass, and their distances (M, M)."""
    kept = np.arange(len(names))
    share = motifs.sum(0, dtype=np.int64) / len(motifs)
    kept = kept[share >= options.frame_threshold]
    _check_left(kept, source, f'in {options.frame_threshold:.0%} of the '
                'frames', '--frame-threshold')
    bouts = find_bouts(motifs[:, kept],
                       None if options.parity else list(lengths))
    long = mean_durations(bouts, len(kept), fps) >= options.bout_threshold
    kept = kept[long]
    if options.parity:
        kept = np.array(sorted(kept, key=lambda i: names[i]), int)
    _check_left(kept, source, f'with a mean bout of {options.bout_threshold:g}'
                ' s', '--bout-threshold')
    square = jaccard_distances(motifs[:, kept])
    nearest = (square + 2 * np.eye(len(kept))).min(1)
    near = np.flatnonzero(nearest < options.distance_threshold)
    _check_left(near, source, 'with another one nearer than '
                f'{options.distance_threshold:g}', '--distance-threshold')
    return kept[near], square[np.ix_(near, near)]


def _check_left(kept: Iterable[int], source: Path, what: str,
                option: str) -> None:
    count = len(list(kept))
    if count < 3:
        raise DataError(source, 'motifs', f'at least three motifs {what}',
                        f'{count}', f'relax {option}, or segment more records')


def _score_cuts(square: Array,
                links: Array) -> tuple[Array, Array, Array]:
    """Numbers of clusters, their silhouettes and labels."""
    from scipy.cluster.hierarchy import fcluster
    from sklearn.metrics import silhouette_score
    count = len(square)
    numbers = np.arange(2, count)
    scores = np.full(len(numbers), np.nan)
    labels = np.zeros((len(numbers), count), np.int64)
    for i, number in enumerate(numbers):
        labels[i] = fcluster(links, number, 'maxclust')
        # of motifs that are alike a cut may make fewer clusters, or one
        if 2 <= len(np.unique(labels[i])) < count:
            scores[i] = silhouette_score(square, labels[i],
                                         metric='precomputed')
    return numbers, scores, labels


def _choose(square: Array, labels: Array, method: str) -> Array:
    """The motif (clusters,) that stands for each cluster."""
    from sklearn.metrics import silhouette_samples
    clusters = np.unique(labels)
    members = [np.flatnonzero(labels == cluster) for cluster in clusters]
    if method == 'min':
        return np.array([one[0] for one in members])
    samples = silhouette_samples(square, labels, metric='precomputed')
    return np.array([one[samples[one].argmax()] for one in members])
