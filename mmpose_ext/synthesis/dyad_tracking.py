"""What a pose tracker makes of mice: noise, gaps and blunders."""
from __future__ import annotations

import numpy as np

Array = np.ndarray

_NOISE_PX = 1.
_GAP, _GAP_CLOSE = .0006, .0025  # chance that a point gets lost in a frame
_CLOSE_PX = 75.
_BLUNDER = .0004  # chance of a point to be taken for another spot
_LONGEST = 24  # frames of a gap


def track_points(rng: np.random.Generator, points: Array,
                 size: tuple[int, int]) -> tuple[Array, Array]:
    """Look for keypoints as a tracker does.

    Args:
        rng (Generator): Decides.
        points (ndarray): (T, N, K, 2) px, exact.
        size (tuple[int, int]): Width and height of the picture, px.

    Returns:
        tuple[ndarray, ndarray]: (T, N, K, 2) float32 px with about 1 px of
        noise, NaN where a point is lost, which happens more often to animals
        that touch each other; (T, N, K) float32 confidence from 0 to 1, low
        where a point is lost or far off.
    """
    shape = points.shape[:3]
    found = points + rng.normal(0, _NOISE_PX, points.shape)
    middles = points.mean(2)
    apart = np.linalg.norm(middles - middles[:, ::-1], axis=-1)
    lost = _runs(rng, np.where(apart < _CLOSE_PX, _GAP_CLOSE,
                               _GAP)[..., None], shape, _LONGEST)
    blunder = _runs(rng, np.array(_BLUNDER), shape, 3)
    angle, far = rng.uniform(0, 2 * np.pi, shape), rng.uniform(15, 50, shape)
    off = np.stack([np.cos(angle), np.sin(angle)], -1) * far[..., None]
    found = np.where(blunder[..., None], found + off, found)
    found = np.clip(found, 0, np.array(size) - 1.)
    found[lost] = np.nan
    confidence = 1 - rng.gamma(2., .02, shape)
    confidence = np.where(blunder, rng.uniform(.2, .7, shape), confidence)
    confidence = np.where(lost, rng.uniform(0, .2, shape), confidence)
    return (found.astype(np.float32),
            np.clip(confidence, 0, 1).astype(np.float32))


def _runs(rng: np.random.Generator, chance: Array, shape: tuple[int, ...],
          longest: int) -> Array:
    """Runs of 1 to `longest` frames that begin by chance, bool."""
    begins = rng.random(shape) < chance
    lengths = np.where(begins, rng.integers(1, longest + 1, shape), 0)
    marked = np.zeros(shape, bool)
    for t, n, k in np.argwhere(begins):
        marked[t:t + lengths[t, n, k], n, k] = True
    return marked
