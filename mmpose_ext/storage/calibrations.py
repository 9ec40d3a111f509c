"""Calibrations of cameras, in the conventions of the files they come from.

Read here: MATLAB's ``params`` of Label3D files, anipose's
``calibration.toml``, and OpenCV's matrices in YAML or JSON.
"""
from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from .checks import (
    StrPath,
    check_array,
    check_file,
    check_keys,
    check_names,
    check_texts,
)
from .errors import DataError
from .matlab import read_matlab, read_numbers, read_rows

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_LOOSE = 1e-3  # rotations are stored with few digits


@dataclass(frozen=True, eq=False)
class CameraCalibration:
    """One camera, as a file has it.

    In the convention 'matlab' matrices act on row vectors, ``camera = world
    @ rotation + translation``, the matrix is [[fx, 0, 0], [skew, fy, 0],
    [cx, cy, 1]] and, unless a file says otherwise, the centre of the first
    pixel is (1, 1). In the convention 'opencv' they act on column vectors and
    it is (0, 0).

    Args:
        name (str): The camera's name.
        matrix (np.ndarray): (3, 3) px.
        rotation (np.ndarray): (3, 3).
        translation (np.ndarray): (3,) mm.
        radial (np.ndarray): (2,) or (3,), k1, k2 and k3.
        tangential (np.ndarray): (2,), p1 and p2.
        convention (str): 'matlab' or 'opencv'.
        size (tuple[int, int] | None): Width and height in px, if stated.
        mirrored (bool): Whether the camera looks through a mirror. Defaults
            to False.
        source (Path): The file, for errors. Defaults to Path('calibration').

    Raises:
        DataError: If it is no camera: not finite, transposed, no rotation.
    """

    name: str
    matrix: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    radial: np.ndarray
    tangential: np.ndarray
    convention: str
    size: tuple[int, int] | None
    mirrored: bool = False
    source: Path = Path('calibration')

    def __post_init__(self) -> None:
        for part, shapes in (('matrix', ((3, 3), )),
                             ('rotation', ((3, 3), )),
                             ('translation', ((3, ), )),
                             ('radial', ((2, ), (3, ))),
                             ('tangential', ((2, ), ))):
            value = getattr(self, part)
            where = f'camera {self.name!r}, {part}'
            if value.shape not in shapes:
                raise DataError(self.source, where,
                                ' or '.join(f'shape {s}' for s in shapes),
                                f'shape {value.shape}')
            check_array(value, self.source, where, 'f8', finite=True)
        if self.convention not in ('matlab', 'opencv'):
            raise DataError(self.source, f'camera {self.name!r}',
                            "the convention 'matlab' or 'opencv'",
                            repr(self.convention))
        self._check_matrix()
        self._check_rotation()

    def _check_matrix(self) -> None:
        where = f'camera {self.name!r}, matrix'
        matrix = self.matrix.T if self.convention == 'matlab' else self.matrix
        if not matrix[:2, 2].any() and matrix[2, :2].any():
            raise DataError(
                self.source, where,
                'the principal point in the last '
                f'{"row" if self.convention == "matlab" else "column"}',
                'a transposed matrix',
                "MATLAB's matrices are those of OpenCV transposed: transpose "
                'the intrinsics, and the rotation if need be')
        straight = (matrix[2] == (0, 0, 1)).all() and matrix[1, 0] == 0
        if not straight or min(matrix[0, 0], matrix[1, 1]) <= 0:
            raise DataError(
                self.source, where, 'focal lengths above 0, the principal '
                'point, and 0 or 1 elsewhere',
                np.array2string(self.matrix, precision=4))

    def _check_rotation(self) -> None:
        error = abs(self.rotation @ self.rotation.T - np.eye(3)).max()
        turn = np.linalg.det(self.rotation)
        if error > _LOOSE or turn < 0:
            raise DataError(
                self.source, f'camera {self.name!r}, rotation',
                'an orthonormal matrix of determinant 1',
                f'determinant {turn:.4g}, off by {error:.2g}')

    def to_matlab(self) -> CameraCalibration:
        """The camera in MATLAB's convention, pixels counted from 1."""
        if self.convention == 'matlab':
            return self
        matrix = self.matrix.T.copy()
        matrix[2, :2] += 1
        return replace(self, matrix=matrix, rotation=self.rotation.T.copy(),
                       convention='matlab')


def matlab_calibrations(params: Any, names: Sequence[str],
                        path: Path) -> tuple[CameraCalibration, ...]:
    """Cameras of the ``params`` of a Label3D file.

    Args:
        params (Any): As `read_matlab` gives it: V structs with ``K``, ``r``
            or ``R``, ``t``, ``RDistort``, ``TDistort`` and maybe ``m``.
        names (Sequence[str]): V names.
        path (Path): The file.

    Raises:
        DataError: If their number differs or one is no camera.
    """
    rows = read_rows(params, path, "key 'params'")
    if len(rows) != len(names):
        raise DataError(path, "key 'params'",
                        f'{len(names)} cameras: {", ".join(names)}',
                        f'{len(rows)}')
    found = []
    for index, (name, row) in enumerate(zip(names, rows, strict=True)):
        where = f'params[{index}]'
        if not isinstance(row, Mapping):
            raise DataError(path, where, 'a struct', type(row).__name__)

        def take(key: str, row: Mapping[str, Any] = row,
                 where: str = where) -> np.ndarray:
            return read_numbers(row, key, path, where)

        mirror = take('m') if 'm' in row else np.zeros(0)
        found.append(CameraCalibration(
            name, take('K'), take('r' if 'r' in row else 'R'),
            take('t').ravel(), take('RDistort').ravel(),
            take('TDistort').ravel(), 'matlab', None, bool(mirror.any()),
            path))
    return tuple(found)


def read_calibrations(path: StrPath) -> tuple[CameraCalibration, ...]:
    """Read the calibration of several cameras.

    Args:
        path (str | Path): anipose's ``calibration.toml``; a Label3D ``.mat``
            with names of its cameras; or a ``.yaml``, ``.yml`` or ``.json``
            file with OpenCV's matrices, by camera name::

                {"back": {"camera_matrix": [...], "dist_coeffs": [...],
                          "rotation": [...], "translation": [...],
                          "image_size": [1280, 1024]}}

            There rotations are matrices or Rodrigues vectors, world to
            camera, and files written by ``cv2.FileStorage`` hold the maps of
            the cameras in the same way.

    Raises:
        DataError: If the file is damaged or a camera is none.
    """
    path = check_file(path, ('.toml', '.mat', '.yaml', '.yml', '.json'))
    if path.suffix.lower() == '.mat':
        content = read_matlab(path, ('camnames', 'params'))
        check_keys(content, ['camnames', 'params'], path)
        where = "key 'camnames'"
        names = check_texts(read_rows(content['camnames'], path, where),
                            path, where)
        return matlab_calibrations(content['params'], names, path)
    if path.suffix.lower() == '.toml':
        return _anipose_cameras(_parse(path, tomllib.loads), path)
    read = json.loads if path.suffix.lower() == '.json' else _load_yaml
    return _opencv_cameras(_parse(path, read), path)


def _parse(path: Path, read: Callable[[str], Any]) -> Mapping[str, Any]:
    try:
        content = read(path.read_text('utf-8'))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise DataError(path, 'file', f'{path.suffix[1:].upper()} text',
                        str(error)) from error
    if not isinstance(content, Mapping):
        raise DataError(path, 'file', 'cameras by name',
                        type(content).__name__)
    return content


def _load_yaml(text: str) -> Any:
    """YAML, with the heading and the matrices of ``cv2.FileStorage``."""
    text = text.replace('%YAML:1.0', '', 1)  # its old heading is no YAML
    return yaml.safe_load(re.sub('!!opencv-(nd-)?matrix', '', text))


def _anipose_cameras(content: Mapping[str, Any],
                     path: Path) -> tuple[CameraCalibration, ...]:
    """Tables ``cam_0``, ``cam_1`` ... in the order of the file."""
    tables = {key: table for key, table in content.items()
              if isinstance(table, Mapping) and key != 'metadata'}
    found = []
    for key, table in tables.items():
        check_keys(table, ['name', 'matrix', 'distortions', 'rotation',
                           'translation'], path, f'of table {key!r}')
        if table.get('fisheye'):
            raise DataError(
                path, f'camera {str(table["name"])!r}, fisheye',
                'a lens described by k1 k2 p1 p2 k3', 'a fisheye',
                'straighten the videos and calibrate them without fisheye')
        found.append(_column_camera(
            str(table['name']), path, table['matrix'], table['distortions'],
            table['rotation'], table['translation'], table.get('size')))
    return _check_cameras(found, path)


def _opencv_cameras(content: Mapping[str, Any],
                    path: Path) -> tuple[CameraCalibration, ...]:
    """Maps of cameras by name; other entries, such as a date, are none."""
    found = []
    for name, table in content.items():
        if not isinstance(table, Mapping) or not {
                'camera_matrix', 'rotation'} & set(table):
            continue
        check_keys(table, ['camera_matrix', 'dist_coeffs', 'rotation',
                           'translation'], path, f'of camera {name!r}')
        found.append(_column_camera(
            str(name), path, table['camera_matrix'], table['dist_coeffs'],
            table['rotation'], table['translation'],
            table.get('image_size')))
    return _check_cameras(found, path)


def _column_camera(name: str, path: Path, matrix: Any, distortion: Any,
                   rotation: Any, translation: Any,
                   size: Any) -> CameraCalibration:
    """A camera of column vectors, distorted by at most (k1 k2 p1 p2 k3)."""
    bent = _numbers(distortion, path, name, 'distortion').ravel()
    if len(bent) > 5 and not bent[5:].any():
        bent = bent[:5]
    if len(bent) > 5:
        raise DataError(
            path, f'camera {name!r}, distortion', 'k1 k2 p1 p2 k3 at most',
            f'{len(bent)} coefficients',
            'calibrate without the rational, prism or tilt model')
    bent = np.pad(bent, (0, 5 - len(bent)))
    turn = _numbers(rotation, path, name, 'rotation')
    if turn.size == 3:
        turn = cv2.Rodrigues(turn.ravel())[0]
    pixels = None
    if size is not None:
        width, height = check_array(
            _numbers(size, path, name, 'size').ravel(), path,
            f'camera {name!r}, size', shape=(2, ))
        pixels = (int(width), int(height))
    return CameraCalibration(
        name, _numbers(matrix, path, name, 'matrix'), turn,
        _numbers(translation, path, name, 'translation').ravel(),
        bent[[0, 1, 4]], bent[[2, 3]], 'opencv', pixels, source=path)


def _numbers(value: Any, path: Path, name: str, part: str) -> np.ndarray:
    """A list of numbers, or a matrix as ``cv2.FileStorage`` writes it."""
    where = f'camera {name!r}, {part}'
    try:
        if isinstance(value, Mapping):
            sizes = value.get('sizes') or (value['rows'], value['cols'])
            value = np.reshape(value['data'], sizes)
        array = np.asarray(value)
        if array.dtype.kind not in 'iuf':
            raise ValueError(f'{array.dtype} values')
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(path, where, 'numbers', str(error)) from error
    return check_array(array.astype(np.float64), path, where, finite=True)


def _check_cameras(found: Sequence[CameraCalibration],
                   path: Path) -> tuple[CameraCalibration, ...]:
    check_names([camera.name for camera in found], path, 'cameras')
    return tuple(found)
