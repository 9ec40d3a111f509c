"""Sharing a data set out to train, validate and test."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Array = np.ndarray

PARTS = ('train', 'val', 'test')


def check_shares(shares: Sequence[float], name: str) -> tuple[float, ...]:
    """Check the shares of the three parts.

    Args:
        shares (Sequence[float]): Of :data:`PARTS`; a part may have none.
        name (str): What the error calls them.

    Returns:
        tuple[float, ...]: The same.

    Raises:
        ValueError: If they are not three from 0 to 1 that add up to 1.
    """
    shares = tuple(shares)
    # not "any below 0": a NaN is no share
    if (len(shares) != len(PARTS) or not all(share >= 0 for share in shares)
            or not abs(sum(shares) - 1) <= 1e-6):
        raise ValueError(f'{name}: expected three shares that add up to 1, '
                         f'found {shares}')
    return shares


def link_clusters(pairs: Array, count: int) -> Array:
    """Number the clusters that pairs link, directly or by way of others.

    Args:
        pairs (ndarray): (P, 2) two of 0 to `count` - 1 each.
        count (int): N.

    Returns:
        ndarray: (N,) int, from 0.
    """
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])),
                      shape=(count, count))
    return connected_components(links, directed=False)[1]
