"""Annotations by a model on the disk: tables, events and netCDF."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np

from mmpose_ext.behavior.class_tables import to_table
from mmpose_ext.behavior.embedding_files import (
    read_number_table,
    write_number_table,
)
from mmpose_ext.storage import (
    DataError,
    atomic_file,
    events_of_labels,
    write_event_csv,
)

Array = np.ndarray

TABLE_PREFIX = 'machineAnnotation_'  # of tables of classes, as in LISBET
ANNOTATIONS_NC = 'annotations.nc'
ANNOTATIONS_CSV = f'{TABLE_PREFIX}lisbet.csv'
EVENTS_CSV = 'events.csv'
DEFAULT_FPS = 30.  # of a recording that states none, as in the original


def decide(probabilities: Array, multilabel: bool,
           threshold: float = .5) -> Array:
    """Classes of frames from their probabilities.

    Args:
        probabilities (ndarray): (T, C).
        multilabel (bool): Whether several may hold at once.
        threshold (float): From which one holds, of several. Defaults to .5.

    Returns:
        ndarray: (T, C) uint8, 0 or 1.
    """
    if multilabel:
        return (probabilities >= threshold).astype(np.uint8)
    return to_table(probabilities.argmax(1), probabilities.shape[1])


def write_annotations(folder: Path,
                      classes: Sequence[str],
                      probabilities: Array,
                      labels: Array,
                      fps: float | None = None,
                      attributes: Mapping[str, Any] | None = None) -> None:
    """Write the annotations of a record; the netCDF is the last file.

    * ``machineAnnotation_lisbet.csv``: a row a frame, a column a class
    * ``events.csv``: ``behavior,start_time,end_time`` in seconds, of all
      classes but ``other``
    * ``annotations.nc``: ``target_cls`` (time, behaviors, annotators), as
      movement's annotations have it, and ``probability`` (time, behaviors)

    Args:
        folder (Path): It exists.
        classes (Sequence[str]): C names.
        probabilities (ndarray): (T, C) float32.
        labels (ndarray): (T, C) 0 or 1.
        fps (float, optional): Frames a second. Defaults to None: 30 for the
            seconds of the events.
        attributes (Mapping, optional): Texts and numbers. Defaults to None.
    """
    write_number_table(folder / ANNOTATIONS_CSV, classes, labels)
    write_event_csv(folder / EVENTS_CSV, events_of_labels(
        labels, classes, fps or DEFAULT_FPS))
    with atomic_file(folder / ANNOTATIONS_NC) as temporary, h5netcdf.File(
            temporary, 'w') as file:
        file.dimensions = dict(time=len(labels), behaviors=len(classes),
                               annotators=1)
        file.create_variable('time', ('time', ), np.int64,
                             data=np.arange(len(labels)))
        for name, texts in (('behaviors', classes),
                            ('annotators', ('machine', ))):
            file.create_variable(name, (name, ), h5py.string_dtype(),
                                 data=np.array(list(texts), object))
        file.create_variable('target_cls', ('time', 'behaviors',
                                            'annotators'), np.uint8,
                             data=labels[..., None].astype(np.uint8))
        file.create_variable('probability', ('time', 'behaviors'), np.float32,
                             data=probabilities.astype(np.float32))
        for name, value in dict(attributes or {}, fps=fps).items():
            if value is not None:
                file.attrs[name] = value


def read_label_table(path: Path) -> tuple[tuple[str, ...], Array]:
    """Read a table of classes, one row a frame.

    Returns:
        tuple: C names, and (T, C) uint8.

    Raises:
        DataError: If there is anything but 0 and 1.
    """
    names, values = read_number_table(path)
    wrong = np.argwhere((values != 0) & (values != 1))
    if len(wrong):
        row, column = wrong[0]
        raise DataError(path, f'row {row + 2}, column {names[column]!r}',
                        '0 or 1', f'{values[row, column]:g}')
    return names, values.astype(np.uint8)
