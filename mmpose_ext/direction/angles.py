"""Directions in the image plane and statistics on the circle.

Convention ``image``: x right, y down, ``atan2(v_y, v_x)``, so that 0 points
right and angles grow clockwise on the screen, in (-pi, pi] radians. Degrees
appear at the interface only.
"""
from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray

CONVENTIONS = ('image', 'math', 'compass')
POINTS = ('base', 'neck', 'head')
ANGLES = ('body', 'head', 'turn')
# vector name -> (from, to), indices into POINTS
VECTORS = {'body': (0, 1), 'head': (1, 2), 'overall': (0, 2)}
MIN_LENGTH_PX = 1.0


def wrap(angle: Any) -> Array:
    """Wrap angles in radians to (-pi, pi]."""
    angle = np.asarray(angle, dtype=np.float64)
    wrapped = np.arctan2(np.sin(angle), np.cos(angle))
    return np.where(wrapped == -np.pi, np.pi, wrapped)


def vector_angle(vectors: Any, min_length: float = MIN_LENGTH_PX) -> Array:
    """Angles of vectors, convention ``image``.

    Args:
        vectors (ndarray): (..., 2), px.
        min_length (float): Shorter vectors have no direction: NaN. Defaults
            to 1 px.

    Returns:
        ndarray: (...), radians.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    angle = np.arctan2(vectors[..., 1], vectors[..., 0])
    length = np.hypot(vectors[..., 0], vectors[..., 1])
    return np.where(length >= min_length, angle, np.nan)


def direction_angles(points: Any,
                     min_length: float = MIN_LENGTH_PX) -> dict[str, Array]:
    """Body, head, overall and turn angle of base, neck and head points.

    Args:
        points (ndarray): (..., 3, 2), px.
        min_length (float): As in :func:`vector_angle`.

    Returns:
        dict[str, ndarray]: ``body``, ``head``, ``overall`` and ``turn`` (head
        relative to body), each (...), radians, NaN where undefined.
    """
    points = np.asarray(points, dtype=np.float64)
    angles = {
        name: vector_angle(points[..., end, :] - points[..., start, :],
                           min_length)
        for name, (start, end) in VECTORS.items()
    }
    angles['turn'] = wrap(angles['head'] - angles['body'])
    return angles


def to_convention(angle: Any, convention: str) -> Array:
    """Express absolute ``image`` angles in another convention.

    Args:
        angle (ndarray): Radians, convention ``image``. Not for turn angles,
            which are differences.
        convention (str): ``image``; ``math``: 0 right, counter-clockwise;
            ``compass``: 0 up, clockwise.

    Returns:
        ndarray: Radians in (-pi, pi].
    """
    if convention not in CONVENTIONS:
        raise ValueError(f'angle convention: expected one of {CONVENTIONS}, '
                         f'found {convention!r}')
    angle = np.asarray(angle, dtype=np.float64)
    if convention == 'math':
        return wrap(-angle)
    if convention == 'compass':
        return wrap(angle + np.pi / 2)
    return wrap(angle)


def circular_mean(angle: Any, weights: Any = None) -> float:
    """Mean direction in radians, ignoring NaN; NaN if there is none."""
    vector = _mean_vector(angle, weights)
    return float(np.angle(vector)) if abs(vector) > 1e-12 else float('nan')


def resultant_length(angle: Any, weights: Any = None) -> float:
    """Length of the mean unit vector: 1 all alike, 0 all around."""
    return float(abs(_mean_vector(angle, weights)))


def circular_std(angle: Any) -> float:
    """Circular standard deviation ``sqrt(-2 ln R)`` in radians."""
    length = min(resultant_length(angle), 1.0)
    return float(np.sqrt(-2 * np.log(length))) if length > 0 else float('inf')


def angular_velocity(angle: Any, fps: float) -> Array:
    """Velocity in radians per second of a track (T,); (T - 1,) values."""
    return wrap(np.diff(np.asarray(angle, dtype=np.float64))) * fps


def unwrap_track(angle: Any) -> Array:
    """Cumulative angle of a track (T,), radians; NaN stays a gap.

    Differences are taken between neighbouring known frames, so a gap does not
    break the track.
    """
    angle = np.asarray(angle, dtype=np.float64)
    track = np.full_like(angle, np.nan)
    known = np.flatnonzero(np.isfinite(angle))
    if len(known):
        values = angle[known]
        steps = wrap(np.diff(values))
        track[known] = values[0] + np.concatenate([[0.], np.cumsum(steps)])
    return track


def _mean_vector(angle: Any, weights: Any) -> complex:
    angle = np.asarray(angle, dtype=np.float64)
    weights = np.ones_like(angle) if weights is None else np.broadcast_to(
        np.asarray(weights, dtype=np.float64), angle.shape)
    known = np.isfinite(angle)
    total = weights[known].sum()
    if total <= 0:
        return complex(0.)
    return complex((weights[known] * np.exp(1j * angle[known])).sum() / total)
