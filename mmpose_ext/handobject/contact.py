"""Which joints touch the object that the hand holds."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from mmpose_ext.handobject.hand import JOINT_NAMES, TIPS
from mmpose_ext.handobject.meshes import load_mesh
from mmpose_ext.handobject.surface import SurfaceSearch

Array = np.ndarray

# m, surface to joint: joints lie inside of the finger, and deeper in its base
TIP_DISTANCE, JOINT_DISTANCE = .025, .020
CONTACT_DISTANCES = np.full(len(JOINT_NAMES), JOINT_DISTANCE)
CONTACT_DISTANCES[list(TIPS)] = TIP_DISTANCE


def joint_distances(models_dir: str | Path, ycb_id: int,
                    joints_object: Array) -> Array:
    """Distances of joints to the surface of an object.

    Exact but for about a tenth of a millimetre at worst, see
    :class:`~mmpose_ext.handobject.surface.SurfaceSearch`.

    Args:
        models_dir (str | Path): Folder of meshes.
        ycb_id (int): 1..21.
        joints_object (ndarray): (N, 21, 3) m, in the object's frame:
            ``R^T (X - t)``. Rows that are not finite are unknown.

    Returns:
        ndarray: (N, 21) float32, m; inside of the object above 0 too, NaN
        where unknown.

    Raises:
        DataError: If the mesh is missing or damaged.
    """
    search = SurfaceSearch(load_mesh(models_dir, ycb_id))
    points = np.asarray(joints_object, np.float64).reshape(-1, 3)
    known = np.isfinite(points).all(1)
    distances = np.full(len(points), np.nan, np.float32)
    distances[known] = search.distances(points[known])
    return distances.reshape(np.shape(joints_object)[:-1])


def contact_of(distances: Array) -> Array:
    """Whether joints touch: 25 mm for finger tips, 20 mm for the others.

    Args:
        distances (ndarray): (..., 21) m to the surface; NaN is unknown.

    Returns:
        ndarray: (..., 21) bool, False where unknown.
    """
    # NaN is never below anything
    return np.asarray(distances) < CONTACT_DISTANCES


def average_precision(truth: Array, scores: Array) -> float:
    """Area below precision over recall, as steps.

    Args:
        truth (ndarray): (N,) bool.
        scores (ndarray): (N,) the higher, the surer.

    Returns:
        float: 0..1; NaN if nothing is true.
    """
    truth = np.asarray(truth, bool)
    if not truth.any():
        return float('nan')
    order = np.argsort(-np.asarray(scores), kind='stable')
    ranked, found = np.asarray(scores)[order], np.cumsum(truth[order])
    # of equal scores, only all together can be called
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    recall = found[last] / found[-1]
    precision = found[last] / (last + 1)
    return float((np.diff(recall, prepend=0) * precision).sum())


def contact_figures(truth: Array, scores: Array, known: Array,
                    threshold: float = .5) -> dict[str, float]:
    """How well touching joints are found.

    Args:
        truth (ndarray): (N, 21) bool.
        scores (ndarray): (N, 21) 0..1.
        known (ndarray): (N, 21) bool, which count.
        threshold (float): From which a joint is said to touch. Defaults to
            .5.

    Returns:
        dict: ``count`` of joints, ``touching`` (share of them that do),
        ``precision``, ``recall``, ``F1`` and ``AP``; NaN where undefined.
        Where nothing is said to touch though something does, F1 is 0.
    """
    truth, scores = truth[known], scores[known]
    said = scores >= threshold
    hits = int((said & truth).sum())

    def share(of: float) -> float:
        return hits / of if of else float('nan')

    return dict(
        count=len(truth),
        touching=float(truth.mean()) if len(truth) else float('nan'),
        precision=share(int(said.sum())),
        recall=share(int(truth.sum())),
        F1=share((int(said.sum()) + int(truth.sum())) / 2),
        AP=average_precision(truth, scores))
