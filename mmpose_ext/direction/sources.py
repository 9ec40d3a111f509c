"""Recovering the unique images of the published, 64-fold data set.

The file ``rat_images_augmented_and_tagged.npz`` holds 98,944 rows: 1,546
images under 4 quarter turns, flip or not, pixel noise or not, shift or not,
label noise or not, in undocumented order and without ids. Sixteen rows of
each image are therefore the image itself under the eight symmetries, twice:
they are found by a hash that the symmetries do not change.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmpose_ext.direction.duplicates import (
    POOLED,
    describe_images,
    descriptor_limit,
)
from mmpose_ext.geometry.symmetries import (
    SYMMETRIES,
    transform_image,
    transform_points,
)
from mmpose_ext.storage import DataError, NpzArchive

Array = np.ndarray

COPIES = 64
EXACT_COPIES = 16
ROWS_A_TIME = 128


@dataclass(frozen=True)
class Sources:
    """The unique images of a 64-fold data set.

    Attributes:
        images: (U, S, S) uint8.
        points: (U, 3, 2) float64, px; mean of the exact copies' labels, so
            with less label noise than any of them.
        copies: (U,) rows that show each image; found by hash, the exact
            copies alone, 16 each.
        rows: Rows of the file, N.
        layout: How they were found: ``hash``, or the regular layouts
            ``row modulo`` and ``row blocks``.
    """

    images: Array
    points: Array
    copies: Array
    rows: int
    layout: str

    def describe(self) -> str:
        """One sentence for the log."""
        low, high = self.copies.min(), self.copies.max()
        span = f'{low}' if low == high else f'{low} to {high}'
        kind = ' exact' if self.layout == 'hash' else ''
        return (f'{self.rows} rows are {len(self.images)} images, about '
                f'{self.rows / len(self.images):.0f} copies of each ({span}'
                f'{kind}, found by {self.layout})')


def recover_sources(archive: NpzArchive, points: Array) -> Sources:
    """Recover the unique images, streaming the file twice.

    Never more than a few hundred rows are held beside the result.

    Args:
        archive (NpzArchive): File with ``images`` (N, S, S) uint8.
        points (ndarray): (N, 3, 2), px.

    Raises:
        DataError: If neither the hashes nor a regular layout explain the
            rows.
    """
    hashes, symmetries = _hash_rows(archive)
    values, first_rows, inverse, counts = np.unique(
        hashes, return_index=True, return_inverse=True, return_counts=True)
    is_source = counts >= EXACT_COPIES
    expected = len(hashes) / COPIES
    if not .9 * expected <= is_source.sum() <= 1.1 * expected:
        return _assume_regular_layout(archive, points)

    number = np.full(len(values), -1)
    number[is_source] = np.arange(is_source.sum())
    row_source = number[inverse]
    size = archive.shape('images')[-1]
    turned = points.astype(np.float64).copy()
    for symmetry in SYMMETRIES:
        rows = symmetries == symmetry
        turned[rows] = transform_points(turned[rows], symmetry, size)
    exact = row_source >= 0
    total = np.zeros((is_source.sum(), *points.shape[1:]))
    np.add.at(total, row_source[exact], turned[exact])
    mean = total / counts[is_source][:, None, None]

    images = _take_rows(archive, first_rows[is_source])
    for i, symmetry in enumerate(symmetries[first_rows[is_source]]):
        images[i] = transform_image(images[i], symmetry)
    return Sources(images, mean, counts[is_source], len(hashes), 'hash')


def _hash_rows(archive: NpzArchive) -> tuple[Array, Array]:
    """Hash (N,) of each image, equal under symmetries, and which one it took.

    The hash is a scalar product with random integers. All eight are computed
    by one matrix product, turning the integers instead of the images; below
    2**53 float64 arithmetic on integers is exact.
    """
    size = archive.shape('images')[-1]
    bits = 53 - 8 - int(np.ceil(np.log2(size * size)))
    weights = np.random.default_rng(0).integers(0, 2**bits, (size, size))
    # <w, g(x)> = <g^-1(w), x>: a quarter turn is undone by three, a turned
    # and flipped image by itself
    inverse = {g: (-g % 4 if g < 4 else g) for g in SYMMETRIES}
    matrix = np.stack([
        transform_image(weights, inverse[g]).ravel() for g in SYMMETRIES
    ], -1).astype(np.float64)
    hashes, symmetries = [], []
    for rows in archive.iter_rows('images', ROWS_A_TIME):
        products = rows.reshape(len(rows), -1).astype(np.float64) @ matrix
        hashes.append(products.min(1))
        symmetries.append(products.argmin(1))
    return np.concatenate(hashes), np.concatenate(symmetries)


def _take_rows(archive: NpzArchive, rows: Array) -> Array:
    """Read some rows of the images, in the order asked for."""
    shape = archive.shape('images')
    taken = np.empty((len(rows), *shape[1:]), np.uint8)
    start = 0
    for part in archive.iter_rows('images', ROWS_A_TIME):
        inside = (rows >= start) & (rows < start + len(part))
        taken[inside] = part[rows[inside] - start]
        start += len(part)
    return taken


def _describe_turned(images: Array) -> Array:
    """Descriptors (8, N, D) of images under the eight symmetries."""
    described = describe_images(images).reshape(-1, POOLED, POOLED)
    return np.stack([
        transform_image(described, g).reshape(len(images), -1)
        for g in SYMMETRIES
    ])


def _assume_regular_layout(archive: NpzArchive, points: Array) -> Sources:
    """Try ``row modulo U`` and ``row div 64`` as the image's number."""
    unique, rest = divmod(len(points), COPIES)
    rows = np.arange(0 if rest else len(points))
    layouts = {
        'row modulo': rows % max(unique, 1),
        'row blocks': rows // COPIES
    }
    for layout, numbers in layouts.items():
        first = np.unique(numbers, return_index=True)[1]
        images = _take_rows(archive, first)
        if len(rows) and _share_alike(archive, images, numbers) > .9:
            return Sources(images, points[first].astype(np.float64),
                           np.bincount(numbers), len(points), layout)
    raise DataError(
        archive.path, 'images',
        f'images with {COPIES} copies each, or ids of the images',
        f'{len(points)} rows that are neither repeated images nor in a '
        'regular order', 'add an array source_id (N,) that numbers the image '
        "of each row, or read the rows as they are by rows='stored'")


def _share_alike(archive: NpzArchive, images: Array,
                 numbers: Array) -> float:
    """Share of the rows that look like the image of their number."""
    turned = _describe_turned(images)
    alike = start = 0
    for rows in archive.iter_rows('images', ROWS_A_TIME):
        described = describe_images(rows)
        other = turned[:, numbers[start:start + len(rows)]]
        rms = np.sqrt(np.square(other - described).mean(-1)).min(0)
        alike += int((rms <= descriptor_limit(described, other[0])).sum())
        start += len(rows)
    return alike / len(numbers)
