"""Decoded frames, kept in memory that workers share.

To find and decode a frame of a video takes longer than anything else that
happens to a sample. What the volume can show of each labelled frame is kept
as it was decoded. V views.
"""
from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmpose_ext.volumetric.recordings import Recording
from mmpose_ext.volumetric.transforms import crop_boxes

Array = np.ndarray
Frames = tuple[list[Array], Array]

_MEGABYTE = 1 << 20
_RUN = 128  # samples decoded one after the other when one is missing


class FrameReader:
    """Whole frames of samples, decoded every time.

    Args:
        recordings (Sequence[Recording]): The recordings.
        samples (ndarray): (N, 2) recording and row of each sample.
    """

    def __init__(self, recordings: Sequence[Recording],
                 samples: Array) -> None:
        self.recordings, self.samples = recordings, samples

    def load(self, position: int) -> Frames:
        """Read the frames of a sample.

        Args:
            position (int): Of the sample, from 0 to N - 1.

        Returns:
            tuple[list[ndarray], ndarray]: V pictures (H, W, 3) uint8, BGR,
            and the first column and row (V, 2) of each in its image.
        """
        recording, row = self.samples[position]
        source = self.recordings[recording]
        views = len(source.cameras)
        return ([source.read(int(row), view) for view in range(views)],
                np.zeros((views, 2), np.int64))


class FrameCache(FrameReader):
    """Parts of frames, decoded once and kept for all worker processes.

    The memory is made before the workers start and inherited by them
    (``mp_start_method='fork'``). Whoever misses a frame first decodes those
    of its neighbours too, in the order of the video, since seeking costs the
    most; if two do at once, they write the same bytes. A copy of the cache,
    or one sent to a spawned process, keeps nothing and reads each time. The
    pixels are those of the video, with memory and without.

    Args:
        recordings (Sequence[Recording]): The recordings.
        samples (ndarray): (N, 2) recording and row of each sample, in the
            order of time.
        reach_mm (float, optional): What to keep about the animals' middles,
            see :func:`~mmpose_ext.volumetric.transforms.crop_boxes`. Defaults
            to None, whole frames.
        megabytes (float): Memory for all frames together, of 2**20 bytes, in
            each training process of its own. Samples beyond it are decoded
            every time. Defaults to 2048.
    """

    def __init__(self,
                 recordings: Sequence[Recording],
                 samples: Array,
                 reach_mm: float | None = None,
                 megabytes: float = 2048) -> None:
        super().__init__(recordings, samples)
        self._boxes: list[Array] = []
        offsets: list[Array] = []
        used, limit = 0, int(megabytes * _MEGABYTE)
        for recording, row in samples:
            source = recordings[recording]
            boxes = self._find_boxes(source, row, reach_mm)
            sizes = 3 * np.prod(boxes[:, 2:] - boxes[:, :2], 1)
            fits = used + int(sizes.sum()) <= limit
            offsets.append(used + sizes.cumsum() - sizes if fits else
                           np.full(len(sizes), -1))
            used += int(sizes.sum()) * fits
            self._boxes.append(boxes)
        self._offsets = offsets
        self.used = used
        views = max(map(len, offsets), default=0)
        self._filled: Array | None = None
        if used:
            # anonymous and shared; pages that nobody fills cost nothing
            flags = len(samples) * views
            memory = np.frombuffer(mmap.mmap(-1, flags + used), np.uint8)
            self._filled = memory[:flags].reshape(-1, views)
            self._pixels = memory[flags:]

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the memory."""
        state = {**self.__dict__, '_filled': None}
        state.pop('_pixels', None)
        return state

    def __str__(self) -> str:
        kept = sum(bool((offset >= 0).all()) for offset in self._offsets)
        return (f'{kept} of {len(self._offsets)} time points kept once they '
                f'are decoded, {self.used / _MEGABYTE:.0f} MB')

    def load(self, position: int) -> Frames:
        """Give the frames of a sample; the pictures are read-only views."""
        boxes = self._boxes[position]
        images = []
        for view in range(len(boxes)):
            if self._filled is None or self._offsets[position][view] < 0:
                image = self._decode(position, view)
            else:
                if not self._filled[position, view]:
                    self._fill_run(position, view)
                image = self._place(position, view).view()
                image.flags.writeable = False
            images.append(image[::-1].transpose(1, 2, 0))
        return images, boxes[:, :2]

    @staticmethod
    def _find_boxes(source: Recording, row: int,
                    reach_mm: float | None) -> Array:
        if reach_mm is not None:
            return crop_boxes(source.cameras, source.com[row], reach_mm)
        assert source.cameras.sizes is not None
        return np.concatenate([np.zeros_like(source.cameras.sizes),
                               source.cameras.sizes], 1)

    def _place(self, position: int, view: int) -> Array:
        """Where a picture is kept, (3, H, W) RGB, as the network takes it."""
        left, top, right, bottom = self._boxes[position][view].tolist()
        shape = 3, bottom - top, right - left
        offset = int(self._offsets[position][view])
        return self._pixels[offset:offset + math.prod(shape)].reshape(shape)

    def _fill_run(self, position: int, view: int) -> None:
        """Decode a picture, and with it those near it that are missing."""
        assert self._filled is not None
        recording = self.samples[position, 0]
        start = position // _RUN * _RUN
        for other in range(start, min(start + _RUN, len(self.samples))):
            if (self.samples[other, 0] == recording
                    and self._offsets[other][view] >= 0
                    and not self._filled[other, view]):
                self._place(other, view)[:] = self._decode(other, view)
                self._filled[other, view] = 1  # only now others may look

    def _decode(self, position: int, view: int) -> Array:
        """(3, H, W) RGB of a sample's part of a frame."""
        recording, row = self.samples[position]
        left, top, right, bottom = self._boxes[position][view]
        image = self.recordings[recording].read(int(row), view)
        return image[top:bottom, left:right].transpose(2, 0, 1)[::-1]
