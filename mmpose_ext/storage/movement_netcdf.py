"""Poses in netCDF files as the package movement lays them out."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np

from .atomic import atomic_file
from .checks import StrPath, check_array, check_file, check_keys
from .errors import DataError
from .hdf5 import open_hdf5

_LAYOUT = {'position': ('time', 'space', 'keypoints', 'individuals'),
           'confidence': ('time', 'keypoints', 'individuals')}
_OWN = ('fps', 'time_unit')  # attributes that are fields of the record


@dataclass(frozen=True, eq=False)
class MovementPoses:
    """Poses in space over time.

    T time points, I individuals, K keypoints.

    Args:
        source (Path): The file.
        position (np.ndarray): (T, I, K, 3) float32, NaN = missing.
        confidence (np.ndarray): (T, I, K) float32.
        individuals (tuple[str, ...]): I names.
        keypoints (tuple[str, ...]): K names.
        sample_ids (np.ndarray): (T,) int64, rising.
        time (np.ndarray): (T,) float64, seconds where `fps` is known and
            frames otherwise.
        fps (float | None): Frames per second.
        attributes (dict[str, Any]): Further texts and numbers.
    """

    source: Path
    position: np.ndarray
    confidence: np.ndarray
    individuals: tuple[str, ...]
    keypoints: tuple[str, ...]
    sample_ids: np.ndarray
    time: np.ndarray
    fps: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


def write_movement_netcdf(path: StrPath,
                          position: np.ndarray,
                          confidence: np.ndarray,
                          individuals: Sequence[str],
                          keypoints: Sequence[str],
                          sample_ids: np.ndarray,
                          time: np.ndarray | None = None,
                          fps: float | None = None,
                          attributes: Mapping[str, Any] | None = None
                          ) -> None:
    """Write a data set of poses, whole or not at all.

    ``xarray.open_dataset`` reads it, and movement (0.15) takes that for valid
    poses: the variables ``position`` (time, space, keypoints, individuals) and
    ``confidence`` with their coordinates, and ``sample_id`` along the time.

    Args:
        path (str | Path): The file, ending in .nc.
        position (np.ndarray): (T, I, K, 3) mm, NaN = missing; kept in single
            precision.
        confidence (np.ndarray): (T, I, K).
        individuals (Sequence[str]): I names, each once.
        keypoints (Sequence[str]): K names, each once.
        sample_ids (np.ndarray): (T,) whole numbers, rising.
        time (np.ndarray, optional): (T,) seconds if `fps` is given, else
            frames. Defaults to None: the rows over `fps`, or the rows.
        fps (float, optional): Frames per second. Defaults to None.
        attributes (Mapping[str, Any], optional): Texts and numbers to keep.
            Defaults to None.

    Raises:
        DataError: If the parts do not fit together or the file cannot be
            made.
    """
    path = Path(path)
    if path.suffix.lower() != '.nc':
        raise DataError(path, 'file', 'a name ending in .nc',
                        repr(path.suffix))
    rows = len(sample_ids)
    shape = (rows, len(individuals), len(keypoints))
    check_array(position, path, 'position', 'f', (*shape, 3))
    check_array(confidence, path, 'confidence', 'f', shape)
    check_array(sample_ids, path, 'sample_id', 'iu', (None, ))
    if time is None:
        time = np.arange(rows) / (fps or 1)
    check_array(time, path, 'time', shape=(rows, ), finite=True)
    for name, names in (('individuals', individuals),
                        ('keypoints', keypoints)):
        if len(set(names)) < len(names):
            raise DataError(path, name, 'each name once', ', '.join(names))
    kept = {**(attributes or {}), 'ds_type': 'poses',
            'time_unit': 'frames' if fps is None else 'seconds',
            **({} if fps is None else {'fps': float(fps)})}
    with atomic_file(path) as temporary, h5netcdf.File(
            temporary, 'w') as file:
        file.dimensions = {'time': rows, 'space': 3,
                           'keypoints': len(keypoints),
                           'individuals': len(individuals)}
        for name, names in (('space', 'xyz'), ('keypoints', keypoints),
                            ('individuals', individuals)):
            _write(file, name, (name, ), np.array(list(names), object),
                   h5py.string_dtype())
        _write(file, 'time', ('time', ), np.asarray(time, np.float64))
        _write(file, 'sample_id', ('time', ),
               np.asarray(sample_ids, np.int64))
        _write(file, 'position', _LAYOUT['position'],
               position.transpose(0, 3, 2, 1).astype(np.float32))
        _write(file, 'confidence', _LAYOUT['confidence'],
               confidence.transpose(0, 2, 1).astype(np.float32))
        file.variables['position'].attrs['units'] = 'mm'
        for name in _LAYOUT:  # by this other readers find the coordinate
            file.variables[name].attrs['coordinates'] = 'sample_id'
        for key, value in kept.items():
            file.attrs[key] = value


def read_movement_netcdf(path: StrPath) -> MovementPoses:
    """Read a data set of poses in space.

    Args:
        path (str | Path): The .nc file, with ``position`` (time, space,
            keypoints, individuals), ``confidence`` and their coordinates.
            Without ``sample_id`` the rows are counted from 0.

    Raises:
        DataError: If it is damaged or of another layout.
    """
    path = check_file(path, ('.nc', ))
    with open_hdf5(path) as container, h5netcdf.File(
            container, 'r', decode_vlen_strings=True) as file:
        check_keys(file.variables, [*_LAYOUT, 'time', 'keypoints',
                                    'individuals'], path)
        for name, layout in _LAYOUT.items():
            found = tuple(file.variables[name].dimensions)
            if found != layout:
                raise DataError(path, f'key {name!r}', f'axes {layout}',
                                f'axes {found}')
        values = {name: np.asarray(variable[...])
                  for name, variable in file.variables.items()}
        attributes = dict(file.attrs)
    position = check_array(values['position'], path, "key 'position'", 'f',
                           (None, 3, None, None))
    fps = attributes.get('fps')
    return MovementPoses(
        path,
        position.transpose(0, 3, 2, 1),
        check_array(values['confidence'], path, "key 'confidence'",
                    'f').transpose(0, 2, 1),
        tuple(map(str, values['individuals'])),
        tuple(map(str, values['keypoints'])),
        values.get('sample_id', np.arange(len(position))).astype(np.int64),
        check_array(values['time'], path, "key 'time'", 'iuf').astype(
            np.float64),
        None if fps is None else float(fps),
        {key: value for key, value in attributes.items()
         if key not in _OWN and not key.startswith('_')})


def _write(file: h5netcdf.File, name: str, axes: tuple[str, ...],
           values: np.ndarray, dtype: Any = None) -> None:
    file.create_variable(name, axes, dtype or values.dtype, data=values)
