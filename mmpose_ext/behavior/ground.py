"""Where windows may lie, and how they are read: what all tasks stand on."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmpose_ext.behavior.track_store import TrackStore
from mmpose_ext.behavior.windows import (
    WindowShape,
    gather,
    resample,
    valid_range,
    window_rows,
)
from mmpose_ext.storage import DataError

Array = np.ndarray


@dataclass(frozen=True)
class Anchors:
    """Frames that own windows.

    Attributes:
        records: int64 (M,) number of the record of each.
        rows: int64 (M,) row of the frame in the store's tracks.
    """

    records: Array
    rows: Array


class WindowGround:
    """The frames of a store that may own a window of some shape.

    Args:
        store (TrackStore): The tracks.
        shape (WindowShape): Of the windows.
        whole (bool): Leave out frames whose window reaches over an end of
            their record, unless the record is shorter than a window: padding
            would give away where in the record a window lies. Defaults to
            True.
        factors (ndarray, optional): float64 (R,) frames of each record for
            one of a window, as ``fps_scaling`` of the original. Defaults to
            None: 1.

    Attributes:
        count: Number of frames that may own a window.
        begins: int64 (R,) first row of each record.
        ends: int64 (R,) row after the last.
        low: int64 (R,) first row that may own a window.
        counts: int64 (R,) how many may.
    """

    def __init__(self, store: TrackStore, shape: WindowShape,
                 whole: bool = True, factors: Array | None = None) -> None:
        self.store, self.shape = store, shape
        self.factors = np.ones(len(store.ids)) if factors is None else factors
        self.begins = store.starts
        self.ends = store.starts + store.lengths
        self.low, high = self.begins.copy(), self.ends.copy()
        if whole:
            spans = np.array([shape.resampled(factor)
                              for factor in self.factors.tolist()])
            fits = store.lengths >= spans[:, 0]
            self.low[fits] += (spans[:, 0] - 1 - spans[:, 1])[fits]
            high[fits] -= spans[fits, 1]
        self.counts = high - self.low
        self._before = np.concatenate([[0], np.cumsum(self.counts)])
        self.count = int(self._before[-1])
        self._plain = bool((self.factors == 1).all())

    def locate(self, numbers: Array) -> Anchors:
        """Frames by their number among those that may own a window.

        Args:
            numbers (ndarray): int64 (M,) in [0, count).
        """
        records = np.searchsorted(self._before, numbers, 'right') - 1
        return Anchors(records, self.low[records] + numbers
                       - self._before[records])

    def elsewhere(self, anchors: Anchors, share: Array) -> Anchors:
        """Frames of other records, all equally likely.

        Args:
            anchors (Anchors): Frames whose records are left out.
            share (ndarray): float64 (M,) uniform in [0, 1).
        """
        before = self._before[anchors.records]
        own = self.counts[anchors.records]
        drawn = (share * (self.count - own)).astype(np.int64)
        return self.locate(drawn + np.where(drawn >= before, own, 0))

    def far_away(self, anchors: Anchors, gap: int,
                 share: Array) -> tuple[Anchors, Array]:
        """Frames of the same record at least `gap` frames away.

        Returns:
            tuple[Anchors, ndarray]: The frames, and whether there are any,
            bool (M,); where not, the frame means nothing.
        """
        low = self.low[anchors.records]
        high = low + self.counts[anchors.records]
        left = np.maximum(anchors.rows - gap - low + 1, 0)
        right = np.maximum(high - anchors.rows - gap, 0)
        drawn = (share * (left + right)).astype(np.int64)
        rows = np.where(drawn < left, low + drawn,
                        anchors.rows + gap + drawn - left)
        return Anchors(anchors.records, rows), left + right > 0

    def pair(self, anchors: Anchors, least: int, most: int,
             share: Array) -> tuple[Anchors, Anchors]:
        """An earlier and a later frame `least` to `most` frames apart.

        Near the end of a record both move back, so that neither the earlier
        nor the later ones gather at one of its ends.
        """
        low = self.low[anchors.records]
        count = self.counts[anchors.records]
        most_here = np.minimum(most, count - 1)
        delay = least + (share * (most_here - least + 1)).astype(np.int64)
        first = np.minimum(anchors.rows, low + count - 1 - delay)
        return (Anchors(anchors.records, first),
                Anchors(anchors.records, first + delay))

    def require_span(self, frames: int, what: str) -> None:
        """Check that every record has frames so far apart.

        Raises:
            DataError: Names the first record that is too short.
        """
        short = self.counts <= frames
        if short.any():
            record = int(np.argmax(short))
            raise DataError(
                self.store.ids[record], 'frames',
                f'more than {frames} whole windows of {self.shape.size} '
                f'frames, for {what}',
                f'{max(int(self.counts[record]), 0)} in '
                f'{int(self.store.lengths[record])} frames',
                'leave the record out by data_filter, or take a smaller '
                'window_size or delay')

    def cut(self, anchors: Anchors, sources: Array | None = None) -> Array:
        """Windows (M, W, N, K, S) of frames."""
        begins, ends = (part[anchors.records]
                        for part in (self.begins, self.ends))
        if not self._plain:
            return resample(self.store.tracks, anchors.rows, begins, ends,
                            self.factors[anchors.records], self.shape,
                            sources)
        rows = window_rows(anchors.rows, begins, ends, self.shape)
        return gather(self.store.tracks, rows, sources,
                      self.shape.padding == 'zero')

    def frames(self, anchors: Anchors,
               sources: Array | None = None) -> Array:
        """Single frames (M, N, K, S); beyond a record its last one."""
        rows = np.clip(anchors.rows, self.begins[anchors.records],
                       self.ends[anchors.records] - 1)
        return gather(self.store.tracks, rows[:, None], sources)[:, 0]

    def mix(self, one: Anchors, other: Anchors, of_other: Array,
            sources: Array | None = None) -> Array:
        """Windows whose parts come from two frames' windows.

        Args:
            one (Anchors): M frames.
            other (Anchors): M frames.
            of_other (ndarray): bool, broadcast to (M, W, N): what to take of
                the windows of `other`.
            sources (ndarray, optional): As in :func:`gather`.

        Returns:
            ndarray: float32 (M, W, N, K, S).
        """
        if not self._plain:
            return np.where(of_other[..., None, None],
                            self.cut(other, sources), self.cut(one, sources))
        rows = [
            window_rows(anchors.rows, self.begins[anchors.records],
                        self.ends[anchors.records], self.shape)
            for anchors in (one, other)
        ]
        if of_other.shape[2] == 1:  # time alone decides
            mixed = np.where(of_other[:, :, 0], rows[1], rows[0])
        else:
            mixed = np.where(of_other, rows[1][:, :, None],
                             rows[0][:, :, None])
        return gather(self.store.tracks, mixed, sources,
                      self.shape.padding == 'zero')

    def valid(self, anchors: Anchors) -> Array:
        """Positions that the records have of each window, int64 (M, 2)."""
        begins, ends = (part[anchors.records]
                        for part in (self.begins, self.ends))
        if self._plain:
            return valid_range(anchors.rows, begins, ends, self.shape)
        factors = self.factors[anchors.records]
        token = self.shape.token
        first = np.ceil(token - (anchors.rows - begins) / factors)
        last = np.floor(token + (ends - 1 - anchors.rows) / factors) + 1
        limits = np.stack([first, last], -1)
        return np.clip(limits, 0, self.shape.size).astype(np.int64)
