"""Finding images that show the same thing.

Two images are near-duplicates if one becomes the other by one of the eight
symmetries of the square, a shift of at most two pixels and weak noise: the
ways in which the published data set multiplies its images. Such images on
both sides of a split make a validation figure worthless.
"""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmpose_ext.geometry.symmetries import SYMMETRIES, transform_image
from mmpose_ext.splits import link_clusters

Array = np.ndarray

POOLED = 10  # side of the descriptor, cells
MAX_SHIFT = 2  # px
# Noise of sigma 4 in both images differs by 5.7 grey levels RMS.
MAX_RMS = 7.
# Averages of 3x3 pixels keep a third of the noise, 1.9, but all of what two
# faint animals differ by.
BLOCK = 3
MAX_BLOCK_RMS = 3.
# Candidates' descriptors differ by what pooling 25 pixels leaves of the noise
# and by what centring is off by, which counts for more the higher the
# contrast. They are compared in full later.
POOLED_RMS = 3.
POOLED_RMS_BY_CONTRAST = .3
CHUNK = 64


def describe_images(images: Array) -> Array:
    """Small pictures that hardly change under a shift.

    The foreground's centre of mass is moved to the middle, and the image
    averaged down to 10x10 cells.

    Args:
        images (ndarray): (N, S, S) uint8.

    Returns:
        ndarray: (N, 100) float32, grey levels.
    """
    parts = [_describe(images[start:start + CHUNK])
             for start in range(0, len(images), CHUNK)]
    return np.concatenate(parts) if parts else np.empty(
        (0, POOLED**2), np.float32)


def descriptor_limit(first: Array, second: Array) -> Array:
    """RMS difference (...) up to which descriptors (..., D) may be copies."""
    contrast = np.minimum(first.std(-1), second.std(-1))
    return POOLED_RMS + POOLED_RMS_BY_CONTRAST * contrast


def near_duplicates(first: Array, second: Array | None = None) -> Array:
    """Pairs of near-duplicate images.

    Args:
        first (ndarray): (N, S, S) uint8.
        second (ndarray, optional): (M, S, S) uint8. Defaults to None: pairs
            within ``first``, each once.

    Returns:
        ndarray: (P, 2) int64, index into first and into second.
    """
    other = first if second is None else second
    pairs = []
    for rows, columns in _candidates(first, other):
        if second is None:
            keep = rows < columns
            rows, columns = rows[keep], columns[keep]
        same = [
            is_near_duplicate(first[row], other[column])
            for row, column in zip(rows, columns, strict=True)
        ]
        pairs.append(np.stack([rows, columns], -1)[np.array(same, bool)])
    return np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64)


def near_duplicate_clusters(images: Array) -> Array:
    """Number the clusters of images linked by near-duplication: (N,) int."""
    return link_clusters(near_duplicates(images), len(images))


def is_near_duplicate(first: Array, second: Array) -> bool:
    """Compare two images (S, S) in full, over symmetries and shifts."""
    margin = 2 * MAX_SHIFT
    size = first.shape[-1] - 2 * margin
    offsets = margin + np.arange(-MAX_SHIFT, MAX_SHIFT + 1)
    blocks = BLOCK * np.arange(size // BLOCK)
    lines = offsets[:, None] + blocks
    averaged = _average_blocks(second)
    own = _average_blocks(first)[margin + blocks[:, None], margin + blocks]
    inner = first[margin:margin + size, margin:margin + size].astype(
        np.float32)
    for symmetry in SYMMETRIES:
        # (row offset, column offset, block row, block column)
        parts = transform_image(averaged, symmetry)[lines[:, None, :, None],
                                                    lines[None, :, None, :]]
        parts -= own
        rms = np.sqrt(np.einsum('ijkl,ijkl->ij', parts, parts) / own.size)
        for i, j in np.argwhere(rms <= MAX_BLOCK_RMS):
            turned = transform_image(second, symmetry)
            part = turned[offsets[i]:offsets[i] + size,
                          offsets[j]:offsets[j] + size]
            if np.square(part - inner).mean() <= MAX_RMS**2:
                return True
    return False


def _average_blocks(image: Array) -> Array:
    """Averages of the 3x3 blocks that start at each pixel."""
    count = image.shape[-1] - BLOCK + 1
    image = image.astype(np.float32)
    rows = np.sum([image[i:i + count] for i in range(BLOCK)], 0)
    return np.sum([rows[:, i:i + count] for i in range(BLOCK)], 0) / BLOCK**2


def _candidates(first: Array,
                second: Array) -> Iterator[tuple[Array, Array]]:
    """Pairs whose descriptors agree under some symmetry."""
    described = describe_images(second)
    square = np.square(described).sum(-1)
    for start in range(0, len(first), CHUNK):
        part = describe_images(first[start:start + CHUNK])
        own = np.square(part).sum(-1)
        limit = np.square(POOLED * descriptor_limit(part[:, None], described))
        near = np.zeros((len(part), len(second)), bool)
        for symmetry in SYMMETRIES:
            turned = transform_image(
                part.reshape(-1, POOLED, POOLED), symmetry)
            product = turned.reshape(len(part), -1) @ described.T
            near |= own[:, None] + square - 2 * product <= limit
        rows, columns = np.nonzero(near)
        yield rows + start, columns


def _describe(images: Array) -> Array:
    count, size = images.shape[:2]
    values = images.astype(np.float32)
    rim = np.concatenate([
        values[:, 0], values[:, -1], values[:, :, 0], values[:, :, -1]], 1)
    background = np.median(rim, 1)[:, None, None]
    # Squares make noise light; the window makes light what a shift may move
    # across the rim.
    window = np.sqrt(np.hanning(size + 2)[1:-1]).astype(np.float32)
    mass = np.square(values - background) * np.outer(window, window)
    line = np.arange(size)
    total = mass.sum((1, 2)) + 1e-6
    middle = (size - 1) / 2
    centred = _shift_rows(values, (mass.sum(2) @ line) / total - middle)
    centred = _shift_rows(centred.swapaxes(1, 2),
                          (mass.sum(1) @ line) / total - middle)
    edges = np.linspace(0, size, POOLED + 1).astype(int)
    pooled = np.add.reduceat(
        np.add.reduceat(centred.swapaxes(1, 2), edges[:-1], 1), edges[:-1], 2)
    area = np.outer(np.diff(edges), np.diff(edges))
    return (pooled / area).reshape(count, -1)


def _shift_rows(images: Array, shift: Array) -> Array:
    """Move rows of images (N, H, W) up by (N,) px, linear between rows."""
    whole = np.floor(shift).astype(int)
    part = (shift - whole).astype(np.float32)[:, None, None]
    last = images.shape[1] - 1
    rows = np.arange(last + 1) + whole[:, None]
    number = np.arange(len(images))[:, None]
    upper = images[number, np.clip(rows, 0, last)]
    lower = images[number, np.clip(rows + 1, 0, last)]
    return upper + (lower - upper) * part
