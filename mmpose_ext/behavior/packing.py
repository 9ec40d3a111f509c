"""Records read one at a time and packed into one array."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from mmpose_ext.behavior.record_files import RecordFiles
from mmpose_ext.behavior.record_labels import RecordLabels, pack_labels
from mmpose_ext.behavior.record_options import RecordOptions
from mmpose_ext.behavior.record_reader import (
    Record,
    finish_record,
    read_record,
)
from mmpose_ext.behavior.scaling import (
    EXTENT,
    Extent,
    Scaling,
    scaling_of_extent,
    scaling_of_size,
)
from mmpose_ext.behavior.track_cache import (
    TrackWriter,
    cache_folders,
    cache_key,
    open_packed,
    remove_damaged,
    remove_stale,
)
from mmpose_ext.behavior.track_store import TrackStore
from mmpose_ext.progress import prediction_progress
from mmpose_ext.storage import DataError, PoseTracks

Array = np.ndarray
Read = Callable[[RecordFiles, RecordOptions], Record]

PATIENCE = 3.  # seconds without a bar


@dataclass
class _Packed:
    """What is known of the records that were packed."""

    lengths: list[int] = field(default_factory=list)
    fps: list[float] = field(default_factory=list)
    first_frames: list[int] = field(default_factory=list)
    scalings: list[Scaling] = field(default_factory=list)
    labels: list[RecordLabels] = field(default_factory=list)
    extent: Extent | None = None


def pack_records(root: Path, files: Sequence[RecordFiles],
                 options: RecordOptions, cache_dir: Path | None,
                 signature: str) -> TrackStore:
    """Pack the records of a data set, or find it packed.

    Args:
        root (Path): Folder of the data set, or its only file.
        files (Sequence[RecordFiles]): Its records, sorted; at least one.
        options (RecordOptions): How to read them.
        cache_dir (Path | None): Where to keep it on the disk in any case;
            None keeps large ones there, in the folder of the data set.
        signature (str): Of the files.

    Raises:
        DataError: If anything is not as it should be.
    """
    key = cache_key(signature, options)
    places = [folder / key for folder in cache_folders(root, cache_dir)]
    for place in places:
        store = open_packed(place, root)
        if store is not None:
            return store
        remove_damaged(place)
    with TrackWriter(places, cache_dir is not None, root) as writer:
        store = _pack(root, files, options, writer)
        writer.save(store, options)
        folder = writer.folder
    if folder is None:
        return store
    packed = open_packed(folder, root)
    if packed is None:
        raise DataError(folder, 'folder', 'the data set just packed',
                        'none that can be read', 'set cache_dir')
    remove_stale(folder)
    print_log(f'{root}: {len(store)} records, {store.total_frames} frames '
              f'packed into {folder}', 'current')
    return packed


def pack_tracks(tracks: PoseTracks, options: RecordOptions) -> TrackStore:
    """Treat and scale tracks in memory as those of files; they stay there.

    Args:
        tracks (PoseTracks): A record; used up. Its ``source`` is its id.
        options (RecordOptions): As for files.

    Raises:
        DataError: If anything is not as it should be.
    """
    root = tracks.source
    files = RecordFiles(str(root), (('memory', root), ))
    with TrackWriter((), False, root) as writer:
        return _pack(root, [files], options, writer,
                     partial(finish_record, tracks))


def _pack(root: Path, files: Sequence[RecordFiles], options: RecordOptions,
          writer: TrackWriter, read: Read = read_record) -> TrackStore:
    """Read and pack, one record in memory at a time."""
    packed = _Packed()
    first: Record | None = None
    for item in _with_bar(files):
        record = read(item, options)
        if first is None:
            first = _without_frames(record)
        else:
            _check_alike(first, record, options)
        _note(record, packed)
        if options.scale_per == 'record':
            scaling = _scaling(record, record.extent, options)
            scaling.apply(record.position)
            packed.scalings.append(scaling)
        writer.add(record.position)
        del record  # before the next one is read
    assert first is not None and packed.extent is not None
    tracks = writer.finish()
    if options.scale_per == 'dataset':
        scaling = _scaling(first, packed.extent, options, root)
        scaling.apply(tracks)
        packed.scalings += [scaling] * len(files)
    classes: tuple[str, ...] = ()
    labels = None
    if packed.labels:
        classes, labels = pack_labels(packed.labels, options.classes)
    lengths = np.array(packed.lengths, np.int64)
    tracks.flags.writeable = False  # several data sets share it
    return TrackStore(
        root, tracks, np.cumsum(lengths) - lengths, lengths, labels,
        tuple(item.id for item in files), first.individuals, first.keypoints,
        first.axes, classes, np.array(packed.fps),
        np.array([scaling.scales for scaling in packed.scalings]),
        np.array([scaling.offsets for scaling in packed.scalings]),
        np.array(packed.first_frames, np.int64))


def _note(record: Record, packed: _Packed) -> None:
    packed.lengths.append(len(record.position))
    packed.fps.append(np.nan if record.fps is None else record.fps)
    packed.first_frames.append(record.first_frame)
    packed.extent = (record.extent if packed.extent is None else
                     packed.extent.joined(record.extent))
    if record.labels is not None:
        packed.labels.append(record.labels)


def _without_frames(record: Record) -> Record:
    """What later records are compared with, without its arrays."""
    return Record(record.files, record.individuals, record.keypoints,
                  record.axes, np.empty((0, )), record.extent,
                  record.first_frame, record.fps, record.image_size, None)


def _check_alike(first: Record, record: Record,
                 options: RecordOptions) -> None:
    """Compare a record with the first one."""
    def refuse(what: str, expected: str, found: str, hint: str) -> None:
        raise DataError(record.files.place, f'record {record.files.id!r}, '
                        f'{what}', f'{expected}, as record '
                        f'{first.files.id!r} has', found, hint)

    for what in ('individuals', 'keypoints', 'axes'):
        ours, theirs = getattr(first, what), getattr(record, what)
        if ours != theirs:
            same = set(ours) == set(theirs)
            refuse(what, ', '.join(ours), ', '.join(theirs),
                   'select brings them into one order' if same else
                   'select what all have, or rename')
    if (first.fps is None) != (record.fps is None):
        refuse('fps', _rate(first.fps), _rate(record.fps),
               'set fps, for all records')
    if options.scale_size is not None:
        return
    if (first.image_size is None) != (record.image_size is None) or (
            options.scale_per == 'dataset'
            and first.image_size != record.image_size):
        refuse('size of the picture', _size(first.image_size),
               _size(record.image_size), 'set scale_size, for all records')


def _rate(fps: float | None) -> str:
    return 'none' if fps is None else f'{fps:g}'


def _size(size: tuple[float, ...] | None) -> str:
    return 'none' if size is None else 'x'.join(f'{side:g}' for side in size)


def _scaling(record: Record, extent: Extent, options: RecordOptions,
             root: Path | None = None) -> Scaling:
    """Scaling by a size if one is known, else by the extent."""
    place = root or record.files.place
    size = options.scale_size
    origin = 'scale_size'
    if size is None:
        size, origin = record.image_size, "the file's size of the picture"
    if size is None or size == EXTENT:
        return scaling_of_extent(extent, options.scale, place, record.axes)
    assert isinstance(size, tuple)
    return scaling_of_size(size, options.scale, extent, place, record.axes,
                           origin)


def _with_bar(files: Sequence[RecordFiles]) -> Iterator[RecordFiles]:
    """The files, with a bar if reading them takes a while."""
    began = time.monotonic()
    bar = prediction_progress()
    task = None
    try:
        for count, item in enumerate(files, 1):
            yield item
            if task is None and time.monotonic() - began > PATIENCE:
                task = bar.add_task('reading records', total=len(files))
                bar.start()
            if task is not None:
                bar.update(task, completed=count)
    finally:
        bar.stop()
