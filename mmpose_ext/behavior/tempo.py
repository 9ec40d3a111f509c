"""Windows at another speed that only their tempo tells apart.

Interpolating tracked points leaves traces: between two frames the noise of
tracking averages out, on a frame it does not, so that whether a window was
stretched or squeezed can be read from second differences without looking at
the motion at all. Here every window, whatever its speed, is smoothed by the
same kernel in its own time, begins at a random fraction of a frame, and gets
noise added to its source so that the noise that is left has the same strength
and the same course at every speed; a little white noise covers what the
frames of the source still leave in the highest frequencies.
"""
from __future__ import annotations

import functools

import numpy as np
import torch

from mmpose_ext.behavior.windows import fold_rows, gather

Array = np.ndarray

# The kernel is a box of so many frames of the window, averaged over as many
# neighbours: even at the lowest speed it holds several frames of the source.
BOX = 3
KERNEL = 2 * BOX - 1
COVER = 1.  # white noise over that of tracking
_BANK = 1 << 17  # random numbers, few enough for a cache
_CHUNK = 32  # windows played at a time, for the cache's sake


def play_at_speeds(tracks: Array, middles: Array, begins: Array, ends: Array,
                   speeds: Array, size: int, sources: Array | None,
                   noise: Array, lowest: float, offsets: Array) -> Array:
    """Windows in which time passes at the given speeds.

    Args:
        tracks (ndarray): float32 (F + 1, N, K, S), the last frame missing.
        middles (ndarray): float64 (M,) row, and fraction, of their middle.
        begins (ndarray): int64 (M,) first row of each record.
        ends (ndarray): int64 (M,) row after the last.
        speeds (ndarray): float64 (M,).
        size (int): Frames in a window, W.
        sources (ndarray, optional): int64 (M, 1 or W, N), see :func:`gather`;
            frames of the source take that of the window's frame they fall in.
        noise (ndarray): float32 (M,) deviation of the noise of tracking.
        lowest (float): Lowest speed there may be.
        offsets (ndarray): int64 (M,), random: where the added noise is taken.

    Returns:
        ndarray: float32 (M, W, N, K, S).
    """
    played = np.empty((len(speeds), size, *tracks.shape[1:]), np.float32)
    for start in range(0, len(speeds), _CHUNK):
        part = slice(start, start + _CHUNK)
        played[part] = _play(
            tracks, middles[part], begins[part], ends[part], speeds[part],
            size, None if sources is None else sources[part], noise[part],
            lowest, offsets[part])
    return played


def _play(tracks: Array, middles: Array, begins: Array, ends: Array,
          speeds: Array, size: int, sources: Array | None, noise: Array,
          lowest: float, offsets: Array) -> Array:
    """Windows of a few questions, all of which fit into a cache."""
    # the kernel of a moment reaches half its length to either side
    span = size - 1 + KERNEL
    length = int(np.ceil(span * float(speeds.max()))) + 2
    left = middles - span / 2 * speeds
    first = np.floor(left).astype(np.int64)
    rows = fold_rows(first[:, None] + np.arange(length), begins, ends, 'edge')
    if sources is not None and sources.shape[1] > 1:
        moments = (np.arange(length) + .5 - (left - first)[:, None]) / (
            speeds[:, None])
        moments = np.clip(moments - KERNEL / 2, 0, size - 1).astype(np.int64)
        sources = np.take_along_axis(sources, moments[:, :, None], 1)
    source = gather(tracks, rows, sources)
    # Variance over speed is constant after this, and so is the variance of an
    # average, which is that of a frame over the number of frames.
    _add_noise(source, noise * np.sqrt(np.maximum(
        2 * speeds / lowest - 1, 0)), offsets)
    windows = _average(source, left - first, speeds, size)
    _add_noise(windows, COVER * noise, offsets + _BANK // 2)
    return windows


def _average(source: Array, starts: Array, speeds: Array,
             size: int) -> Array:
    """Averages by the kernel, one in each frame of the window.

    Args:
        source (ndarray): float32 (M, L, N, K, S).
        starts (ndarray): float64 (M,) frame where the first kernel begins.
        speeds (ndarray): float64 (M,).
        size (int): Averages of each, W.
    """
    count, length = source.shape[:2]
    parts = source.shape[2:]
    flat = source.reshape(count, length, -1)
    # Sums of what is small keep their digits. The frame is one that does not
    # depend on the other windows.
    base = flat[:, size // 2:size // 2 + 1].copy()
    np.nan_to_num(base, copy=False)
    flat -= base
    sums = np.empty((count, length + 1, flat.shape[2]), np.float32)
    sums[:, 0] = 0
    # numpy takes four times as long, and adds up in single precision
    torch.cumsum(torch.from_numpy(flat), 1, out=torch.from_numpy(sums)[:, 1:])
    # few coordinates have gaps; what comes after one is missing from the sums
    window, coordinate = np.nonzero(np.isnan(sums[:, -1]))
    courses = flat[window, :, coordinate]
    missing = np.isnan(courses)
    courses[missing] = 0
    sums[window, 1:, coordinate] = torch.cumsum(torch.from_numpy(courses), 1)
    moments = np.arange(size + KERNEL)
    edges = starts[:, None] + moments * speeds[:, None]
    before = np.minimum(edges.astype(np.int64), length - 1)
    share = (edges - before).astype(np.float32)[:, :, None]
    index = before + np.arange(count)[:, None] * (length + 1)
    table = sums.reshape(-1, flat.shape[2])
    low = table.take(index.reshape(-1), 0).reshape(count, size + KERNEL, -1)
    high = table.take(index.reshape(-1) + 1, 0).reshape(low.shape)
    high -= low
    high *= share
    low += high
    boxes = low[:, BOX:] - low[:, :-BOX]
    gap, place = _touches(missing, starts[window], speeds[window],
                          boxes.shape[1])
    boxes[window[gap], place, coordinate[gap]] = np.nan
    averages = boxes[:, :size].copy()
    for i in range(1, BOX):
        averages += boxes[:, i:size + i]
    averages *= (1 / (BOX * BOX * speeds)).astype(np.float32)[:, None, None]
    averages += base
    return averages.reshape(count, size, *parts)


def _touches(missing: Array, starts: Array, speeds: Array,
             count: int) -> tuple[Array, Array]:
    """Boxes that hold a missing frame.

    Args:
        missing (ndarray): bool (G, L), frames of some coordinates.
        starts (ndarray): float64 (G,) where the first box begins.
        speeds (ndarray): float64 (G,) frames from one box to the next.
        count (int): Boxes of each.

    Returns:
        tuple[ndarray, ndarray]: Rows of `missing`, and numbers of boxes.
    """
    padded = np.pad(missing, ((0, 0), (1, 1)))
    rows, changes = np.nonzero(padded[:, 1:] != padded[:, :-1])
    rows, begins, ends = rows[::2], changes[::2], changes[1::2]
    starts, speeds = starts[rows], speeds[rows]
    first = np.floor((begins - starts) / speeds).astype(np.int64) - BOX + 1
    last = np.ceil((ends - starts) / speeds).astype(np.int64)
    first, last = np.clip(first, 0, count), np.clip(last, 0, count)
    lengths = np.maximum(last - first, 0)
    before = np.cumsum(lengths) - lengths
    places = np.arange(lengths.sum()) + np.repeat(first - before, lengths)
    return np.repeat(rows, lengths), places


@functools.lru_cache(maxsize=1)
def _bank() -> Array:
    """Standard normal numbers, always the same."""
    numbers = np.random.default_rng(0).standard_normal(_BANK, np.float32)
    return np.concatenate([numbers, numbers])


def _add_noise(windows: Array, deviations: Array, offsets: Array) -> None:
    """Add noise to windows (M, ...), from random places of the bank."""
    if not deviations.any():
        return
    count = int(np.prod(windows.shape[1:]))
    bank = _bank()
    if count > _BANK:
        bank = np.resize(bank, _BANK + count)
    stretches = np.lib.stride_tricks.as_strided(
        bank, (_BANK, count), bank.strides * 2)
    noise = stretches[offsets % _BANK]
    noise *= deviations.astype(np.float32)[:, None]
    windows += noise.reshape(windows.shape)


def estimate_noise(tracks: Array) -> float:
    """Deviation of the noise of tracking, from second differences.

    The median sees through motion, which is smooth most of the time.

    Args:
        tracks (ndarray): float32 (T, N, K, S); NaN is left out.

    Returns:
        float: 0 where there are too few frames.
    """
    second = np.diff(tracks.reshape(len(tracks), -1), 2, axis=0)
    size = np.abs(second[np.isfinite(second)])
    # 1.4826 makes the median a deviation, of which 1, -2, 1 have sqrt(6)
    return float(np.median(size) * 1.4826 / 6**.5) if len(size) else 0.
