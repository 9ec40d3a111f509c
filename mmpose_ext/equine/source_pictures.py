"""Pictures of any source brought to the data set's points and pixels."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpose_ext.equine.aliases import NameMap
from mmpose_ext.equine.checks_images import OpenedImage, open_images
from mmpose_ext.storage import (
    DataError,
    LabelledImage,
    LabelledInstance,
    LabelSet,
)
from mmpose_ext.storage.plain_files import sha256_of

Array = np.ndarray

_SLACK = 1.  # px that a point may lie off the picture by rounding


@dataclass(frozen=True, eq=False)
class Horse:
    """One horse of a picture.

    Attributes:
        points: (26, 2) px, 0 where absent.
        visibility: (26,) 0, 1 or 2.
        box: (4,) x, y, width, height in px, inside the picture.
    """

    points: Array
    visibility: Array
    box: Array


@dataclass(frozen=True, eq=False)
class SourcePicture:
    """A picture as the data set will have it.

    Attributes:
        file: Where it is.
        name: What its source calls it.
        size: Width and height as it is displayed, px.
        horses: At least one.
        digest: SHA-256 of the file.
        hash: Difference hash.
    """

    file: Path
    name: str
    size: tuple[int, int]
    horses: tuple[Horse, ...]
    digest: str
    hash: np.uint64


@dataclass(frozen=True)
class FitRule:
    """What a horse must have, and how its box is made.

    Attributes:
        min_keypoints: Points below which a horse is left out.
        box_pad: Margin round the points where the source has no box, as a
            share of the longer side.
        near_side: ``left``, ``right`` or ``unknown``.
    """

    min_keypoints: int
    box_pad: float
    near_side: str


def fit_pictures(labels: LabelSet, names: NameMap, rule: FitRule,
                 left_out: Counter[str]) -> list[SourcePicture]:
    """Open the pictures of a source and fit the labels to them.

    Args:
        labels (LabelSet): What was read.
        names (NameMap): Its points among the 26.
        rule (FitRule): What is kept.
        left_out (Counter): Counts what is not, by reason.

    Raises:
        DataError: If a picture cannot be loaded, or the labels were placed
            on one of another shape.
    """
    opened = open_images([image.file for image in labels.images],
                         'opening the pictures')
    pictures = []
    for image, found in zip(labels.images, opened, strict=True):
        assert found is not None
        if found.fault:
            raise DataError(labels.source, f'picture {image.file}',
                            'one that can be loaded', found.fault)
        horses = tuple(_fit_horses(image, found, labels.source, names, rule,
                                   left_out))
        if not horses:
            left_out['pictures without a horse that is kept'] += 1
            continue
        pictures.append(SourcePicture(
            image.file, image.name, found.size, horses,
            sha256_of(image.file), found.hash))
    return pictures


def _fit_horses(image: LabelledImage, found: OpenedImage, source: Path,
                names: NameMap, rule: FitRule,
                left_out: Counter[str]) -> Iterable[Horse]:
    for instance in image.instances:
        instance = fit_to_size(instance, image.size, found, source)
        points, visibility = names.apply(instance.points, instance.visibility,
                                         rule.near_side)
        limit = np.array(found.size) - 1.
        off = ((points < -_SLACK) | (points > limit + 1 + _SLACK)).any(1)
        off &= visibility > 0
        left_out['points off the picture'] += int(off.sum())
        visibility[off] = 0
        points = np.where(visibility[:, None] > 0,
                          np.clip(points, 0, limit), 0.)
        if (visibility > 0).sum() < rule.min_keypoints:
            left_out[f'horses with fewer than {rule.min_keypoints} '
                     'points'] += 1
            continue
        box = instance.box
        if box is None:
            box = tight_box(points[visibility > 0], rule.box_pad)
        yield Horse(points, visibility,
                    clip_box(box, found.size, source, instance.where))


def tight_box(points: Array, pad: float) -> Array:
    """Box x, y, width, height round points (N, 2), padded on all sides.

    Args:
        points (ndarray): (N, 2) px.
        pad (float): Margin as a share of the longer side.
    """
    low, high = points.min(0), points.max(0)
    margin = pad * (high - low).max()
    return np.concatenate([low - margin, high - low + 2 * margin])


def clip_box(box: Array, size: tuple[int, int], source: Path,
             where: str) -> Array:
    """The part of a box x, y, width, height that lies on the picture."""
    low = np.clip(box[:2], 0, size)
    high = np.clip(box[:2] + box[2:], 0, size)
    if (high <= low).any():
        raise DataError(source, f'{where}, box', 'a box of some width and '
                        f'height on the {size[0]}x{size[1]} px picture',
                        str(np.round(box, 1).tolist()))
    return np.concatenate([low, high - low])


def fit_to_size(instance: LabelledInstance, stated: tuple[int, int] | None,
                found: OpenedImage, source: Path) -> LabelledInstance:
    """Labels on the picture as the loader gives it, which obeys EXIF.

    Labels that were placed on the stored pixels of a turned picture are
    turned along, and those on a copy of another size scaled.
    """
    size = found.size
    if stated is None or stated == size:
        return instance
    width, height = stated
    points, box = instance.points, instance.box
    # boxes count from the edge, points from the middle of the first pixel
    corners = None if box is None else np.stack(
        [box[:2], box[:2] + box[2:]]) - .5
    if stated == size[::-1] and found.orientation >= 5:
        points = turn_points(points, stated, found.orientation)
        if corners is not None:
            corners = turn_points(corners, stated, found.orientation)
    elif abs(width * size[1] - height * size[0]) <= max(width, height, *size):
        scale = np.array(size) / stated
        points = (points + .5) * scale - .5
        if corners is not None:
            corners = (corners + .5) * scale - .5
    else:
        raise DataError(source, f'{instance.where}, size of the picture',
                        f'{size[0]}x{size[1]} px or the same shape, as the '
                        'file has', f'{width}x{height} px')
    if corners is not None:
        box = np.concatenate([corners.min(0) + .5, np.ptp(corners, 0)])
    return LabelledInstance(instance.where, points, instance.visibility, box)


def turn_points(points: Array, size: tuple[int, int],
                orientation: int) -> Array:
    """Stored pixels (N, 2) as they are displayed.

    Args:
        points (ndarray): (N, 2) px.
        size (tuple[int, int]): Width and height as stored.
        orientation (int): EXIF's, 5 to 8, which swap width and height.
    """
    x, y = points.T
    across, down = size[0] - 1 - x, size[1] - 1 - y
    return np.stack({5: (y, x), 6: (down, x), 7: (down, across),
                     8: (y, across)}[orientation], -1)


def merge_copies(pictures: Sequence[SourcePicture],
                 source: Path, left_out: Counter[str]) -> list[SourcePicture]:
    """Keep one of identical files.

    Raises:
        DataError: If their labels differ.
    """
    kept: dict[str, SourcePicture] = {}
    for picture in pictures:
        first = kept.setdefault(picture.digest, picture)
        if first is picture:
            continue
        if not _same_labels(first, picture):
            raise DataError(
                source, f'picture {picture.name}', 'one labelling',
                f'another one for the same picture {first.name}',
                'remove one of the two; several animals of a picture belong '
                'to one entry')
        left_out['copies of a picture with the same labels'] += 1
    return sorted(kept.values(), key=lambda each: (each.name, each.digest))


def _same_labels(first: SourcePicture, second: SourcePicture) -> bool:
    return len(first.horses) == len(second.horses) and all(
        np.array_equal(one.visibility, other.visibility)
        and np.allclose(one.points, other.points, atol=.01)
        for one, other in zip(first.horses, second.horses, strict=True))
