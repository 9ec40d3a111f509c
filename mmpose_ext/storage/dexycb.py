"""DexYCB on the disk: its folders, meta.yml and calibration."""
from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from .checks import StrPath, check_file, check_keys, is_shown
from .errors import DataError

SUBJECTS = (
    '20200709-subject-01', '20200813-subject-02', '20200820-subject-03',
    '20200903-subject-04', '20200908-subject-05', '20200918-subject-06',
    '20200928-subject-07', '20201002-subject-08', '20201015-subject-09',
    '20201022-subject-10')
SERIALS = ('836212060125', '839512060362', '840412060917', '841412060263',
           '932122060857', '932122060861', '932122061900', '932122062010')
IMAGE_SIZE = (640, 480)
NUM_OBJECTS = 21  # ids 1..21
HAND_LABEL = 255  # of the segmentation
SIDES = ('right', 'left')

# Farthest of a principal point from the middle, as a share of the side
_MAX_OFF_CENTRE = .2
_MAX_SKEW = 1e-3  # of a rotation's products from the identity
# Texts stay texts: a calibration id such as 20200702_151821 is a number to
# YAML. Neither loader makes anything but texts, lists and dicts.
_Loader: Any = getattr(yaml, 'CBaseLoader', yaml.BaseLoader)


@dataclass(frozen=True)
class SequenceMeta:
    """What a meta.yml says.

    Attributes:
        path: The file.
        serials: Of the cameras.
        num_frames: Of each video.
        extrinsics: Id of the calibration of the cameras' places.
        ycb_ids: Objects on the table, 1..21, each once.
        grasped: Which of `ycb_ids` is grasped, counted from 0.
        side: 'right' or 'left'.
        mano: Id of the calibration of the hand's shape.
    """

    path: Path
    serials: tuple[str, ...]
    num_frames: int
    extrinsics: str
    ycb_ids: tuple[int, ...]
    grasped: int
    side: str
    mano: str


def list_sequences(root: StrPath) -> dict[str, tuple[str, ...]]:
    """Sequences of each subject, both in the order of their names.

    Args:
        root (str | Path): The data root.

    Returns:
        dict[str, tuple[str]]: Subject folder to its sequence folders, which
            are all of its folders that do not begin with ``_`` or a dot.

    Raises:
        DataError: If there is no subject, or one without a sequence.
    """
    root = Path(root)
    hint = 'the data root holds 20200709-subject-01 and so on'
    if not root.is_dir():
        raise DataError(root, 'folder', 'the data root of DexYCB',
                        'a file' if root.exists() else 'nothing', hint)
    found = {
        subject.name: tuple(sorted(
            place.name for place in subject.iterdir()
            if is_shown(place) and place.is_dir()))
        for subject in sorted(root.glob('*-subject-*')) if subject.is_dir()
    }
    if not found:
        raise DataError(root, 'folder', 'folders of subjects', 'none', hint)
    for subject, sequences in found.items():
        if not sequences:
            raise DataError(root / subject, 'folder', 'sequences', 'none')
    return found


def ranked(names: Collection[str],
           published: Sequence[str]) -> tuple[str, ...]:
    """Names in the order that splits count them.

    Args:
        names (Collection[str]): What is on the disk, subjects or serials.
        published (Sequence[str]): All of the published data set.

    Returns:
        tuple[str]: `published`, if it has them all, so that a part of the
            data set keeps its numbers; else the names sorted.
    """
    if {*names} <= {*published}:
        return tuple(published)
    return tuple(sorted({*names}))


def read_meta(path: StrPath) -> SequenceMeta:
    """Read a sequence's meta.yml.

    Args:
        path (str | Path): The file.

    Raises:
        DataError: Names the key that is missing or unfitting.
    """
    path = Path(path)
    content = _read_yaml(path, 'each sequence has one')
    check_keys(content, ['serials', 'num_frames', 'extrinsics', 'ycb_ids',
                         'ycb_grasp_ind', 'mano_sides', 'mano_calib'], path)
    serials = _texts(content['serials'], path, 'serials')
    if not serials or len({*serials}) < len(serials):
        raise DataError(path, 'serials', 'cameras, each once',
                        _shown(content['serials']))
    ids = tuple(_integer(value, path, 'ycb_ids', 1, NUM_OBJECTS)
                for value in _texts(content['ycb_ids'], path, 'ycb_ids'))
    if not ids or len({*ids}) < len(ids):
        raise DataError(path, 'ycb_ids', 'objects, each once',
                        _shown(content['ycb_ids']))
    sides = _texts(content['mano_sides'], path, 'mano_sides')
    if len(sides) != 1 or sides[0] not in SIDES:
        raise DataError(path, 'mano_sides', "['right'] or ['left']",
                        _shown(content['mano_sides']))
    calibrations = _texts(content['mano_calib'], path, 'mano_calib')
    if len(calibrations) != 1:
        raise DataError(path, 'mano_calib', 'the id of one calibration',
                        _shown(content['mano_calib']))
    if not isinstance(content['extrinsics'], str):
        raise DataError(path, 'extrinsics', 'the id of a calibration',
                        _shown(content['extrinsics']))
    return SequenceMeta(
        path, serials,
        _integer(content['num_frames'], path, 'num_frames', 1, 999_999),
        content['extrinsics'], ids,
        _integer(content['ycb_grasp_ind'], path, 'ycb_grasp_ind', 0,
                 len(ids) - 1), sides[0], calibrations[0])


def read_intrinsics(root: StrPath, serial: str) -> np.ndarray:
    """Read a camera's intrinsics.

    Args:
        root (str | Path): The data root.
        serial (str): Of the camera.

    Returns:
        np.ndarray: (4, ) fx, fy, cx, cy in px.

    Raises:
        DataError: If the file is missing, damaged, or of another resolution.
    """
    width, height = IMAGE_SIZE
    folder = Path(root, 'calibration', 'intrinsics')
    path = folder / f'{serial}_{width}x{height}.yml'
    others = sorted(folder.glob(f'{serial}_*.yml'))
    content = _read_yaml(
        path, f'{others[0].name} is of another resolution'
        if others and not path.exists() else
        'the calibration belongs to the data set')
    check_keys(content, ['color'], path)
    color = content['color']
    if not isinstance(color, dict):
        raise DataError(path, 'color', 'fx, fy, ppx and ppy', _shown(color))
    names = ('fx', 'fy', 'ppx', 'ppy')
    check_keys(color, names, path, 'in color')
    values = _floats([color[name] for name in names], path, 'color', 4)
    off = np.abs(values[2:] - (np.array(IMAGE_SIZE) - 1) / 2)
    if (values[:2] <= 0).any() or (
            off > _MAX_OFF_CENTRE * np.array(IMAGE_SIZE)).any():
        raise DataError(
            path, 'color', f'a camera of {width} x {height} px, its '
            'principal point near the middle', ', '.join(
                f'{name} {value:g}' for name, value
                in zip(names, values, strict=True)),
            'the intrinsics may be of another resolution')
    return values


def read_betas(root: StrPath, name: str) -> np.ndarray:
    """Read the shape of a hand.

    Args:
        root (str | Path): The data root.
        name (str): Id of the calibration, as meta.yml has it.

    Returns:
        np.ndarray: (10, ) MANO's betas.

    Raises:
        DataError: If the file is missing or damaged.
    """
    path = Path(root, 'calibration', f'mano_{name}', 'mano.yml')
    content = _read_yaml(path, 'meta.yml names this calibration')
    check_keys(content, ['betas'], path)
    return _floats(content['betas'], path, 'betas', 10)


def skewed_rotations(rotations: np.ndarray) -> np.ndarray:
    """Which of the matrices (N, 3, 3) are no rotations, (N, ) bool."""
    rotations = rotations.astype(np.float64)
    products = rotations @ rotations.swapaxes(-1, -2)
    skew = np.abs(products - np.eye(3)).max((-1, -2))
    return ~(skew < _MAX_SKEW) | (np.linalg.det(rotations) < 0)


def _read_yaml(path: Path, hint: str) -> dict[str, Any]:
    check_file(path, hint=hint)
    try:
        content = yaml.load(path.read_bytes(), Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(path, 'file', 'YAML', ' '.join(
            str(error).split())[:120]) from error
    if not isinstance(content, dict):
        raise DataError(path, 'file', 'keys and values', _shown(content))
    return content


def _texts(values: Any, path: Path, where: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(
            isinstance(value, str) for value in values):
        raise DataError(path, where, 'a list', _shown(values))
    return tuple(values)


def _integer(value: Any, path: Path, where: str, low: int, high: int) -> int:
    if isinstance(value, str) and re.fullmatch(r'[+-]?\d{1,9}', value):
        number = int(value)
        if low <= number <= high:
            return number
    raise DataError(path, where, f'a whole number from {low} to {high}',
                    _shown(value))


def _floats(values: Any, path: Path, where: str, count: int) -> np.ndarray:
    texts = _texts(values, path, where) if isinstance(values, list) else ()
    if len(texts) != count:
        raise DataError(path, where, f'{count} numbers', _shown(values))
    numbers = []
    for text in texts:
        try:
            numbers.append(float(text))
        except ValueError:
            numbers.append(math.nan)
        if not math.isfinite(numbers[-1]):
            raise DataError(path, where, 'finite numbers', repr(text))
    return np.array(numbers)


def _shown(value: Any) -> str:
    """A value for an error."""
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'
