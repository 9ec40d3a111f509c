"""How long bones are: read from files, or measured on labels.

A file holds a row (mean, standard deviation) for each bone, mm, in the order
of the skeleton's bones: an array (E, 2) as ``.npy``, or as a variable of a
``.mat``. A row of NaN is a bone of which nobody knows the length.
"""
from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.storage import DataError, atomic_file, check_array, check_file
from mmpose_ext.storage.checks import StrPath
from mmpose_ext.storage.matlab import cell, read_matlab, write_matlab
from mmpose_ext.volumetric.body_plan import BodyPlan
from mmpose_ext.volumetric.pose_scores import bone_lengths
from mmpose_ext.volumetric.skeletons import load_skeleton

Array = np.ndarray

FEWEST = 2  # values that have a standard deviation
_MAT_NAMES = ('priors', 'bone_lengths')
_UNITS = 5.  # no two animals of a name differ by this factor

# mean and standard deviation, mm, of adult rats; spec of s-DANNCE, section 5
_RAT23 = (
    (53.3, 3.6), (51.4, 3.4), (85.0, 7.5), (29.6, 3.6), (62.6, 8.5),
    (27.2, 4.5), (26.1, 4.9), (55.4, 6.0), (55.1, 7.1), (30.5, 5.4),
    (31.3, 6.1), (29.0, 6.4), (20.0, 4.3), (17.2, 3.1), (29.8, 6.5),
    (21.0, 4.8), (16.6, 3.5), (42.5, 8.1), (29.1, 5.4), (28.4, 4.2),
    (41.8, 7.4), (28.6, 6.5), (28.5, 4.5))

BUILT_IN = ('rat23', )


@dataclass(frozen=True, eq=False)
class LengthPriors:
    """Lengths of the bones of a skeleton.

    Attributes:
        mean: (E,) mm; NaN unknown.
        std: (E,) mm; NaN unknown.
        source: Where they come from, for errors and the log.
        counts: (E,) from how many labels each was measured; None if that is
            not told.
        bones: E names of the bones; None if they are not told.
    """

    mean: Array
    std: Array
    source: str
    counts: Array | None = None
    bones: tuple[str, ...] | None = None

    @property
    def known(self) -> Array:
        """(E,) whether the length is known."""
        return np.isfinite(self.mean)


def measure(values: Array) -> tuple[Array, Array, Array]:
    """Mean and standard deviation of columns with gaps.

    Args:
        values (ndarray): (N, E), NaN where there is none.

    Returns:
        tuple[ndarray, ndarray, ndarray]: (E,) each: mean, sample standard
        deviation, and how many values. The first two are NaN of fewer than
        two values.
    """
    known = np.isfinite(values)
    counts = known.sum(0)
    mean = np.where(known, values, 0.).sum(0) / np.maximum(counts, 1)
    squares = np.where(known, values - mean, 0.)**2
    std = np.sqrt(squares.sum(0) / np.maximum(counts - 1, 1))
    enough = counts >= FEWEST
    return np.where(enough, mean, np.nan), np.where(enough, std,
                                                    np.nan), counts


def measure_bones(labels: Array,
                  plan: BodyPlan,
                  source: str,
                  reference: int | None = None) -> LengthPriors:
    """Measure the bones of labelled poses.

    Each bone counts in the poses in which both its ends are known.

    Args:
        labels (ndarray): (N, K, 3) mm, NaN missing.
        plan (BodyPlan): The skeleton.
        source (str): The data set.
        reference (int, optional): A bone by whose length in the same pose
            the others are divided. Defaults to None, lengths in mm.
    """
    lengths = bone_lengths(np.asarray(labels, np.float64), plan.links)
    # ends labelled at the same place tell nothing of the length
    lengths = np.where(lengths > 0, lengths, np.nan)
    if reference is not None:
        lengths = lengths / lengths[:, [reference]]
    mean, std, counts = measure(lengths)
    return LengthPriors(mean, std, source, counts, plan.link_names)


def read_priors(source: StrPath) -> LengthPriors:
    """Read the lengths of bones.

    Args:
        source (str | Path): ``rat23``, lengths of adult rats; a ``.npy`` with
            an array (E, 2); or a ``.mat`` with such an array named ``priors``
            or ``bone_lengths``, or as its only one. Mean and standard
            deviation, mm.

    Raises:
        DataError: If the file is missing or damaged, or holds something else.
        ValueError: If it is neither a file nor a name.
    """
    if source in BUILT_IN:
        meta = load_skeleton(source)
        mean, std = np.array(_RAT23).T
        return LengthPriors(mean, std, str(source), None,
                            BodyPlan.from_metainfo(meta).link_names)
    suffix = Path(source).suffix.lower()
    if suffix not in ('.npy', '.mat'):
        near = difflib.get_close_matches(str(source), ('labels', *BUILT_IN))
        raise ValueError(
            f"priors: expected 'labels', {', '.join(map(repr, BUILT_IN))}, or "
            f'a .npy or .mat file, found {str(source)!r}'
            + (f'; did you mean {near[0]!r}?' if near else ''))
    bones = None
    if suffix == '.npy':
        table, where = _read_npy(check_file(source)), 'array'
    else:
        table, where, bones = _read_mat(check_file(source))
    return _check_table(table, source, where, bones)


def write_priors(path: StrPath, priors: LengthPriors) -> None:
    """Write what :func:`read_priors` reads, whole or not at all.

    Args:
        path (str | Path): Ends in ``.npy`` or ``.mat``; its folder exists.
        priors (LengthPriors): The lengths.

    Raises:
        DataError: If it cannot be written under this name.
    """
    path, table = Path(path), np.stack([priors.mean, priors.std], 1)
    suffix = path.suffix.lower()
    if suffix not in ('.npy', '.mat'):
        raise DataError(path, 'file', 'a name ending in .npy or .mat',
                        repr(path.suffix))
    if suffix == '.mat':
        names = {} if priors.bones is None else dict(
            bones=cell(priors.bones, column=True))
        write_matlab(path, dict(priors=table, **names))
        return
    with atomic_file(path) as temporary, temporary.open('wb') as stream:
        np.save(stream, table)


def check_bones(priors: LengthPriors, plan: BodyPlan) -> None:
    """Check that priors are of the bones of a skeleton.

    Raises:
        DataError: If their number or names differ.
    """
    count = len(plan.links)
    if len(priors.mean) != count:
        raise DataError(
            priors.source, 'rows', f'{count}, one for each bone of '
            f'{plan.source}', str(len(priors.mean)),
            f'the bones are {", ".join(plan.link_names)}')
    if priors.bones is None:
        return
    for number, (own, bone) in enumerate(zip(
            priors.bones, plan.link_names, strict=True)):
        if own not in (bone, '-'.join(reversed(bone.split('-')))):
            raise DataError(priors.source, f'row {number}',
                            f'bone {bone!r} of {plan.source}', repr(own))


def check_units(priors: LengthPriors, labels: Array, plan: BodyPlan,
                counted: Array, file: str) -> None:
    """Check that priors and labels are of the same order of size.

    Args:
        priors (LengthPriors): As many as the skeleton has bones.
        labels (ndarray): (N, K, 3) mm, NaN missing; maybe none.
        plan (BodyPlan): The skeleton.
        counted (ndarray): (C,) numbers of the bones to compare.
        file (str): The data set, for the error.

    Raises:
        DataError: If the priors are five times as long or as short.
    """
    labelled = measure_bones(labels, plan, file).mean
    ratios = (priors.mean / labelled)[counted]
    ratios = ratios[np.isfinite(ratios)]
    if len(ratios) and not 1 / _UNITS < np.median(ratios) < _UNITS:
        raise DataError(
            priors.source, 'means', f'mm, near the bones labelled in {file}',
            f'{np.median(ratios):.3g} times as long (median)',
            'are they of another unit or animal? relative_to compares '
            'proportions alone')


def _read_npy(path: Path) -> Array:
    try:
        # a header may promise what the file does not hold
        found = np.load(path, mmap_mode='r', allow_pickle=False)
    except Exception as error:  # the cause of damage can be any
        raise DataError(path, 'file', 'an array as numpy.save writes it',
                        f'{type(error).__name__}: {error}') from error
    if not isinstance(found, np.ndarray):
        raise DataError(path, 'file', 'an array as numpy.save writes it',
                        'an archive of several')
    return np.array(found)


def _read_mat(path: Path) -> tuple[Any, str, tuple[str, ...] | None]:
    """The table, the name of its variable, and maybe names of the bones."""
    content = read_matlab(path)
    fitting = [name for name, value in content.items()
               if isinstance(value, np.ndarray) and value.ndim == 2
               and value.shape[1] == 2 and name != 'joints_idx']
    named = [name for name in _MAT_NAMES if name in content]
    if not named and len(fitting) != 1:
        found = ', '.join(fitting or content) or 'nothing'
        raise DataError(
            path, f'key {_MAT_NAMES[0]!r}', 'an array of a row (mean, '
            'standard deviation) for each bone', found,
            f'name it {_MAT_NAMES[0]}' if fitting else
            'is it a skeleton?' if 'joints_idx' in content else '')
    name = (named or fitting)[0]
    bones = content.get('bones')
    if isinstance(bones, str):  # a cell of one
        bones = [bones]
    named_bones = None
    if isinstance(bones, list) and all(
            isinstance(bone, str) for bone in bones):
        named_bones = tuple(bones)
    return content[name], f'key {name!r}', named_bones


def _check_table(table: Any, source: StrPath, where: str,
                 bones: tuple[str, ...] | None) -> LengthPriors:
    check_array(table, source, where, 'fiu', (None, 2))
    mean, std = np.asarray(table, np.float64).T
    unknown = np.isnan(mean) & np.isnan(std)
    for what, values, right in (
            ('mean', mean, np.isfinite(mean) & (mean > 0)),
            ('standard deviation', std, np.isfinite(std) & (std >= 0))):
        wrong = np.flatnonzero(~right & ~unknown)
        if len(wrong):
            raise DataError(
                source, f'{where}, row {wrong[0]}',
                'a length above 0 and a standard deviation from 0 up, mm',
                f'a {what} of {values[wrong[0]]:g} ({len(wrong)} such)')
    if unknown.all():
        raise DataError(source, where, 'the length of a bone',
                        'NaN alone' if len(mean) else 'no row')
    if bones is not None and len(bones) != len(mean):
        raise DataError(source, "key 'bones'", f'{len(mean)} names, one a row '
                        f'of {where}', str(len(bones)))
    return LengthPriors(mean, std, str(source), None, bones)
