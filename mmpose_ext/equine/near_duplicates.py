"""Finding pictures that show nearly the same thing, by a 64-bit hash.

The hash is the difference hash (dHash): the picture is averaged down to 9x8
grey cells, and each bit says whether a cell is brighter than its left
neighbour. It hardly changes with size, compression and exposure, so pictures
whose hashes differ in a few bits are copies or neighbouring frames.
"""
from __future__ import annotations

import cv2
import numpy as np

from mmpose_ext.splits import link_clusters

Array = np.ndarray

NEAR = 4  # bits in which the hashes of near-duplicates may differ
_CHUNK = 256


def difference_hash(image: Array) -> np.uint64:
    """Hash a picture by the brightness of neighbouring cells.

    Args:
        image (ndarray): (H, W) grey or (H, W, 3) BGR, uint8.

    Returns:
        np.uint64: 64 bits, row by row, the top left cell's the highest.
    """
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    cells = cv2.resize(image, (9, 8), interpolation=cv2.INTER_AREA)
    bits = np.packbits(cells[:, 1:] > cells[:, :-1])
    return np.uint64(int.from_bytes(bits.tobytes(), 'big'))


def near_pairs(hashes: Array,
               other: Array | None = None,
               distance: int = NEAR) -> Array:
    """Pairs of hashes that differ in few bits.

    Args:
        hashes (ndarray): (N,) uint64.
        other (ndarray, optional): (M,) uint64. Defaults to None: pairs
            within ``hashes``, each once, the smaller index first.
        distance (int): Bits that may differ. Defaults to 4.

    Returns:
        ndarray: (P, 2) int64, index into the first and into the second, in
        rising order.
    """
    first = np.asarray(hashes, np.uint64)
    second = first if other is None else np.asarray(other, np.uint64)
    pairs = [np.empty((0, 2), np.int64)]
    for start in range(0, len(first), _CHUNK):
        part = first[start:start + _CHUNK, None]
        near = np.argwhere(_count_bits(part ^ second) <= distance)
        near[:, 0] += start
        if other is None:
            near = near[near[:, 0] < near[:, 1]]
        pairs.append(near)
    return np.concatenate(pairs)


def _count_bits(words: Array) -> Array:
    """Ones in each word; NumPy 1 has no function for it.

    Neighbouring bits are added up to pairs, fours and bytes, and the bytes
    by the highest byte of a product.
    """
    ones, twos, fours = (np.uint64(0x5555555555555555),
                         np.uint64(0x3333333333333333),
                         np.uint64(0x0F0F0F0F0F0F0F0F))
    words = words - ((words >> np.uint64(1)) & ones)
    words = (words & twos) + ((words >> np.uint64(2)) & twos)
    words = (words + (words >> np.uint64(4))) & fours
    return (words * np.uint64(0x0101010101010101)) >> np.uint64(56)


def near_duplicate_clusters(hashes: Array, distance: int = NEAR) -> Array:
    """Number the clusters of pictures linked by near-duplication.

    Args:
        hashes (ndarray): (N,) uint64.
        distance (int): Bits that may differ. Defaults to 4.

    Returns:
        ndarray: (N,) int, numbered from 0.
    """
    return link_clusters(near_pairs(hashes, distance=distance), len(hashes))
