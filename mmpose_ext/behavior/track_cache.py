"""Packed data sets on the disk, mapped instead of read."""
from __future__ import annotations

import contextlib
import getpass
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

import numpy as np
from mmengine.logging import print_log

from mmpose_ext.behavior.track_store import TrackStore
from mmpose_ext.storage import DataError, atomic_folder

Array = np.ndarray

FOLDER = '.mmpose_ext_cache'
TRACKS, LABELS, META = 'tracks.npy', 'labels.npy', 'meta.json'
IN_MEMORY_BYTES = 256 << 20  # larger data sets are mapped from the disk
VERSION = 1  # of what a packed data set means; older ones are packed again
_NAMES = ('ids', 'individuals', 'keypoints', 'axes', 'classes')
_WHOLE = ('starts', 'lengths', 'first_frames')
_REAL = ('fps', 'scales', 'offsets')


def cache_key(signature: str, options: Any) -> str:
    """Name of the folder of a packed data set.

    Args:
        signature (str): Of the files.
        options (RecordOptions): Of the data set.
    """
    text = f'{VERSION} {signature} {options!r}'
    return blake2b(text.encode(), digest_size=12).hexdigest()


def cache_folders(root: Path, cache_dir: Path | None) -> list[Path]:
    """Where packed data sets may be, the preferred place first.

    Args:
        root (Path): Folder of the data set, or its only file.
        cache_dir (Path | None): The place asked for.
    """
    if cache_dir is not None:
        return [cache_dir]
    beside = root if root.is_dir() else root.parent
    return [beside / FOLDER,
            Path(tempfile.gettempdir(), f'mmpose_ext_cache-{_user()}')]


def open_packed(folder: Path, source: Path) -> TrackStore | None:
    """Map a packed data set.

    Args:
        folder (Path): Of the packed data set.
        source (Path): The data set that it was made from.

    Returns:
        TrackStore | None: None if there is none, or it is damaged.
    """
    try:
        meta = json.loads((folder / META).read_text())
        tracks = np.load(folder / TRACKS, mmap_mode='r')
        labels = None
        if meta['labelled']:
            labels = np.load(folder / LABELS, mmap_mode='r')
        rest: dict[str, Any] = {name: tuple(meta[name]) for name in _NAMES}
        for names, kind in ((_WHOLE, np.int64), (_REAL, np.float64)):
            rest.update({name: np.array(meta[name], kind) for name in names})
        store = TrackStore(
            source, tracks, labels=labels, tracks_file=folder / TRACKS,
            labels_file=None if labels is None else folder / LABELS, **rest)
        return store if _is_whole(store) else None
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None


def remove_damaged(folder: Path) -> None:
    """Remove what :func:`open_packed` could not open."""
    shutil.rmtree(folder, ignore_errors=True)


def remove_stale(folder: Path) -> None:
    """Remove what was packed of the same data set before its files changed.

    Args:
        folder (Path): Of the packed data set that counts; others in the same
            folder go if they were made of the same source by the same
            options.
    """
    origin = _origin(folder)
    for other in folder.parent.iterdir():
        found = _origin(other)
        if other != folder and origin is not None and found is not None and (
                found['source'], found['options']) == (
                    origin['source'], origin['options']):
            shutil.rmtree(other, ignore_errors=True)


def _origin(folder: Path) -> dict[str, str] | None:
    try:
        return json.loads((folder / META).read_text())['origin']
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_meta(folder: Path, store: TrackStore, options: Any) -> None:
    """Write all of a store but its arrays of frames.

    Args:
        folder (Path): Where its arrays are.
        store (TrackStore): The store.
        options (RecordOptions): How it was read.
    """
    meta: dict[str, Any] = {name: list(getattr(store, name))
                            for name in _NAMES}
    for name in (*_WHOLE, *_REAL):
        meta[name] = getattr(store, name).tolist()
    meta['fps'] = [None if np.isnan(rate) else rate for rate in store.fps]
    meta['labelled'] = store.labels is not None
    meta['origin'] = dict(source=str(store.source.absolute()),
                          options=repr(options))
    (folder / META).write_text(json.dumps(meta))


class TrackWriter:
    """Takes records one after another, in memory or, if many, on the disk.

    Used in a ``with``: what it began to write on the disk is complete after
    it, or gone.

    Args:
        places (Sequence[Path]): Folders to make, tried in this order; with
            none all stays in memory.
        on_disk (bool): Whether to write to the disk from the start.
        source (Path): The data set, for errors.
    """

    def __init__(self, places: Sequence[Path], on_disk: bool,
                 source: Path) -> None:
        self.places, self.on_disk, self.source = places, on_disk, source
        self.frames = 0
        self.folder: Path | None = None  # when it will be complete
        self._parts: list[Array] = []
        self._shape: tuple[int, ...] = ()
        self._context: AbstractContextManager[Path] | None = None
        self._work = Path()  # the folder while it is written
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> TrackWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._context is None:
            return
        try:
            self._context.__exit__(*error)
        except OSError as failure:
            # another process that packs the same may have been faster
            if self.folder is None or open_packed(
                    self.folder, self.source) is None:
                raise self._refusal(failure) from failure

    def add(self, position: Array) -> None:
        """Add the frames of a record.

        Args:
            position (ndarray): (T, N, K, S) float32; not to be changed
                afterwards.

        Raises:
            DataError: If the disk is full.
        """
        self._shape = position.shape[1:]
        self.frames += len(position)
        if self._stream is not None:
            self._write(position)
            return
        self._parts.append(position)
        size = self.frames * int(np.prod(self._shape)) * position.itemsize
        if self.places and (self.on_disk or size > IN_MEMORY_BYTES):
            self._open()
            for part in self._parts:
                self._write(part)
            self._parts.clear()

    def finish(self) -> Array:
        """Add the frame of padding and return all frames.

        Returns:
            ndarray: (F + 1, N, K, S) float32, mapped for writing if they
            are on the disk.
        """
        padding = np.full((1, *self._shape), np.nan, np.float32)
        if self._stream is None:
            return np.concatenate([*self._parts, padding])
        self._write(padding)
        with self._explained():
            self._write_header()
            self._stream.close()
        return np.load(self._work / TRACKS, mmap_mode='r+')

    def save(self, store: TrackStore, options: Any) -> None:
        """Write the rest of a store to the disk, if its tracks are there.

        Args:
            store (TrackStore): With the array of :meth:`finish`.
            options (RecordOptions): How it was read.
        """
        if self._context is None:
            return
        with self._explained():
            store.tracks.flush()  # type: ignore[attr-defined]
            if store.labels is not None:
                np.save(self._work / LABELS, store.labels)
            write_meta(self._work, store, options)

    def _open(self) -> None:
        failure: OSError | DataError | None = None
        for place in self.places:
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                context = atomic_folder(place)
                self._work = context.__enter__()
            except (OSError, DataError) as error:
                failure = error
                continue
            if failure is not None:
                print_log(f'{self.places[0].parent} cannot be written '
                          f'({failure}); the packed data set is kept in '
                          f'{place.parent}', 'current')
            self.folder, self._context = place, context
            self._stream = (self._work / TRACKS).open('wb')
            self._write_header()
            return
        raise DataError(
            self.places[-1].parent, 'folder', 'one that can be written, for '
            'the packed data set', str(failure), 'set cache_dir'
        ) from failure

    def _write(self, frames: Array) -> None:
        assert self._stream is not None
        with self._explained():
            np.ascontiguousarray(frames, np.float32).tofile(self._stream)

    def _write_header(self) -> None:
        """The header of a .npy, which has room for a greater length."""
        assert self._stream is not None
        self._stream.seek(0)
        frames = self.frames + 1
        np.lib.format.write_array_header_1_0(
            self._stream, dict(descr='<f4', fortran_order=False,
                               shape=(frames, *self._shape)))

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the disk refuses into an error with a way out."""
        try:
            yield
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> DataError:
        return DataError(
            (self.folder or self.places[0]).parent, 'file',
            'room for the packed data set', error.strerror or str(error),
            'set cache_dir to a folder on a larger disk')


def _is_whole(store: TrackStore) -> bool:
    """Whether the parts of a store fit together."""
    frames = store.total_frames
    shape = (frames + 1, len(store.individuals), len(store.keypoints),
             len(store.axes))
    records = len(store.ids)
    return bool(
        store.tracks.shape == shape and store.tracks.dtype == np.float32
        and (store.labels is None or (
            store.labels.shape == (frames, len(store.classes))
            and store.labels.dtype == np.uint8))
        and len(store.starts) == len(store.lengths) == records
        and store.scales.shape == store.offsets.shape == (
            records, len(store.axes)))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return 'user'
