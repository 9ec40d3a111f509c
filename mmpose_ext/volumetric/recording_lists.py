"""The recordings of a data set, each opened once."""
from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmpose_ext.storage import DataError
from mmpose_ext.storage.checks import is_shown
from mmpose_ext.volumetric.individual_files import list_files
from mmpose_ext.volumetric.recordings import (
    LABEL_FILES,
    Recording,
    open_recording,
)


def list_recordings(
        root: Path,
        wanted: str | Sequence[str | Mapping[str, Any]]
) -> list[tuple[Path, dict[str, Any]]]:
    """Find the recordings of a data set.

    Args:
        root (Path): Folder of the recordings.
        wanted (str | Sequence): Their names, each a folder in ``root`` or
            ``.`` for itself, or a dict of ``folder`` and the arguments of
            :func:`~mmpose_ext.volumetric.recordings.open_recording`. A
            pattern such as ``*`` or ``train_*`` takes every folder of such a
            name with a label file.

    Returns:
        list[tuple[Path, dict]]: Folder and arguments of each.

    Raises:
        DataError: If there are none.
        ValueError: If none are wanted.
    """
    if not root.is_dir():
        raise DataError(root, 'data_root', 'a folder of recordings',
                        'a file' if root.exists() else 'nothing',
                        'data/README.md tells where data lies')
    if isinstance(wanted, str) and '*' in wanted:
        pattern = f'{wanted}/{LABEL_FILES}'
        wanted = sorted({path.parent.name for path in root.glob(pattern)
                         if is_shown(path) and is_shown(path.parent)})
        if not wanted:
            raise DataError(root, 'data_root', f'files {pattern}', 'none',
                            "recordings='.' takes the folder itself")
    if isinstance(wanted, str):
        wanted = [wanted]
    found = []
    for item in wanted:
        settings = ({'folder': item} if isinstance(item, str) else
                    dict(item))
        found.append((root / settings.pop('folder'), settings))
    if not found:
        raise ValueError('recordings: expected at least one')
    return found


def open_once(folder: Path, settings: Mapping[str, Any]) -> Recording:
    """Open a recording for the data sets of train, val and test together.

    Args:
        folder (Path): The recording. It is opened again if a file in it has
            changed.
        settings (Mapping): Arguments of
            :func:`~mmpose_ext.volumetric.recordings.open_recording`.

    Raises:
        DataError: As there.
    """
    files = [*folder.rglob('*')]
    for name in ('label_file', 'com_file'):  # they may lie elsewhere
        if settings.get(name):
            files += list_files(folder, settings[name], name)
    stamp = tuple(sorted(
        (str(file), file.stat().st_mtime_ns, file.stat().st_size)
        for file in files if file.is_file()))
    return _open(str(folder), json.dumps(dict(settings), sort_keys=True,
                                         default=str), stamp)


@functools.lru_cache(maxsize=64)
def _open(folder: str, settings: str, stamp: tuple[Any, ...]) -> Recording:
    return open_recording(folder, **json.loads(settings))
