"""Smoothing of point tracks, and repair of nose-tail reversals.

All filters move points, from which angles follow; an angle is never averaged
as a number. A missing point (NaN) stays missing, and none is made up.

Tracks are (T, K, 2) px with frame numbers (T,), which may jump.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.linalg import solveh_banded
from scipy.signal import savgol_filter

from mmpose_ext.direction.angles import vector_angle, wrap

Array = np.ndarray
# (points (T, K, 2), scores (T, K), frames (T,), fps) -> points
Smoother = Callable[[Array, Array, Array, float], Array]

# A track that is lost for longer starts anew.
LONGEST_GAP = 25
LEAST_SCORE = .05


def parse_smoother(text: str) -> Smoother:
    """Make a smoother from its command line form.

    Args:
        text (str): ``median:5``, ``savgol:7,2``, ``one_euro:3,0.3`` or
            ``rts:0.5,1.5``; what stands here are the defaults, and numbers
            may be left out.

    Raises:
        ValueError: If the name or the numbers make no smoother.
    """
    name, _, rest = text.partition(':')
    if name not in _SMOOTHERS:
        raise ValueError(f'expected one of {sorted(_SMOOTHERS)}, '
                         f'found {name!r}')
    function, defaults = _SMOOTHERS[name]
    parts = rest.split(',') if rest else []
    try:
        given = [type(default)(part)
                 for default, part in zip(defaults, parts, strict=False)]
    except ValueError as error:
        raise ValueError(f'{name}: {error}') from error
    if len(parts) > len(defaults):
        raise ValueError(f'{name}: expected {len(defaults)} numbers or '
                         f'fewer, found {len(parts)}')
    numbers = (*given, *defaults[len(given):])
    smoother: Smoother = function(*numbers)
    return smoother


def median(window: int) -> Smoother:
    """Centred running median of each coordinate, over known frames only.

    Args:
        window (int): Rows, odd.
    """
    _check(window >= 1 and window % 2 == 1, 'median', 'an odd window',
           window)

    def smooth(points: Array, scores: Array, frames: Array,
               fps: float) -> Array:
        half = window // 2
        padded = np.pad(points, ((half, half), (0, 0), (0, 0)),
                        constant_values=np.nan)
        windows = np.lib.stride_tricks.sliding_window_view(padded, window, 0)
        ordered = np.sort(windows, -1)  # NaN come last
        count = np.isfinite(ordered).sum(-1, keepdims=True)
        low, high = (np.take_along_axis(ordered, place.clip(0), -1)[..., 0]
                     for place in ((count - 1) // 2, count // 2))
        return np.where(np.isfinite(points), (low + high) / 2, np.nan)

    return smooth


def savgol(window: int, order: int) -> Smoother:
    """Savitzky-Golay: the value of a fitted polynomial, centred.

    Runs of frames without a gap are smoothed one by one; in a run shorter
    than the window the window shrinks.

    Args:
        window (int): Frames, odd.
        order (int): Of the polynomial; less than the window.
    """
    _check(window % 2 == 1 and 0 <= order < window, 'savgol',
           'an odd window larger than the order', f'{window},{order}')

    def smooth(points: Array, scores: Array, frames: Array,
               fps: float) -> Array:
        smoothed = points.copy()
        for rows, k in _runs(points, frames, longest_gap=1):
            fits = min(window, len(rows) - 1 + len(rows) % 2)
            if fits > order:
                smoothed[rows, k] = savgol_filter(
                    points[rows, k], fits, order, axis=0)
        return smoothed

    return smooth


def one_euro(min_cutoff: float, beta: float) -> Smoother:
    """Causal low-pass whose cutoff grows with speed (Casiez et al. 2012).

    For live use: a frame's result depends on no later frame. The speed is
    that of the point, not of each coordinate, so that the filter is the same
    in every direction.

    Args:
        min_cutoff (float): Cutoff of a point at rest, Hz.
        beta (float): Rise of the cutoff with speed, Hz per px/s.
    """
    _check(min_cutoff > 0 and beta >= 0, 'one_euro',
           'min_cutoff > 0 and beta >= 0', f'{min_cutoff},{beta}')

    def weight(cutoff: Any, seconds: Any) -> Any:
        # weight of the new value in an exponential average
        return 1 / (1 + 1 / (2 * np.pi * cutoff * seconds))

    def smooth(points: Array, scores: Array, frames: Array,
               fps: float) -> Array:
        smoothed = points.copy()
        for rows, k in _runs(points, frames):
            track = points[rows, k].view(np.complex128)[:, 0].tolist()
            steps = (np.diff(frames[rows]) / fps).tolist()
            value, speed = track[0], 0j
            found = [value]
            for new, seconds in zip(track[1:], steps, strict=True):
                share = weight(1., seconds)
                speed += share * ((new - value) / seconds - speed)
                share = weight(min_cutoff + beta * abs(speed), seconds)
                value += share * (new - value)
                found.append(value)
            smoothed[rows, k] = np.array(found).view(np.float64).reshape(
                -1, 2)
        return smoothed

    return smooth


def rts(acceleration: float, noise: float) -> Smoother:
    """Rauch-Tung-Striebel smoother of constant velocity.

    The model is ``p[t+1] = p[t] + v[t]``, ``v[t+1] = v[t] + w[t]`` with
    nothing known at the start, measured with a standard deviation that
    grows as the score falls. Its smoothed track is the one that minimises
    the squared residuals plus the squared second differences, each by its
    variance: one band matrix, solved at once for all frames.

    Args:
        acceleration (float): Standard deviation of w, px per frame squared.
        noise (float): Standard deviation of a point of score 1, px; divided
            by the score.
    """
    _check(acceleration > 0 and noise > 0, 'rts', 'two positive numbers',
           f'{acceleration},{noise}')

    def smooth(points: Array, scores: Array, frames: Array,
               fps: float) -> Array:
        smoothed = points.copy()
        for rows, k in _runs(points, frames):
            length = frames[rows[-1]] - frames[rows[0]] + 1
            if len(rows) < 2 or length < 3:
                continue
            at = frames[rows] - frames[rows[0]]
            trust = np.nan_to_num(scores[rows, k]).clip(LEAST_SCORE)
            precision = np.square(trust / noise)
            # lower bands of D' D, D being the rows (1, -2, 1)
            bands = np.zeros((3, length))
            for i, products in enumerate(((1, 4, 1), (-2, -2), (1, ))):
                for shift, product in enumerate(products):
                    bands[i, shift:length - 2 + shift] += product
            bands /= acceleration**2
            bands[0, at] += precision
            target = np.zeros((length, 2))
            target[at] = points[rows, k] * precision[:, None]
            smoothed[rows, k] = solveh_banded(bands, target, lower=True)[at]
        return smoothed

    return smooth


_SMOOTHERS: dict[str, tuple[Callable[..., Smoother], tuple[Any, ...]]] = dict(
    median=(median, (5, )),
    savgol=(savgol, (7, 2)),
    one_euro=(one_euro, (3., .3)),
    rts=(rts, (.5, 1.5)))


def repair_reversals(points: Array,
                     frames: Array,
                     angle_conf: Array,
                     swap_cost: float = .02) -> tuple[Array, Array]:
    """Swap base and head where that makes the track go on smoothly.

    The cheapest assignment of {as is, swapped} to all frames is found by
    dynamic programming (Viterbi). A jump of the axis by more than 90 degrees
    from one frame to the next costs 1, less after a gap; a swapped frame
    costs ``swap_cost`` times its confidence. So a reversal of fewer than
    ``2 / swap_cost`` frames is repaired, and one that lasts longer is
    believed.

    Args:
        points (ndarray): (T, 3, 2) base, neck, head, px; NaN missing.
        frames (ndarray): (T,) rising frame numbers.
        angle_conf (ndarray): (T,) in [0, 1].
        swap_cost (float): Defaults to .02.

    Returns:
        tuple: Repaired points (T, 3, 2) and which frames were swapped (T,).
    """
    axis = vector_angle(points[:, 2] - points[:, 0])
    known = np.flatnonzero(np.isfinite(axis))
    swapped = np.zeros(len(points), bool)
    if len(known) < 2:
        return points.copy(), swapped
    turned = np.abs(wrap(np.diff(axis[known]))) > np.pi / 2
    price = 1. / np.diff(frames[known])
    # keeping the state costs where the axis jumps, changing it elsewhere
    keep = np.where(turned, price, 0.).tolist()
    change = np.where(turned, 0., price).tolist()
    own = (swap_cost * np.nan_to_num(angle_conf[known])).tolist()
    as_is, flipped = 0., own[0]
    came_from = np.zeros((2, len(known)), bool)  # from the other state?
    for t in range(1, len(known)):
        stay, leave = keep[t - 1], change[t - 1]
        came_from[0, t] = flipped + leave < as_is + stay
        came_from[1, t] = as_is + leave < flipped + stay
        as_is, flipped = (min(as_is + stay, flipped + leave),
                          min(flipped + stay, as_is + leave) + own[t])
    state = int(flipped < as_is)
    for t in range(len(known) - 1, -1, -1):
        swapped[known[t]] = bool(state)
        state ^= int(came_from[state, t])
    repaired = points.copy()
    repaired[swapped] = points[swapped][:, ::-1]
    return repaired, swapped


def _runs(points: Array,
          frames: Array,
          longest_gap: int = LONGEST_GAP) -> Iterator[tuple[Array, int]]:
    """Rows of each stretch without a long gap, and the point they are of."""
    for k in range(points.shape[1]):
        known = np.flatnonzero(np.isfinite(points[:, k]).all(-1))
        cuts = np.flatnonzero(np.diff(frames[known]) > longest_gap) + 1
        for rows in np.split(known, cuts):
            if len(rows):
                yield rows, k


def _check(fits: bool, name: str, expected: str, found: Any) -> None:
    if not fits:
        raise ValueError(f'{name}: expected {expected}, found {found}')
