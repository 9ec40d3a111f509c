"""Videos of a camera that are cut into pieces, one file after the other."""
from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np

from .checks import StrPath, is_shown
from .errors import DataError
from .video import (
    VideoHeader,
    VideoReader,
    check_video,
    read_video_header,
)

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.m4v')


class ChunkedVideo:
    """Frames of one camera by their place in the whole recording.

    The camera's folder, or the only folder in it that has videos, holds files
    named after the first of their frames: ``0.mp4``, ``3500.mp4``. Frames are
    exact, as those of :class:`VideoReader`.

    Making one lists the folder only. A file is opened with its first frame
    and its handle closed with the first frame of another one, so a process
    holds one handle a camera. May be pickled or inherited by a fork.

    Args:
        folder (str | Path): The camera's folder; its name is the camera's.

    Attributes:
        folder (Path): As given.
        name (str): The camera's name.
        files (tuple[Path, ...]): The pieces, in order.

    Raises:
        DataError: If there is no video, or a name is no frame.

    Example:
        >>> video = ChunkedVideo('videos/Camera1')
        >>> frame = video.read(3501)  # the second frame of 3500.mp4
    """

    def __init__(self, folder: StrPath) -> None:
        self.folder = Path(folder)
        self.name = self.folder.name
        numbered = sorted((_first_frame(file), file)
                          for file in _list_videos(self.folder))
        for (before, _), (start, file) in zip(numbered, numbered[1:],
                                              strict=False):
            if before == start:
                raise DataError(self.folder, 'videos',
                                'one file for each first frame',
                                f'two for {start}, one of them {file.name}')
        self.files = tuple(file for _, file in numbered)
        self._starts = [start for start, _ in numbered]
        self._readers: dict[int, VideoReader] = {}
        self._current = 0

    def __enter__(self) -> ChunkedVideo:
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    @property
    def first(self) -> int:
        """The first frame there is."""
        return self._starts[0]

    @cached_property
    def stop(self) -> int:
        """The frame after the last one, by the header of the last file.

        Counted by :meth:`check`: the header also has frames before a cut,
        which are not shown.
        """
        frames = (self._header.frames if len(self.files) == 1 else
                  read_video_header(self.files[-1]).frames)
        if frames is None:
            frames = len(self._reader(len(self.files) - 1))
        return self._starts[-1] + frames

    @property
    def fps(self) -> float:
        """Frames per second, of the first file."""
        return self._header.fps

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px, of the first file."""
        return self._header.size

    def read(self, frame: int) -> np.ndarray:
        """Read one frame.

        Args:
            frame (int): From `first` to `stop - 1`, counted over all files.

        Returns:
            np.ndarray: (H, W, 3) uint8, BGR.

        Raises:
            DataError: If it lies outside or between the files, the file is
                damaged, or its images have another size.
        """
        frame = int(frame)
        piece = bisect_right(self._starts, frame) - 1
        if not self.first <= frame < self.stop:
            raise self._outside(frame)
        reader = self._reader(piece)
        index = frame - self._starts[piece]
        if index >= len(reader):
            raise self._outside(frame, f'; {self.files[piece].name} has only '
                                f'{len(reader)} frames')
        return reader.read(index)

    def check(self) -> None:
        """Look at every file; count the frames of the last one.

        Only the first frame of a file is decoded, so that this takes seconds
        for hours of video. Where one holds more frames than there are numbers
        up to the next, which then has them, a warning says so.

        Raises:
            DataError: If one is damaged at its start, cut short or of another
                size, or a frame lies between two files.
        """
        for piece, start in enumerate(self._starts[:-1]):
            file, following = self.files[piece], self._starts[piece + 1]
            header = check_video(file)
            self._check_size(file, header.size)
            count = header.frames or len(self._reader(piece))
            if start + count < following:
                raise DataError(
                    file, f'camera {self.name!r}, frames',
                    f'{following - start}, up to '
                    f'{self.files[piece + 1].name}', str(count),
                    'the file is cut short or misnamed')
            if start + count > following:
                warnings.warn(
                    f'{file}: {count} frames, though '
                    f'{self.files[piece + 1].name} follows after '
                    f'{following - start}; misnamed?', stacklevel=2)
        self.stop = self._starts[-1] + len(self._reader(len(self.files) - 1))
        self.close()

    def close(self) -> None:
        """Give the handle back; reading on opens a new one."""
        if self._current in self._readers:
            self._readers[self._current].close()

    @cached_property
    def _header(self) -> VideoHeader:
        return read_video_header(self.files[0])

    def _reader(self, piece: int) -> VideoReader:
        """The reader of a file; the handle of the one before is closed."""
        if piece != self._current:
            self.close()
        if piece not in self._readers:
            reader = VideoReader(self.files[piece])
            self._check_size(self.files[piece], reader.size)
            self._readers[piece] = reader
        self._current = piece
        return self._readers[piece]

    def _check_size(self, file: Path, size: tuple[int, int]) -> None:
        if size != self.size:
            raise DataError(
                file, f'camera {self.name!r}, size',
                '{} x {}, as the first file has'.format(*self.size),
                '{} x {}'.format(*size))

    def _outside(self, frame: int, more: str = '') -> DataError:
        return DataError(
            self.folder, f'camera {self.name!r}, frame {frame}',
            f'a frame from {self.first} to {self.stop - 1}',
            f'{frame}{more}')


def find_camera_folders(videos: StrPath, names: Sequence[str]) -> list[Path]:
    """Find the folder of each camera.

    Args:
        videos (str | Path): The folder that holds them.
        names (Sequence[str]): The cameras' names.

    Raises:
        DataError: If one is missing; says which there are.
    """
    videos = Path(videos)
    if not videos.is_dir():
        raise DataError(videos, 'folder', 'a folder with one folder a camera',
                        'a file' if videos.exists() else 'nothing')
    present = sorted(path.name for path in videos.iterdir()
                     if path.is_dir() and is_shown(path))
    for name in names:
        if name not in present:
            raise DataError(
                videos, f'camera {name!r}', f'a folder {name!r}',
                f'only {", ".join(map(repr, present)) or "no folder"}',
                'name the folders as the label file names the cameras')
    return [videos / name for name in names]


def _list_videos(folder: Path) -> list[Path]:
    """Videos of a camera, all with the ending of the first."""
    if not folder.is_dir():
        raise DataError(folder, 'folder', 'a folder of videos',
                        'a file' if folder.exists() else 'nothing')
    found = _videos_in(folder)
    if not found:
        inner = {sub: videos for sub in sorted(folder.iterdir())
                 if sub.is_dir() and is_shown(sub)
                 and (videos := _videos_in(sub))}
        if len(inner) > 1:
            raise DataError(folder, 'videos', 'one folder with videos',
                            ', '.join(sub.name for sub in inner))
        found = next(iter(inner.values()), [])
    if not found:
        raise DataError(folder, 'videos',
                        f'files ending in {" or ".join(VIDEO_SUFFIXES)}',
                        'none')
    return [file for file in found
            if file.suffix.lower() == found[0].suffix.lower()]


def _videos_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir()
                  if file.suffix.lower() in VIDEO_SUFFIXES and is_shown(file)
                  and file.is_file())


def _first_frame(file: Path) -> int:
    if not (file.stem.isascii() and file.stem.isdigit()):
        raise DataError(file, 'name', 'the number of its first frame, such '
                        'as 0.mp4', repr(file.name),
                        'rename the file; names that start with _ are not '
                        'looked at')
    return int(file.stem)
