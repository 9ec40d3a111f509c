"""Long recordings: frames read ahead, results put away block by block.

A prediction may take days. Frames are decoded in order, some time points
ahead of the model and never more; results go to the disk a block at a time,
so that memory does not grow and a kill costs one block at most.
"""
from __future__ import annotations

import json
import re
import shutil
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from mmpose_ext.progress import prediction_progress
from mmpose_ext.storage import (
    DataError,
    NpzArchive,
    atomic_file,
    write_npz,
)

Array = np.ndarray
# V images of a time point, None for one that cannot be read; None in place of
# all: too few can be read
Views = list[Array | None] | None
# views of T time points and their rows to arrays (T, ...) by name
Predict = Callable[[list[Views], Array], Mapping[str, Array]]

AHEAD = 4  # time points decoded while the model works
BATCH = 4  # time points that the model gets at a time
MIN_VIEWS = 2  # a place in space needs two
BLOCK = 100  # time points in a block: what a kill costs at most
_SHOWN = 3  # errors of frames that are printed as they are met
_FINGERPRINT = 'fingerprint.json'


class FrameSource(Protocol):
    """What frames are read from: a recording."""

    @property
    def videos(self) -> Sequence[Any]:
        """One entry a view."""

    def read(self, row: int, view: int) -> Array:
        """Image (H, W, 3) BGR of a time point."""


def read_ahead(source: FrameSource,
               rows: Sequence[int] | Array,
               ahead: int = AHEAD) -> Generator[list[Array], None, None]:
    """Images of time points, each view decoded by a thread of its own.

    Only the frames asked for are kept. At most ``ahead`` + 1 time points are
    in memory.

    Args:
        source (FrameSource): The recording.
        rows (Sequence[int]): Time points, best in rising order: then each
            video is decoded once, from the first to the last.
        ahead (int): Time points to decode before they are needed. Defaults
            to 4.

    Yields:
        list[ndarray]: V images of a time point.

    Raises:
        DataError: If a frame cannot be read.
    """
    with closing(_decode_ahead(source, rows, ahead)) as decoded:
        for images in decoded:
            yield [image.result() for image in images]


def _decode_ahead(source: FrameSource, rows: Sequence[int] | Array,
                  ahead: int) -> Generator[list[Future[Array]], None, None]:
    # One thread a view: a video's decoder has a position, which two readers
    # would move under each other's hands.
    threads = [ThreadPoolExecutor(1, f'view {view}')
               for view in range(len(source.videos))]
    waiting: deque[list[Future[Array]]] = deque()
    try:
        for row in rows:
            waiting.append([
                thread.submit(source.read, int(row), view)
                for view, thread in enumerate(threads)
            ])
            if len(waiting) > ahead:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        for thread in threads:
            thread.shutdown(cancel_futures=True)


class TimePoints(NamedTuple):
    """Some time points as they were read.

    Attributes:
        rows: (T,) of the recording.
        images: T lists of V images, None for one that cannot be read; None
            in place of a list with too few.
        views_read: (T,) int16, images that could be read.
        errors: Why others could not.
    """

    rows: Array
    images: list[Views]
    views_read: Array
    errors: list[DataError]


def read_batches(source: FrameSource,
                 rows: Array,
                 batch: int,
                 min_views: int | None = None,
                 ahead: int = AHEAD,
                 block: int | None = None
                 ) -> Generator[TimePoints, None, None]:
    """Images of time points, some at a time, whether or not all can be read.

    Args:
        source (FrameSource): The recording.
        rows (ndarray): Time points, best in rising order.
        batch (int): Time points at a time.
        min_views (int, optional): Images of a time point that are enough, of
            a recording of fewer views all. Defaults to None, all.
        ahead (int): Time points to decode before they are needed, a batch at
            least. Defaults to 4.
        block (int, optional): No batch has time points of two such blocks.
            Defaults to None.

    Yields:
        TimePoints: Up to `batch` of them.
    """
    total = len(source.videos)
    enough = total if min_views is None else min(min_views, total)
    with closing(_decode_ahead(source, rows, max(ahead, batch))) as decoded:
        first = 0
        while first < len(rows):
            limit = len(rows) if block is None else (
                (first // block + 1) * block)
            chosen = rows[first:min(first + batch, limit)]
            errors: list[DataError] = []
            images = [_collect(item, errors)
                      for item in islice(decoded, len(chosen))]
            read = np.array([sum(view is not None for view in views)
                             for views in images], np.int16)
            yield TimePoints(chosen, [
                views if count >= enough else None
                for views, count in zip(images, read, strict=True)],
                read, errors)
            del images  # before the next ones are decoded
            first += len(chosen)


def _collect(images: list[Future[Array]],
             errors: list[DataError]) -> list[Array | None]:
    """Images of a time point; why some are missing goes to `errors`."""
    views: list[Array | None] = []
    for image in images:
        try:
            views.append(image.result())
        except DataError as error:
            views.append(None)
            errors.append(error)
    return views


def fill_blank(views: Sequence[Array | None],
               sizes: Array) -> list[Array]:
    """Pictures of a time point, black ones where there are none.

    Args:
        views (Sequence[ndarray | None]): V images (H, W, 3) uint8.
        sizes (ndarray): (V, 2) width and height of each, px.
    """
    return [np.zeros((height, width, 3), np.uint8) if view is None else view
            for view, (width, height) in zip(views, sizes.tolist(),
                                             strict=True)]


class BlockStore:
    """Blocks of results in a folder, whole ones only.

    Args:
        folder (Path): Made if need be; its parent exists.
        fingerprint (Mapping[str, Any]): What the results depend on, in
            values that JSON knows.
        resume (bool): Whether to go on with what is there. Defaults to
            False.

    Attributes:
        count (int): Blocks that are there.

    Raises:
        DataError: If blocks are there and ``resume`` is False, or they are
            of another fingerprint.
    """

    def __init__(self, folder: Path, fingerprint: Mapping[str, Any],
                 resume: bool = False) -> None:
        self.folder = folder
        note = folder / _FINGERPRINT
        if note.is_file():
            if not resume:
                raise DataError(folder, 'folder', 'nothing',
                                'blocks of a prediction that did not finish',
                                '--resume goes on with it, --overwrite '
                                'begins anew')
            check_fingerprint(note, fingerprint)
        else:
            # without a note nothing was ever finished here
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            with atomic_file(note) as temporary:
                temporary.write_text(json.dumps(fingerprint, indent=1))
        self.count = 0
        while self._is_whole(self._path(self.count)):
            self.count += 1

    def add(self, arrays: Mapping[str, Array]) -> None:
        """Put the next block on the disk."""
        write_npz(self._path(self.count), **arrays)
        self.count += 1

    def join(self) -> dict[str, Array]:
        """All blocks as one, array by array.

        Needs the memory of the results once, and of one block.
        """
        joined: dict[str, Array] = {}
        archives = [NpzArchive(self._path(i)) for i in range(self.count)]
        for name in archives[0].names if archives else ():
            shapes = [archive.shape(name) for archive in archives]
            whole = np.empty((sum(shape[0] for shape in shapes),
                              *shapes[0][1:]), archives[0].dtype(name))
            start = 0
            for archive, shape in zip(archives, shapes, strict=True):
                whole[start:start + shape[0]] = archive.read(name)
                start += shape[0]
            joined[name] = whole
        return joined

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f'{number:06d}.npz'

    @staticmethod
    def _is_whole(path: Path) -> bool:
        if not path.is_file():
            return False
        try:
            archive = NpzArchive(path)
            for name in archive.names:
                archive.read(name)
        except DataError:
            return False  # a damaged disk: the block is made again
        return True


def check_fingerprint(path: Path, fingerprint: Mapping[str, Any]) -> None:
    """Check that results are of the same work.

    Args:
        path (Path): JSON with the fingerprint of what is there.
        fingerprint (Mapping[str, Any]): That of what is asked for.

    Raises:
        DataError: Names what differs.
    """
    try:
        there = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(path, 'file', 'JSON', str(error),
                        '--overwrite begins anew') from error
    wanted = json.loads(json.dumps(fingerprint))
    different = sorted(key for key in {*there, *wanted}
                       if there.get(key) != wanted.get(key))
    if different:
        key = different[0]
        raise DataError(
            path, ', '.join(different), f'{key} {_short(wanted.get(key))}, '
            'as is asked for now', _short(there.get(key)),
            'the results there are of another prediction; use its options, '
            'or begin anew by --overwrite')


def predict_blocks(source: FrameSource,
                   rows: Array,
                   predict: Predict,
                   store: BlockStore,
                   block: int = BLOCK,
                   batch: int = BATCH,
                   description: str = 'predicting',
                   min_views: int | None = None) -> None:
    """Predict what is missing, block by block, with progress on stderr.

    A frame that cannot be read is None; a time point with too few others has
    None for views. The results' ``readable`` (T,) tells which have enough,
    ``views_read`` (T,) how many each has. Where no time point of a block has
    enough, the prediction ends.

    Args:
        source (FrameSource): The recording.
        rows (ndarray): (T,) time points, all of them.
        predict (Predict): The model: images of some time points and their
            rows to arrays by name, as long.
        store (BlockStore): Where results go; what it has is not made again.
        block (int): Time points in a block; the same when resumed. Defaults
            to 100.
        batch (int): Time points handed to ``predict`` at a time. Defaults to
            4.
        description (str): Of the work, for the progress.
        min_views (int, optional): Frames of a time point that are enough, of
            a recording of fewer views all. Defaults to None, all.

    Raises:
        DataError: If no time point of a block has enough frames.
    """
    done = min(store.count * block, len(rows))
    shown = 0
    parts: list[dict[str, Array]] = []  # of this block
    last_errors: list[DataError] = []
    with (prediction_progress() as progress,
          closing(read_batches(source, rows[done:], batch, min_views,
                               block=block)) as stream):
        task = progress.add_task(description, total=len(rows),
                                 completed=done)
        for some in stream:
            for error in some.errors[:max(_SHOWN - shown, 0)]:
                progress.console.print(
                    f'left out: {error}', highlight=False, markup=False,
                    soft_wrap=True)
            shown += len(some.errors)
            parts.append({
                **predict(some.images, some.rows),
                'readable': np.array([views is not None
                                      for views in some.images]),
                'views_read': some.views_read})
            last_errors = some.errors or last_errors
            progress.advance(task, len(some.rows))
            done += len(some.rows)
            if done % block and done < len(rows):
                continue
            if not any(part['readable'].any() for part in parts):
                raise last_errors[-1]
            store.add({
                name: np.concatenate([part[name] for part in parts])
                for name in parts[0]
            })
            parts.clear()


def _short(value: Any) -> str:
    """A value for a message; sums are cut to what tells them apart."""
    return re.sub(r'\b([0-9a-f]{10})[0-9a-f]{54}\b', r'\1...', str(value))
