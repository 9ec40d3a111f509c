"""Recordings whose animals have a file of labels, or of middles, each.

What all files say of cameras and time points must agree; their labels stand
side by side then, as if one file had them. I individuals, V views.
"""
from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmpose_ext.storage import DataError
from mmpose_ext.storage.calibrations import CameraCalibration
from mmpose_ext.storage.checks import StrPath, is_shown
from mmpose_ext.storage.label3d import Label3D
from mmpose_ext.volumetric.body_centres import (
    BodyCentres,
    describe_ids,
    read_body_centres,
)

Array = np.ndarray
Files = StrPath | Sequence[StrPath]

# Up to here parameters differ by how files round them: by less than a
# hundredth of a pixel, together.
_ROUNDING = dict(matrix=1e-2, rotation=1e-5, translation=1e-2, radial=1e-4,
                 tangential=1e-4)


def list_files(folder: Path, wanted: Files, where: str) -> tuple[Path, ...]:
    """The files that a setting names.

    Args:
        folder (Path): Where relative paths begin.
        wanted (str | Path | Sequence): A file, several in the order of the
            animals, or a pattern with a ``*``: every such file, in the order
            of their names, numbers in them counting as such.
        where (str): The setting, for errors.

    Returns:
        tuple[Path, ...]: At least one; whether they exist is not looked at.

    Raises:
        DataError: If a file is named twice, or none fits.
    """
    if isinstance(wanted, str) and '*' in wanted:
        found = sorted(filter(is_shown, folder.glob(wanted)), key=_by_number)
    else:
        found = [folder / item for item in (
            [wanted] if isinstance(wanted, str | os.PathLike) else wanted)]
    if not found:
        raise DataError(folder, where, 'files'
                        + (f' {wanted}' if isinstance(wanted, str) else ''),
                        'none')
    places = [path.resolve() for path in found]
    for path, place in zip(found, places, strict=True):
        if places.count(place) > 1:
            raise DataError(path, where, 'each file once, one an animal',
                            f'it {places.count(place)} times')
    return tuple(found)


def _by_number(path: Path) -> list[tuple[int, str]]:
    """A key by which 2 comes before 10."""
    return [(int(part), '') if part.isdigit() else (-1, part)
            for part in re.split(r'(\d+)', path.name)]


def align_cameras(records: Sequence[Label3D]) -> list[Label3D]:
    """Files of a recording, the cameras of all in the order of the first's.

    Args:
        records (Sequence[Label3D]): The files.

    Raises:
        DataError: If their cameras are others, or calibrated differently.
    """
    first = records[0]
    return [first, *(_in_order_of(first, other) for other in records[1:])]


def merge_labels(records: Sequence[Label3D],
                 num_keypoints: int | None = None) -> Label3D:
    """Labels of several files side by side.

    Args:
        records (Sequence[Label3D]): I files, an animal each, their cameras
            in the same order; labels are of time points of their sync.
        num_keypoints (int, optional): Of an animal. Defaults to None: as the
            first file with labels has it.

    Returns:
        Label3D: The time points of all files; labels (F, I * K, 3) of those
        that any file labels, NaN for the animals of the others; neither
        pixels nor middles. A single file comes back as it is.

    Raises:
        DataError: If the files contradict each other.
    """
    first = records[0]
    if len(records) == 1:
        return first
    for one, other in itertools.combinations(records, 2):
        _check_other_animal(one, other)
    ids, frames = first.sample_ids, first.frames
    for other in records[1:]:
        ids, frames = _join_sync(first, ids, frames, other)
    known = [item for item in records if len(item.points)]
    count = num_keypoints or (known[0].points.shape[1] if known else 0)
    for item in known:
        if item.points.shape[1] != count:
            raise DataError(
                item.source, 'labelData.data_3d',
                f'{count} keypoints of one animal, as '
                + (f'{known[0].source.name} has' if num_keypoints is None
                   else 'the skeleton has'), f'{item.points.shape[1]}',
                'each of several label files is of one animal')
    label_ids = np.unique(np.concatenate([item.label_ids
                                          for item in records]))
    points = np.full((len(label_ids), len(records), count, 3), np.nan)
    for animal, item in enumerate(records):
        if len(item.points):  # else its number of columns says nothing
            rows = np.searchsorted(label_ids, item.label_ids)
            points[rows, animal] = item.points
    return replace(
        first, sample_ids=ids, frames=frames, label_ids=label_ids,
        label_frames=frames[np.searchsorted(ids, label_ids)],
        points=points.reshape(len(label_ids), len(records) * count, 3),
        pixels=None, com_ids=None, com=None)


def _in_order_of(first: Label3D, other: Label3D) -> Label3D:
    """The other file, its cameras in the order of the first's."""
    if set(first.names) != set(other.names):
        raise DataError(
            other.source, 'camnames',
            f'{", ".join(first.names)}, as {first.source.name} has',
            ', '.join(other.names),
            'label files of one recording share its cameras')
    order = [other.names.index(name) for name in first.names]
    for one, view in zip(first.calibrations, order, strict=True):
        _check_calibration(first.source, other.source, one,
                           other.calibrations[view])
    return replace(
        other, calibrations=tuple(other.calibrations[i] for i in order),
        frames=other.frames[:, order],
        label_frames=other.label_frames[:, order],
        pixels=None if other.pixels is None else other.pixels[order])


def _check_calibration(first: Path, file: Path, one: CameraCalibration,
                       other: CameraCalibration) -> None:
    """A camera must be the same in both files."""
    pair = [item.to_matlab() for item in (one, other)]
    for part, rounding in _ROUNDING.items():
        values = [np.asarray(getattr(item, part), np.float64)
                  for item in pair]
        if part == 'radial':  # a third coefficient may be left out
            values = [np.pad(item, (0, 3 - len(item))) for item in values]
        apart = float(abs(values[0] - values[1]).max())
        if apart > rounding:
            raise DataError(
                file, f'params of camera {one.name}',
                f'the calibration that {first.name} has',
                f'another: {part} differs by {apart:.3g}',
                'label files of one recording share its calibration; labels '
                'made with another must be made anew')


def _check_other_animal(one: Label3D, other: Label3D) -> None:
    """Two files must not have the same labels."""
    _, left, right = np.intersect1d(one.label_ids, other.label_ids,
                                    assume_unique=True, return_indices=True)
    if one.points.shape[1:] != other.points.shape[1:] or not len(left):
        return
    if np.array_equal(one.points[left], other.points[right],
                      equal_nan=True):
        raise DataError(
            other.source, 'labelData.data_3d',
            f'another animal than in {one.source.name}',
            f'the same points at all {len(left)} time points of both',
            'one is a copy of the other')


def _join_sync(first: Label3D, ids: Array, frames: Array,
               other: Label3D) -> tuple[Array, Array]:
    """Time points of the files so far and of one more.

    Args:
        first (Label3D): The first file, for errors.
        ids (ndarray): (M,) of the files so far.
        frames (ndarray): (M, V) their frames.
        other (Label3D): The next.

    Returns:
        tuple[ndarray, ndarray]: Rising sampleIDs and their frames.
    """
    _, left, right = np.intersect1d(ids, other.sample_ids,
                                    assume_unique=True, return_indices=True)
    differs = (frames[left] != other.frames[right]).any(1)
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        mine, yours = frames[left[row]], other.frames[right[row]]
        view = int(np.flatnonzero(mine != yours)[0])
        raise DataError(
            other.source, f'sync of {first.calibrations[view].name}, '
            f'sampleID {ids[left[row]]}',
            f'data_frame {mine[view]}, as {first.source.name} has it',
            f'{yours[view]}; {differs.sum()} of {len(left)} time points '
            'differ', 'label files of one recording share its sync')
    new = np.ones(len(other.sample_ids), bool)
    new[right] = False
    if not new.any():
        return ids, frames
    there = dict(zip(map(tuple, frames.tolist()), ids.tolist(), strict=True))
    for number, row in zip(other.sample_ids[new].tolist(),
                           other.frames[new].tolist(), strict=True):
        if tuple(row) in there:
            raise DataError(
                other.source, 'sync.data_sampleID',
                f'{there[tuple(row)]} for frame {row[0]} of '
                f'{first.names[0]}, as {first.source.name} has it',
                f'{number}', f'there are {describe_ids(ids)} there, and '
                f'{describe_ids(other.sample_ids)} here')
    ids = np.concatenate([ids, other.sample_ids[new]])
    frames = np.concatenate([frames, other.frames[new]])
    order = np.argsort(ids)
    return ids[order], frames[order]


def read_individual_centres(records: Sequence[Label3D],
                            com_files: Sequence[Path],
                            com_source: str) -> BodyCentres | None:
    """Read the middles of all animals from where they are wanted.

    Args:
        records (Sequence[Label3D]): The label file, or one an animal.
        com_files (Sequence[Path]): None, one for all animals, or one each.
        com_source (str): See :func:`~mmpose_ext.volumetric.body_centres.
            read_body_centres`.

    Returns:
        BodyCentres: None: the labels' centroids are to be taken.

    Raises:
        DataError: If files are missing, damaged, or do not fit together.
        ValueError: If the settings contradict each other.
    """
    if len(com_files) > 1:
        if 1 < len(records) != len(com_files):
            raise DataError(
                com_files[0].parent, 'com_file',
                f'one, or {len(records)}, one for each of '
                + ', '.join(item.source.name for item in records),
                f'{len(com_files)}: '
                + ', '.join(file.name for file in com_files))
        return join_centres([
            read_body_centres(records[0], file, com_source)
            for file in com_files], com_files)
    if com_files or len(records) == 1:
        found = read_body_centres(
            records[0], com_files[0] if com_files else None, com_source)
        if found is not None and 1 < len(records) != found.points.shape[1]:
            raise DataError(
                found.source, found.where, 'the middles of '
                f'{len(records)} animals, one for each label file',
                f'those of {found.points.shape[1]}',
                'com_file may name a file for each animal')
        return found
    return join_centres([
        read_body_centres(record, None, com_source) for record in records],
        [record.source for record in records])


def join_centres(parts: Sequence[BodyCentres | None],
                 files: Sequence[Path]) -> BodyCentres | None:
    """Middles of several files side by side.

    Args:
        parts (Sequence[BodyCentres | None]): I animals, one each; None for a
            file without any.
        files (Sequence[Path]): The I files.

    Returns:
        BodyCentres: At the time points of any file, NaN where an animal has
        none; None if no file has any.

    Raises:
        DataError: If one alone has none, or several animals.
    """
    known = [part for part in parts if part is not None]
    if not known:
        return None
    for part, file in zip(parts, files, strict=True):
        if part is None:
            raise DataError(file, "key 'com'",
                            f'com3d, as {known[0].source.name} has', 'none',
                            "com_source='labels' takes the centroids of the "
                            'labels')
        if part.points.shape[1] != 1:
            raise DataError(
                part.source, part.where,
                'the middle of one animal: there is a file for each',
                f'the middles of {part.points.shape[1]}')
    ids = np.unique(np.concatenate([part.sample_ids for part in known]))
    points = np.full((len(ids), len(known), 3), np.nan)
    for animal, part in enumerate(known):
        points[np.searchsorted(ids, part.sample_ids), animal] = (
            part.points[:, 0])
    return BodyCentres(known[0].source, known[0].where, ids, points,
                       tuple(part.source for part in known))
