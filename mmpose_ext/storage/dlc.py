"""DeepLabCut projects (hand labels) and predictions."""
from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import yaml

from .checks import StrPath, check_file, check_images, check_keys
from .dlc_tables import (
    EXPORT_HINT,
    SINGLE_ANIMAL,
    DlcTable,
    read_dlc_csv,
    read_dlc_hdf5,
    read_dlc_shape,
)
from .errors import DataError
from .records import PointTracks


def read_dlc_project(folder: StrPath) -> PointTracks:
    """Read the hand labels of a DeepLabCut project.

    One row a labelled image, in the natural order of sessions and images
    (img2 before img10). A session is a folder of `labeled-data`; those
    without labels are passed over. Read are the files
    `CollectedData_<scorer>.csv`, which DeepLabCut keeps beside its .h5.

    Args:
        folder (str | Path): The project, with `config.yaml` and
            `labeled-data`.

    Returns:
        PointTracks: `names` and `individuals` in the order of the config;
        `frames` are the last digits of the images' names, or the images'
        order in a session where these do not tell all apart.

    Raises:
        DataError: If the project is damaged, the labels do not fit the
            config, or images are missing.
    """
    folder = Path(folder)
    config = check_file(folder / 'config.yaml',
                        hint='give the folder of a DeepLabCut project')
    individuals, bodyparts, scorer = _read_config(config)
    root = folder / 'labeled-data'
    points, images, frames = [], [], []
    for session in sorted(root.glob('*/'), key=_natural_key):
        path = _find_labels(session, scorer)
        if path is None:
            continue
        table = read_dlc_csv(path, ('x', 'y'))
        _check_names(table, individuals, bodyparts, config)
        files = _image_paths(table)
        order = sorted(range(len(files)), key=lambda i: _natural_key(files[i]))
        files = [files[i] for i in order]
        check_images(files, path)
        images.extend(files)
        frames.append(_frame_numbers(files))
        points.append(table.gather(individuals, bodyparts, 'xy')[order])
    if not points:
        raise DataError(root, 'labels', 'CollectedData_*.csv in its folders',
                        'none')
    stacked = np.concatenate(points)
    return PointTracks(names=bodyparts,
                       individuals=individuals,
                       points=stacked,
                       scores=np.where(np.isnan(stacked[..., 0]), np.nan, 1.0),
                       frames=np.concatenate(frames),
                       images=tuple(images),
                       video=None,
                       sessions=tuple(file.parent.name for file in images),
                       source=folder)


def read_dlc_names(folder: StrPath) -> tuple[str, ...]:
    """Names of the bodyparts of a project.

    Raises:
        DataError: If its `config.yaml` is missing or damaged.
    """
    return _read_config(check_file(
        Path(folder) / 'config.yaml',
        hint='give the folder of a DeepLabCut project'))[1]


def read_dlc_tracks(path: StrPath) -> PointTracks:
    """Read DeepLabCut's predictions for one video.

    Args:
        path (str | Path): The .csv, or the .h5 as DeepLabCut writes it.

    Returns:
        PointTracks: `scores` are the likelihoods; the session is the part
        of the file's name before 'DLC', which is the video's name.

    Raises:
        DataError: If the file is damaged or holds no predictions.
    """
    path = check_file(path, ['.csv', '.h5', '.hdf5'])
    read = read_dlc_csv if path.suffix.lower() == '.csv' else read_dlc_hdf5
    coordinates = ('x', 'y', 'likelihood')
    table = read(path, coordinates)
    try:
        frames = np.array([int(number) for number in table.index], np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(path, 'index', 'frame numbers', str(error),
                        'hand labels are read as a project') from error
    if (np.diff(frames) <= 0).any():
        number = frames[1:][np.diff(frames) <= 0][0]
        raise DataError(path, f'frame {number}', 'rising frame numbers',
                        'one that repeats or goes back')
    gathered = table.gather(table.individuals, table.bodyparts, coordinates)
    points = gathered[..., :2]
    missing = np.isnan(points).all(-1)
    return PointTracks(names=table.bodyparts,
                       individuals=table.individuals,
                       points=points,
                       scores=np.where(missing, np.nan, gathered[..., 2]),
                       frames=frames,
                       images=None,
                       video=None,
                       sessions=(path.stem.split('DLC')[0], ) * len(frames),
                       source=path)


def _read_config(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Individuals, bodyparts and scorer of a project."""
    try:
        config = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, ValueError) as error:
        raise DataError(path, 'file', 'YAML', str(error)) from error
    if not isinstance(config, dict):
        raise DataError(path, 'file', 'a DeepLabCut config',
                        f'a {type(config).__name__}')
    scorer = str(config.get('scorer'))
    if not config.get('multianimalproject'):
        bodyparts = _read_strings(config, 'bodyparts', path)
        return (SINGLE_ANIMAL, ), bodyparts, scorer
    individuals = _read_strings(config, 'individuals', path)
    bodyparts = _read_strings(config, 'multianimalbodyparts', path)
    if config.get('uniquebodyparts'):
        # Points that belong to no animal are labelled under 'single'.
        individuals = (*individuals, 'single')
        bodyparts += _read_strings(config, 'uniquebodyparts', path)
    return individuals, bodyparts, scorer


def _read_strings(config: dict[str, Any], key: str,
                  path: Path) -> tuple[str, ...]:
    check_keys(config, [key], path)
    value = config[key]
    if not isinstance(value, list) or not value or not all(
            isinstance(name, str) for name in value):
        raise DataError(path, f'key {key!r}', 'a list of names', repr(value))
    return tuple(value)


def _find_labels(session: Path, scorer: str) -> Path | None:
    """The CSV of the project's scorer, or else the only one."""
    found = sorted(session.glob('CollectedData_*.csv'))
    named = session / f'CollectedData_{scorer}.csv'
    if named in found:
        return named
    if len(found) > 1:
        raise DataError(session, 'labels', named.name,
                        ', '.join(path.name for path in found))
    binary = sorted(session.glob('CollectedData_*.h5'))
    if binary and not found:
        raise DataError(binary[0], 'file', 'a .csv of this name beside it',
                        'the .h5 alone', EXPORT_HINT)
    return found[0] if found else None


def _check_names(table: DlcTable, individuals: Sequence[str],
                 bodyparts: Sequence[str], config: Path) -> None:
    """Compare a table with the config and with the .h5 beside it."""
    if set(table.bodyparts) != set(bodyparts):
        raise DataError(table.path, 'bodyparts',
                        f'{", ".join(bodyparts)}, as {config} says',
                        ', '.join(table.bodyparts))
    if not set(table.individuals) <= set(individuals):
        raise DataError(table.path, 'individuals',
                        f'{", ".join(individuals)}, as {config} says',
                        ', '.join(table.individuals))
    twin = table.path.with_suffix('.h5')
    shape = read_dlc_shape(twin) if twin.is_file() else None
    if shape not in (None, table.values.shape):
        raise DataError(table.path, 'rows',
                        f'rows and columns {shape}, as in {twin.name}',
                        f'{table.values.shape}',
                        'one of the two is out of date; delete the older')


def _image_paths(table: DlcTable) -> list[Path]:
    """Images of a table, which lie beside it."""
    session = table.path.parent
    files: dict[Path, None] = {}
    for text in table.index:
        # Windows paths split at both kinds of slash.
        *folders, name = PureWindowsPath(text).parts or ('', )
        if folders and folders[-1] != session.name:
            raise DataError(table.path, f'row {text!r}',
                            f'an image in {session.name}',
                            f'one in {folders[-1]}')
        if session / name in files:
            raise DataError(table.path, f'row {text!r}', 'each image once',
                            'several rows')
        files[session / name] = None
    return list(files)


def _natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort key in which digits count as numbers."""
    parts = re.split('([0-9]+)', path.name)
    return [(1, int(part), '') if part.isdecimal() else (0, 0, part)
            for part in parts if part] + [(-1, 0, path.name)]


def _frame_numbers(files: Sequence[Path]) -> np.ndarray:
    """Last digits of the names if they differ, else the order."""
    digits = [re.findall('[0-9]+', file.stem)[-1:] for file in files]
    numbers = {int(found[0]) for found in digits if found}
    if len(numbers) < len(files) or max(numbers) > np.iinfo(np.int64).max:
        return np.arange(len(files), dtype=np.int64)
    return np.array([int(found[0]) for found in digits], np.int64)
