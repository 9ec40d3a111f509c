"""Confidence intervals that respect groups."""
from __future__ import annotations

from typing import Any

import numpy as np

_DRAWS = 1000
_ENDS = (.025, .975)


def grouped_interval(values: Any, groups: Any) -> tuple[float, float]:
    """Bootstrap interval of 95 % of a mean, drawing whole groups.

    Rows of one group (frames of a video, copies of an image) are not
    independent: drawing rows would claim more certainty than there is.

    Args:
        values (ndarray): (N,); NaN is left out.
        groups (ndarray): (N,) group of each row.

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
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, len(names), (_DRAWS, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, _ENDS)
    return float(low), float(high)
