"""Classes of frames, as a table or as numbers.

A table is (T, C), 0 or 1; numbers are (T,), below 0 where no class holds.
"""
from __future__ import annotations

import numpy as np

Array = np.ndarray


def to_table(numbers: Array, count: int) -> Array:
    """Numbers (T,) as a table (T, count) uint8."""
    return (numbers[:, None] == np.arange(count)).astype(np.uint8)


def to_numbers(table: Array) -> Array:
    """The first class (T,) int64 of each frame of a table; -1 for none."""
    return np.where(table.any(1), table.argmax(1), -1)
