"""Windows cut out of tracks: rows first, then one gather for a whole batch.

All records lie one after another in one array of frames whose last frame is
missing in every point. A window is a list of row numbers of that array, -1
where there is no frame, so that cutting, mixing and padding windows is
arithmetic on small integers and the coordinates are read once.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

PADDINGS = ('missing', 'zero', 'edge', 'reflect')


@dataclass(frozen=True)
class WindowShape:
    """How the window of a frame lies about it.

    The window of frame f covers f - size + 1 + offset ... f + offset.

    Args:
        size (int): Frames in a window, W. Defaults to 200.
        offset (int): Frames after the one that owns the window, o; 0 looks at
            the past only. Defaults to 0.
        padding (str): What stands in for frames before the start and after
            the end of a record: ``missing`` points, ``zero`` coordinates, the
            ``edge`` frame, or frames in mirrored order (``reflect``).
            Defaults to ``edge``.

    Raises:
        ValueError: If a setting is out of range.
    """

    size: int = 200
    offset: int = 0
    padding: str = 'edge'

    def __post_init__(self) -> None:
        if self.size < 2:
            raise ValueError(
                f'window_size: expected 2 or more, found {self.size}')
        if not 0 <= self.offset < self.size:
            raise ValueError(
                f'window_offset: expected 0 to {self.size - 1} (below '
                f'window_size), found {self.offset}')
        if self.padding not in PADDINGS:
            raise ValueError(f'padding: expected one of {PADDINGS}, found '
                             f'{self.padding!r}')

    @property
    def token(self) -> int:
        """Position of the frame that owns the window."""
        return self.size - 1 - self.offset

    def resampled(self, factor: float) -> tuple[int, int]:
        """Size and offset in frames when played `factor` times as fast.

        Raises:
            ValueError: If less than two frames are left.
        """
        size, offset = round(factor * self.size), round(factor * self.offset)
        if size < 2:
            raise ValueError(
                f'a window of {self.size} frames at {factor:g} times the '
                f'speed: expected 2 or more frames, found {size}')
        return size, offset


def window_rows(rows: Array, begins: Array, ends: Array,
                shape: WindowShape) -> Array:
    """Rows of the windows of frames.

    Args:
        rows (ndarray): int64 (M,) row of the frame that owns each window.
        begins (ndarray): int64 (M,) first row of its record.
        ends (ndarray): int64 (M,) row after the last of its record.
        shape (WindowShape): Size, offset and padding.

    Returns:
        ndarray: int64 (M, W); -1 for padding that is no frame.
    """
    steps = np.arange(-shape.token, shape.offset + 1)
    return fold_rows(rows[:, None] + steps, begins, ends, shape.padding)


def fold_rows(rows: Array, begins: Array, ends: Array,
              padding: str) -> Array:
    """Bring rows outside of their record into it, or mark them by -1.

    Args:
        rows (ndarray): int64 (M, W); changed in place.
        begins (ndarray): int64 (M,) first row of each record.
        ends (ndarray): int64 (M,) row after the last.
        padding (str): One of :data:`PADDINGS`.

    Returns:
        ndarray: int64 (M, W).
    """
    low, high = begins[:, None], ends[:, None]
    inside = (rows[:, 0] >= begins) & (rows[:, -1] < ends)
    if inside.all():
        return rows
    if padding == 'edge':
        return np.clip(rows, low, high - 1, out=rows)
    if padding == 'reflect':
        period = np.maximum(2 * (high - low - 1), 1)
        folded = (rows - low) % period
        return low + np.minimum(folded, period - folded)
    rows[(rows < low) | (rows >= high)] = -1
    return rows


def valid_range(rows: Array, begins: Array, ends: Array,
                shape: WindowShape) -> Array:
    """First and last + 1 position of each window that its record has.

    Returns:
        ndarray: int64 (M, 2).
    """
    first = np.clip(begins - rows + shape.token, 0, shape.size)
    last = np.clip(ends - rows + shape.token, 0, shape.size)
    return np.stack([first, last], -1)


def gather(tracks: Array, rows: Array, sources: Array | None = None,
           zero_padding: bool = False) -> Array:
    """Read the frames of windows.

    Args:
        tracks (ndarray): float32 (F + 1, N, K, S), the last frame missing.
        rows (ndarray): int64 (M, W), or (M, W, N) where individuals come
            from different frames; -1 is the last.
        sources (ndarray, optional): int64, broadcast to (M, W, N): whose
            track each individual shows. Defaults to None: its own.
        zero_padding (bool): Whether -1 gives zeros. Defaults to False.

    Returns:
        ndarray: float32 (M, W, N, K, S).
    """
    count, individuals = len(tracks), tracks.shape[1]
    if rows.ndim == 2 and sources is None:
        flat = tracks.reshape(count, -1)
        index = rows
    else:
        if rows.ndim == 2:
            rows = rows[:, :, None]
        if sources is None:
            sources = np.arange(individuals)
        flat = tracks.reshape(count * individuals, -1)
        index = rows * individuals + sources
    # wrapping makes -1 the last frame and spares the check of every number
    found = flat.take(index.reshape(-1), 0, mode='wrap')
    windows = found.reshape(*rows.shape[:2], *tracks.shape[1:])
    if zero_padding and rows.min() < 0:
        padded = rows < 0
        windows[np.broadcast_to(padded[..., None] if padded.ndim == 2
                                else padded, windows.shape[:3])] = 0
    return windows


def resample(tracks: Array, rows: Array, begins: Array, ends: Array,
             factors: Array, shape: WindowShape,
             sources: Array | None = None) -> Array:
    """Windows at another speed, interpolated as the original does.

    A window at speed s spans round(s W) frames, of which round(s o) come
    after the frame that owns it; W values at equal distances from the first
    to the last of them are interpolated in double precision. Padding takes
    part.

    Args:
        tracks (ndarray): float32 (F + 1, N, K, S).
        rows (ndarray): int64 (M,) row of the frame that owns each window.
        begins (ndarray): int64 (M,) first row of its record.
        ends (ndarray): int64 (M,) row after the last of its record.
        factors (ndarray): float64 (M,) speeds.
        shape (WindowShape): Size, offset and padding at speed 1.
        sources (ndarray, optional): As in :func:`gather`.

    Returns:
        ndarray: float32 (M, W, N, K, S).
    """
    spans = np.array([shape.resampled(factor) for factor in factors.tolist()])
    sizes, offsets = spans[:, 0], spans[:, 1]
    steps = np.arange(shape.size)
    places = steps * ((sizes - 1) / (shape.size - 1))[:, None]
    places[:, -1] = sizes - 1
    before = np.minimum(places.astype(np.int64), sizes[:, None] - 2)
    first = (rows - sizes + offsets + 1)[:, None]
    share = (places - before)[..., None, None, None]
    ends_of = [
        gather(tracks, fold_rows(first + before + step, begins, ends,
                                 shape.padding),
               sources, shape.padding == 'zero').astype(np.float64)
        for step in (0, 1)
    ]
    # what is not asked for may be missing: 0 * NaN is NaN
    mixed = np.where(share == 0, ends_of[0],
                     ends_of[0] + share * (ends_of[1] - ends_of[0]))
    return mixed.astype(np.float32)
