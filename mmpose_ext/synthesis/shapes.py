"""Soft-edged shapes for batches of grey images, by signed distances.

A distance is negative inside a shape. Turning it into a share of the pixel
covered, with a ramp one pixel wide, gives smooth edges at any sub-pixel
position without supersampling. Pixel centres lie at integers, x right, y
down. B images, S px side.
"""
from __future__ import annotations

import numpy as np

Array = np.ndarray


class Canvas:
    """Grey images that shapes are painted on.

    Args:
        grey (ndarray): (B, S, S) float32, 0 black to 1 white; painted on in
            place.
        side (float, optional): Side of the image in the unit that shapes are
            given in. Defaults to None: px.
    """

    def __init__(self, grey: Array, side: float | None = None) -> None:
        self.grey = grey
        pixels = grey.shape[-1]
        self.step = 1. if side is None else side / pixels
        line = ((np.arange(pixels) + .5) * self.step - .5).astype(np.float32)
        self.x, self.y = line[None, None, :], line[None, :, None]

    def plane(self, slope: Array, offset: Array) -> Array:
        """Values (B, S, S) of ``slope . (x, y) + offset``.

        With a slope of length 1 this is the distance to a half-plane, which
        lies where it is negative.

        Args:
            slope (ndarray): (B, 2), per px.
            offset (ndarray): (B,).
        """
        x = self.x * _each(slope[:, 0]) + _each(offset)
        return x + self.y * _each(slope[:, 1])

    def discs(self, centres: Array, radii: Array) -> Array:
        """Distance to unions of discs: centres (B, M, 2), radii (B, M).

        It is ``(|p - c|^2 - r^2) / 2r``: the distance to second order near
        the outline, and a smooth vault inside, where the plain distances of
        overlapping discs would leave ridges that show in shading.
        """
        union = np.full_like(self.grey, np.inf)
        for i in range(centres.shape[1]):
            centre, radius = centres[:, i], radii[:, i]
            scale = _each(.5 / radius)
            x = (self.x - _each(centre[:, 0]))**2 * scale
            y = (self.y - _each(centre[:, 1]))**2 * scale
            np.minimum(union, x + (y - _each(radius / 2)), out=union)
        return union

    def capsule(self,
                start: Array,
                end: Array,
                radius: Array,
                end_radius: Array | None = None) -> Array:
        """Distance to thick lines from start to end, both (B, 2), px.

        With another `end_radius` the line tapers; the distance is then
        slightly too large off the axis, which matters for no thin line.
        """
        ax, ay = _each(start[:, 0]), _each(start[:, 1])
        dx, dy = _each(end[:, 0]) - ax, _each(end[:, 1]) - ay
        square = np.maximum(dx * dx + dy * dy, np.float32(1e-6))
        x, y = self.x - ax, self.y - ay
        along = x * (dx / square) + y * (dy / square)
        np.clip(along, 0, 1, out=along)
        distance = np.sqrt((x - along * dx)**2 + (y - along * dy)**2)
        distance -= _each(radius)
        if end_radius is not None:
            distance -= along * _each(end_radius - radius)
        return distance

    def paint(self,
              distance: Array,
              shade: Array,
              opacity: Array | float = 1.,
              softness: float = 0.) -> None:
        """Paint a shape.

        Args:
            distance (ndarray): (B, S, S), px.
            shade (ndarray): (B,), or (B, S, S) for a shaded one.
            opacity (ndarray | float): (B,) or one number. Defaults to 1.
            softness (float): Width of the edge, px; one pixel at least.
                Defaults to 0.
        """
        cover = np.clip(.5 - distance / max(softness, self.step), 0, 1)
        cover *= _each(np.asarray(opacity))
        self.grey += cover * (_each(np.asarray(shade)) - self.grey)


def _each(value: Array) -> Array:
    """One number an image as (B, 1, 1) float32; images stay as they are."""
    value = np.asarray(value, np.float32)
    return value[:, None, None] if value.ndim == 1 else value
