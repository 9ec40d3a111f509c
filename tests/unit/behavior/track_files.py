"""Small data sets of tracks that tests write."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np

from mmpose_ext.storage import FrameLabels, PoseTracks, write_pose_tracks

Array = np.ndarray

INDIVIDUALS = ('resident', 'intruder')
KEYPOINTS = ('nose', 'neck', 'tail')
FPS = 30.
WIDTH, HEIGHT = 640, 480


def wander(frames: int = 60, individuals: int = 2, keypoints: int = 3,
           axes: int = 2, seed: int = 0) -> Array:
    """Animals that walk about on a floor of 640 x 480, (T, N, K, S)."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 2, (frames, individuals, 1, axes))
    steps[0] = rng.uniform(150, 330, (individuals, 1, axes))
    middles = np.clip(np.cumsum(steps, 0), 40, 440)
    bodies = rng.uniform(-30, 30, (1, 1, keypoints, axes))
    noise = rng.normal(0, .3, (frames, individuals, keypoints, axes))
    return (middles + bodies + noise).astype(np.float32)


def tracks_of(position: Array | None = None, **changes: Any) -> PoseTracks:
    """Tracks with the names above, as many as are needed."""
    position = wander() if position is None else position
    frames, individuals, keypoints, axes = position.shape
    parts: dict[str, Any] = dict(
        source=Path('tracking.nc'),
        individuals=(*INDIVIDUALS, 'third')[:individuals],
        keypoints=KEYPOINTS[:keypoints], axes=tuple('xyz'[:axes]),
        position=np.asarray(position, np.float32), confidence=None,
        frames=np.arange(frames, dtype=np.int64), fps=FPS, image_size=None,
        attributes={})
    return PoseTracks(**{**parts, **changes})


def write_record(folder: Path, position: Array | None = None,
                 name: str = 'tracking.nc', **changes: Any) -> Path:
    """A record with one netCDF of tracks; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    write_pose_tracks(folder / name, tracks_of(position, **changes))
    return folder / name


def write_records(root: Path, count: int = 3, frames: int = 60,
                  **changes: Any) -> Path:
    """Records named a, b, c ... of different animals; returns the root."""
    for i in range(count):
        write_record(root / 'abcdefghijklmnop'[i],
                     wander(frames + 5 * i, seed=i), **changes)
    return root


def write_csv(path: Path, header: Sequence[Sequence[str]],
              rows: Sequence[Sequence[Any]]) -> Path:
    """A table under rows of names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(
        ','.join(map(str, row)) for row in (*header, *rows)) + '\n')
    return path


def write_dlc(path: Path, position: Array, individuals: Sequence[str] = (),
              keypoints: Sequence[str] = KEYPOINTS,
              likelihood: float = .9) -> Path:
    """A DeepLabCut table, of several animals if they are named."""
    frames, animals, points, _ = position.shape
    names = list(individuals) or ['']
    columns = [(name, keypoint, value) for name in names[:animals]
               for keypoint in keypoints[:points]
               for value in ('x', 'y', 'likelihood')]
    header = [['scorer', *['DLC'] * len(columns)],
              ['individuals', *(column[0] for column in columns)],
              ['bodyparts', *(column[1] for column in columns)],
              ['coords', *(column[2] for column in columns)]]
    if not individuals:
        del header[1]
    scored = np.concatenate([position, np.full((
        frames, animals, points, 1), likelihood)], -1).reshape(frames, -1)
    return write_csv(path, header, [
        [row, *('' if np.isnan(value) else f'{value:.6f}'
                for value in values)]
        for row, values in enumerate(scored.astype(float))])


def write_sleap(path: Path, position: Array,
                individuals: Sequence[str] = INDIVIDUALS,
                keypoints: Sequence[str] = KEYPOINTS) -> Path:
    """A SLEAP analysis export."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, 'w') as file:
        file['tracks'] = position.transpose(1, 3, 2, 0).astype(np.float64)
        file['node_names'] = np.array(keypoints, 'S')
        file['track_names'] = np.array(individuals, 'S')
    return path


def write_events(path: Path, events: Sequence[Sequence[Any]]) -> Path:
    """Events: behaviour, start and end in seconds, maybe an annotator."""
    names = ['behavior', 'start_time', 'end_time', 'annotator']
    width = max((len(event) for event in events), default=3)
    return write_csv(path, [names[:width]], events)


def frame_labels(classes: Mapping[str, Sequence[int]], frames: int,
                 path: Path = Path('annotations.nc')) -> FrameLabels:
    """Labels of one annotator, 1 in the frames listed."""
    labels = np.zeros((frames, len(classes), 1), np.uint8)
    for place, rows in enumerate(classes.values()):
        labels[list(rows), place] = 1
    return FrameLabels(path, tuple(classes), labels, ('annotator_0', ))


def write_netcdf(path: Path, position: Array | None = None,
                 dims: Sequence[str] = ('time', 'space', 'keypoints',
                                        'individuals'),
                 coordinates: Mapping[str, Any] | None = None,
                 attributes: Mapping[str, Any] | None = None) -> Path:
    """A netCDF file of any layout; a coordinate of None is left out.

    `position` has its axes in the order of `dims`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if position is None:
        position = wander().transpose(0, 3, 2, 1)
    sizes = dict(zip(dims, position.shape, strict=True))
    parts: dict[str, Any] = dict(
        time=np.arange(len(position)) / FPS, space=list('xyz'),
        keypoints=list(KEYPOINTS), individuals=list(INDIVIDUALS))
    parts.update(coordinates or {})
    with h5netcdf.File(path, 'w') as file:
        file.dimensions = sizes
        file.create_variable('position', tuple(dims), position.dtype,
                             data=position)
        for name, values in parts.items():
            if values is None or name not in sizes:
                continue
            array = np.array(values)[:sizes[name]]
            kind = h5py.string_dtype() if array.dtype.kind == 'U' else (
                array.dtype)
            file.create_variable(name, (name, ), kind, data=(
                array.astype(object) if array.dtype.kind == 'U' else array))
        for name, value in dict(
                dict(ds_type='poses', time_unit='seconds', fps=FPS),
                **(attributes or {})).items():
            if value is not None:
                file.attrs[name] = value
    return path


def write_config(path: Path, data_root: Path, loaders: Mapping[str, dict]
                 | None = None, **settings: Any) -> Path:
    """A config with data loaders and no more."""
    lines = ["default_scope = 'mmpose'",
             "custom_imports = dict(imports=['mmpose_ext.behavior'])"]
    parts = dict(train={}, val={}, test={}) if loaders is None else loaders
    for split, changes in parts.items():
        dataset = dict(dict(
            type='mmpose_ext.LisbetWindowDataset', data_root=str(data_root),
            tasks='order', window_size=16, split=split), **settings,
            **changes)
        lines.append(f'{split}_dataloader = dict(batch_size=4, num_workers=0,'
                     f' dataset={dataset!r})')
    path.write_text('\n'.join(lines) + '\n')
    return path
