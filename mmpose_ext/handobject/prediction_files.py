"""``predictions.npz``: what was found in photographs, with their cameras.

N photographs. Points are in the frame of the photograph's own camera, left
hands included, in metres; pixels are the photograph's.

======================== ============== ==================================
``id``                   i8 (N,)        of the index, or counted from 0
``file_name``            U (N,)         path below the data root or INPUT
``K``                    f4 (N,4)       fx, fy, cx, cy
``side``                 u1 (N,)        0 right, 1 left
``bbox``                 f4 (N,4)       x, y, w, h of the box looked at
``metric_depth``         ? (N,)         whether K was known, not guessed
``keypoints``            f4 (N,21,2)    px
``keypoint_scores``      f4 (N,21)
``keypoints_cam``        f4 (N,21,3)    m
``keypoints_cam_coarse`` f4 (N,21,3)    before refinement; optional
``object_rotations``     f4 (N,21,3,3)  by class; optional
``object_translations``  f4 (N,21,3)    m; optional
``object_scores``        f4 (N,21)      presence, 0..1; optional
``grasped_scores``       f4 (N,21)      optional
``contact_scores``       f4 (N,21)      0..1; optional
======================== ============== ==================================

Texts say where it is from: ``config``, ``checkpoint_sha256``, ``input``,
``version``, and of an index ``fingerprint``, ``setup``, ``split``.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpose_ext import __version__
from mmpose_ext.geometry.crop_views import intrinsic_matrix
from mmpose_ext.handobject.drawing import HandObjectPose
from mmpose_ext.handobject.index_files import HandObjectIndex
from mmpose_ext.handobject.scene_sources import pose_of
from mmpose_ext.storage import (
    DataError,
    NpzArchive,
    check_array,
    check_keys,
    write_npz,
)

Array = np.ndarray

FILE = 'predictions.npz'
ROWS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    'id': ('i8', ()), 'file_name': ('U', ()), 'K': ('f4', (4, )),
    'side': ('u1', ()), 'bbox': ('f4', (4, )), 'metric_depth': ('b', ())}
FIELDS: Mapping[str, tuple[int, ...]] = {
    'keypoints': (21, 2), 'keypoint_scores': (21, ),
    'keypoints_cam': (21, 3)}
OPTIONAL_FIELDS: Mapping[str, tuple[int, ...]] = {
    'keypoints_cam_coarse': (21, 3), 'object_rotations': (21, 3, 3),
    'object_translations': (21, 3), 'object_scores': (21, ),
    'grasped_scores': (21, ), 'contact_scores': (21, )}
TEXTS = ('config', 'checkpoint_sha256', 'input', 'version', 'fingerprint',
         'setup', 'split')
_OBJECTS = ('object_rotations', 'object_translations', 'object_scores')
_SAME_K = .01  # px, by which two cameras of one photograph may differ
_ORTHOGONAL = 1e-3


@dataclass(frozen=True, eq=False)
class HandObjectPredictions:
    """Content of the file.

    Attributes:
        source: The file.
        columns: Arrays of N rows by name, see the module.
        texts: Where it is from; '' where that is unknown.
    """

    source: Path
    columns: Mapping[str, Array]
    texts: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.columns['id'])

    def camera_matrix(self, row: int) -> Array:
        """Camera (3, 3) of a photograph, f8."""
        return intrinsic_matrix(self.columns['K'][row].astype(np.float64))

    def pose(self, row: int, threshold: float = .5) -> HandObjectPose:
        """What was found in a photograph.

        Args:
            row (int): Of the file.
            threshold (float): Presence from which an object is taken to be
                there; the one most likely held always is. Defaults to .5.
        """
        return pose_of({name: values[row]
                        for name, values in self.columns.items()}, threshold)

    def rows_of(self, index: HandObjectIndex, rows: Array) -> Array:
        """Where the frames of an index are predicted.

        Args:
            index (HandObjectIndex): What was predicted on.
            rows (ndarray): (M,) its rows.

        Returns:
            ndarray: (M,) rows of this file; -1: not in it.

        Raises:
            DataError: If the predictions are of other data, or of other
                cameras.
        """
        for name, wanted in (('fingerprint', index.fingerprint),
                             ('setup', index.setup), ('split', index.split)):
            if self.texts[name] != wanted:
                raise DataError(
                    self.source, name, f'{wanted!r}, as {index.path} has',
                    repr(self.texts[name]), 'predictions of other data')
        order = np.argsort(self.columns['id'])
        known = self.columns['id'][order]
        ids = np.asarray(index['id'][rows])
        places = np.searchsorted(known, ids)
        clipped = np.minimum(places, max(len(known) - 1, 0))
        found = np.where(known[clipped] == ids, order[clipped], -1)
        there = found >= 0
        away = np.abs(self.columns['K'][found[there]]
                      - index['K'][rows[there]]).max(-1, initial=0)
        if (away > _SAME_K).any():
            first = int(np.flatnonzero(away > _SAME_K)[0])
            row = int(rows[there][first])
            raise DataError(
                self.source, f'K of id {ids[there][first]}',
                f'{numbers(index["K"][row])}, as {index.path} has',
                numbers(self.columns['K'][found[there][first]]),
                'predictions for another resolution, or another camera')
        return np.asarray(found)


def write_predictions(path: Path, columns: Mapping[str, Array],
                      texts: Mapping[str, str]) -> None:
    """Write the file, whole or not at all.

    Args:
        path (Path): The file; its folder exists.
        columns (Mapping[str, ndarray]): See the module; types are
            converted.
        texts (Mapping[str, str]): Those of ``TEXTS`` that are known;
            ``version`` is added.

    Raises:
        DataError: If a column is missing or does not fit.
    """
    texts = {name: '' for name in TEXTS} | dict(texts) | {
        'version': __version__}
    arrays = {}
    for name, values in columns.items():
        kind = ROWS[name][0] if name in ROWS else 'f4'
        arrays[name] = np.asarray(
            values, {'U': np.str_, 'b': np.bool_}.get(kind, kind))
    _check(path, arrays)
    write_npz(path, **arrays, **{
        name: np.array(text) for name, text in texts.items()})


def read_predictions(path: Path) -> HandObjectPredictions:
    """Read and check the file.

    Args:
        path (Path): The file, or the folder that ``tools/predict.py`` wrote.

    Raises:
        DataError: If it is damaged or something else.
    """
    path = path / FILE if path.is_dir() else path
    archive = NpzArchive(path)
    wanted = {**ROWS, **FIELDS}
    check_keys(archive.names, [*wanted, *TEXTS], path,
               'tools/predict.py writes such files')
    columns = {name: archive.read(name)
               for name in (*wanted, *OPTIONAL_FIELDS)
               if name in archive.names}
    _check(path, columns)
    texts = {name: str(check_array(archive.read(name), path, name, 'U', ()))
             for name in TEXTS}
    return HandObjectPredictions(path, columns, texts)


def _check(path: Path, columns: Mapping[str, Array]) -> None:
    """Check names, shapes, types and values."""
    check_keys(columns, [*ROWS, *FIELDS], path)
    unknown = sorted({*columns} - {*ROWS, *FIELDS, *OPTIONAL_FIELDS})
    if unknown:
        raise DataError(path, f'key {unknown[0]!r}', 'a column of '
                        'predictions', 'another name')
    if any(name in columns for name in _OBJECTS):
        check_keys(columns, _OBJECTS, path, 'they belong together')
    count = columns['id'].shape[0] if columns['id'].ndim else 0
    for name, (kind, shape) in ROWS.items():
        check_array(columns[name], path, name, kind, (count, *shape),
                    finite=True)
    for name, shape in (*FIELDS.items(), *OPTIONAL_FIELDS.items()):
        if name in columns:
            check_array(columns[name], path, name, 'f4', (count, *shape),
                        finite=True)
    if not count:
        raise DataError(path, 'id', 'predictions', 'none')
    values, often = np.unique(columns['id'], return_counts=True)
    if (often > 1).any():
        raise DataError(path, 'id', 'each number once',
                        f'{values[often > 1][0]} more than once')
    wrong = (columns['K'][:, :2] <= 0).any(1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(path, f'K of row {row}', 'focal lengths above 0',
                        numbers(columns['K'][row]))
    if (columns['side'] > 1).any():
        raise DataError(path, 'side', '0 for right or 1 for left',
                        str(columns['side'].max()))
    _check_rotations(path, columns)


def _check_rotations(path: Path, columns: Mapping[str, Array]) -> None:
    rotations = columns.get('object_rotations')
    if rotations is None:
        return
    off = np.abs(rotations @ rotations.swapaxes(-1, -2)
                 - np.eye(3, dtype=np.float32)).max((-1, -2))
    wrong = (off > _ORTHOGONAL) | (np.linalg.det(rotations) < 0)
    if wrong.any():
        row, number = np.argwhere(wrong)[0]
        raise DataError(path, f'object_rotations of row {row}, class '
                        f'{number}', 'a rotation',
                        f'{off[row, number]:.3g} off one, determinant '
                        f'{np.linalg.det(rotations[row, number]):.3g}')


def numbers(values: Sequence[float] | Array) -> str:
    """Numbers in a line, for messages."""
    return ' '.join(f'{value:g}' for value in values)
