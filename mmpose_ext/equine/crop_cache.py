"""Decoded surroundings of each horse, kept in memory that workers share.

Decoding a photograph takes longer than everything else that happens to a
sample. Of a photograph, training sees the horse and some room around it, at
the size of the network's input: that part, reduced, is kept.

Pixel centres are integers, as in OpenCV: pixel x of the photograph lies at
``(x - left + .5) / factor - .5`` in a part that begins at pixel ``left``.
"""
from __future__ import annotations

import math
import mmap
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmpose.datasets.transforms import (
    GetBBoxCenterScale,
    RandomBBoxTransform,
    RandomHalfBody,
)

from mmpose_ext.storage import DataError, check_file
from mmpose_ext.storage.pictures import decode_picture

Array = np.ndarray

_MEGABYTE = 1 << 20
_JPEG = b'\xff\xd8'
# libjpeg takes these means while it decodes, at a fraction of the time
_REDUCED = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8
}


@dataclass(frozen=True)
class Reach:
    """How far from its box a horse's crop may go.

    Attributes:
        padding: Enlargement of the box.
        shift: Largest shift as a share of the enlarged box.
        scale: Largest random scale.
        rotate_deg: Largest rotation.
        half_body: Enlargement of the box about half of the points.
    """

    padding: float = 1.25
    shift: float = .16
    scale: float = 1.3
    rotate_deg: float = 40.
    half_body: float = 1.5

    @classmethod
    def of_pipeline(cls, transforms: Iterable[Any]) -> Reach:
        """What the transforms of a top-down pipeline can do to a box."""
        values = dict(
            padding=1., shift=0., scale=1., rotate_deg=0., half_body=0.)
        for transform in transforms:
            match transform:
                case GetBBoxCenterScale():
                    values['padding'] = transform.padding
                case RandomHalfBody():
                    values['half_body'] = transform.padding
                case RandomBBoxTransform():
                    values['shift'] = transform.shift_factor
                    values['scale'] = max(1., transform.scale_factor[1])
                    values['rotate_deg'] = transform.rotate_factor
        return cls(**values)

    def within(self, other: Reach) -> bool:
        """Whether all that this one shows is in the other's part too."""
        return all(mine <= other_limit for mine, other_limit in zip(
            vars(self).values(), vars(other).values(), strict=True))

    def half_sides(self, sides: Array) -> Array:
        """Room on each side of a centre.

        Args:
            sides (ndarray): Width and height (2,) of an enlarged box, px.

        Returns:
            ndarray: (2,) px, for square network inputs.
        """
        angle = math.radians(min(self.rotate_deg, 45.))
        turned = math.cos(angle) + math.sin(angle)
        return self.shift * sides + self.scale * turned * sides.max() / 2


@dataclass(frozen=True)
class Part:
    """A part of a photograph, reduced.

    Attributes:
        left: First column, px of the photograph.
        top: First row.
        width: Columns, px of the reduced part.
        height: Rows.
        factor: Pixels of the photograph to one of the part.
    """

    left: int
    top: int
    width: int
    height: int
    factor: int

    def to_part(self, points: Array) -> Array:
        """Photograph (..., 2) px to part, float32."""
        corner = np.array([self.left, self.top])
        return ((points - corner + .5) / self.factor - .5).astype(np.float32)


def find_part(info: dict[str, Any], side: int, reach: Reach) -> Part:
    """Find what of a photograph can be seen in the crops of a horse.

    Args:
        info (dict): A sample of a top-down data set: ``bbox`` (1, 4) corners,
            ``keypoints`` (1, K, 2), ``keypoints_visible`` (1, K),
            ``upper_body_ids``, ``lower_body_ids``, and ``img_size``: width
            and height of the photograph, px.
        side (int): Side of the network's input, px. The reduced horse still
            has as many pixels as its unscaled crop.
        reach (Reach): What augmentation may do.

    Returns:
        Part: Beginning at multiples of its factor. Where the photograph's
        size is no multiple, the last pixels count beyond its border.
    """
    corners = np.asarray(info['bbox'], np.float64).reshape(2, 2)
    seen = [(corners.mean(0), (corners[1] - corners[0]) * reach.padding)]
    factor = max(1, int(seen[0][1].max() / side))
    points = np.asarray(info['keypoints'], np.float64)[0]
    visible = np.asarray(info['keypoints_visible'])[0] > 0
    size = info['img_size']
    for half in (info['upper_body_ids'], info['lower_body_ids']):
        known = points[[i for i in half if visible[i]]]
        if reach.half_body and len(known):
            seen.append((known.mean(0), np.ptp(known, axis=0) *
                         reach.half_body))
    # a pixel more for the interpolation, another for rounding
    room = [reach.half_sides(sides) + 2 * factor for _, sides in seen]
    lowest = np.min([centre - half for (centre, _), half
                     in zip(seen, room, strict=True)], axis=0)
    highest = np.max([centre + half for (centre, _), half
                      in zip(seen, room, strict=True)], axis=0)
    first = np.floor(np.clip(lowest, 0, np.subtract(size, 1)) / factor)
    last = np.ceil(np.clip(highest + 1, 1, size) / factor)
    left, top = (first * factor).astype(int).tolist()
    width, height = (last - first).astype(int).tolist()
    return Part(left, top, width, height, factor)


def read_part(path: str | Path, part: Part, size: tuple[int, int]) -> Array:
    """Read a part of a photograph.

    Pixels are means of squares. Of a JPEG file whose size is a multiple,
    libjpeg takes them, which differs by about a level.

    Args:
        path (str | Path): The photograph.
        part (Part): What of it.
        size (tuple[int, int]): Width and height that the photograph must
            have, px.

    Returns:
        ndarray: uint8 (H, W, 3), BGR; black beyond the photograph's border.

    Raises:
        DataError: If it cannot be read or has another size.
    """
    factor = part.factor
    data = check_file(path).read_bytes()
    reduced = 1
    if data.startswith(_JPEG) and size[0] % factor == size[1] % factor == 0:
        reduced = max((n for n in _REDUCED if factor % n == 0), default=1)
    image = decode_picture(
        np.frombuffer(data, np.uint8), _REDUCED.get(reduced,
                                                    cv2.IMREAD_COLOR))
    if image is None:
        raise DataError(path, 'file', 'a picture', 'none that OpenCV reads')
    found = image.shape[1], image.shape[0]
    expected = size[0] // reduced, size[1] // reduced
    if found != expected:
        raise DataError(
            path, 'size', f'{size[0]} x {size[1]} px as annotated',
            f'{found[0] * reduced} x {found[1] * reduced} px',
            'annotate the picture as it is shown, turned by its EXIF tag')
    step = factor // reduced
    left, top = part.left // reduced, part.top // reduced
    image = image[top:top + part.height * step, left:left + part.width * step]
    if step > 1:
        image = cv2.copyMakeBorder(
            image, 0, part.height * step - image.shape[0], 0,
            part.width * step - image.shape[1], cv2.BORDER_CONSTANT)
        image = cv2.resize(
            image, (part.width, part.height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image)


class CropCache:
    """Parts of photographs, read once and kept for all worker processes.

    The memory is made before the workers start and inherited by them
    (``mp_start_method='fork'``). Whoever needs a part first fills its place;
    if two do at once, they write the same bytes. A copy of the cache, or one
    sent to a spawned process, keeps nothing and reads each time. What a
    sample looks like is the same with memory and without, and does not
    depend on who came first.

    Args:
        infos (Iterable[dict]): All samples as :func:`find_part` needs them,
            told apart by ``id``.
        side (int): Side of the network's input, px. Defaults to 256.
        megabytes (float): Memory for all parts together, of 2**20 bytes, in
            each training process of its own. Parts beyond it are read from
            disk each time. Defaults to 1024.
        reach (dict, optional): Fields of :class:`Reach`: the largest
            changes of the box in all pipelines of the run. Defaults to None,
            the original's strongest.
    """

    def __init__(self,
                 infos: Iterable[dict[str, Any]],
                 side: int = 256,
                 megabytes: float = 1024,
                 reach: dict[str, float] | None = None) -> None:
        self.side = side
        self.reach = Reach(**(reach or {}))
        self._checked: Any = None
        self._rows: dict[int, int] = {}
        parts: list[tuple[int, ...]] = []
        offsets, used = [], 0
        limit = int(megabytes * _MEGABYTE)
        for info in infos:
            self._rows[info['id']] = len(parts)
            part = find_part(info, side, self.reach)
            size = 3 * part.width * part.height
            fits = used + size <= limit
            offsets.append(used if fits else -1)
            used += size * fits
            parts.append(astuple(part))
        self._parts = np.array(parts, np.int64).reshape(-1, 5)
        self._offsets = np.array(offsets, np.int64)
        self.used = used
        self._filled: Array | None = None
        if used:
            # anonymous and shared; pages that nobody fills cost nothing
            memory = np.frombuffer(mmap.mmap(-1, len(parts) + used), np.uint8)
            self._filled = memory[:len(parts)]
            self._pixels = memory[len(parts):]

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the memory."""
        state = {**self.__dict__, '_filled': None, '_checked': None}
        state.pop('_pixels', None)
        return state

    def __str__(self) -> str:
        kept = int((self._offsets >= 0).sum())
        return (f'{kept} of {len(self._offsets)} crops kept, '
                f'{self.used / _MEGABYTE:.0f} MB')

    def check_pipeline(self, pipeline: Any) -> None:
        """Refuse a pipeline that would show what the parts leave out.

        Args:
            pipeline (Compose): The data set's; one that has been checked
                costs nothing.

        Raises:
            ValueError: If it goes further than ``reach``.
        """
        if pipeline is self._checked:
            return
        sizes = {
            tuple(transform.input_size) for transform in pipeline.transforms
            if hasattr(transform, 'input_size')
        }
        if not sizes <= {(self.side, self.side)}:
            raise ValueError(f'cache: expected an input of {self.side} x '
                             f'{self.side} px, found {sizes}; set cache.side')
        needed = Reach.of_pipeline(pipeline.transforms)
        if not needed.within(self.reach):
            raise ValueError(f'cache: the pipeline shows {needed}, beyond '
                             f'what is kept, {self.reach}; set cache.reach')
        self._checked = pipeline

    def load(self, info: dict[str, Any]) -> dict[str, Any]:
        """Give a sample the part of its photograph in place of the whole.

        ``LoadImage`` then has nothing to read. ``raw_ann_info`` stays in
        pixels of the photograph.

        Args:
            info (dict): One of the samples.

        Returns:
            dict: The sample with ``img`` (read-only), and with ``bbox`` and
            ``keypoints`` in its pixels.
        """
        row = self._rows[info['id']]
        part = Part(*self._parts[row].tolist())
        box = np.asarray(info['bbox'], np.float64)
        return {
            **info,
            'img': self._image(row, part, info),
            'bbox': part.to_part(box.reshape(-1, 2)).reshape(box.shape),
            'keypoints': part.to_part(info['keypoints']),
        }

    def _image(self, row: int, part: Part, info: dict[str, Any]) -> Array:
        shape = part.height, part.width, 3
        offset = int(self._offsets[row])
        if self._filled is None or offset < 0:
            return read_part(info['img_path'], part, info['img_size'])
        place = self._pixels[offset:offset + math.prod(shape)].reshape(shape)
        if not self._filled[row]:
            place[:] = read_part(info['img_path'], part, info['img_size'])
            self._filled[row] = 1  # only now others may look
        image = place.view()
        image.flags.writeable = False
        return image
