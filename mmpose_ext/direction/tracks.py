"""The tagger's own output: a track of points, angles and confidences."""
from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mmpose_ext.command_options import check_out
from mmpose_ext.direction.angles import (
    POINTS,
    direction_angles,
    to_convention,
)
from mmpose_ext.storage import atomic_file, write_npz

Array = np.ndarray

SUFFIXES = ('.csv', '.npz', '.h5')
ROWS_A_TIME = 4096


@dataclass(frozen=True, eq=False)
class DirectionTracks:
    """Points of one animal over time.

    Attributes:
        frames: (T,) int64 frame numbers, rising.
        fps: Frames per second.
        points: (T, 3, 2) float64 base, neck, head, px of the frame; NaN
            where no animal was found.
        scores: (T, 3) in [0, 1].
        angle_conf: (T,) in [0, 1].
        flagged: (T,) bool, frames not to be trusted.
        origins: (T, 2) px of the frame where the crop begins; NaN where
            there is none.
        convention: Of the angles that are written.
        raw: (T, 3, 2) points before repair and smoothing; None if there was
            neither.
        swapped: (T,) bool, reversals that were repaired; None if none were
            looked for.
        meta: What else is to be remembered, JSON values.
    """

    frames: Array
    fps: float
    points: Array
    scores: Array
    angle_conf: Array
    flagged: Array
    origins: Array
    convention: str = 'image'
    raw: Array | None = None
    swapped: Array | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def angles(self, raw: bool = False) -> dict[str, Array]:
        """Body, head and turn angle (T,), radians, in :attr:`convention`.

        The turn angle is head minus body in the sense of the convention, so
        it changes its sign where angles grow counter-clockwise.

        Args:
            raw (bool): Of the raw points. Defaults to False.
        """
        points = self.points if not raw or self.raw is None else self.raw
        found = direction_angles(points)
        sign = -1. if self.convention == 'math' else 1.
        return dict(
            body=to_convention(found['body'], self.convention),
            head=to_convention(found['head'], self.convention),
            turn=sign * found['turn'])

    def columns(self) -> dict[str, Array]:
        """Columns of the table, each (T,)."""
        table = dict(frame=self.frames, t=self.frames / self.fps)
        table.update(_point_columns(self.points, ''))
        for k, name in enumerate(POINTS):
            table[f'score_{name}'] = self.scores[:, k]
        for name, angle in self.angles().items():
            table[f'{name}_deg'] = np.degrees(angle)
        table['angle_conf'] = self.angle_conf
        table['flagged'] = self.flagged.astype(np.int64)
        if self.raw is not None:
            table.update(_point_columns(self.raw, '_raw'))
            for name, angle in self.angles(raw=True).items():
                table[f'{name}_deg_raw'] = np.degrees(angle)
        if self.swapped is not None:
            table['swapped'] = self.swapped.astype(np.int64)
        return table


def check_output(path: Path) -> Path:
    """Check that tracks can be written to a path.

    Raises:
        DataError: If its suffix is unknown or its folder missing.
    """
    check_out(path, SUFFIXES)
    return path


def write_tracks(path: Path, tracks: DirectionTracks) -> None:
    """Write tracks as ``.csv``, ``.npz`` or ``.h5``, whole or not at all.

    * ``.csv``: one row a frame; the last column names the convention.
    * ``.npz``: the same columns as arrays, and ``meta`` (JSON).
    * ``.h5``: ``df_with_missing``, a table as DeepLabCut writes it, and the
      group ``direction`` with the same columns and attributes.
    """
    check_output(path)
    suffix = path.suffix.lower()
    if suffix == '.csv':
        _write_csv(path, tracks)
    elif suffix == '.npz':
        write_npz(path, **tracks.columns(), meta=_meta_text(tracks))
    else:
        _write_hdf5(path, tracks)


def _point_columns(points: Array, suffix: str) -> dict[str, Array]:
    return {
        f'{name}_{axis}{suffix}': points[:, k, i]
        for k, name in enumerate(POINTS) for i, axis in enumerate('xy')
    }


def _meta_text(tracks: DirectionTracks) -> str:
    return json.dumps(
        dict(tracks.meta, convention=tracks.convention, fps=tracks.fps))


def _write_csv(path: Path, tracks: DirectionTracks) -> None:
    table = tracks.columns()
    line = ','.join('%d' if values.dtype.kind == 'i' else '%.4f'
                    for values in table.values())
    line += f',{tracks.convention}\n'
    columns = list(table.values())
    with atomic_file(path) as temporary, temporary.open('w') as stream:
        stream.write(','.join([*table, 'convention']) + '\n')
        for start in range(0, len(tracks.frames), ROWS_A_TIME):
            part = [values[start:start + ROWS_A_TIME].tolist()
                    for values in columns]
            stream.writelines(line % row for row in zip(*part, strict=True))


def _write_hdf5(path: Path, tracks: DirectionTracks) -> None:
    with atomic_file(path) as temporary, h5py.File(temporary, 'w') as file:
        group = file.create_group('direction')
        group.attrs['meta'] = _meta_text(tracks)
        group.attrs['convention'] = tracks.convention
        for name, values in tracks.columns().items():
            group[name] = values
        _write_dlc_table(file, tracks)


def _write_dlc_table(file: h5py.File, tracks: DirectionTracks) -> None:
    """Write the points as pandas stores DeepLabCut's table.

    PyTables keeps texts in UTF-8 and lists as pickles of protocol 0. Read
    back by pandas 3.1 with PyTables, it is the table DeepLabCut makes.
    """
    levels = ('scorer', 'bodyparts', 'coords')
    columns = [('mmpose_ext', part, coordinate) for part in POINTS
               for coordinate in ('x', 'y', 'likelihood')]
    values = np.concatenate([tracks.points, tracks.scores[..., None]],
                            -1).reshape(len(tracks.points), -1)
    rows = np.empty(len(values), [('index', '<i8'),
                                  ('values_block_0', '<f8', (len(columns), ))])
    rows['index'], rows['values_block_0'] = tracks.frames, values

    def pack(value: Any) -> np.bytes_:
        return np.bytes_(pickle.dumps(value, 0))

    def text(value: str) -> Array:
        return np.array(value.encode(), h5py.string_dtype(
            'utf-8', max(len(value), 1)))

    file.attrs.update({
        'CLASS': text('GROUP'), 'TITLE': text(''), 'VERSION': text('1.0'),
        'PYTABLES_FORMAT_VERSION': text('2.1')})
    group = file.create_group('df_with_missing')
    group.attrs.update({
        'CLASS': text('GROUP'), 'TITLE': text(''), 'VERSION': text('1.0'),
        'pandas_type': text('frame_table'),
        'pandas_version': text('0.15.2'),
        'table_type': text('appendable_frame'),
        'encoding': text('UTF-8'), 'errors': text('strict'),
        'nan_rep': text('nan'), 'levels': 1,
        'index_cols': pack([(0, 'index')]),
        'values_cols': pack(['values_block_0']), 'data_columns': pack([]),
        'non_index_axes': pack([(1, columns)]),
        'info': pack({1: dict(names=list(levels), type='MultiIndex'),
                      'index': {}})})
    table = group.create_dataset(
        'table', data=rows, maxshape=(None, ), chunks=(1024, ))
    table.attrs.update({
        'CLASS': text('TABLE'), 'TITLE': text(''),
        'VERSION': text('2.7'), 'NROWS': len(rows),
        'FIELD_0_NAME': text('index'), 'FIELD_0_FILL': 0,
        'FIELD_1_NAME': text('values_block_0'), 'FIELD_1_FILL': 0.,
        'index_kind': text('integer'),
        'values_block_0_kind': pack(columns),
        'values_block_0_dtype': text('float64')})
