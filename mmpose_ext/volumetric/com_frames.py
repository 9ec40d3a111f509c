"""Frames made small for the network that finds the animals' middles."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.storage import DataError

Array = np.ndarray


@dataclass(frozen=True)
class FrameReduction:
    """A part of each frame, reduced by a whole number.

    A pixel of the result is the mean of a square of the frame; what is left
    over at the right and at the bottom goes. Cameras are reduced alike, so
    that points project to where they are in the reduced frame, exactly.

    Args:
        factor (int): Side of the squares, px. Defaults to 1.
        crop (Sequence[int], optional): Column and row of the part's first
            pixel, its width and height, in every view. Defaults to None, the
            whole frame.
    """

    factor: int = 1
    crop: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError('factor: expected 1 or more, found '
                             f'{self.factor}')
        if self.crop is not None and (
                len(self.crop) != 4 or min(self.crop) < 0
                or min(self.crop[2:]) < self.factor):
            raise ValueError('crop: expected column, row, width, height, '
                             f'found {self.crop}')

    def reduce_cameras(self, cameras: Cameras) -> Cameras:
        """Cameras of the reduced frames; their sizes must be known.

        Raises:
            DataError: If the part is not inside every frame.
        """
        assert cameras.sizes is not None
        corner, sizes = np.zeros(2, np.int64), cameras.sizes
        if self.crop is not None:
            corner, part = np.array(self.crop[:2]), np.array(self.crop[2:])
            if (corner + part > sizes).any():
                wide, high = sizes.min(0)
                raise DataError(
                    'config', 'dataset.crop',
                    f'column, row, width, height in frames of {wide} x '
                    f'{high} px', str(tuple(self.crop)))
            sizes = np.tile(part, (len(cameras), 1))
        sizes = sizes // self.factor
        return cameras.crop(
            np.tile(corner, (len(cameras), 1)),
            sizes * self.factor).resize(1 / self.factor)

    def reduce_frame(self, frame: Array) -> Array:
        """A frame (H, W, 3) uint8, or (H, W), reduced."""
        if self.crop is not None:
            left, top, width, height = self.crop
            frame = frame[top:top + height, left:left + width]
        height, width = (side // self.factor for side in frame.shape[:2])
        frame = frame[:height * self.factor, :width * self.factor]
        return np.ascontiguousarray(cv2.resize(
            frame, (width, height), interpolation=cv2.INTER_AREA))


def image_sample(image: Array) -> dict[str, Any]:
    """What MMPose's top-down pipelines ask of an image taken whole.

    The box goes from the centre of the first pixel to that of the last, as
    unbiased data processing (``use_udp=True``) understands it.

    Args:
        image (ndarray): (H, W, 3) uint8, BGR.
    """
    height, width = image.shape[:2]
    return dict(
        img=image, img_shape=(height, width), ori_shape=(height, width),
        bbox=np.array([[0, 0, width - 1, height - 1]], np.float32),
        bbox_score=np.ones(1, np.float32))
