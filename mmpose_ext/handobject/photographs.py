"""Photographs to look at: with a box, a camera and a side of the hand each."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mmpose_ext.geometry.crop_views import intrinsic_matrix
from mmpose_ext.handobject.crop_cache import check_size, read_photograph
from mmpose_ext.handobject.hand import SIDES
from mmpose_ext.handobject.index_columns import MAX_OFF_CENTRE
from mmpose_ext.handobject.index_files import HandObjectIndex
from mmpose_ext.storage import DataError, check_file, check_keys, read_json

Array = np.ndarray

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
FOCAL_GUESS = 1.2  # focal length where none is known, longer sides
_CAMERA_HINT = ('give whole photographs, not parts of them, with the camera '
                'of their resolution')


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph, and where in it the hand is.

    Attributes:
        image: Its file, or its pixels (H, W, 3) BGR uint8.
        box: (4,) left, top, right, bottom, px; None: the whole picture.
            Defaults to None.
        matrix: (3, 3) of its camera; None: to be guessed. Defaults to None.
        side: ``right`` or ``left``. Defaults to ``right``.
        number: Its id. Defaults to 0.
        name: File's name as results have it. Defaults to ''.
        size: Width and height that it must have, if that is known. Defaults
            to None.
    """

    image: Path | Array
    box: Array | None = None
    matrix: Array | None = None
    side: str = 'right'
    number: int = 0
    name: str = ''
    size: tuple[int, int] | None = None

    @property
    def source(self) -> str:
        """What errors call it."""
        return (str(self.image) if isinstance(self.image, Path)
                else self.name or 'image')

    def read(self) -> Array:
        """Pixels (H, W, 3) BGR uint8.

        Raises:
            DataError: If it cannot be read, or has not its size.
        """
        if isinstance(self.image, Path):
            return read_photograph(self.image, self.size)
        image = self.image
        if (image.ndim != 3 or image.shape[2] != 3 or not image.size
                or image.dtype != np.uint8):
            raise DataError(self.source, 'image', 'uint8 (H, W, 3), BGR',
                            f'{image.dtype} {image.shape}')
        if self.size is not None:
            check_size(self.source, image, self.size)
        return image


def photographs_of(index: HandObjectIndex, rows: Array, root: Path,
                   column: str | Array) -> list[Photograph]:
    """Frames of an index, with their cameras and labelled boxes.

    Args:
        index (HandObjectIndex): The index.
        rows (ndarray): (M,) its rows.
        root (Path): Data root.
        column (str | ndarray): Of the boxes, ``bbox_hand`` or
            ``bbox_union``; or boxes (M, 4) x, y, width, height, px. Where
            one shows nothing of the picture, all of it is looked at.
    """
    boxes = np.asarray(index[column][rows] if isinstance(column, str)
                       else column, np.float32)
    boxes = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
    found = []
    for row, box in zip(rows.tolist(), boxes, strict=True):
        size = index.size_of(row)
        found.append(Photograph(
            root / index.file_of(row), box if _shows(box, size) else None,
            intrinsic_matrix(index['K'][row].astype(np.float64)),
            SIDES[index.side_of(row)],
            int(index['id'][row]), index.file_of(row), size))
    return found


def list_photographs(path: Path, boxes: Path | None,
                     box: Sequence[float] | None, matrix: Array | None,
                     side: str) -> list[Photograph]:
    """A picture, or the pictures of a folder with its subfolders.

    Args:
        path (Path): The picture or the folder.
        boxes (Path, optional): JSON, a list of ``{"image": NAME, "bbox":
            [x, y, w, h]}``, each with its own ``"side"`` if it is not
            `side`; names are relative to the folder. What is not listed is
            left out.
        box (Sequence[float], optional): x, y, width, height in each picture.
            Without it and `boxes` the whole picture is looked at.
        matrix (ndarray, optional): (3, 3) camera of all.
        side (str): Of the hands.

    Raises:
        DataError: If there is no picture, or a box is not of one.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob('*')
                       if file.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise DataError(path, 'folder',
                            f'pictures ({", ".join(IMAGE_SUFFIXES)})', 'none')
        names = {file.relative_to(path).as_posix(): file for file in files}
    else:
        check_file(path, [*IMAGE_SUFFIXES, '.npz'])
        names = {path.name: path}
    if boxes is None:
        given = None if box is None else _corners(box, path, '--bbox')
        return [Photograph(file, given, matrix, side, number, name)
                for number, (name, file) in enumerate(names.items())]
    found: list[Photograph] = []
    for where, entry in _read_boxes(boxes):
        name = str(entry['image'])
        if name not in names:
            raise DataError(boxes, where, f'a picture of {path}', repr(name),
                            'names are relative to INPUT')
        own = entry.get('side', side)
        if own not in SIDES:
            raise DataError(boxes, where, 'side "right" or "left"', repr(own))
        found.append(Photograph(
            names[name], _corners(entry['bbox'], boxes, where), matrix, own,
            len(found), name))
    return found


def read_camera(values: Sequence[str]) -> Array:
    """The camera that ``--camera`` names.

    Args:
        values (Sequence[str]): fx, fy, cx and cy in px; or a file: JSON with
            these four or ``K``, 3 rows of 3, or YAML with ``color`` as
            DexYCB has it.

    Returns:
        ndarray: (3, 3).

    Raises:
        DataError: If it is none.
    """
    if len(values) == 4:
        return _matrix(values, '--camera', 'fx fy cx cy')
    if len(values) != 1:
        raise DataError('--camera', 'values', 'a file, or fx fy cx cy',
                        f'{len(values)} values')
    path = check_file(values[0], ['.json', '.yml', '.yaml'])
    content = (read_json(path) if path.suffix.lower() == '.json'
               else _read_yaml(path))
    if isinstance(content, Mapping) and isinstance(content.get('color'),
                                                   Mapping):
        content = content['color']
    if not isinstance(content, Mapping):
        raise DataError(path, 'file', 'fx, fy, cx and cy',
                        type(content).__name__)
    if 'K' in content:
        try:
            table = np.array(content['K'], np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(path, 'K', 'three rows of three numbers',
                            str(error)) from error
        if table.shape != (3, 3):
            raise DataError(path, 'K', 'three rows of three numbers',
                            f'shape {table.shape}')
        return _matrix(table[[0, 1, 0, 1], [0, 1, 2, 2]].tolist(), path, 'K')
    names = (('fx', 'fy', 'ppx', 'ppy') if 'ppx' in content else
             ('fx', 'fy', 'cx', 'cy'))
    check_keys(content, names, path)
    return _matrix([content[name] for name in names], path, ', '.join(names))


def check_view(photograph: Photograph, size: tuple[int, int]) -> None:
    """Check that camera and box are of a picture of this size.

    Args:
        photograph (Photograph): What is known of it.
        size (tuple[int, int]): Its width and height, px.

    Raises:
        DataError: If the principal point is not near the middle, or the box
            is empty or shows nothing of the picture.
    """
    width, height = size
    matrix, box = photograph.matrix, photograph.box
    if matrix is not None:
        matrix = np.asarray(matrix, np.float64)
        off = np.abs(matrix[:2, 2] - (np.array(size) - 1) / 2)
        if (not np.isfinite(matrix).all() or matrix[0, 0] <= 0
                or matrix[1, 1] <= 0
                or (off > MAX_OFF_CENTRE * np.array(size)).any()):
            raise DataError(
                photograph.source, 'camera', f'a camera of {width} x {height}'
                ' px, its principal point near the middle',
                'fx {:g}, fy {:g}, cx {:g}, cy {:g}'.format(
                    *matrix[[0, 1, 0, 1], [0, 1, 2, 2]]), _CAMERA_HINT)
    if box is not None:
        left, top, right, bottom = (float(value) for value in box)
        if not (left < right and top < bottom):
            raise DataError(photograph.source, 'bbox',
                            'a width and a height above 0',
                            f'{right - left:g} x {bottom - top:g} px')
        if not _shows(box, size):
            raise DataError(
                photograph.source, 'bbox', 'a box in the picture, '
                f'{width} x {height} px', f'x {left:g} to {right:g}, y '
                f'{top:g} to {bottom:g}')


def guess_camera(size: tuple[int, int]) -> Array:
    """A camera (3, 3) for a picture whose own is unknown.

    Its focal length is 1.2 of the longer side, its principal point in the
    middle. A wrong one scales all distances from the camera; what lies
    where about the wrist hardly changes.
    """
    width, height = size
    focal = FOCAL_GUESS * max(size)
    return intrinsic_matrix(
        np.array([focal, focal, (width - 1) / 2, (height - 1) / 2]))


def _shows(box: Array, size: tuple[int, int]) -> bool:
    """Whether there is something of a picture in a box."""
    left, top, right, bottom = (float(value) for value in box)
    return bool(left < right and top < bottom and right > 0 and bottom > 0
                and left < size[0] - 1 and top < size[1] - 1)


def _matrix(values: Sequence[Any], file: str | Path, where: str) -> Array:
    try:
        numbers = np.array([float(value) for value in values])
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(file, where, 'numbers', str(error)) from error
    if not np.isfinite(numbers).all() or (numbers[:2] <= 0).any():
        raise DataError(file, where, 'focal lengths above 0 and a principal '
                        'point, px', ' '.join(map(str, values)))
    return intrinsic_matrix(numbers)


def _corners(values: Any, file: Path, where: str) -> Array:
    """Left, top, right, bottom of x, y, width, height."""
    try:
        x, y, width, height = (float(value) for value in values)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(file, where, 'a box of four numbers',
                        str(values)[:80]) from error
    box = np.array([x, y, x + width, y + height])
    if not np.isfinite(box).all() or width <= 0 or height <= 0:
        raise DataError(file, where, 'finite numbers, a width and a height '
                        'above 0', str(list(values)))
    return box


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding='utf-8'))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise DataError(path, 'file', 'YAML', str(error)) from error


def _read_boxes(path: Path) -> list[tuple[str, Mapping[str, Any]]]:
    content = read_json(check_file(path, ['.json']))
    if not isinstance(content, list) or not content or not all(
            isinstance(entry, Mapping) for entry in content):
        raise DataError(path, 'file', 'a list of {"image", "bbox"}',
                        f'a {type(content).__name__}' if not isinstance(
                            content, list) else 'an empty list, or others')
    for entry in content:
        check_keys(entry, ['image', 'bbox'], path)
    return [(f'entry {number}', entry)
            for number, entry in enumerate(content)]
