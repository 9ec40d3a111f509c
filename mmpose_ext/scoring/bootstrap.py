"""Confidence intervals that respect groups."""
from __future__ import annotations

from typing import Any

import numpy as np

DRAWS = 1000


def grouped_interval(values: Any,
                     groups: Any,
                     level: float = .95,
                     seed: int = 0) -> tuple[float, float]:
    """Bootstrap interval of a mean, drawing whole groups.

    Rows of one group (frames of a video, copies of an image) are not
    independent: drawing rows would claim more certainty than there is.

    Args:
        values (ndarray): (N,); NaN is left out.
        groups (ndarray): (N,) group of each row.
        level (float): Defaults to .95.
        seed (int): Defaults to 0.

    Returns:
        tuple[float, float]: Lower and upper end; NaN with fewer than two
        groups.
    """
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    names, numbers = np.unique(
        np.asarray(groups)[known], return_inverse=True)
    if len(names) < 2:
        return float('nan'), float('nan')
    sums = np.bincount(numbers, values[known])
    counts = np.bincount(numbers)
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, len(names), (DRAWS, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)
