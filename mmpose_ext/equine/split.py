"""Sharing out pictures to train, val and test, whole groups at a time.

The side of a group follows from its name and the seed alone, so more data
later leave the old groups where they are. Near-duplicates join their groups.
"""
from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import ExifTags, Image

from mmpose_ext.splits import PARTS, link_clusters
from mmpose_ext.storage import DataError

Array = np.ndarray

GROUPINGS = ('image', 'prefix', 'folder', 'regex:PATTERN', 'exif', 'none')
_COUNTER = re.compile('[-_. ]*[0-9]+$')


def check_grouping(group_by: str) -> None:
    """Check a way of grouping.

    Raises:
        ValueError: If there is no such one, or its pattern is wrong.
    """
    if group_by.startswith('regex:'):
        try:
            re.compile(group_by.removeprefix('regex:'))
        except re.error as error:
            raise ValueError(f'{group_by}: {error}') from error
    elif group_by not in GROUPINGS:
        raise ValueError(f'{group_by}: none of {", ".join(GROUPINGS)}')


def group_key(file: Path, name: str, group_by: str) -> str:
    """Name of the group that a picture belongs to.

    Args:
        file (Path): The picture.
        name (str): What its source calls it, a path with forward slashes.
        group_by (str): ``image`` or ``none``: each picture alone;
            ``prefix``: the name without the number at its end; ``folder``;
            ``exif``: camera and day; ``regex:PATTERN``: what the pattern's
            first group, or all of it, finds in the name.

    Raises:
        DataError: If a pattern does not match, or the picture has no date.
    """
    path = PurePosixPath(name)
    if group_by == 'prefix':
        stem = _COUNTER.sub('', path.stem) or path.stem
        return str(path.with_name(stem))
    if group_by == 'folder':
        return path.parent.name or file.absolute().parent.name
    if group_by.startswith('regex:'):
        match = re.search(group_by.removeprefix('regex:'), name)
        found = match and match.group(1 if match.re.groups else 0)
        if not found:
            raise DataError(file, '--group-by', 'names that the pattern '
                            f'{group_by.removeprefix("regex:")!r} matches',
                            repr(name))
        return found
    if group_by == 'exif':
        return _camera_and_day(file)
    return name


def _camera_and_day(file: Path) -> str:
    try:
        with Image.open(file) as image:
            exif = image.getexif()
            date = exif.get_ifd(ExifTags.IFD.Exif).get(
                ExifTags.Base.DateTimeOriginal) or exif.get(
                    ExifTags.Base.DateTime)
            model = exif.get(ExifTags.Base.Model)
    except Exception:  # Pillow raises anything on damaged headers
        date = model = None
    if not isinstance(date, str) or not date.strip():
        raise DataError(file, 'EXIF', 'the date the picture was taken',
                        'none', 'choose another --group-by')
    return f'{model or "camera"} {date.split()[0]}'.replace('\0', '')


def split_groups(groups: Sequence[str],
                 fractions: Sequence[float],
                 seed: int,
                 clusters: Array | None = None,
                 before: Sequence[str | None] | None = None
                 ) -> list[str | None]:
    """Share out pictures so that no group or cluster is divided.

    Args:
        groups (Sequence[str]): N groups of the pictures.
        fractions (Sequence[float]): Shares of train, val and test; the sizes
            follow them about as well as the number of groups allows.
        seed (int): Another seed is another split.
        clusters (ndarray, optional): (N,) clusters of near-duplicates, which
            join the groups. Defaults to None.
        before (Sequence[str | None], optional): N parts of an earlier split,
            which are kept, None for new pictures. Defaults to None.

    Returns:
        list[str | None]: N parts; None for a new picture that is joined to
        earlier ones of different parts and so belongs to none.
    """
    earlier = [None] * len(groups) if before is None else list(before)
    joined = _join(groups, clusters)
    names: dict[int, str] = {}
    parts: dict[int, set[str]] = {}
    for number, group, part in zip(joined, groups, earlier, strict=True):
        names[number] = min(names.get(number, group), group)
        parts.setdefault(number, set()).update([part] if part else [])
    chosen: dict[int, str | None] = {}
    for number, name in names.items():
        known = parts[number]
        chosen[number] = (_draw(name, fractions, seed) if not known else
                          next(iter(known)) if len(known) == 1 else None)
    return [part or chosen[number]
            for number, part in zip(joined, earlier, strict=True)]


def _join(groups: Sequence[str], clusters: Array | None) -> list[int]:
    """Number of the connected groups and clusters of each picture."""
    _, rows = np.unique(np.array(groups, np.str_), return_inverse=True)
    if clusters is None:
        return [int(row) for row in rows]
    count = len(groups)
    pairs = np.stack([rows, count + np.asarray(clusters)], 1)
    return link_clusters(pairs, 2 * count)[rows].tolist()


def _draw(group: str, fractions: Sequence[float], seed: int) -> str:
    digest = hashlib.sha256(f'{seed}:{group}'.encode()).digest()
    place = int.from_bytes(digest[:8], 'big') / 2**64
    limits = np.cumsum(fractions) / np.sum(fractions)
    return PARTS[int(np.searchsorted(limits[:-1], place, side='right'))]


def read_earlier(content: Mapping[str, Mapping[str, str]],
                 groups: Sequence[str],
                 hashes: Sequence[str]) -> list[str | None]:
    """Parts that pictures had in an earlier split, by content or group.

    The group counts only where it is not divided.

    Args:
        content (dict): ``groups`` and ``pictures`` (by SHA-256) to parts.
        groups (Sequence[str]): N groups.
        hashes (Sequence[str]): N SHA-256 of the pictures.
    """
    own = [content['pictures'].get(digest) for digest in hashes]
    parts: dict[str, set[str]] = {}
    for group, part in zip(groups, own, strict=True):
        known = {part, content['groups'].get(group)} - {None}
        parts.setdefault(group, set()).update(map(str, known))
    return [part or (min(parts[group]) if len(parts[group]) == 1 else None)
            for group, part in zip(groups, own, strict=True)]
