"""What can be said of a track without labels."""
from __future__ import annotations

import numpy as np

from mmpose_ext.direction.angles import VECTORS, direction_angles, wrap

Array = np.ndarray

JUMP_DEG = 60.


def sequence_figures(points: Array, frames: Array, angle_conf: Array,
                     threshold: float) -> dict[str, float]:
    """How steady and how sure a track is.

    Only neighbouring frames are compared; NaN where there are none.

    Args:
        points (ndarray): (T, 3, 2) base, neck, head, px; NaN missing.
        frames (ndarray): (T,) rising frame numbers.
        angle_conf (ndarray): (T,) in [0, 1].
        threshold (float): Confidence below which a frame counts as low.

    Returns:
        dict[str, float]: For body, head and overall ``<name>_jitter_deg``
        (median of the absolute second difference of the wrapped angle) and
        ``<name>_jumps`` (share of steps above 60 degrees); ``jitter_px``
        (median length of the points' second difference); ``low_conf``
        (share of frames).
    """
    angles = direction_angles(points)
    step = np.diff(frames) == 1
    double = step[1:] & step[:-1]
    figures = {}
    for name in VECTORS:
        turn = np.degrees(wrap(np.diff(angles[name])))
        figures[f'{name}_jitter_deg'] = _median(np.abs(np.diff(turn))[double])
        known = step & np.isfinite(turn)
        figures[f'{name}_jumps'] = (
            float((np.abs(turn[known]) > JUMP_DEG).mean())
            if known.any() else float('nan'))
    second = np.linalg.norm(np.diff(points, 2, axis=0), axis=-1)
    figures['jitter_px'] = _median(second[double])
    figures['low_conf'] = float(
        (angle_conf < threshold).mean()) if len(angle_conf) else float('nan')
    return figures


def _median(values: Array) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else float('nan')
