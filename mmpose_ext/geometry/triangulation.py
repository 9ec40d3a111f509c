"""Points in space from their pixels in several views.

Coordinates as in :mod:`mmpose_ext.geometry.pinhole`, float64. V views.
"""
from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from .cameras import NEAR_MM, Cameras
from .pinhole import distort, distortion_jacobian, to_pixels

Array = np.ndarray

_STEPS = 3  # of Gauss and Newton; the linear start is within a few pixels
_FLAT = 1e-12  # det / (trace / 3)^3 of the equations of parallel rays
_BLOCK = 4096  # points whose hypotheses are in memory at a time


@dataclass(frozen=True, eq=False)
class Triangulation:
    """What several views agree on.

    Attributes:
        points: (..., 3) mm, NaN where too few views agree.
        errors_px: (...) root mean square of the distances between a point's
            projections and its pixels in the views used; NaN with the point.
        used: (V, ...) bool, the views a point was made of.
    """

    points: Array
    errors_px: Array
    used: Array


def triangulate(cameras: Cameras,
                pixels: Array,
                weights: Array | None = None) -> Array:
    """Points that best explain their pixels in all views.

    The linear solution for straight rays, then steps that make the weighted
    squares of the distances in pixels least, through the lens.

    Args:
        cameras (Cameras): V cameras.
        pixels (ndarray): (V, ..., 2); NaN where a view has no say.
        weights (ndarray, optional): (V, ...) of the squares; 0 leaves a view
            out. Defaults to None, views count alike.

    Returns:
        ndarray: (..., 3) mm; NaN with fewer than two views, parallel rays,
        or a solution behind a camera that takes part.
    """
    pixels = np.asarray(pixels, np.float64)
    shape = pixels.shape[1:-1]
    pixels = pixels.reshape(len(cameras), -1, 2)
    rays = cameras.undistort(pixels)
    weights = _weights(rays, weights)
    points = _refine(cameras, pixels, weights,
                     _solve_rays(*_ray_equations(cameras, rays), weights))
    _, depth = cameras.project(points)
    wrong = ((weights > 0) & ~(depth > NEAR_MM)).any(0)
    points[wrong | ((weights > 0).sum(0) < 2)] = np.nan
    return points.reshape(*shape, 3)


def triangulate_robust(cameras: Cameras,
                       pixels: Array,
                       scores: Array | None = None,
                       threshold_px: float = 10.,
                       min_views: int = 2) -> Triangulation:
    """Points on which most views agree; views that do not are left out.

    Every pair of views proposes a point. The proposal wins that all views,
    weighted by their scores, contradict least, where no contradiction counts
    for more than the threshold. The views within the threshold are then
    triangulated together, twice, since the better point may win views.

    Args:
        cameras (Cameras): V cameras.
        pixels (ndarray): (V, ..., 2); NaN where a view has no say.
        scores (ndarray, optional): (V, ...) weights of the views; one of 0
            or less has no say. Defaults to None, all count alike.
        threshold_px (float): Distance up to which a view agrees. Defaults
            to 10.
        min_views (int): Views that must agree, at least 2. Defaults to 2.

    Returns:
        Triangulation: Points, their errors and the views used.
    """
    if min_views < 2:
        raise ValueError(f'min_views: expected 2 or more, found {min_views}')
    pixels = np.asarray(pixels, np.float64)
    shape = pixels.shape[1:-1]
    pixels = pixels.reshape(len(cameras), -1, 2)
    rays = cameras.undistort(pixels)
    weights = _weights(rays, scores)
    points = np.full((pixels.shape[1], 3), np.nan)
    for first in range(0, len(points), _BLOCK):
        block = np.s_[first:first + _BLOCK]
        points[block] = _agreed_proposal(
            cameras, pixels[:, block], rays[:, block], weights[:, block],
            threshold_px)
    used = _agreeing(cameras, points, pixels, weights, threshold_px)
    for _ in range(2):
        refined = _refine(cameras, pixels, weights * used, points)
        points = np.where((used.sum(0) >= 2)[:, None], refined, np.nan)
        used = _agreeing(cameras, points, pixels, weights, threshold_px)
    used &= used.sum(0) >= min_views
    known = used.any(0)
    points[~known] = np.nan
    squares = np.where(used, _squares(cameras, points, pixels), 0.)
    with np.errstate(invalid='ignore'):
        errors = np.sqrt(squares.sum(0) / used.sum(0))
    return Triangulation(
        points.reshape(*shape, 3), errors.reshape(shape),
        used.reshape(len(cameras), *shape))


def _weights(rays: Array, given: Array | None) -> Array:
    """Weights (V, N), 0 where there is no ray (V, N, 2) or no weight."""
    known = np.isfinite(rays).all(-1)
    if given is None:
        return known.astype(np.float64)
    weights = np.asarray(given, np.float64).reshape(known.shape)
    return np.where(known & (weights > 0), weights, 0.)


def _ray_equations(cameras: Cameras, rays: Array) -> tuple[Array, Array]:
    """Normal equations of each view's ray alone.

    A point X lies on the ray if x (r3 X + t3) = r1 X + t1, and so for y. Unit
    directions make the squares those of distances from the ray, in mm.

    Args:
        cameras (Cameras): V cameras.
        rays (ndarray): (V, N, 2).

    Returns:
        tuple[ndarray, ndarray]: Matrices (V, N, 3, 3) and right sides
        (V, N, 3); 0 where there is no ray.
    """
    ahead = np.concatenate([rays, np.ones_like(rays[..., :1])], -1)
    ahead = np.nan_to_num(ahead / np.linalg.norm(ahead, axis=-1)[..., None])
    ahead = np.einsum('vji,vnj->vni', cameras.rotations, ahead)
    across = np.eye(3) - ahead[..., :, None] * ahead[..., None, :]
    return across, np.einsum('vnij,vj->vni', across, cameras.positions)


def _solve_rays(matrices: Array, sides: Array, weights: Array) -> Array:
    """Points (N, 3) nearest to the weighted rays; NaN if parallel."""
    return _solve(np.einsum('vn,vnij->nij', weights, matrices),
                  np.einsum('vn,vni->ni', weights, sides))


def _solve(matrices: Array, sides: Array) -> Array:
    """Solve symmetric (..., 3, 3) equations; NaN where they are flat.

    By cofactors: NumPy's solver refuses a whole batch for one flat member.
    """
    a, b, c = (matrices[..., i, :] for i in range(3))
    cofactors = np.stack(
        [np.cross(b, c), np.cross(c, a), np.cross(a, b)], -1)
    with np.errstate(all='ignore'):
        determinant = np.einsum('...i,...i->...', a, cofactors[..., 0])
        scale = (np.trace(matrices, axis1=-2, axis2=-1) / 3)**3
        found = np.einsum('...ij,...j->...i', cofactors,
                          sides) / determinant[..., None]
        flat = ~(determinant > _FLAT * scale)
    found[flat] = np.nan
    return found


def _agreed_proposal(cameras: Cameras, pixels: Array, rays: Array,
                     weights: Array, threshold_px: float) -> Array:
    """Of the points that pairs of views propose, the best for all views."""
    best = np.full((pixels.shape[1], 3), np.nan)
    least = np.full(pixels.shape[1], np.inf)
    matrices, sides = _ray_equations(cameras, rays)
    for pair in itertools.combinations(range(len(cameras)), 2):
        chosen = list(pair)
        both = (weights[chosen] > 0).all(0)
        points = _solve(matrices[chosen].sum(0), sides[chosen].sum(0))
        points[~both] = np.nan
        squares = _squares(cameras, points, pixels)
        cost = (weights * np.fmin(squares, threshold_px**2)).sum(0)
        better = (cost < least) & np.isfinite(points).all(-1)
        best[better], least[better] = points[better], cost[better]
    return best


def _squares(cameras: Cameras, points: Array, pixels: Array) -> Array:
    """Squared distances (V, N) px^2; infinite where either is missing."""
    there, _ = cameras.project(points)
    squares = np.square(there - pixels).sum(-1)
    return np.where(np.isfinite(squares), squares, np.inf)


def _agreeing(cameras: Cameras, points: Array, pixels: Array, weights: Array,
              threshold_px: float) -> Array:
    """Views (V, N) that have a say and see a point where it is."""
    return (weights > 0) & (
        _squares(cameras, points, pixels) <= threshold_px**2)


def _refine(cameras: Cameras, pixels: Array, weights: Array,
            points: Array) -> Array:
    """Lessen the weighted squares of the distances in pixels.

    A step is taken only where it helps: the linear start of noisy pixels may
    lie where the steps diverge.
    """
    def cost_of(candidates: Array) -> Array:
        squares = _squares(cameras, candidates, pixels)
        return np.where(weights > 0, weights * squares, 0.).sum(0)

    points = points.copy()
    with np.errstate(all='ignore'):
        cost = cost_of(points)
        for _ in range(_STEPS):
            residuals, slopes = _linearise(cameras, pixels, points)
            known = weights * np.isfinite(residuals).all(-1)
            residuals, slopes = np.nan_to_num(residuals), np.nan_to_num(slopes)
            moved = points - _solve(
                np.einsum('vn,vnki,vnkj->nij', known, slopes, slopes),
                np.einsum('vn,vnki,vnk->ni', known, slopes, residuals))
            there = cost_of(moved)
            better = there < cost
            points[better], cost[better] = moved[better], there[better]
            if not better.any():
                break
    return points


def _linearise(cameras: Cameras, pixels: Array,
               points: Array) -> tuple[Array, Array]:
    """Residuals (V, N, 2) px and their slopes (V, N, 2, 3) px/mm."""
    moved = cameras.to_camera(points)
    depth = moved[..., 2]
    x, y = moved[..., 0] / depth, moved[..., 1] / depth
    coefficients = cameras.distortions[:, None]
    intrinsics = cameras.intrinsics[:, None]
    there = np.stack(
        to_pixels(*distort(x, y, coefficients), intrinsics), -1)
    xx, xy, yx, yy = distortion_jacobian(x, y, coefficients)
    lens = np.stack([np.stack([xx, xy], -1), np.stack([yx, yy], -1)], -2)
    zero, one = np.zeros_like(x), np.ones_like(x)
    ahead = np.stack([np.stack([one, zero, -x], -1),
                      np.stack([zero, one, -y], -1)], -2)
    slopes = np.einsum('vij,vnjk,vnkl,vlm->vnim',
                       cameras.intrinsics[:, :2, :2], lens,
                       ahead / depth[..., None, None], cameras.rotations,
                       optimize=True)
    return there - pixels, slopes
