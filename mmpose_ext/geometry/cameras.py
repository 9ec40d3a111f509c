"""Calibrated cameras that look at the same scene.

Coordinates as in :mod:`mmpose_ext.geometry.pinhole`. V cameras.

One frame inside, whatever the calibration's: column vectors as in OpenCV,
``camera = R @ world + t``, and the centre of the first pixel at (0, 0).
MATLAB's matrices act on row vectors and count pixels from 1; moving the
principal point by one pixel is all that this takes.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .pinhole import (
    distort,
    distortion_jacobian,
    to_normalised,
    to_pixels,
)

Array = np.ndarray

NEAR_MM = 1e-6  # what is nearer to the camera's plane lies behind it
_ITERATIONS = 50
_CONVERGED = 1e-13  # in normalised coordinates, relative beyond 1


@dataclass(frozen=True, eq=False)
class Cameras:
    """V calibrated cameras.

    Args:
        names (tuple[str, ...]): V names, each once.
        intrinsics (ndarray): (V, 3, 3) [[fx, skew, cx], [0, fy, cy],
            [0, 0, 1]], px.
        rotations (ndarray): (V, 3, 3) world to camera, for column vectors.
        translations (ndarray): (V, 3) mm.
        distortions (ndarray): (V, 5) k1, k2, p1, p2, k3.
        sizes (ndarray, optional): (V, 2) width and height of the images, px.
            Defaults to None: unknown.
    """

    names: tuple[str, ...]
    intrinsics: Array
    rotations: Array
    translations: Array
    distortions: Array
    sizes: Array | None = None

    def __post_init__(self) -> None:
        count = len(self.names)
        for name, shape in (('intrinsics', (3, 3)), ('rotations', (3, 3)),
                            ('translations', (3, )), ('distortions', (5, ))):
            value = np.asarray(getattr(self, name), np.float64)
            if value.shape != (count, *shape):
                raise ValueError(f'{name}: expected {(count, *shape)}, found '
                                 f'{value.shape}')
            object.__setattr__(self, name, value)
        if self.sizes is not None:
            sizes = np.asarray(self.sizes, np.int64)
            if sizes.shape != (count, 2):
                raise ValueError(f'sizes: expected {(count, 2)}, found '
                                 f'{sizes.shape}')
            object.__setattr__(self, 'sizes', sizes)

    @classmethod
    def from_matlab(cls,
                    names: Sequence[str],
                    intrinsics: Array,
                    rotations: Array,
                    translations: Array,
                    radial: Array,
                    tangential: Array,
                    pixel_origin: int = 1,
                    sizes: Array | None = None) -> Cameras:
        """Cameras from MATLAB's matrices, which act on row vectors.

        Args:
            names (Sequence[str]): V names.
            intrinsics (ndarray): (V, 3, 3) ``K``, [[fx, 0, 0], [skew, fy, 0],
                [cx, cy, 1]].
            rotations (ndarray): (V, 3, 3) ``r``; ``camera = world @ r + t``.
            translations (ndarray): (V, 3) ``t``, mm.
            radial (ndarray): (V, 2) or (V, 3) ``RDistort``.
            tangential (ndarray): (V, 2) ``TDistort``.
            pixel_origin (int): Where the calibration puts the centre of the
                first pixel. Defaults to 1, as MATLAB does.
            sizes (ndarray, optional): (V, 2). Defaults to None.
        """
        radial = np.asarray(radial, np.float64)
        third = radial[:, 2:3] if radial.shape[1] > 2 else np.zeros(
            (len(radial), 1))
        moved = np.array(intrinsics, np.float64).transpose(0, 2, 1)
        moved[:, :2, 2] -= pixel_origin
        return cls(
            tuple(names), moved,
            np.asarray(rotations, np.float64).transpose(0, 2, 1),
            np.asarray(translations, np.float64),
            np.concatenate([radial[:, :2], tangential, third], 1), sizes)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def positions(self) -> Array:
        """Where the cameras stand, (V, 3) mm."""
        return -np.einsum('vij,vi->vj', self.rotations, self.translations)

    @cached_property
    def folds(self) -> Array:
        """Radius (V,) in normalised coordinates at which each lens folds.

        Beyond it the distortion polynomial falls: it would put rays that the
        lens does not see back into the image. Infinite where it never falls.
        """
        return np.array([_fold(*row) for row in self.distortions[:, [0, 1, 4]]
                         ]).reshape(len(self))

    def select(self, indices: Sequence[int] | Array) -> Cameras:
        """Some of the cameras, in the order asked for; repeats are allowed."""
        chosen = np.asarray(indices, np.int64)
        return Cameras(
            tuple(self.names[i] for i in chosen), self.intrinsics[chosen],
            self.rotations[chosen], self.translations[chosen],
            self.distortions[chosen],
            None if self.sizes is None else self.sizes[chosen])

    def to_camera(self, points: Array) -> Array:
        """World points (..., 3) in each camera's frame, (V, ..., 3) mm."""
        points = np.asarray(points, np.float64)
        moved = np.einsum('vij,...j->v...i', self.rotations, points)
        return moved + _each(self.translations, points.ndim - 1)

    def project(self, points: Array) -> tuple[Array, Array]:
        """World points to pixels.

        Args:
            points (ndarray): (..., 3) mm; NaN for missing ones.

        Returns:
            tuple[ndarray, ndarray]: Pixels (V, ..., 2), NaN where a point
            lies behind the camera or beyond the lens' fold, and depths
            (V, ...) mm.
        """
        moved = self.to_camera(points)
        depth = moved[..., 2]
        axes = moved.ndim - 2
        with np.errstate(all='ignore'):
            x, y = moved[..., 0] / depth, moved[..., 1] / depth
            seen = (depth > NEAR_MM) & (
                x * x + y * y < _each(self.folds**2, axes))
            x, y = distort(x, y, _each(self.distortions, axes))
            pixels = np.stack(
                to_pixels(x, y, _each(self.intrinsics, axes)), -1)
        pixels[~seen] = np.nan
        return pixels, depth

    def inside(self, pixels: Array) -> Array:
        """Which pixels lie in the images, borders of half a pixel included.

        Args:
            pixels (ndarray): (V, ..., 2); NaN lies in none.

        Returns:
            ndarray: (V, ...) bool.

        Raises:
            ValueError: If the sizes are unknown.
        """
        if self.sizes is None:
            raise ValueError('sizes: expected those of the images, found '
                             'none')
        pixels = np.asarray(pixels)
        sizes = _each(self.sizes, pixels.ndim - 2)
        return np.all((pixels >= -.5) & (pixels < sizes - .5), -1)

    def undistort(self, pixels: Array) -> Array:
        """Pixels to the normalised coordinates of a straight ray.

        Inverts the distortion exactly by Newton's method, skew included.

        Args:
            pixels (ndarray): (V, ..., 2).

        Returns:
            ndarray: (V, ..., 2) x / z and y / z; NaN where the lens maps no
            ray to a pixel (far outside the image of a strong distortion).
        """
        pixels = np.asarray(pixels, np.float64)
        axes = pixels.ndim - 2
        goal_x, goal_y = to_normalised(pixels[..., 0], pixels[..., 1],
                                       _each(self.intrinsics, axes))
        coefficients = _each(self.distortions, axes)
        x, y = goal_x.copy(), goal_y.copy()
        scale = 1 + np.maximum(abs(x), abs(y))
        with np.errstate(all='ignore'):
            for _ in range(_ITERATIONS):
                there_x, there_y = distort(x, y, coefficients)
                error_x, error_y = there_x - goal_x, there_y - goal_y
                largest = np.maximum(abs(error_x), abs(error_y)) / scale
                if not (largest > _CONVERGED).any():
                    break
                xx, xy, yx, yy = distortion_jacobian(x, y, coefficients)
                determinant = xx * yy - xy * yx
                x = x - (yy * error_x - xy * error_y) / determinant
                y = y - (xx * error_y - yx * error_x) / determinant
            # beyond the fold lie further solutions, of no ray
            found = (largest < 1e-11) & (
                x * x + y * y < _each(self.folds**2, axes))
        return np.where(found[..., None], np.stack([x, y], -1), np.nan)

    def crop(self, corners: Array, sizes: Array | None = None) -> Cameras:
        """Cameras of parts of the images.

        Args:
            corners (ndarray): (V, 2) column and row of each part's first
                pixel.
            sizes (ndarray, optional): (V, 2) width and height of the parts.
                Defaults to None: unknown.
        """
        intrinsics = self.intrinsics.copy()
        intrinsics[:, :2, 2] -= corners
        return replace(self, intrinsics=intrinsics, sizes=sizes)

    def resize(self, factors: Array | float) -> Cameras:
        """Cameras of images resized by factors, (V, 2) in x and y or one.

        The corners of the image, half a pixel outside the centres of its
        outermost pixels, stay corners.
        """
        factors = np.broadcast_to(np.asarray(factors, np.float64),
                                  (len(self), 2))
        intrinsics = self.intrinsics.copy()
        intrinsics[:, :2, 2] += .5
        intrinsics[:, :2] *= factors[..., None]
        intrinsics[:, :2, 2] -= .5
        sizes = (None if self.sizes is None else np.rint(
            self.sizes * factors).astype(np.int64))
        return replace(self, intrinsics=intrinsics, sizes=sizes)


def _fold(k1: float, k2: float, k3: float) -> float:
    """Least radius at which r (1 + k1 r^2 + k2 r^4 + k3 r^6) is level."""
    squares = np.roots([7 * k3, 5 * k2, 3 * k1, 1.])
    real = squares.real[(abs(squares.imag) < 1e-9) & (squares.real > 0)]
    return float(np.sqrt(real.min())) if len(real) else np.inf


def _each(values: Array, axes: int) -> Array:
    """Insert axes behind the first, for broadcasting over points."""
    return values.reshape(len(values), *(1, ) * axes, *values.shape[1:])
