"""Labels of frames in netCDF files, beside movement's poses."""
from __future__ import annotations

from pathlib import Path

import h5netcdf
import numpy as np

from .atomic import atomic_file
from .behavior_events import ANNOTATOR, FrameLabels
from .checks import StrPath, check_file, check_keys
from .errors import DataError
from .frame_times import frames_of_times
from .movement_netcdf import in_order, read_names, write_variable
from .netcdf import read_netcdf

_TARGET = 'target_cls'
_LAYOUT = ('time', 'behaviors', 'annotators')
_SPELLINGS = {'behavior': 'behaviors', 'annotator': 'annotators'}


def read_movement_annotations(path: StrPath) -> FrameLabels:
    """Read labels that lie as ``target_cls`` (time, behaviors, annotators).

    Both kinds of netCDF and any order of axes; the names of axes may be
    singular. Row t labels row t of the tracks.

    Args:
        path (str | Path): The .nc file. Without annotators one is taken,
            'annotator_0'.

    Raises:
        DataError: If it is damaged or of another layout, a label is neither
            0 nor 1, or the time does not rise.
    """
    path = check_file(path, ('.nc', ))
    content = read_netcdf(path, (_TARGET, *_LAYOUT, *_SPELLINGS))
    check_keys(content.names, [_TARGET], path)
    found = {_SPELLINGS.get(name, name): variable
             for name, variable in content.variables.items()}
    check_keys(found, ['behaviors'], path)
    target = found[_TARGET]
    layout = _LAYOUT if len(target.dims) != 2 else _LAYOUT[:2]
    values = in_order(path, _TARGET, target, layout, _SPELLINGS)
    if values.ndim == 2:
        values = values[..., None]
    if 'time' in found:
        time = found['time']
        frames = frames_of_times(path, time.values, time.attributes,
                                 content.attributes, chosen=True)[0]
        if len(frames) and (np.diff(frames) != 1).any():
            row = int(np.argmax(np.diff(frames) != 1))
            raise DataError(path, f"key 'time', row {row + 1}",
                            f'frame {frames[row] + 1}',
                            f'frame {frames[row + 1]}',
                            'labels must go through without a gap')
    classes = read_names(found['behaviors'], path, 'behaviors')
    wrong = ~np.isin(values, (0, 1))
    if wrong.any():
        frame, place, _ = np.argwhere(wrong)[0]
        name = classes[place] if place < len(classes) else place
        raise DataError(path, f'frame {frame}, {name!r}', '0 or 1',
                        f'{values[wrong][0]} ({int(wrong.sum())} in all)')
    annotators = (read_names(found['annotators'], path, 'annotators')
                  if 'annotators' in found else tuple(
                      f'{ANNOTATOR[:-1]}{number}'
                      for number in range(values.shape[2])))
    return FrameLabels(path, classes,
                       np.ascontiguousarray(values.astype(np.uint8)),
                       annotators)


def write_movement_annotations(path: StrPath,
                               labels: FrameLabels,
                               fps: float | None = None,
                               first_frame: int = 0) -> None:
    """Write labels of frames, whole or not at all.

    Args:
        path (str | Path): The file, ending in .nc.
        labels (FrameLabels): What to write.
        fps (float, optional): Frames per second; the time is in seconds
            then, in frames else. Defaults to None.
        first_frame (int): Frame of the first row. Defaults to 0.

    Raises:
        DataError: If the file cannot be made.
    """
    path = Path(path)
    if path.suffix.lower() != '.nc':
        raise DataError(path, 'file', 'a name ending in .nc',
                        repr(path.suffix))
    rows = len(labels.labels)
    time = (first_frame + np.arange(rows, dtype=np.float64)) / (fps or 1.)
    with atomic_file(path) as temporary, h5netcdf.File(
            temporary, 'w') as file:
        file.dimensions = dict(zip(_LAYOUT, labels.labels.shape, strict=True))
        write_variable(file, 'time', ('time', ), time)
        for name, names in (('behaviors', labels.classes),
                            ('annotators', labels.annotators)):
            write_variable(file, name, (name, ), np.array(names, object))
        write_variable(file, _TARGET, _LAYOUT, labels.labels)
        file.attrs['ds_type'] = 'annotations'
        file.attrs['time_unit'] = 'frames' if fps is None else 'seconds'
        if fps is not None:
            file.attrs['fps'] = float(fps)
