"""From a folder of tracks to one packed array: the way in.

Every sub-folder with a file of tracks is a record. Records are read one at a
time, checked, selected, mended, scaled and packed into a
:class:`~mmpose_ext.behavior.track_store.TrackStore`.
"""
from __future__ import annotations

import functools
from pathlib import Path

from mmpose_ext.behavior.packing import pack_records
from mmpose_ext.behavior.record_files import (
    RecordFiles,
    find_records,
    signature_of,
)
from mmpose_ext.behavior.record_options import RecordOptions
from mmpose_ext.behavior.track_store import TrackStore

__all__ = ['RecordOptions', 'load_tracks']


def load_tracks(data_root: str | Path,
                options: RecordOptions | None = None,
                cache_dir: str | Path | None = None) -> TrackStore:
    """Read, check and pack a data set.

    A data set above 256 MiB is packed on the disk and mapped from there, as
    is any with a `cache_dir`; a later call finds it again unless files or
    options changed. Read once, a data set stays open for further calls in
    the process.

    Args:
        data_root (str | Path): Folder of records, or one file of tracks.
        options (RecordOptions, optional): Defaults to None: the defaults.
        cache_dir (str | Path, optional): Where packed data sets are kept.
            Defaults to None: ``.mmpose_ext_cache`` in the data set's folder,
            or a folder for temporary files if that cannot be written.

    Returns:
        TrackStore: Records sorted by id.

    Raises:
        DataError: If anything is not as it should be. Nothing is left
            half-written.
    """
    options = options or RecordOptions()
    root = Path(data_root)
    files = find_records(root, options.data_format, options.annotation_format,
                         options.data_filter)
    cache = None if cache_dir is None else Path(cache_dir)
    return _load_once(root, options, cache, tuple(files),
                      signature_of(root, files))


@functools.lru_cache(maxsize=4)
def _load_once(root: Path, options: RecordOptions, cache_dir: Path | None,
               files: tuple[RecordFiles, ...], signature: str) -> TrackStore:
    """Load for the data sets of train, val and test together."""
    return pack_records(root, files, options, cache_dir, signature)
