"""Decoded surroundings of each hand, kept in memory that workers share.

Decoding a photograph takes longer than anything else that happens to a
sample. Of a small training set, the part of each photograph that its crops
show is decoded once. Labels, boxes and cameras stay those of the photograph:
a sample says by ``img_offset`` where its part begins, and the view looks it
up there. A view that needs more reads the photograph, so that what a sample
looks like never depends on the cache.
"""
from __future__ import annotations

import math
import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmpose.datasets.transforms import (
    GetBBoxCenterScale,
    RandomBBoxTransform,
)

from mmpose_ext.storage import DataError, check_file
from mmpose_ext.storage.pictures import read_picture

Array = np.ndarray

_MEGABYTE = 1 << 20
# A camera that turns towards its box shows more than the box, on one side
_MARGIN = 1.08
_JPEG, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
_TAIL = 64  # bytes that some writers add behind the end


@dataclass(frozen=True)
class Reach:
    """How far from its box a crop may go.

    Attributes:
        padding: Enlargement of the box.
        shift: Largest shift as a share of the enlarged box.
        scale: Largest random scale.
        rotate_deg: Largest rotation.
    """

    padding: float = 1.
    shift: float = 0.
    scale: float = 1.
    rotate_deg: float = 0.

    @classmethod
    def of_pipeline(cls, transforms: Iterable[Any]) -> Reach:
        """What the transforms of a pipeline can do to a box."""
        values: dict[str, float] = {}
        for transform in transforms:
            match transform:
                case GetBBoxCenterScale():
                    values['padding'] = transform.padding
                case RandomBBoxTransform():
                    values.update(
                        shift=transform.shift_factor,
                        scale=max(1., transform.scale_factor[1]),
                        rotate_deg=transform.rotate_factor)
        return cls(**values)

    def half_sides(self, sides: Array) -> Array:
        """Room (N, 2) on each side of the centres of boxes (N, 2), px."""
        angle = math.radians(min(self.rotate_deg, 45.))
        turned = math.cos(angle) + math.sin(angle)
        padded = self.padding * sides
        square = padded.max(1, keepdims=True)
        return (self.shift * padded +
                _MARGIN * self.scale * turned * square / 2 + 2)


def find_parts(boxes: Array, sizes: Array, reach: Reach) -> Array:
    """Parts of photographs that crops can show.

    Args:
        boxes (ndarray): (N, 4) x, y, width, height, px.
        sizes (ndarray): (N, 2) or (1, 2) width and height of the
            photographs, px.
        reach (Reach): What augmentation may do.

    Returns:
        ndarray: int32 (N, 4) first column, first row, width, height; at
        least one pixel.
    """
    boxes = np.asarray(boxes, np.float64)
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    half = reach.half_sides(boxes[:, 2:])
    first = np.clip(np.floor(centres - half), 0, sizes - 1)
    last = np.clip(np.ceil(centres + half) + 1, first + 1, sizes)
    return np.concatenate([first, last - first], 1).astype(np.int32)


class PictureCache:
    """Parts of photographs, decoded once and kept for all workers.

    The memory is made before the workers start and inherited by them
    (``mp_start_method='fork'``). Whoever needs a part first fills its place;
    if two do at once, they write the same bytes. A copy sent to a spawned
    process keeps nothing and reads each time.

    Args:
        boxes (ndarray): (N, 4) of the samples in their order, px.
        sizes (ndarray): (N, 2) or (1, 2) of their photographs, px.
        reach (Reach): Of the training's pipeline.
        megabytes (float): Memory for all parts together, of 2**20 bytes, in
            each training process of its own. Samples beyond it are read
            from the disk each time. Defaults to 1024.
    """

    def __init__(self, boxes: Array, sizes: Array, reach: Reach,
                 megabytes: float = 1024) -> None:
        self.parts = find_parts(boxes, sizes, reach)
        lengths = 3 * self.parts[:, 2].astype(np.int64) * self.parts[:, 3]
        ends = np.cumsum(lengths)
        self.kept = int(np.searchsorted(
            ends, int(megabytes * _MEGABYTE), side='right'))
        self._starts = ends - lengths
        self.used = int(ends[self.kept - 1]) if self.kept else 0
        self._filled: Array | None = None
        if self.kept:
            # anonymous and shared; pages that nobody fills cost nothing
            memory = np.frombuffer(
                mmap.mmap(-1, self.kept + self.used), np.uint8)
            self._filled = memory[:self.kept]
            self._pixels = memory[self.kept:]

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the memory."""
        state = {**self.__dict__, '_filled': None}
        state.pop('_pixels', None)
        return state

    def __str__(self) -> str:
        return (f'{self.kept} of {len(self.parts)} pictures kept, '
                f'{self.used / _MEGABYTE:.0f} MB')

    def load(self, number: int, info: dict[str, Any]) -> dict[str, Any]:
        """Give a sample the part of its photograph, if that is kept.

        ``LoadImage`` then has nothing to read.

        Args:
            number (int): Of the sample.
            info (dict): It, with ``img_path`` and ``img_size``.

        Returns:
            dict: The sample, with ``img`` (read-only) and ``img_offset``
            (2,) where it is kept.
        """
        if self._filled is None or number >= self.kept:
            return info
        left, top, width, height = self.parts[number].tolist()
        start = int(self._starts[number])
        place = self._pixels[start:start + 3 * width * height].reshape(
            height, width, 3)
        if not self._filled[number]:
            image = read_photograph(info['img_path'], info['img_size'])
            place[:] = image[top:top + height, left:left + width]
            self._filled[number] = 1  # only now others may look
        place = place.view()
        place.flags.writeable = False
        return {**info, 'img': place, 'img_offset': (left, top)}


def read_photograph(path: str | Path,
                    size: tuple[int, int] | None = None) -> Array:
    """Read a photograph as ``LoadImage`` does, and check it.

    Args:
        path (str | Path): The file.
        size (tuple[int, int], optional): Width and height that it must have,
            px. Defaults to None: any.

    Returns:
        ndarray: uint8 (H, W, 3), BGR.

    Raises:
        DataError: If it cannot be read, is cut short or has another size.
    """
    check_whole(path)
    image = read_picture(path, cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(path, 'file', 'a picture', 'none that OpenCV reads')
    if size is not None:
        check_size(path, image, size)
    return image


def check_size(path: str | Path, image: Array,
               size: tuple[int, int]) -> None:
    """Check that a photograph is as large as its index says.

    Raises:
        DataError: With ``where`` 'size'.
    """
    if image.shape[1::-1] != tuple(size):
        raise DataError(
            path, 'size', f'{size[0]} x {size[1]} px as in the index',
            f'{image.shape[1]} x {image.shape[0]} px',
            'labels and cameras are those of the original pictures')


def check_whole(path: str | Path) -> None:
    """Check that a JPEG file ends as one; OpenCV paints the rest grey.

    Raises:
        DataError: With ``where`` 'file'.
    """
    try:
        with open(path, 'rb', buffering=0) as stream:
            start = stream.read(2)
            length = stream.seek(0, 2)
            stream.seek(max(length - _TAIL, 0))
            tail = stream.read()
    except OSError:
        start = b''
    if not start:
        check_file(path)  # tells why
    if start == _JPEG and _JPEG_END not in tail:
        raise DataError(path, 'file', 'a whole JPEG file',
                        f'one cut short after {length} bytes',
                        'copy or download it again')
