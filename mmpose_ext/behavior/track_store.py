"""All records of a data set, one after another in one array.

T frames, N individuals, K keypoints, S axes, R records, F frames in all, C
classes.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.storage import DataError
from mmpose_ext.storage.behavior_events import OTHER

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class TrackStore:
    """Tracks of a data set, scaled and packed.

    A part of a split is a view: the same ``tracks`` and ``labels`` with other
    ``starts``, ``lengths`` and ``ids``. Sent to another process, a store that
    is mapped from disk is mapped there again.

    Attributes:
        source: The folder or file that was read.
        tracks: (F + 1, N, K, S) float32, in memory or mapped from disk and
            read-only. NaN = missing. The last frame is all NaN: padding.
        starts: (R,) int64, first row of each record in ``tracks``.
        lengths: (R,) int64, its frames.
        labels: (F, C) uint8, 1 where a class is present; None where no
            annotations were read.
        ids: R names of records, sorted.
        individuals: N names.
        keypoints: K names.
        axes: S names.
        classes: C names, 'other' last.
        fps: (R,) float64, NaN = unknown.
        scales: (R, S) float64; unscaled = tracks * scales + offsets.
        offsets: (R, S) float64.
        first_frames: (R,) int64, number of the first frame in its recording.
        tracks_file: The .npy behind ``tracks``, where that is mapped.
        labels_file: The .npy behind ``labels``, likewise.
    """

    source: Path
    tracks: Array
    starts: Array
    lengths: Array
    labels: Array | None
    ids: tuple[str, ...]
    individuals: tuple[str, ...]
    keypoints: tuple[str, ...]
    axes: tuple[str, ...]
    classes: tuple[str, ...]
    fps: Array
    scales: Array
    offsets: Array
    first_frames: Array
    tracks_file: Path | None = None
    labels_file: Path | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def total_frames(self) -> int:
        """Frames of all records of this store or view."""
        return int(self.lengths.sum())

    @property
    def num_features(self) -> int:
        """Numbers that describe a frame: N * K * S."""
        return int(np.prod(self.tracks.shape[1:]))

    def record(self, index: int) -> Array:
        """Scaled tracks (T, N, K, S) of a record, a view.

        Args:
            index (int): Its place in ``ids``.
        """
        start = int(self.starts[index])
        return self.tracks[start:start + int(self.lengths[index])]

    def unscaled(self, index: int, rows: slice = slice(None)) -> Array:
        """Tracks of a record in the units of its files, float64.

        Args:
            index (int): Its place in ``ids``.
            rows (slice): Of its frames. Defaults to all.

        Returns:
            ndarray: (T, N, K, S).
        """
        scaled = self.record(index)[rows].astype(np.float64)
        return scaled * self.scales[index] + self.offsets[index]

    def record_labels(self, index: int) -> Array:
        """Labels (T, C) of a record, a view.

        Args:
            index (int): Its place in ``ids``.

        Raises:
            DataError: If no annotations were read.
        """
        if self.labels is None:
            raise DataError(self.source, 'annotations', 'labels of frames',
                            'none', "set annotation_format, to 'auto' say")
        start = int(self.starts[index])
        return self.labels[start:start + int(self.lengths[index])]

    def subset(self, records: Sequence[int] | Array) -> TrackStore:
        """A view of whole records.

        Args:
            records (Sequence[int]): Their places in ``ids``, in the order
                wanted.
        """
        chosen = np.asarray(records, np.int64)
        return replace(self, ids=tuple(self.ids[i] for i in chosen),
                       **{name: getattr(self, name)[chosen] for name in (
                           'starts', 'lengths', 'fps', 'scales', 'offsets',
                           'first_frames')})

    def stretches(self, records: Sequence[int] | Array,
                  firsts: Sequence[int] | Array,
                  lengths: Sequence[int] | Array) -> TrackStore:
        """A view of stretches of records.

        Args:
            records (Sequence[int]): Record of each stretch, a place in
                ``ids``.
            firsts (Sequence[int]): First frame of each, counted in its
                record.
            lengths (Sequence[int]): Frames of each.

        Returns:
            TrackStore: With ids such as 'night1[0:750]'.
        """
        whole = self.subset(records)
        firsts = np.asarray(firsts, np.int64)
        lengths = np.asarray(lengths, np.int64)
        return replace(
            whole,
            ids=tuple(f'{name}[{first}:{first + length}]'
                      for name, first, length in zip(
                          whole.ids, firsts, lengths, strict=True)),
            starts=whole.starts + firsts, lengths=lengths,
            first_frames=whole.first_frames + firsts)

    def __getstate__(self) -> dict[str, Any]:
        state = {item.name: getattr(self, item.name) for item in fields(self)}
        for part in ('tracks', 'labels'):
            if state[f'{part}_file'] is not None:
                state[part] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for part in ('tracks', 'labels'):
            if state[f'{part}_file'] is not None:
                state[part] = np.load(state[f'{part}_file'], mmap_mode='r')
        for name, value in state.items():
            object.__setattr__(self, name, value)


def check_exclusive(store: TrackStore) -> None:
    """Check that each frame has one class and no more, for ``multiclass``.

    Args:
        store (TrackStore): With labels.

    Raises:
        DataError: At the first frame with several classes or none.
    """
    for index, name in enumerate(store.ids):
        counts = store.record_labels(index).sum(1, dtype=np.int64)
        wrong = np.flatnonzero(counts != 1)
        if not len(wrong):
            continue
        row = int(wrong[0])
        found = [store.classes[i] for i in np.flatnonzero(
            store.record_labels(index)[row])]
        hint = ('use the task multilabel, or mend the events' if found else
                f'let classes contain {OTHER!r}' if OTHER not in store.classes
                else 'mend the annotations')
        raise DataError(
            store.source, f'record {name!r}, frame '
            f'{int(store.first_frames[index]) + row}',
            'one class in each frame',
            f'{" and ".join(map(repr, found)) or "none"}; {len(wrong)} such '
            'frames', hint)
