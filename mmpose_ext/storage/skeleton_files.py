"""Skeletons in files: names of keypoints, and which of them are joined."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .checks import (
    StrPath,
    check_array,
    check_file,
    check_keys,
    check_names,
    check_texts,
)
from .errors import DataError
from .matlab import cell, read_matlab, read_numbers, read_rows, write_matlab
from .plain_files import read_json, write_json

_SUFFIXES = ('.mat', '.json')


@dataclass(frozen=True, eq=False)
class SkeletonFile:
    """Names and edges of a skeleton.

    Args:
        source (Path): The file that was read, or is written.
        names (tuple[str, ...]): K keypoint names, each once.
        edges (np.ndarray): (E, 2) int64 indices of names, from 0.
        colors (np.ndarray | None): (E, 3) or (E, 4) float64 RGB or RGBA of
            the edges, in [0, 1].

    Raises:
        DataError: If the parts do not fit together.
    """

    source: Path
    names: tuple[str, ...]
    edges: np.ndarray
    colors: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_names(self.names, self.source, 'names')
        check_array(self.edges, self.source, 'edges', 'i8', (None, 2))
        outside = (self.edges < 0) | (self.edges >= len(self.names))
        if outside.any():
            edge = int(np.argwhere(outside)[0, 0])
            raise DataError(self.source, f'edge {edge}',
                            f'two of {len(self.names)} keypoints',
                            f'places {self.edges[edge].tolist()}, counted '
                            'from 0')
        if self.colors is not None:
            check_array(self.colors, self.source, 'colors', 'f8',
                        (len(self.edges), None), finite=True)
            if self.colors.shape[1] not in (3, 4) or (
                    (self.colors < 0) | (self.colors > 1)).any():
                raise DataError(
                    self.source, 'colors', 'RGB or RGBA from 0 to 1',
                    f'{self.colors.shape[1]} columns from '
                    f'{self.colors.min():g} to {self.colors.max():g}')


def read_skeleton_file(path: StrPath) -> SkeletonFile:
    """Read a skeleton.

    Args:
        path (str | Path): A Label3D profile (``.mat``: ``joint_names``,
            ``joints_idx`` counted from 1, maybe ``color``), or a ``.json``
            file with ``names`` and ``edges``, pairs of names or of places
            counted from 0; there ``colors`` are optional, too. Colours up to
            255 are taken for bytes.

    Raises:
        DataError: If it is damaged, or an edge joins no two keypoints.
    """
    path = check_file(path, _SUFFIXES)
    return (_read_profile(path) if path.suffix.lower() == '.mat' else
            _read_json(path))


def write_skeleton_file(path: StrPath, skeleton: SkeletonFile) -> None:
    """Write a skeleton that `read_skeleton_file` reads, whole or not at all.

    Args:
        path (str | Path): The file; a name that ends in .mat makes a Label3D
            profile, one in .json the plain form.
        skeleton (SkeletonFile): What to write.

    Raises:
        DataError: If the file cannot be made.
    """
    path = Path(path)
    colors = skeleton.colors
    if path.suffix.lower() == '.mat':
        write_matlab(path, {
            'joint_names': cell(skeleton.names),
            'joints_idx': skeleton.edges + 1.,
            **({} if colors is None else {'color': colors}),
        })
        return
    if path.suffix.lower() != '.json':
        raise DataError(path, 'file', f'a name ending in {_SUFFIXES}',
                        repr(path.suffix))
    content = {
        'names': list(skeleton.names),
        'edges': [[skeleton.names[i] for i in edge]
                  for edge in skeleton.edges.tolist()],
        **({} if colors is None else {'colors': colors.tolist()}),
    }
    write_json(path, content, indent=1)


def _read_profile(path: Path) -> SkeletonFile:
    content = read_matlab(path, ('joint_names', 'joints_idx', 'color'))
    check_keys(content, ['joint_names', 'joints_idx'], path)
    names = check_texts(read_rows(content['joint_names'], path,
                             "key 'joint_names'"), path, "key 'joint_names'")
    edges = np.zeros((0, 2), np.int64)
    if np.size(content['joints_idx']):
        edges = check_array(
            read_numbers(content, 'joints_idx', path, '', (None, 2)), path,
            "key 'joints_idx'", finite=True).astype(np.int64) - 1
    colors = None
    if np.size(content.get('color', ())):
        colors = read_numbers(content, 'color', path, '', (None, None))
        if len(colors) != len(edges):
            raise DataError(path, "key 'color'",
                            f'{len(edges)} rows, one an edge',
                            f'{len(colors)}')
        colors = _to_unit(colors)
    # A profile for a single point of an animal joins it to itself.
    real = edges[:, 0] != edges[:, 1]
    return SkeletonFile(path, names, edges[real],
                        None if colors is None else colors[real])


def _read_json(path: Path) -> SkeletonFile:
    content = read_json(path)
    if not isinstance(content, Mapping):
        raise DataError(path, 'file', 'a map of names and edges',
                        type(content).__name__)
    check_keys(content, ['names', 'edges'], path)
    names = check_texts(content['names'], path, "key 'names'")
    colors = content.get('colors')
    shades = None
    if colors is not None:
        try:
            shades = _to_unit(np.array(colors, np.float64))
        except (ValueError, TypeError) as error:
            raise DataError(path, "key 'colors'", 'numbers, a row an edge',
                            str(error)) from error
    try:
        edges = [[names.index(end) if isinstance(end, str) else
                  _place(end) for end in edge] for edge in content['edges']]
        array = np.array(edges or np.zeros((0, 2)), np.int64)
    except (ValueError, TypeError) as error:
        raise DataError(path, "key 'edges'",
                        'pairs of names, or of places counted from 0',
                        str(error)) from error
    return SkeletonFile(path, names, array, shades)


def _to_unit(colors: np.ndarray) -> np.ndarray:
    """Colours in [0, 1] of such, or of bytes."""
    return colors / 255 if colors.size and colors.max() > 1 else colors


def _place(end: Any) -> int:
    if not isinstance(end, int):
        raise TypeError(f'{end!r} as the end of an edge')
    return end
