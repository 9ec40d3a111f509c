"""Where the animals' middles come from, and filters over time.

The middle of an animal is what the volume of voxels is centred on. N time
points with a middle, I individuals.
"""
from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from mmpose_ext.storage import DataError
from mmpose_ext.storage.com3d import read_com3d
from mmpose_ext.storage.label3d import Label3D

Array = np.ndarray

SOURCES = ('auto', 'file', 'label_file', 'labels')
_NAMED_IDS = 6
_BLOCK = 4096  # rows filtered at a time
_FAR_SPANS = 1.  # animal lengths that no middle lies off its labels
_EXCHANGED = .5  # share of an animal's labels that are nearer to another


@dataclass(frozen=True)
class BodyCentres:
    """Middles as a file has them.

    Attributes:
        source: The file.
        where: Place in it, for errors.
        sample_ids: (N,) int64.
        points: (N, I, 3) mm; NaN unknown.
        files: I files of an animal each; () if ``source`` has all.
    """

    source: Path
    where: str
    sample_ids: Array
    points: Array
    files: tuple[Path, ...] = ()

    def file_of(self, animal: int) -> Path:
        """The file with an animal's middles."""
        return self.files[animal] if self.files else self.source

    def place_of(self, animal: int) -> str:
        """Where an animal's middles are, in words."""
        return place_of(self.files or (self.source, ), animal,
                        self.points.shape[1])


def place_of(files: Sequence[Path], animal: int, count: int) -> str:
    """Where an animal is, in words.

    Args:
        files (Sequence[Path]): One file, or one an animal.
        animal (int): Its number, from 0.
        count (int): Animals in all.
    """
    if len(files) > 1:
        return files[animal].name
    return files[0].name if count == 1 else (
        f'animal {animal + 1} of {files[0].name}')


def read_body_centres(record: Label3D, com_file: Path | None,
                      com_source: str) -> BodyCentres | None:
    """Read the middles from where they are wanted.

    Args:
        record (Label3D): The label file.
        com_file (Path, optional): A ``com3d.mat``.
        com_source (str): One of ``SOURCES``, see
            :func:`~mmpose_ext.volumetric.recordings.open_recording`.

    Returns:
        BodyCentres: None: the labels' centroids are to be taken.

    Raises:
        DataError: If a file has none, or is damaged.
        ValueError: If the settings contradict each other.
    """
    if com_source not in SOURCES:
        raise ValueError(f'com_source: expected one of {SOURCES}, found '
                         f'{com_source!r}')
    if com_source == 'file' and com_file is None:
        raise ValueError("com_source='file' needs a com_file")
    if com_source in ('label_file', 'labels') and com_file is not None:
        raise ValueError(f'com_source={com_source!r} would leave com_file '
                         'unread; leave one of the two out')
    if com_file is not None:
        track = read_com3d(com_file)
        return _checked(BodyCentres(track.source, 'com', track.sample_ids,
                                    track.points))
    if com_source != 'labels' and record.com is not None:
        assert record.com_ids is not None
        return _checked(BodyCentres(record.source, 'com.com3d',
                                    record.com_ids, record.com))
    if com_source == 'label_file':
        raise DataError(record.source, "key 'com'", 'com3d and sampleID',
                        'none', "com_source='labels' takes the centroids of "
                        'the labels; tools/predict.py with a COM network '
                        'makes a com_file')
    return None


def _checked(centres: BodyCentres) -> BodyCentres:
    """The middles, if any is known."""
    if not np.isfinite(centres.points).any():
        raise DataError(centres.source, centres.where, 'middles, mm',
                        'NaN alone' if len(centres.points) else 'none',
                        "com_source='labels' takes the centroids of the "
                        'labels')
    return centres


def centroids(labels: Array) -> Array:
    """Mean of the keypoints that are there.

    Args:
        labels (ndarray): (..., K, 3) mm, NaN missing.

    Returns:
        ndarray: (..., 3) mm, NaN where nothing is there.
    """
    there = np.isfinite(labels).all(-1, keepdims=True)
    count = there.sum(-2)
    total = np.where(there, labels, 0.).sum(-2)
    with np.errstate(invalid='ignore'):
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def filter_centres(centres: BodyCentres, window: int | None) -> BodyCentres:
    """Median of each coordinate over a window of time points.

    At both ends, and on both sides of a gap in the sampleIDs as long as half
    the window, the last middle stands for those that would follow. Unknown
    ones are not counted, and stay unknown.

    Args:
        centres (BodyCentres): With rising ids.
        window (int, optional): Time points; an even number is made odd by
            one more. None or 1 leaves all as it is.

    Raises:
        ValueError: If the window is below 1.

    Differs from the original, which takes zeros beyond the ends, so that the
    first and last middles become those of a few.
    """
    if window is None:
        return centres
    if window < 1:
        raise ValueError(f'com_median_window: expected 1 or more, found '
                         f'{window}')
    half = window // 2
    ids, points = centres.sample_ids, centres.points
    if half == 0 or len(ids) < 2:
        return centres
    steps = np.diff(ids)
    borders = np.flatnonzero(steps > half * np.median(steps)) + 1
    starts = np.concatenate([[0], borders])
    lengths = np.diff(np.concatenate([starts, [len(ids)]]))
    first = np.repeat(starts, lengths)[:, None]
    last = np.repeat(starts + lengths - 1, lengths)[:, None]
    around = np.arange(-half, half + 1)
    smooth = np.empty_like(points)
    for start in range(0, len(ids), _BLOCK):
        part = slice(start, start + _BLOCK)
        rows = np.arange(len(ids))[part, None] + around
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', 'All-NaN', RuntimeWarning)
            smooth[part] = np.nanmedian(
                points[np.clip(rows, first[part], last[part])], 1)
    smooth[~np.isfinite(points)] = np.nan
    return replace(centres, points=smooth)


def centres_at(centres: BodyCentres, sample_ids: Array, record: Label3D,
               labels: Array, files: Sequence[Path] = ()) -> Array:
    """Middles of time points, after checks against the labels.

    Args:
        centres (BodyCentres): With rising ids.
        sample_ids (ndarray): (M,) of the time points, the labelled ones among
            them.
        record (Label3D): The label file, or what was merged of several.
        labels (ndarray): (F, I, K, 3) its labels, mm.
        files (Sequence[Path]): The label files, one an animal. Defaults to
            (), all are in that of ``record``.

    Returns:
        ndarray: (M, I, 3) mm; NaN unknown.

    Raises:
        DataError: If a labelled time point has none, or the middles lie
            elsewhere or belong to other animals.
    """
    files = files or (record.source, )
    com = np.full((len(sample_ids), *centres.points.shape[1:]), np.nan)
    _, rows, found = np.intersect1d(
        sample_ids, centres.sample_ids, assume_unique=True,
        return_indices=True)
    if not len(rows):
        raise DataError(
            centres.source, 'sampleID',
            f'sampleIDs of {files[0].name}, {describe_ids(sample_ids)}',
            f'{describe_ids(centres.sample_ids)}; none agrees',
            _explain_ids(centres.sample_ids, sample_ids, record))
    com[rows] = centres.points[found]
    at_labels = com[np.searchsorted(sample_ids, record.label_ids)]
    check_identities(centres, at_labels, files, labels)
    labelled = np.isfinite(labels).all(-1).any(-1)
    lacking = labelled & ~np.isfinite(at_labels).all(-1)
    missing = lacking.any(1)
    if missing.any():
        raise DataError(
            centres.file_of(int(lacking.any(0).argmax())), centres.where,
            'a middle of every labelled time point',
            f'none for {missing.sum()} of {len(missing)}: sampleID '
            f'{list_ids(record.label_ids[missing])}',
            _explain_ids(centres.sample_ids, record.label_ids, record)
            or "predict them, or com_source='labels' takes the centroids")
    _check_near_labels(centres, at_labels, files, labels)
    return com


def check_identities(centres: BodyCentres, com: Array,
                     files: Sequence[Path], labels: Array) -> None:
    """Refuse labels of one animal with the middles of another.

    Args:
        centres (BodyCentres): Where the middles come from.
        com (ndarray): (F, I, 3) the middles, mm; NaN unknown.
        files (Sequence[Path]): The label file, or one an animal.
        labels (ndarray): (F, I, K, 3) mm, NaN missing.

    Raises:
        DataError: If most labels of an animal are nearer to the middles of
            another; names both.
    """
    count = com.shape[1]
    _check_copies(centres)
    apart = np.linalg.norm(centroids(labels)[:, :, None] - com[:, None],
                           axis=-1)
    own = np.diagonal(apart, axis1=1, axis2=2)
    known = np.isfinite(own).sum(0)
    # NaN, a middle or a label that is not there, is nearer to nothing
    nearer = (apart < own[..., None]).sum(0)
    strange = nearer > _EXCHANGED * known[:, None]
    for animal, other in np.argwhere(strange).tolist():
        if known[other] and not strange[other].any():
            continue  # those middles are with their own animal
        names = [place_of(files, i, count) for i in (animal, other)]
        places = [centres.place_of(i) for i in (animal, other)]
        several = len(files) > 1
        raise DataError(
            files[animal] if several else files[0],
            'labelData.data_3d' + (
                '' if several else f' of animal {animal + 1}'),
            f'points about the middles of {places[0]}',
            f'{nearer[animal, other]} of {known[animal]} nearer to those of '
            f'{places[1]}', f'{names[0]} and {names[1]} look exchanged, or '
            'else the middles are')


def _check_copies(centres: BodyCentres) -> None:
    """Two animals must not have the same middles."""
    points = centres.points
    known = np.isfinite(points).any((0, 2))
    for one, other in combinations(np.flatnonzero(known).tolist(), 2):
        if np.array_equal(points[:, one], points[:, other], equal_nan=True):
            raise DataError(
                centres.file_of(other), centres.where,
                f'other middles than in {centres.place_of(one)}',
                f'the same in {centres.place_of(other)}',
                'one is a copy of the other')


def _check_near_labels(centres: BodyCentres, com: Array,
                       files: Sequence[Path], labels: Array) -> None:
    """Refuse middles of another recording, animal or unit."""
    middles = centroids(labels)
    apart = np.linalg.norm(com - middles, axis=-1)
    known = np.isfinite(apart)
    if labels.shape[2] < 2 or not known.any():
        return
    corners = (np.nanmax(labels[known], -2), np.nanmin(labels[known], -2))
    span = float(np.median(np.linalg.norm(corners[0] - corners[1], axis=-1)))
    count = com.shape[1]
    for animal in np.flatnonzero(known.any(0)).tolist():
        there = known[:, animal]
        distance = float(np.median(apart[there, animal]))
        if distance <= _FAR_SPANS * span:
            continue
        ratio = np.median(np.linalg.norm(middles[there, animal], axis=-1)
                          ) / max(float(np.median(np.linalg.norm(
                              com[there, animal], axis=-1))), 1e-9)
        raise DataError(
            centres.file_of(animal), centres.where,
            f'middles near the labels of {place_of(files, animal, count)}, '
            'mm', f'{distance:.1f} mm from their centroids in the median, '
            f'animals being {span:.1f} mm long',
            'they look like metres' if 300 < ratio < 3000 else
            'they are of another recording or animal')


def describe_ids(ids: Array) -> str:
    """Ids in a few words: ``10 from 271 to 9661, in steps of 10``."""
    if not len(ids):
        return 'no sampleID'
    if len(ids) == 1:
        return f'the sampleID {ids[0]}'
    step = int(np.gcd.reduce(np.diff(ids)))
    regular = ('' if step < 2 else f', apart by multiples of {step}')
    return f'{len(ids)} sampleIDs from {ids[0]} to {ids[-1]}{regular}'


def _explain_ids(have: Array, want: Array, record: Label3D) -> str:
    """Why ids do not match: frame numbers, or counted from elsewhere."""
    if np.isin(want, have).all():
        return ''
    rows = np.isin(record.sample_ids, want)
    if np.isin(record.frames[rows, 0], have).all():
        return ('they look like frame numbers; write the sampleIDs of sync '
                'for them')
    for shift in (1, -1):
        if np.isin(want + shift, have).all():
            return f'they look counted from {shift:+d}'
    return ''


def list_ids(ids: Iterable[int]) -> str:
    """The first sampleIDs, each once, in words."""
    each = list(dict.fromkeys(map(int, ids)))
    names = ', '.join(map(str, each[:_NAMED_IDS]))
    return names + (', ...' if len(each) > _NAMED_IDS else '')
