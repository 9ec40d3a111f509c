"""Label3D exports, ``*dannce.mat``: calibration, time points, labels."""
from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .calibrations import CameraCalibration, matlab_calibrations
from .checks import (
    StrPath,
    check_array,
    check_keys,
    check_names,
    check_no_infinity,
    check_texts,
)
from .com3d import check_rising, com_matrix, com_track
from .errors import DataError
from .matlab import (
    cell,
    read_integers,
    read_matlab,
    read_numbers,
    read_rows,
    write_matlab,
)

_VARIABLES = ('camnames', 'params', 'sync', 'labelData', 'com')


@dataclass(frozen=True, eq=False)
class Label3D:
    """What a Label3D file knows of a recording.

    V cameras, M time points, F labelled ones, J points, N centres of I
    individuals. A sampleID is the identity of a time point, shared by all
    cameras; frames count within each camera's videos, from 0.

    Args:
        source (Path): The file that was read, or is written.
        calibrations (tuple[CameraCalibration, ...]): V cameras.
        sample_ids (np.ndarray): (M,) int64, rising.
        frames (np.ndarray): (M, V) int64.
        label_ids (np.ndarray): (F,) int64, rising.
        label_frames (np.ndarray): (F, V) int64, the labels' own.
        points (np.ndarray): (F, J, 3) float64 world mm, NaN = missing, in
            some coordinates or in all.
        pixels (np.ndarray | None): (V, F, J, 2) float64 px as in the file,
            where they count from 1.
        com_ids (np.ndarray | None): (N,) int64, rising.
        com (np.ndarray | None): (N, I, 3) float64 world mm, NaN = unknown.

    Raises:
        DataError: If the parts do not fit together.
    """

    source: Path
    calibrations: tuple[CameraCalibration, ...]
    sample_ids: np.ndarray
    frames: np.ndarray
    label_ids: np.ndarray
    label_frames: np.ndarray
    points: np.ndarray
    pixels: np.ndarray | None = None
    com_ids: np.ndarray | None = None
    com: np.ndarray | None = None

    def __post_init__(self) -> None:
        views = len(self.calibrations)
        for part, frames, name in (
                (self.sample_ids, self.frames, 'sync'),
                (self.label_ids, self.label_frames, 'labelData')):
            check_array(part, self.source, f'{name} sampleID', 'i8',
                        (None, ))
            check_rising(part, self.source, f'{name} sampleID')
            check_array(frames, self.source, f'{name} frames', 'i8',
                        (len(part), views))
        labelled = len(self.label_ids)
        check_array(self.points, self.source, 'labelData data_3d', 'f8',
                    (labelled, None, 3))
        if self.pixels is not None:
            check_array(self.pixels, self.source, 'labelData data_2d', 'f8',
                        (views, labelled, self.points.shape[1], 2))
        for values, where in ((self.points, 'labelData data_3d'),
                              (self.pixels, 'labelData data_2d')):
            if values is not None:
                check_no_infinity(values, self.source, where)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the cameras."""
        return tuple(camera.name for camera in self.calibrations)


def read_label3d(path: StrPath,
                 camera_names: Sequence[str] | None = None) -> Label3D:
    """Read a Label3D file, of MATLAB's version 5 or 7.3.

    Rows and columns, cells and struct arrays, ``r`` and ``R`` are taken as
    they come. Where lists of the same time points differ in length, the
    shortest counts, with a warning. Frames below 0 become 0.

    Args:
        path (str | Path): The file.
        camera_names (Sequence[str], optional): Cameras to take, in this
            order; the names of all where the file has none. Defaults to None
            (all, by the file's names).

    Raises:
        DataError: If the file is damaged, a camera is none, or its parts do
            not fit together.
    """
    path = Path(path)
    content = read_matlab(path, _VARIABLES)
    check_keys(content, ['params'], path,
               'a Label3D file ends in dannce.mat')
    names, chosen = _camera_names(content, camera_names, path)
    calibrations = matlab_calibrations(content['params'], names, path)
    labels = _structs(content, 'labelData', names, path)
    sync = _structs(content, 'sync', names, path) or labels
    if not sync:
        raise DataError(path, "key 'sync'", 'time points, or labels',
                        'neither', 'export the file with its sync')
    sample_ids, frames, _ = _time_points(
        sync, 'labelData' if sync is labels else 'sync', path)
    points, label_ids, label_frames, pixels = _labels(labels, path)
    com = _first_struct(content.get('com'))
    track = (None if _is_empty(com.get('com3d'))
             else com_track(com, path, 'com', 'com3d'))
    return Label3D(
        source=path,
        calibrations=tuple(calibrations[i] for i in chosen),
        sample_ids=sample_ids,
        frames=frames[:, chosen],
        label_ids=label_ids,
        label_frames=label_frames[:, chosen] if labels else np.zeros(
            (0, len(chosen)), np.int64),
        points=points,
        pixels=None if pixels is None else pixels[chosen],
        com_ids=None if track is None else track.sample_ids,
        com=None if track is None else track.points)


def write_label3d(path: StrPath, record: Label3D) -> None:
    """Write a Label3D file of MATLAB's version 5, whole or not at all.

    Args:
        path (str | Path): The file, ending in .mat; Label3D and DANNCE look
            for names that end in ``dannce.mat``.
        record (Label3D): What to write. Cameras in OpenCV's convention are
            turned into MATLAB's; pixels must count from 1 already.

    Raises:
        DataError: If the file cannot be made.
    """
    views, rows = len(record.calibrations), len(record.label_ids)
    count = record.points.shape[1]
    points = record.points.reshape(rows, 3 * count)
    pixels = (np.full((views, rows, count, 2), np.nan)
              if record.pixels is None else record.pixels)
    content: dict[str, Any] = {
        'camnames': cell(record.names),
        'params': cell(map(_params, record.calibrations), column=True),
        'sync': cell(({
            'data_2d': np.zeros((len(record.sample_ids), 2 * count),
                                np.uint8),
            'data_3d': np.zeros((len(record.sample_ids), 3 * count),
                                np.uint8),
            'data_frame': record.frames[:, view, None],
            'data_sampleID': record.sample_ids[:, None],
        } for view in range(views)), column=True),
        'labelData': cell(({
            'data_2d': pixels[view].reshape(rows, 2 * count),
            'data_3d': points,
            'data_frame': record.label_frames[None, :, view],
            'data_sampleID': record.label_ids[None],
        } for view in range(views)), column=True),
    }
    if record.com is not None and record.com_ids is not None:
        content['com'] = {
            'com3d': com_matrix(record.com),
            'sampleID': record.com_ids[None],
        }
    write_matlab(path, content)


def _params(calibration: CameraCalibration) -> dict[str, Any]:
    camera = calibration.to_matlab()
    return {
        'K': camera.matrix,
        'RDistort': camera.radial[None],
        'TDistort': camera.tangential[None],
        'r': camera.rotation,
        't': camera.translation[None],
        **({'m': 1.} if camera.mirrored else {}),
    }


def _camera_names(content: Mapping[str, Any], wanted: Sequence[str] | None,
                  path: Path) -> tuple[list[str], list[int]]:
    """Names of all cameras, and the places of those that are taken."""
    if _is_empty(content.get('camnames')):
        if wanted is None:
            raise DataError(path, "key 'camnames'", 'names of the cameras',
                            'none', 'name them by camera_names')
        return list(wanted), list(range(len(wanted)))
    where = "key 'camnames'"
    names = list(check_texts(read_rows(content['camnames'], path, where),
                             path, where))
    check_names(names, path, where)
    for name in wanted or ():
        if name not in names:
            raise DataError(path, "key 'camnames'", f'camera {name!r}',
                            f'only {", ".join(names)}')
    return names, [names.index(name) for name in wanted or names]


def _structs(content: Mapping[str, Any], key: str, names: Sequence[str],
             path: Path) -> list[Mapping[str, Any]]:
    """One struct for each camera; none where the variable is empty."""
    if _is_empty(content.get(key)):
        return []
    rows = read_rows(content[key], path, f'key {key!r}')
    if len(rows) != len(names):
        raise DataError(path, f'key {key!r}',
                        f'{len(names)} cameras, as many as names',
                        f'{len(rows)}')
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(path, f'{key}[{index}]', 'a struct',
                            type(row).__name__)
    return rows


def _first_struct(value: Any) -> Mapping[str, Any]:
    parts = value if isinstance(value, list) else [value]
    return parts[0] if parts and isinstance(parts[0], Mapping) else {}


def _time_points(rows: Sequence[Mapping[str, Any]],
                 key: str,
                 path: Path,
                 beside: Sequence[np.ndarray] = ()
                 ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """SampleIDs (M,), rising, frames (M, V), and where both stood (M,).

    Args:
        rows (Sequence[Mapping[str, Any]]): A struct for each camera.
        key (str): Their variable.
        path (Path): The file.
        beside (Sequence[np.ndarray]): Arrays of as many rows. Defaults to
            ().
    """
    ids = [read_integers(row, 'data_sampleID', path, f'{key}[{i}]')
           for i, row in enumerate(rows)]
    frames = [read_integers(row, 'data_frame', path, f'{key}[{i}]')
              for i, row in enumerate(rows)]
    count = _shortest([*ids, *frames, *beside], key, path)
    first = ids[0][:count]
    for index, other in enumerate(ids[1:], 1):
        if not np.array_equal(other[:count], first):
            row = int(np.flatnonzero(other[:count] != first)[0])
            raise DataError(
                path, f'{key}[{index}].data_sampleID',
                f'{first[row]} in row {row}, as {key}[0] has it',
                str(other[row]),
                'all cameras share the sampleID of a time point')
    order = np.argsort(first, kind='stable')
    check_rising(first[order], path, f'{key} sampleID')
    together = np.stack([each[:count] for each in frames], 1)
    return first[order], np.maximum(together[order], 0), order


def _labels(rows: Sequence[Mapping[str, Any]], path: Path
            ) -> tuple[np.ndarray, np.ndarray, np.ndarray,
                       np.ndarray | None]:
    """Points, sampleIDs, frames and pixels of what is labelled."""
    if not rows:
        none = np.zeros(0, np.int64)
        return np.zeros((0, 0, 3)), none, np.zeros((0, 0), np.int64), None
    points = read_numbers(rows[0], 'data_3d', path, 'labelData[0]',
                          (None, None))
    count, left = divmod(points.shape[1], 3)
    if left:
        raise DataError(path, 'labelData[0].data_3d',
                        'three columns a point', f'{points.shape[1]} columns')
    views = [_read_pixels(row, count, path, f'labelData[{i}]')
             for i, row in enumerate(rows)]
    known = [view for view in views if view is not None]
    ids, frames, order = _time_points(rows, 'labelData', path,
                                      [points, *known])
    pixels = (np.stack([view[order] for view in known])
              if len(known) == len(rows) else None)
    return (points[order].reshape(len(order), count, 3), ids, frames, pixels)


def _read_pixels(row: Mapping[str, Any], points: int, path: Path,
                 where: str) -> np.ndarray | None:
    """(F, J, 2), or None where a camera has no pixels."""
    if _is_empty(row.get('data_2d')):
        return None
    values = read_numbers(row, 'data_2d', path, where, (None, 2 * points))
    return values.reshape(len(values), points, 2)


def _is_empty(value: Any) -> bool:
    return not (value.size if isinstance(value, np.ndarray) else value)


def _shortest(lists: Sequence[np.ndarray], key: str, path: Path) -> int:
    counts = [len(each) for each in lists]
    if min(counts) < max(counts):
        warnings.warn(
            f'{path}: {key}: {min(counts)} to {max(counts)} rows in lists of '
            f'the same time points; the first {min(counts)} are taken',
            stacklevel=4)
    return min(counts)
