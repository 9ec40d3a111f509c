"""Boxes about hands and what they hold, from labels alone."""
from __future__ import annotations

import itertools

import numpy as np

Array = np.ndarray

# what converters note
OUTSIDE = 'hands outside of the picture, their box 1 px at its edge'
BEHIND = 'hands behind the camera, taken for none'
_MIN_SIDE = 1.  # px


def hand_boxes(pixels: Array, width: int, height: int) -> Array:
    """Boxes about the joints of hands in a picture.

    About the joints that are inside of the picture; where these span no
    pixel, about all joints, moved to the picture's edge.

    Args:
        pixels (np.ndarray): (N, 21, 2) px.
        width (int): Of the picture in px.
        height (int): Likewise.

    Returns:
        np.ndarray: (N, 4) f4 x, y, width, height in px; the sides are below
            1 px where the hand is outside.
    """
    pixels = np.asarray(pixels, np.float64)
    size = np.array([width, height])
    inside = ((pixels >= 0) & (pixels < size)).all(-1, keepdims=True)
    low = np.where(inside, pixels, np.inf).min(1)
    high = np.where(inside, pixels, -np.inf).max(1)
    small = ~(high - low >= _MIN_SIDE).all(1)
    clipped = np.clip(pixels[small], 0, size - 1)
    low[small], high[small] = clipped.min(1), clipped.max(1)
    return np.concatenate([low, high - low], 1).astype(np.float32)


def is_small(boxes: Array) -> Array:
    """Which boxes (N, 4) have a side below 1 px, (N, ) bool."""
    return np.asarray((boxes[:, 2:] < _MIN_SIDE).any(1))


def widened(boxes: Array, width: int, height: int) -> Array:
    """Boxes with sides of at least 1 px, inside of the picture.

    Args:
        boxes (np.ndarray): (N, 4) x, y, width, height in px.
        width (int): Of the picture in px.
        height (int): Likewise.

    Returns:
        np.ndarray: (N, 4) f4.
    """
    sides = np.maximum(boxes[:, 2:], _MIN_SIDE)
    last = np.array([width, height]) - 1
    corner = np.maximum(np.minimum(boxes[:, :2], last - sides), 0)
    return np.concatenate([corner, sides], 1).astype(np.float32)


def mask_box(mask: Array) -> Array | None:
    """Box (4, ) about the pixels of a mask (height, width), if any."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return np.array([columns[0], rows[0], columns[-1] - columns[0],
                     rows[-1] - rows[0]], np.float32)


def object_boxes(poses: Array, bounds: Array, intrinsics: Array,
                 size: tuple[int, int]) -> tuple[Array, Array]:
    """Boxes about the projected corners of an object.

    Args:
        poses (np.ndarray): (N, 3, 4) [R|t] object to camera, m.
        bounds (np.ndarray): (2, 3) smallest and largest corner, m.
        intrinsics (np.ndarray): (4, ) or (N, 4) fx, fy, cx, cy in px.
        size (tuple[int, int]): Width and height of the picture in px.

    Returns:
        tuple[np.ndarray, np.ndarray]: (N, 4) f4 x, y, width, height, clipped
            to the picture; (N, ) whether there is such a box: all corners
            in front of the camera, and some of it in the picture.
    """
    corners = np.array(list(itertools.product(*bounds.T)))
    poses = np.asarray(poses, np.float64)
    points = corners @ poses[..., :3].swapaxes(1, 2) + poses[:, None, :, 3]
    front = (points[..., 2] > 0).all(1)
    depth = np.where(front[:, None, None], points[..., 2:], 1)
    camera = np.broadcast_to(intrinsics, (len(poses), 4))[:, None]
    pixels = points[..., :2] / depth * camera[..., :2] + camera[..., 2:]
    last = np.array(size) - 1
    low = np.clip(pixels.min(1), 0, last)
    high = np.clip(pixels.max(1), 0, last)
    seen = front & (high - low >= _MIN_SIDE).all(1)
    return np.concatenate([low, high - low], 1).astype(np.float32), seen


def union_boxes(first: Array, second: Array) -> Array:
    """Smallest boxes (N, 4) about pairs of boxes x, y, width, height."""
    low = np.minimum(first[:, :2], second[:, :2])
    high = np.maximum(first[:, :2] + first[:, 2:],
                      second[:, :2] + second[:, 2:])
    return np.concatenate([low, high - low], 1)
