"""Pictures with labelled points, as hand-labelling programs export them."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from .checks import check_array
from .errors import DataError
from .records import PointTracks

Point = tuple[float, float, int]  # x and y in px, visibility

ABSENT, OCCLUDED, VISIBLE = 0, 1, 2


@dataclass(frozen=True, eq=False)
class LabelledInstance:
    """One animal of a picture.

    Args:
        where (str): Its place in the source, for messages.
        points (np.ndarray): (K, 2) float64, px; 0 where absent.
        visibility (np.ndarray): (K,) int64; 0 absent, 1 occluded, 2 visible.
        box (np.ndarray | None): (4,) x, y, width, height in px. Defaults to
            None: the source has none.
    """

    where: str
    points: np.ndarray
    visibility: np.ndarray
    box: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """A picture and its animals.

    Args:
        file (Path): The picture.
        name (str): What the source calls it: a path with forward slashes
            below the root of the pictures.
        instances (tuple[LabelledInstance, ...]): The animals.
        size (tuple[int, int] | None): Width and height of the picture that
            the points were placed on, px. Defaults to None: not stated.
    """

    file: Path
    name: str
    instances: tuple[LabelledInstance, ...]
    size: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class LabelSet:
    """What a file of labels, or a project, holds.

    Args:
        source (Path): The file or folder.
        names (tuple[str, ...]): K point names, each once.
        images (tuple[LabelledImage, ...]): The pictures.
        left_out (dict[str, int]): What was passed over: why, and how often.
            Defaults to {}.
    """

    source: Path
    names: tuple[str, ...]
    images: tuple[LabelledImage, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)


class ImageFolder:
    """Finds pictures below a folder by what a file of labels calls them.

    Args:
        root (Path): The folder.
        file (Path): The file of labels, for messages.
    """

    def __init__(self, root: Path, file: Path) -> None:
        if not root.is_dir():
            raise DataError(root, 'images', 'a folder', 'nothing')
        self.root = root
        self.file = file

    def find(self, name: str, where: str) -> tuple[Path, str]:
        """Find a picture by its path, else by its base name alone.

        Args:
            name (str): Slashes of both kinds are understood.
            where (str): The place in the file, for messages.

        Returns:
            tuple[Path, str]: The picture, and its path below the root with
            forward slashes.

        Raises:
            DataError: If there is no such picture, or several.
        """
        path = PurePosixPath(PureWindowsPath(name).as_posix())
        inside = not path.is_absolute() and '..' not in path.parts
        if inside and path.name and _is_file(self.root / path):
            return self.root / path, str(path)
        found = self._by_name.get(path.name, [])
        if len(found) != 1:
            raise DataError(
                self.file, where, f'one picture {path.name!r} below '
                f'{self.root}', ' and '.join(map(str, found[:2])) or 'none',
                'give the folder of the pictures' if not found else
                'rename one, or give the folder that holds the right one')
        return found[0], found[0].relative_to(self.root).as_posix()

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        index: dict[str, list[Path]] = {}
        for path in sorted(self.root.rglob('*')):
            if path.is_file():
                index.setdefault(path.name, []).append(path)
        return index


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a zero byte
        return False


def gather_points(labelled: Mapping[str, Point], names: Iterable[str],
                  where: str, box: np.ndarray | None = None
                  ) -> LabelledInstance:
    """Bring the points of an animal into the order of the names.

    Args:
        labelled (dict[str, Point]): x, y and visibility by name.
        names (Iterable[str]): K names.
        where (str): The place in the source.
        box (np.ndarray, optional): (4,) px. Defaults to None.
    """
    rows = [labelled.get(name, (0., 0., ABSENT)) for name in names]
    values = np.array(rows, np.float64).reshape(-1, 3)
    visibility = values[:, 2].astype(np.int64)
    return LabelledInstance(
        where, np.where(visibility[:, None] > 0, values[:, :2], 0.),
        visibility, box)


def labels_of_tracks(tracks: PointTracks) -> LabelSet:
    """Labelled images of a project, one animal an individual.

    Args:
        tracks (PointTracks): With images; each is named by its session and
            its base name.
    """
    assert tracks.images is not None
    visibility = np.where(np.isnan(tracks.points[..., 0]), ABSENT, VISIBLE)
    images = tuple(
        LabelledImage(file, f'{session}/{file.name}', tuple(
            LabelledInstance(f'{session}/{file.name}, {individual}',
                             np.nan_to_num(tracks.points[row, i]),
                             visibility[row, i])
            for i, individual in enumerate(tracks.individuals)
            if visibility[row, i].any()))
        for row, (file, session) in enumerate(
            zip(tracks.images, tracks.sessions, strict=True)))
    return LabelSet(tracks.source, tracks.names, images)


def collect_names(animals: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Names of all points in the order in which they first come."""
    return tuple(dict.fromkeys(name for animal in animals for name in animal))


def read_number(value: Any, file: Path, where: str) -> float:
    """A finite number out of text or JSON.

    Raises:
        DataError: With the given `where`.
    """
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(file, where, 'a number', repr(value)[:60]) from error
    check_array(number, file, where, finite=True)
    return number
