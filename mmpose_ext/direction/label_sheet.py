"""Pictures of images with their base, neck and head."""
from __future__ import annotations

import math

import cv2
import numpy as np

from mmpose_ext.drawing import contact_sheet

Array = np.ndarray

# BGR of the arrows base-neck and neck-head, and of the points
_ARROWS = ((0, 1, (255, 153, 51)), (1, 2, (0, 128, 255)))
_POINTS = ((255, 153, 51), (0, 255, 0), (0, 128, 255))
_SHIFT = 4  # bits of a pixel's fraction that cv2 draws by


def draw_labels(image: Array,
                points: Array,
                weights: Array | None = None,
                side: int = 200) -> Array:
    """Draw one image, enlarged, with its points and directions.

    Args:
        image (ndarray): (S, S) uint8.
        points (ndarray): (3, 2) base, neck, head, px; NaN is not drawn.
        weights (ndarray, optional): (3,); points of weight 0 are drawn
            hollow. Defaults to None: all of weight 1.
        side (int): Side of the result, px. Defaults to 200.

    Returns:
        ndarray: (side, side, 3) uint8, BGR.
    """
    scale = side / image.shape[-1]
    tile = cv2.cvtColor(
        cv2.resize(image, (side, side), interpolation=cv2.INTER_NEAREST),
        cv2.COLOR_GRAY2BGR)
    known = np.isfinite(points).all(-1)
    counted = known if weights is None else known & (np.asarray(weights) > 0)
    places = [
        tuple(int(v) for v in np.rint(place * (1 << _SHIFT)))
        for place in (np.nan_to_num(points) + .5) * scale - .5
    ]
    for start, end, color in _ARROWS:
        if counted[start] and counted[end]:
            cv2.arrowedLine(tile, places[start], places[end], color, 1,
                            cv2.LINE_AA, _SHIFT, .1)
    radius = max(side // 66, 2)
    for i, color in enumerate(_POINTS):
        if known[i]:
            cv2.circle(tile, places[i], radius << _SHIFT, color,
                       cv2.FILLED if counted[i] else 1, cv2.LINE_AA, _SHIFT)
    return tile


def draw_label_sheet(images: Array,
                     points: Array,
                     weights: Array | None = None,
                     side: int = 200) -> Array:
    """Draw images in rows, as :func:`draw_labels` does.

    Args:
        images (ndarray): (N, S, S) uint8.
        points (ndarray): (N, 3, 2), px.
        weights (ndarray, optional): (N, 3). Defaults to None.
        side (int): Side of a tile, px. Defaults to 200.

    Returns:
        ndarray: (H, W, 3) uint8, BGR.
    """
    tiles = [
        draw_labels(image, points[i], None if weights is None else weights[i],
                    side) for i, image in enumerate(images)
    ]
    return contact_sheet(tiles, columns=math.isqrt(len(tiles) - 1) + 1, gap=2)
