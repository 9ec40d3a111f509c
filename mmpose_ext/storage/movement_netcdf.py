"""Poses in netCDF files as the package movement lays them out."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np

from .atomic import atomic_file
from .checks import (
    StrPath,
    check_array,
    check_file,
    check_keys,
    check_names,
)
from .errors import DataError
from .frame_times import frames_of_times
from .netcdf import NetcdfContent, NetcdfVariable, read_netcdf
from .pose_tracks import PoseTracks

Array = np.ndarray

_LAYOUT = {'position': ('time', 'space', 'keypoints', 'individuals'),
           'confidence': ('time', 'keypoints', 'individuals')}
# movement 0.17 says keypoint and individual
SPELLINGS = {'keypoint': 'keypoints', 'individual': 'individuals'}
_VARIABLES = ('position', 'confidence', 'time', 'space', 'sample_id',
              'keypoints', 'individuals', *SPELLINGS)
IMAGE_SIZE = 'image_size_px'
_OWN = ('fps', 'time_unit', 'ds_type', IMAGE_SIZE)  # fields of the record


def write_movement_netcdf(path: StrPath,
                          position: Array,
                          confidence: Array | None,
                          individuals: Sequence[str],
                          keypoints: Sequence[str],
                          sample_ids: Array | None = None,
                          time: Array | None = None,
                          fps: float | None = None,
                          attributes: Mapping[str, Any] | None = None
                          ) -> None:
    """Write a data set of poses, whole or not at all.

    ``xarray.open_dataset`` reads it, and movement (0.15) takes that for valid
    poses: the variables ``position`` (time, space, keypoints, individuals) and
    ``confidence`` with their coordinates, and ``sample_id`` along the time.

    Args:
        path (str | Path): The file, ending in .nc.
        position (np.ndarray): (T, I, K, 3) mm or (T, I, K, 2) px, NaN =
            missing; kept in single precision.
        confidence (np.ndarray, optional): (T, I, K); None = unknown.
        individuals (Sequence[str]): I names, each once.
        keypoints (Sequence[str]): K names, each once.
        sample_ids (np.ndarray, optional): (T,) whole numbers, rising.
            Defaults to None: the file has none.
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
    rows, space = len(position), 2 + (np.shape(position)[-1:] == (3, ))
    shape = (rows, len(individuals), len(keypoints))
    if sample_ids is not None:
        check_array(sample_ids, path, 'sample_id', 'iu', (None, ))
        shape = (len(sample_ids), *shape[1:])
    check_array(position, path, 'position', 'f', (*shape, space))
    if confidence is not None:
        check_array(confidence, path, 'confidence', 'f', shape)
    if time is None:
        time = np.arange(rows) / (fps or 1)
    check_array(time, path, 'time', shape=(rows, ), finite=True)
    for name, names in (('individuals', individuals),
                        ('keypoints', keypoints)):
        check_names(names, path, name)
    kept = {**(attributes or {}), 'ds_type': 'poses',
            'time_unit': 'frames' if fps is None else 'seconds',
            **({} if fps is None else {'fps': float(fps)})}
    arrays = {'position': position.transpose(0, 3, 2, 1)}
    if confidence is not None:
        arrays['confidence'] = confidence.transpose(0, 2, 1)
    with atomic_file(path) as temporary, h5netcdf.File(
            temporary, 'w') as file:
        file.dimensions = {'time': rows, 'space': space,
                           'keypoints': len(keypoints),
                           'individuals': len(individuals)}
        for name, names in (('space', 'xyz'[:space]),
                            ('keypoints', keypoints),
                            ('individuals', individuals)):
            write_variable(file, name, (name, ), np.array(list(names), object))
        write_variable(file, 'time', ('time', ), np.asarray(time, np.float64))
        if sample_ids is not None:
            write_variable(file, 'sample_id', ('time', ),
                           np.asarray(sample_ids, np.int64))
        for name, values in arrays.items():
            write_variable(file, name, _LAYOUT[name],
                           values.astype(np.float32))
            if sample_ids is not None:
                # by this other readers find the coordinate
                file.variables[name].attrs['coordinates'] = 'sample_id'
        if space == 3:
            file.variables['position'].attrs['units'] = 'mm'
        for key, value in kept.items():
            file.attrs[key] = value


def write_pose_tracks(path: StrPath, tracks: PoseTracks) -> None:
    """Write tracks as movement does, whole or not at all.

    Args:
        path (str | Path): The file, ending in .nc.
        tracks (PoseTracks): What to write. The time is in seconds where
            the rate is known, else in frames.

    Raises:
        DataError: If the file cannot be made.
    """
    attributes = dict(tracks.attributes)
    if tracks.image_size is not None:
        attributes[IMAGE_SIZE] = np.array(tracks.image_size)
    write_movement_netcdf(
        path, tracks.position, tracks.confidence, tracks.individuals,
        tracks.keypoints, time=tracks.time, fps=tracks.fps,
        attributes=attributes)


def read_movement_netcdf(path: StrPath) -> PoseTracks:
    """Read a data set of poses in the plane or in space.

    Both kinds of netCDF, both spellings of the axes (``keypoints`` or
    ``keypoint``, ``individuals`` or ``individual``) and any order of axes.
    The time counts frames or seconds. Seconds become frame numbers by the
    attribute ``fps``, or by the median step where there is none; the frame
    at 0 s is 0. Steps must then be whole numbers of frames, most often one,
    unless the file tells by ``sample_id`` that its rows were chosen.

    Args:
        path (str | Path): The .nc file, with ``position`` (time, space,
            keypoints, individuals), their coordinates and maybe
            ``confidence`` and the attribute ``image_size_px``. Frames may be
            left out; `fill_gaps` gives them rows.

    Raises:
        DataError: If it is damaged, of another layout, or its time does not
            rise or contradicts ``fps``.
    """
    path = check_file(path, ('.nc', ))
    content = read_netcdf(path, _VARIABLES)
    found = {SPELLINGS.get(name, name): variable
             for name, variable in content.variables.items()}
    kind = content.attributes.get('ds_type', 'poses')
    if kind != 'poses':
        raise DataError(path, 'attribute ds_type', 'poses', repr(kind))
    check_keys(found, ['position', 'time', 'keypoints', 'individuals'], path)
    arrays = {name: in_order(path, name, found[name], layout, SPELLINGS)
              for name, layout in _LAYOUT.items() if name in found}
    confidence = arrays.get('confidence')
    time = found['time']
    frames, fps = frames_of_times(path, time.values, time.attributes,
                                  content.attributes, 'sample_id' in found)
    return PoseTracks(
        path,
        read_names(found['individuals'], path, 'individuals'),
        read_names(found['keypoints'], path, 'keypoints'),
        _axes(found.get('space'), path, arrays['position'].shape[1]),
        _single(arrays['position'].transpose(0, 3, 2, 1)),
        None if confidence is None else _single(confidence.transpose(0, 2, 1)),
        frames, fps,
        _image_size(content),
        {key: value for key, value in content.attributes.items()
         if key not in _OWN and not key.startswith('_')})


def in_order(path: Path, name: str, variable: NetcdfVariable,
             layout: Sequence[str], spellings: Mapping[str, str]) -> Array:
    """Values of a variable with its axes in the order of the layout.

    Args:
        path (Path): The file for the error.
        name (str): The variable.
        variable (NetcdfVariable): Its content.
        layout (Sequence[str]): Names of the axes.
        spellings (Mapping[str, str]): Other names of axes to those.

    Raises:
        DataError: If it has other axes or is no array of numbers.
    """
    dims = [spellings.get(dim, dim) for dim in variable.dims]
    if sorted(dims) != sorted(layout):
        raise DataError(path, f'key {name!r}',
                        f'axes {", ".join(layout)}',
                        f'axes {", ".join(variable.dims) or "none"}')
    check_array(variable.values, path, f'key {name!r}', 'iufb')
    return variable.values.transpose([dims.index(dim) for dim in layout])


def read_names(variable: NetcdfVariable, path: Path,
               where: str) -> tuple[str, ...]:
    """Names along an axis; numbers are taken as texts."""
    values = variable.values
    if values.ndim != 1:
        raise DataError(path, f'key {where!r}', 'a list of names',
                        f'shape {values.shape}')
    return tuple(str(value).strip() for value in values.tolist())


def write_variable(file: h5netcdf.File, name: str, axes: tuple[str, ...],
                   values: Array) -> None:
    """Add a variable; objects are texts."""
    dtype = h5py.string_dtype() if values.dtype.kind == 'O' else values.dtype
    file.create_variable(name, axes, dtype, data=values)


def _single(values: Array) -> Array:
    """A copy in single precision that lies as its axes are ordered."""
    # What is too large for it becomes infinite, which the record refuses.
    with np.errstate(over='ignore'):
        return np.ascontiguousarray(values, np.float32)


def _axes(variable: NetcdfVariable | None, path: Path,
          count: int) -> tuple[str, ...]:
    """Names of the axes of space; x, y, z where the file names none."""
    if variable is None:
        return tuple('xyz'[:count])
    return read_names(variable, path, 'space')


def _image_size(content: NetcdfContent) -> tuple[float, ...] | None:
    size = content.attributes.get(IMAGE_SIZE)
    if size is None:
        return None
    if not isinstance(size, list) or not all(
            isinstance(value, (int, float)) for value in size):
        raise DataError(content.source, f'attribute {IMAGE_SIZE}',
                        'one number an axis', repr(size)[:80])
    return tuple(map(float, size))
