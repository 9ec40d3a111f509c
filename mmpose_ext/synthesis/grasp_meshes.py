"""Closed triangle meshes: blocks, and tubes through rings. Metres."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

_SPACING = .0022  # m, between points on a surface


@dataclass(frozen=True)
class Mesh:
    """Triangles.

    Attributes:
        vertices: (V, 3) m.
        faces: (F, 3) counter-clockwise as seen from outside.
        corners: (F, 3, 2) u to the right and v up in a texture, 0 to 1.
        smooth: Whether it is round, or has flat sides.
    """

    vertices: Array
    faces: Array
    corners: Array
    smooth: bool


def blocks(xs: Sequence[float], ys: Sequence[float], zs: Sequence[float],
            solid: Array) -> Mesh:
    """Blocks of a grid as one surface.

    Args:
        xs (sequence): Where the grid's planes across x are, m.
        ys (sequence): Across y.
        zs (sequence): Across z.
        solid (ndarray): (X - 1, Y - 1, Z - 1) which blocks there are.

    Returns:
        Mesh: Sides that face along axis 0, 1 or 2 lie in a column of the
        texture, those that face back in its lower half.
    """
    grid = np.stack(np.meshgrid(xs, ys, zs, indexing='ij'), -1)
    size = np.array(grid.shape[:3])
    low, high = grid[0, 0, 0], grid[-1, -1, -1]
    padded = np.pad(solid.astype(bool), 1)
    quads, places = [], []
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        for side in (0, 1):
            other = np.roll(padded, 1 - 2 * side, axis)
            for cell in np.argwhere(padded & ~other) - 1:
                corner = cell.copy()
                corner[axis] += side
                steps = [(0, 0), (1, 0), (1, 1), (0, 1)]
                ring = []
                for a, b in steps if side else steps[::-1]:
                    spot = corner.copy()
                    spot[first] += a
                    spot[second] += b
                    ring.append(spot)
                quads.append([np.ravel_multi_index(spot, size)
                              for spot in ring])
                part = (np.array([grid[tuple(spot)] for spot in ring])
                        - low) / (high - low)
                cell_uv = part[:, [first, second]]
                places.append((cell_uv * .96 + .02 + [axis, side]) / [3, 2])
    used, rows = np.unique(np.array(quads), return_inverse=True)
    quad, place = rows.reshape(-1, 4), np.array(places)
    faces = np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])
    corners = np.concatenate([place[:, [0, 1, 2]], place[:, [0, 2, 3]]])
    return Mesh(grid.reshape(-1, 3)[used], faces, corners, smooth=False)


def tube(rings: Array, low: float = 0., high: float = 1.) -> Mesh:
    """A tube through rings (M, N, 3), closed at both ends.

    Its texture lies between u = `low` and `high`, v along the tube.
    """
    count, around = rings.shape[:2]
    ends = rings[[0, -1]].mean(1)
    vertices = np.concatenate([rings.reshape(-1, 3), ends])
    i = np.repeat(np.arange(count - 1), around)
    j = np.tile(np.arange(around), count - 1)
    k = (j + 1) % around
    quad = np.stack([i * around + j, i * around + k, (i + 1) * around + k,
                     (i + 1) * around + j], 1)
    u = low + (high - low) * np.stack([j, j + 1, j + 1, j], 1) / around
    v = np.stack([i, i, i + 1, i + 1], 1) / (count - 1)
    place = np.stack([u, v], -1)
    j = np.arange(around)
    k = (j + 1) % around
    top = (count - 1) * around
    fans = np.concatenate([
        np.stack([k, j, np.full(around, len(vertices) - 2)], 1),
        np.stack([top + j, top + k, np.full(around, len(vertices) - 1)], 1)])
    u = low + (high - low) * np.stack([j + 1, j, j + .5], 1) / around
    ends_uv = np.concatenate([
        np.stack([u, np.full_like(u, .004)], -1),
        np.stack([u[:, [1, 0, 2]], np.full_like(u, .996)], -1)])
    faces = np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]], fans])
    corners = np.concatenate([place[:, [0, 1, 2]], place[:, [0, 2, 3]],
                              ends_uv])
    return _outside_out(Mesh(vertices, faces, corners, smooth=True))


def _outside_out(mesh: Mesh) -> Mesh:
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    if np.einsum('ij,ij->', a, np.cross(b, c)) > 0:
        return mesh
    return Mesh(mesh.vertices, mesh.faces[:, ::-1], mesh.corners[:, ::-1],
                 mesh.smooth)


def turned(profile: Sequence[tuple[float, float]], around: int,
            flat: float = 1.) -> Array:
    """Rings (M, N, 3) of radii and heights; `flat` scales y."""
    radius, height = np.array(profile).T
    angle = 2 * np.pi * np.arange(around) / around
    rings = np.empty((len(radius), around, 3))
    rings[..., 0] = radius[:, None] * np.cos(angle)
    rings[..., 1] = flat * radius[:, None] * np.sin(angle)
    rings[..., 2] = height[:, None]
    return rings


def along(path: Array, radii: Array, aside: Array, around: int) -> Array:
    """Rings (M, N, 3) about a plane path (M, 3); `aside` is its normal."""
    way = np.gradient(path, axis=0)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    third = np.cross(way, aside)
    angle = 2 * np.pi * np.arange(around)[:, None] / around
    return path[:, None] + radii[:, None, None] * (
        np.cos(angle) * third[:, None] + np.sin(angle) * aside)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in
                        zip(meshes, starts, strict=False)]),
        np.concatenate([mesh.corners for mesh in meshes]), meshes[0].smooth)


def smoothed(count: int, faces: Array, normals: Array,
              area: Array) -> Array:
    """Normals at corners, where neighbours bend by less than a right angle."""
    total = np.zeros((count, 3))
    for corner in range(3):
        np.add.at(total, faces[:, corner], area[:, None] * normals[:, corner])
    total /= np.linalg.norm(total, axis=1, keepdims=True) + 1e-12
    smooth = total[faces]
    sharp = (smooth * normals).sum(-1, keepdims=True) < .75
    return np.where(sharp, normals, smooth)


def scatter(triangles: Array, normals: Array) -> tuple[Array, Array]:
    """Points on triangles, evenly, and normals there."""
    points, rows = [], []
    for row, triangle in enumerate(triangles):
        sides = np.linalg.norm(triangle - np.roll(triangle, 1, 0), axis=1)
        steps = max(int(np.ceil(sides.max() / _SPACING)), 1)
        grid = np.indices((steps + 1, steps + 1)).reshape(2, -1).T
        shares = grid[grid.sum(1) <= steps] / steps
        points.append(triangle[0] + shares @ (triangle[1:] - triangle[0]))
        rows.append(np.full(len(shares), row))
    # what edges share is wanted once
    joined_points, joined_rows = np.concatenate(points), np.concatenate(rows)
    _, once = np.unique((joined_points / (_SPACING / 3)).round(), axis=0,
                        return_index=True)
    return joined_points[once], normals[joined_rows[once]]
