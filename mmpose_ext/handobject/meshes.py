"""Meshes of the objects: surface, corners, diameter and symmetries."""
from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull, QhullError, cKDTree

from mmpose_ext.handobject.objects import (
    CONTINUOUS_STEPS,
    YCB_IDS,
    SymmetryGroup,
    moved_group,
    no_symmetry,
    read_models_info,
    rule_group,
    symmetric_ids,
    symmetry_rules,
    ycb_name,
)
from mmpose_ext.storage import DataError, check_file

Array = np.ndarray

MESH_FILE = 'textured_simple.obj'
MAX_POINTS = 10_000
_LARGEST = 1.  # m; no object on the table is longer
_SMALLEST = .005
_HINT = ('the meshes of DexYCB lie in models/<name>/ beside its recordings')


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles in the frame of the object.

    Attributes:
        vertices: (V, 3) m, each of some triangle.
        faces: (F, 3) int, rows of ``vertices``.
    """

    vertices: Array
    faces: Array

    @property
    def bounds(self) -> Array:
        """(2, 3) smallest and largest corner, m."""
        return np.stack([self.vertices.min(0), self.vertices.max(0)])

    @property
    def triangles(self) -> Array:
        """(F, 3, 3) corners of each triangle, m."""
        return self.vertices[self.faces]


def mesh_path(models_dir: str | Path, ycb_id: int) -> Path:
    """Where the mesh of an object lies.

    Raises:
        DataError: If the folder of meshes is missing.
    """
    folder = Path(models_dir)
    if not folder.is_dir():
        raise DataError(folder, 'folder', 'a folder of meshes', 'nothing',
                        _HINT)
    return folder / ycb_name(ycb_id) / MESH_FILE


def load_mesh(models_dir: str | Path, ycb_id: int) -> Mesh:
    """Load the mesh of an object; its texture is not touched.

    Args:
        models_dir (str | Path): Folder with ``<name>/textured_simple.obj``.
        ycb_id (int): 1..21.

    Returns:
        Mesh: Vertices in m. Faces look outwards as a whole.

    Raises:
        DataError: If the folder or the mesh is missing, has no triangles, is
            damaged or not in metres, or trimesh is not installed.
    """
    path = check_file(mesh_path(models_dir, ycb_id), ('.obj', ), _HINT)
    vertices, faces = _read_obj(path)
    if not len(faces):
        raise DataError(path, 'file', 'a mesh with triangles', 'no triangle')
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise DataError(path, 'faces', f'rows of {len(vertices)} vertices',
                        f'row {faces.max()}')
    if not np.isfinite(vertices).all():
        raise DataError(path, 'vertices', 'finite numbers', 'others')
    used, faces = np.unique(faces, return_inverse=True)
    vertices, faces = vertices[used], faces.reshape(-1, 3)
    sides = np.ptp(vertices, axis=0)
    size = float(np.linalg.norm(sides))
    if not _SMALLEST <= size <= _LARGEST:
        raise DataError(
            path, 'vertices', f'a size of {_SMALLEST:g} to {_LARGEST:g} m',
            f'{size:g}', 'the mesh must be in metres'
            + (', this one looks like mm' if size > 10 else ''))
    if _signed_volume(vertices[faces]) < 0:
        faces = faces[:, ::-1]
    return Mesh(vertices, faces)


def load_mesh_bounds(models_dir: str | Path, ycb_id: int) -> Array:
    """Bounding box (2, 3) of an object's mesh, m; see :func:`load_mesh`."""
    return load_mesh(models_dir, ycb_id).bounds


def sample_surface(mesh: Mesh, count: int,
                   seed: int = 0) -> tuple[Array, Array]:
    """Draw points on a surface, evenly by area.

    Args:
        mesh (Mesh): The surface.
        count (int): P points.
        seed (int): Defaults to 0; the same seed gives the same points.

    Returns:
        tuple[ndarray, ndarray]: (P, 3) m, and (P,) the triangle of each.
    """
    generator = np.random.default_rng(seed)
    corners = mesh.triangles
    areas = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0],
                 corners[:, 2] - corners[:, 0]), axis=1)
    ends = np.cumsum(areas)
    # one draw in each of P equal parts of the area leaves smaller gaps than
    # P free draws
    places = (np.arange(count) + generator.random(count)) / count * ends[-1]
    chosen = np.minimum(np.searchsorted(ends, places, 'right'),
                        len(ends) - 1)
    first, second = generator.random((2, count, 1))
    folded = first + second > 1
    first = np.where(folded, 1 - first, first)
    second = np.where(folded, 1 - second, second)
    origin, right, up = np.moveaxis(corners[chosen], 1, 0)
    return (origin + first * (right - origin) + second * (up - origin),
            chosen)


@dataclass(frozen=True, eq=False)
class ObjectModel:
    """What scores and losses need of an object, all in its own frame.

    Attributes:
        ycb_id: 1..21.
        points: (P, 3) m, on the surface.
        hull: (H, 3) m, vertices of the convex hull: no point of the mesh is
            further off than one of these, wherever it moves.
        corners: (8, 3) m, of the bounding box.
        diameter: m, the largest distance of two points.
        symmetries: Motions that leave the shape; one, none, unless the
            object counts as symmetric.
        symmetric: Whether it does.
    """

    ycb_id: int
    points: Array
    hull: Array
    corners: Array
    diameter: float
    symmetries: SymmetryGroup
    symmetric: bool

    @cached_property
    def tree(self) -> cKDTree:
        """Search tree over the points."""
        return cKDTree(self.points)


class ObjectModels:
    """The objects of a folder of meshes, each loaded when it is asked for.

    Args:
        models_dir (str | Path): Folder with ``<name>/textured_simple.obj``.
        num_points (int): Points on each surface, at most 10,000. Defaults to
            1,000.
        symmetric (str | Collection[int]): Objects that count as symmetric:
            ``ycb-video``, ``dex-ycb-toolkit`` or ids. Defaults to
            ``ycb-video``.
        symmetries (Mapping, optional): Rules in place of
            :data:`~mmpose_ext.handobject.objects.SYMMETRY_RULES`, by id:
            ``dict(axis='odd', folds=0, flips=False)``. Defaults to None.
        models_info (str | Path, optional): BOP's ``models_info.json``, whose
            symmetries replace the rules. Defaults to None.
        steps (int): Rotations that stand for a continuous axis. Defaults to
            315, BOP's number.
        seed (int): Of the points. Defaults to 0.

    Raises:
        ValueError: If an argument is out of range.
        DataError: If the folder or ``models_info`` is missing or damaged.
    """

    def __init__(self,
                 models_dir: str | Path,
                 num_points: int = 1000,
                 symmetric: str | Collection[int] = 'ycb-video',
                 symmetries: Mapping[int, Mapping[str, Any]] | None = None,
                 models_info: str | Path | None = None,
                 steps: int = CONTINUOUS_STEPS,
                 seed: int = 0) -> None:
        if not 1 <= num_points <= MAX_POINTS:
            raise ValueError(f'num_points: expected 1 to {MAX_POINTS}, found '
                             f'{num_points}')
        if steps < 1:
            raise ValueError(f'steps: expected 1 or more, found {steps}')
        mesh_path(models_dir, 1)
        self.models_dir = Path(models_dir)
        self.num_points = num_points
        self.symmetric = symmetric_ids(symmetric)
        self.steps = steps
        self.seed = seed
        self._rules = symmetry_rules(symmetries)
        self._info = None if models_info is None else read_models_info(
            models_info, YCB_IDS, steps)
        self._models: dict[int, ObjectModel] = {}

    def __getitem__(self, ycb_id: int) -> ObjectModel:
        """Model of an object 1..21.

        Raises:
            DataError: If its mesh is missing or damaged.
            ValueError: If there is no such object.
        """
        if ycb_id not in self._models:
            self._models[ycb_id] = self._load(int(ycb_id))
        return self._models[ycb_id]

    def has(self, ycb_id: int) -> bool:
        """Whether the folder has a mesh of an object 1..21."""
        return mesh_path(self.models_dir, ycb_id).is_file()

    def _load(self, ycb_id: int) -> ObjectModel:
        mesh = load_mesh(self.models_dir, ycb_id)
        hull = hull_vertices(mesh.vertices)
        low, high = mesh.bounds
        corners = np.stack(np.meshgrid(*zip(low, high, strict=True),
                                       indexing='ij'), -1).reshape(8, 3)
        return ObjectModel(
            ycb_id, sample_surface(mesh, self.num_points, self.seed)[0], hull,
            corners, largest_distance(hull), self._group(ycb_id, mesh.bounds),
            ycb_id in self.symmetric)

    def _group(self, ycb_id: int, bounds: Array) -> SymmetryGroup:
        if ycb_id not in self.symmetric:
            return no_symmetry()
        if self._info is not None:
            if ycb_id not in self._info:
                return no_symmetry()
            group, centre = self._info[ycb_id]
            return moved_group(group, bounds.mean(0) - centre)
        rule = self._rules.get(ycb_id)
        return no_symmetry() if rule is None else rule_group(
            rule, bounds, self.steps)


def hull_vertices(points: Array) -> Array:
    """Vertices (H, 3) of the convex hull of points (V, 3).

    Points in one plane have no hull of triangles: all of them are returned.
    """
    try:
        return points[ConvexHull(points).vertices]
    except QhullError:
        return np.unique(points, axis=0)


def largest_distance(points: Array) -> float:
    """Largest distance between two of the points (H, 3)."""
    return float(np.sqrt(max(
        np.square(points - point).sum(1).max() for point in points)))


def _read_obj(path: Path) -> tuple[Array, Array]:
    """Vertices and triangles of an .obj file as they stand there."""
    try:
        import trimesh
    except ImportError as error:
        raise DataError('trimesh', 'package', 'trimesh, which reads meshes',
                        'no trimesh',
                        'pip install mmpose_ext[handobject]') from error
    # what is no text has no vertices either
    text = StringIO(path.read_text(encoding='utf-8', errors='replace'))
    try:
        mesh: Any = trimesh.load(text, file_type='obj', force='mesh',
                                 process=False, skip_materials=True)
        return (np.array(mesh.vertices, np.float64).reshape(-1, 3),
                np.array(mesh.faces, np.int64).reshape(-1, 3))
    except Exception as error:  # its parser lets many kinds through
        raise DataError(path, 'file', 'an .obj mesh',
                        f'{type(error).__name__}: {error}') from error


def _signed_volume(triangles: Array) -> float:
    """Volume of a closed surface; negative if its faces look inwards."""
    middle = triangles.mean((0, 1))
    first, second, third = np.moveaxis(triangles - middle, 1, 0)
    return float((np.cross(first, second) * third).sum() / 6)
