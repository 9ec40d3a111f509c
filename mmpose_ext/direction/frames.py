"""What the tagger reads: crops as they are, or cut out of full frames."""
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmpose_ext.direction.crops import (
    BACKGROUND_FRAMES,
    BlobFinder,
    CentreFinder,
    cut_crop,
    read_centres,
)
from mmpose_ext.storage import (
    DataError,
    NpzArchive,
    VideoReader,
    check_array,
    check_file,
)
from mmpose_ext.storage.pictures import read_picture

Array = np.ndarray

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.pgm')


@dataclass(frozen=True, eq=False)
class CropBatch:
    """Consecutive crops that are ready for the network.

    Attributes:
        images: (B, S, S) uint8.
        frames: (B,) number of each crop's frame.
        origins: (B, 2) px of the frame where the crop begins.
    """

    images: Array
    frames: Array
    origins: Array


class CropSource:
    """An input, read batch by batch as often as it is asked for.

    Attributes:
        path (Path): The input.
        count (int): Number of frames; some may yield no crop.
        fps (float | None): Frames per second, where the input knows it.
        size (int): Side S of the crops, px.
        side (int): Side of a crop in its frame, px.
    """

    def __init__(self, path: Path, count: int, fps: float | None, size: int,
                 side: int) -> None:
        self.path, self.count, self.fps = path, count, fps
        self.size, self.side = size, side

    def batches(self, batch_size: int) -> Iterator[CropBatch]:
        """Yield the crops in order, ``batch_size`` or fewer at a time."""
        raise NotImplementedError


class ArraySource(CropSource):
    """Crops of an npz file's ``images``, streamed.

    Args:
        path (Path): npz file with ``images`` (N, S, S) uint8.
        size (int): S, as the network needs it.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._archive = NpzArchive(path)
        shape = self._archive.shape('images')
        if len(shape) != 3 or shape[1:] != (size, size):
            raise DataError(path, 'images', f'shape (N, {size}, {size})',
                            f'shape {shape}')
        if self._archive.dtype('images') != np.uint8:
            raise DataError(path, 'images', 'dtype uint8',
                            f'dtype {self._archive.dtype("images")}')
        if shape[0] == 0:
            raise DataError(path, 'images', 'at least one image', 'none')
        super().__init__(path, shape[0], None, size, size)

    def batches(self, batch_size: int) -> Iterator[CropBatch]:
        """See :class:`CropSource`."""
        start = 0
        for images in self._archive.iter_rows('images', batch_size):
            frames = np.arange(start, start + len(images))
            yield CropBatch(images, frames, np.zeros((len(images), 2)))
            start += len(images)


class FrameSource(CropSource):
    """Crops of a video's or a folder's frames.

    Args:
        path (Path): A video, or a folder of images in natural order.
        size (int): Side of the crops, px.
        centres (str, optional): ``bg`` to find the animal by background
            subtraction, or a table of centres (see
            :func:`~mmpose_ext.direction.crops.read_centres`). Defaults to
            None: the frames are crops.
        side (int, optional): Side of a crop in its frame, px. Defaults to
            ``size``.
        individual (str, optional): Of a table of several animals. Defaults
            to None.
    """

    def __init__(self,
                 path: Path,
                 size: int,
                 centres: str | None = None,
                 side: int | None = None,
                 individual: str | None = None) -> None:
        self._video: VideoReader | None = None
        self._files: list[Path] = []
        if path.is_dir():
            self._files = sorted(
                (file for file in path.iterdir()
                 if file.suffix.lower() in IMAGE_SUFFIXES),
                key=_natural_key)
            if not self._files:
                raise DataError(path, 'folder',
                                f'images ({" ".join(IMAGE_SUFFIXES)})',
                                'none')
        else:
            self._video = VideoReader(path)
        super().__init__(
            path, len(self._video or self._files),
            self._video.fps if self._video else None, size, side or size)
        self._finder = self._make_finder(centres, individual)

    def batches(self, batch_size: int) -> Iterator[CropBatch]:
        """See :class:`CropSource`."""
        images = np.empty((batch_size, self.size, self.size), np.uint8)
        frames: list[int] = []
        origins: list[Array] = []
        for number in range(self.count):
            frame = self._read(number)
            found = self._crop(number, frame)
            if found is None:
                continue
            images[len(frames)] = found[0]
            frames.append(number)
            origins.append(found[1])
            if len(frames) == batch_size:
                yield CropBatch(images, np.array(frames), np.array(origins))
                images = np.empty_like(images)
                frames, origins = [], []
        if frames:
            yield CropBatch(images[:len(frames)], np.array(frames),
                            np.array(origins))

    def _crop(self, number: int, frame: Array) -> tuple[Array, Array] | None:
        if self._finder is None:
            if frame.shape != (self.size, self.size):
                raise DataError(
                    self.path, f'frame {number}',
                    f'{self.size}x{self.size} px',
                    f'{frame.shape[1]}x{frame.shape[0]} px',
                    'full frames need --crop bg or --crop TABLE')
            return frame, np.zeros(2)
        centre = self._finder.find(number, frame)
        if not np.isfinite(centre).all():
            return None
        return cut_crop(frame, centre, self.side, self.size)

    def _make_finder(self, centres: str | None,
                     individual: str | None) -> CentreFinder | None:
        if centres is None:
            return None
        if centres != 'bg':
            return read_centres(Path(centres), individual)
        chosen = np.unique(np.linspace(
            0, self.count - 1, min(self.count, BACKGROUND_FRAMES)).astype(int))
        samples = [self._read(int(number)) for number in chosen]
        if len({sample.shape for sample in samples}) > 1:
            raise DataError(self.path, 'frames', 'one size', 'several',
                            '--crop bg needs a camera that does not move')
        return BlobFinder(samples)

    def _read(self, number: int) -> Array:
        """One frame, (H, W) uint8 grey."""
        if self._video is not None:
            return cv2.cvtColor(self._video.read(number), cv2.COLOR_BGR2GRAY)
        path = check_file(self._files[number])
        frame = read_picture(path, cv2.IMREAD_GRAYSCALE)
        if frame is None:
            raise DataError(path, 'file', 'an image', 'damaged data')
        return check_array(frame, path, 'image', dtype='u1')


def open_source(path: Path,
                size: int,
                centres: str | None = None,
                side: int | None = None,
                individual: str | None = None) -> CropSource:
    """Open an npz file, a folder of images or a video.

    Arguments are those of :class:`FrameSource`.

    Raises:
        DataError: If it is none of these, or damaged.
    """
    if path.is_dir():
        return FrameSource(path, size, centres, side, individual)
    path = check_file(path)
    if path.suffix.lower() != '.npz':
        return FrameSource(path, size, centres, side, individual)
    if centres is not None:
        raise DataError(path, 'file', 'full frames for --crop: a video or a '
                        'folder of images', 'an array of crops')
    return ArraySource(path, size)


def _natural_key(path: Path) -> list[tuple[int, int | str]]:
    """Sort key in which digits count as numbers."""
    return [(0, int(part)) if part.isdecimal() else (1, part)
            for part in re.split('([0-9]+)', path.name)]
