"""Videos read frame by frame, exactly, and written whole or not at all."""
from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from .atomic import atomic_file
from .checks import StrPath, check_file
from .errors import DataError

_EXACT_HEADERS = ('.mp4', '.mov', '.m4v')  # their frame count is no estimate
_NEAR = 16  # frames ahead up to which decoding on beats seeking
_TOLERANCE = 1e-3  # ms, between times of the same frame
_INHERITED: list[Any] = []  # a parent process's handles, see _handle


@dataclass(frozen=True)
class VideoHeader:
    """What a video says of itself, read without looking at its frames.

    Attributes:
        frames: Their number, or None where the format only estimates it.
        fps: Frames per second, the mean where it varies.
        size: Width and height in px.
    """

    frames: int | None
    fps: float
    size: tuple[int, int]


def read_video_header(path: StrPath) -> VideoHeader:
    """Read the header of a video.

    Args:
        path (str | Path): The video.

    Raises:
        DataError: If it is missing or no video.
    """
    path = check_file(path)
    return _header_of(path, _open(path))


def check_video(path: StrPath) -> VideoHeader:
    """Read the header of a video, and see that the file can be what it says.

    The file must be whole and its first frame readable. The others are not
    looked at: for hours of video that would take minutes.

    Args:
        path (str | Path): The video.

    Raises:
        DataError: If it is missing, no video, cut short, or begins with
            damage.
    """
    path = check_file(path)
    capture = _open(path)
    if path.suffix.lower() in _EXACT_HEADERS:
        _check_parts(path)
    if not capture.grab():
        raise DataError(path, 'frame 0', 'a readable frame', 'damaged data')
    return _header_of(path, capture)


class VideoReader:
    """Frames of a video by index.

    `read(i)` is the i-th frame of a decoding from the start, also where the
    frame rate varies: on opening, the times of all frames are listed from
    the container, mostly without decoding, and a frame found by seeking
    counts only if it has the wanted time. Where times do not tell the frames
    apart, frames are counted from the start, slow backwards but exact.

    Each process opens a handle of its own: a reader may be pickled or
    inherited by a fork.

    Args:
        path (str | Path): The video.

    Attributes:
        path (Path): The video.
        fps (float): Frames per second, the mean where it varies.
        size (tuple[int, int]): Width and height in px.

    Raises:
        DataError: If it is missing, no video, or cut short.
    """

    def __init__(self, path: StrPath) -> None:
        self.path = check_file(path)
        self._capture: Any = None
        self._owner = os.getpid()
        self._next = 0  # index of the frame that decoding on would give
        self._times: np.ndarray | None = None  # ms, rising
        capture = self._handle()
        self.fps = float(capture.get(cv2.CAP_PROP_FPS))
        stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        listed = _list_times(self.path, decode=False)
        if (self.path.suffix.lower() in _EXACT_HEADERS
                and 0 < len(listed) < stated):
            raise DataError(self.path, 'frames',
                            f'{stated}, as the header says',
                            f'{len(listed)}', 'the file is cut short')
        self._use_times(listed)
        # Containers may list frames that are not to be shown, before a cut.
        if self._times is None or self._seek_to(len(listed) - 1) is None:
            self._use_times(_list_times(self.path, decode=True))
        first = self.read(0)
        self.size = (first.shape[1], first.shape[0])

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[np.ndarray]:
        for index in range(len(self)):
            yield self.read(index)

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, '_capture': None, '_next': 0}

    def close(self) -> None:
        """Give the handle back; reading on opens a new one."""
        if self._owner == os.getpid():
            self._capture = None

    def read(self, index: int) -> np.ndarray:
        """Read one frame.

        Args:
            index (int): From 0 to `len(reader) - 1`.

        Returns:
            np.ndarray: (H, W, 3) uint8, BGR.

        Raises:
            DataError: If the index is outside or the frame is damaged.
        """
        if not 0 <= index < self._count:
            raise DataError(self.path, f'frame {index}',
                            f'an index from 0 to {self._count - 1}',
                            str(index))
        frame = (self._count_to(index)
                 if self._times is None else self._seek_to(index))
        if frame is None:
            self.close()
            raise DataError(self.path, f'frame {index}', 'a readable frame',
                            'damaged data')
        self._next = index + 1
        return frame

    def _handle(self) -> Any:
        """This process's handle, opened at the first frame if need be."""
        if self._capture is not None and self._owner != os.getpid():
            # To close a handle whose threads stayed in the parent may hang.
            _INHERITED.append(self._capture)
            self._capture = None
        if self._capture is None:
            self._capture = _open(self.path)
            self._owner, self._next = os.getpid(), 0
        return self._capture

    def _use_times(self, times: list[float]) -> None:
        """Take the frames' times, if they tell the frames apart."""
        self._count = len(times)
        rising = np.unique(np.round(times, 3))
        self._times = rising if len(rising) == len(times) > 0 else None

    def _count_to(self, index: int) -> np.ndarray | None:
        """Decode from the start, or from here, up to a frame."""
        if index < self._next:
            self.close()
        capture = self._handle()
        while self._next < index and capture.grab():
            self._next += 1
        return capture.read()[1] if self._next == index else None

    def _seek_to(self, index: int) -> np.ndarray | None:
        """Find a frame by its time."""
        assert self._times is not None
        if 0 <= index - self._next <= _NEAR:
            frame = self._decode_to(self._times[index])
            if frame is not None:
                return frame
        # Seeking goes by a frame number reckoned from the mean rate: start
        # there and, if that was too late, ever earlier.
        guess = int(self._times[index] * self.fps / 1000)
        for margin in (0, 4, 32, 512):
            if guess > margin:
                self._handle().set(cv2.CAP_PROP_POS_FRAMES, guess - margin)
                frame = self._decode_to(self._times[index])
                if frame is not None:
                    return frame
        self.close()
        return self._decode_to(self._times[index])

    def _decode_to(self, time: float) -> np.ndarray | None:
        """Decode from here to the frame of a time in ms, if it comes."""
        capture = self._handle()
        while capture.grab():
            reached = capture.get(cv2.CAP_PROP_POS_MSEC)
            if abs(reached - time) < _TOLERANCE:
                return capture.retrieve()[1]
            if reached > time:
                break
        return None


class VideoWriter:
    """Writes an MP4 file (MPEG-4 part 2), whole or not at all.

    To be used in a `with` block; the file appears at its end, and not if the
    block raises. The format has even sizes only: of an odd one the last row
    or column is repeated in the file.

    Args:
        path (str | Path): The file, ending in .mp4; its folder exists.
        fps (float): Frames per second.
        size (tuple[int, int]): Width and height in px.

    Raises:
        DataError: If the video cannot be made like this, a frame does not
            fit, or none was written.

    Example:
        >>> with VideoWriter('turn.mp4', 25.0, (64, 48)) as video:
        ...     video.write(np.zeros((48, 64), np.uint8))
    """

    def __init__(self, path: StrPath, fps: float,
                 size: tuple[int, int]) -> None:
        self.path = Path(path)
        self.fps, self.size = float(fps), (int(size[0]), int(size[1]))
        if self.path.suffix.lower() != '.mp4':
            raise DataError(self.path, 'file', 'a name ending in .mp4',
                            repr(self.path.suffix))
        if not 0 < self.fps < math.inf or min(self.size) < 1:
            raise DataError(self.path, 'video', 'a positive rate and size',
                            f'{self.fps} fps, {self.size}')
        self._frames = 0

    def __enter__(self) -> VideoWriter:
        with ExitStack() as stack:
            self._temporary = stack.enter_context(atomic_file(self.path))
            width, height = (length + length % 2 for length in self.size)
            self._writer = cv2.VideoWriter(
                str(self._temporary), cv2.VideoWriter.fourcc(*'mp4v'),
                self.fps, (width, height))
            if not self._writer.isOpened():
                raise DataError(self.path, 'video', 'an MPEG-4 encoder',
                                f'none for {self.fps} fps, {self.size}')
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._writer.release()
        with self._stack:
            if error is not None:
                raise error
            # The encoder tells nothing of a full disk.
            written = (int(
                _open(self._temporary).get(cv2.CAP_PROP_FRAME_COUNT))
                       if self._frames else 0)
            if written < max(self._frames, 1):
                raise DataError(self.path, 'frames',
                                f'{self._frames or "at least one"}',
                                f'{written} in the file')

    def write(self, frame: np.ndarray) -> None:
        """Append a frame.

        Args:
            frame (np.ndarray): (H, W) grey or (H, W, 3) BGR, uint8.
        """
        width, height = self.size
        if frame.dtype != np.uint8 or frame.shape not in (
                (height, width), (height, width, 3)):
            raise DataError(self.path, f'frame {self._frames}',
                            f'uint8 ({height}, {width}) or with 3 channels',
                            f'{frame.dtype} {frame.shape}')
        if frame.ndim == 2:
            frame = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)
        # Left odd, OpenCV would cut the frame instead.
        frame = cv2.copyMakeBorder(frame, 0, height % 2, 0, width % 2,
                                   cv2.BORDER_REPLICATE)
        self._writer.write(frame)
        self._frames += 1


def _open(path: Path, *settings: int) -> Any:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, settings)
    if not capture.isOpened():
        raise DataError(path, 'file', 'a video',
                        'another format or a damaged file')
    return capture


def _header_of(path: Path, capture: Any) -> VideoHeader:
    exact = path.suffix.lower() in _EXACT_HEADERS
    return VideoHeader(
        int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if exact else None,
        float(capture.get(cv2.CAP_PROP_FPS)),
        (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
         int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))))


def _check_parts(path: Path) -> None:
    """The parts of an MP4 file begin with their sizes; all must be there."""
    length, place, kind = path.stat().st_size, 0, b''
    with path.open('rb') as stream:
        while place + 8 <= length:
            stream.seek(place)
            head = stream.read(16)
            size, kind = int.from_bytes(head[:4], 'big'), head[4:8]
            if size == 1:  # too large for four bytes
                size = int.from_bytes(head[8:], 'big')
            if size < 8:  # up to the end, or no part at all
                return
            place += size
    if place > length and kind in (b'mdat', b'moov', b'moof'):
        raise DataError(path, 'file', f'{place} bytes, as the part '
                        f'{kind.decode()!r} says', str(length),
                        'the file is cut short')


def _list_times(path: Path, decode: bool) -> list[float]:
    """Times of all frames in ms; undecoded in the order of the container."""
    # -1 asks for the packets as they are.
    capture = _open(path, *(() if decode else (cv2.CAP_PROP_FORMAT, -1)))
    times = []
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    return times
