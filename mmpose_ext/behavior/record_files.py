"""Which files make up the records of a data set."""
from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import h5py

from mmpose_ext.storage import DataError
from mmpose_ext.storage.checks import is_shown

DATA_FORMATS = ('auto', 'movement', 'dlc', 'sleap')
ANNOTATION_FORMATS = ('auto', 'movement', 'csv-events', 'boris')

# Searched in names, without case; the endings decide between readers.
_DLC = r'DLC.*shuffle\d+|tracking'
TRACKING_NAMES = {
    'movement': (r'tracking.*\.nc$', ),
    'dlc': (rf'({_DLC}).*\.csv$', rf'({_DLC}).*\.h5$'),
    'sleap': (r'SLEAP.*\.h5$', r'\.analysis\.h5$', r'\.slp$',
              r'tracking.*\.h5$'),
}
_SCORED = 'manual_scoring|annotations'
ANNOTATION_NAMES = {
    'movement': rf'({_SCORED}).*\.nc$',
    'csv-events': rf'({_SCORED}).*\.csv$',
    'boris': rf'(boris|{_SCORED}).*\.csv$',
}
_SUFFIXES = {'.nc': 'movement', '.csv': 'dlc', '.slp': 'sleap'}
# Of files with one name, programs write the same tracks in several forms;
# the first is read.
_ENDINGS = ('.nc', '.analysis.h5', '.csv', '.h5', '.slp')
_NAMES_HINT = (
    'names of tracks contain tracking or DLC...shuffle1 and end in .csv or '
    '.h5, contain SLEAP and end in .h5, end in .slp or .analysis.h5, or '
    'contain tracking and end in .nc')


@dataclass(frozen=True)
class RecordFiles:
    """Files of one record.

    Attributes:
        id: Folder relative to the root, with ``/`` between its parts.
        tracking: Format and path of each file of tracks, sorted; several
            hold different individuals.
        annotations: Paths of its annotations, sorted.
    """

    id: str
    tracking: tuple[tuple[str, Path], ...]
    annotations: tuple[Path, ...] = ()

    @property
    def place(self) -> Path:
        """What errors name: the file, or the folder of several."""
        first = self.tracking[0][1]
        return first if len(self.tracking) == 1 else first.parent


def find_records(root: Path, data_format: str = 'auto',
                 annotation_format: str | None = None,
                 data_filter: Sequence[str] = (),
                 need_annotations: bool = True) -> list[RecordFiles]:
    """Find the records of a data set.

    Args:
        root (Path): A folder, whose sub-folders at any depth are records if
            they have a file of tracks; or such a file, whatever its name,
            which is one record. What begins with ``.`` or ``_`` is left out.
        data_format (str): One of ``DATA_FORMATS``. Defaults to ``auto``.
        annotation_format (str, optional): One of ``ANNOTATION_FORMATS``.
            Defaults to None (no annotations).
        data_filter (Sequence[str]): Texts; a record is kept when its id
            contains any of them. Defaults to () (all).
        need_annotations (bool): Whether a record must have annotations where
            a format is given. Defaults to True.

    Returns:
        list[RecordFiles]: Sorted by id.

    Raises:
        DataError: If there is none, a file of tracks lies in the root
            itself, or a record lacks annotations that it must have.
    """
    if root.is_file():
        return [_record_of_file(root, data_format, annotation_format,
                                need_annotations)]
    if not root.is_dir():
        raise DataError(root, 'folder', 'a folder of records, or a file of '
                        'tracks', 'nothing', 'set data_root')
    found = []
    for folder, names in _folders(root):
        tracking = _tracking_files(folder, names, data_format)
        if not tracking:
            continue
        if folder == root:
            raise DataError(
                tracking[0][1], 'folder', 'a folder of its own for each '
                f'record, below {root}', 'a file of tracks in the root itself',
                f'move it to {root / "record1"}, say, or give the file '
                'instead of the folder')
        found.append((folder, names, tracking))
    if not found:
        raise DataError(
            root, 'folder', f'sub-folders with tracks ({data_format})',
            'none', _NAMES_HINT)
    records = []
    for folder, names, tracking in found:
        name = folder.relative_to(root).as_posix()
        if not data_filter or any(text in name for text in data_filter):
            records.append(RecordFiles(
                name, tracking,
                _annotation_files(folder, names, annotation_format,
                                  need_annotations)))
    if not records:
        ids = sorted(folder.relative_to(root).as_posix()
                     for folder, _, _ in found)
        raise DataError(
            root, 'data_filter',
            f'a text in one of the {len(ids)} ids: {_some(ids)}',
            ', '.join(map(repr, data_filter)))
    return sorted(records, key=lambda record: record.id)


def signature_of(root: Path, records: Sequence[RecordFiles]) -> str:
    """Sum over names, sizes and times of all files, in hex digits.

    Args:
        root (Path): Of the data set; moving it as a whole changes nothing.
        records (Sequence[RecordFiles]): Its records.
    """
    digest = blake2b(digest_size=16)
    for record in records:
        tracking = [path for _, path in record.tracking]
        for path in (*tracking, *record.annotations):
            stat = path.stat()
            name = os.path.relpath(path, root)
            digest.update(f'{record.id}\0{name}\0{stat.st_size}\0'
                          f'{stat.st_mtime_ns}\0'.encode())
    return digest.hexdigest()


def _folders(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """The root and all folders below with the names of their files."""
    seen = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        # a link may lead back to where it is
        true = os.path.realpath(folder)
        if true in seen:
            folders.clear()
            continue
        seen.add(true)
        folders[:] = sorted(name for name in folders if is_shown(Path(name)))
        yield Path(folder), sorted(
            name for name in names if is_shown(Path(name)))


def _tracking_files(folder: Path, names: Sequence[str],
                    data_format: str) -> tuple[tuple[str, Path], ...]:
    formats = (TRACKING_NAMES if data_format == 'auto' else [data_format])
    chosen: dict[str, str] = {}
    for name in names:
        if _is_annotation(name):
            continue
        if any(re.search(pattern, name, re.I) for kind in formats
               for pattern in TRACKING_NAMES[kind]):
            stem, ending = _split_name(name)
            other = chosen.get(stem)
            if other is None or (_ENDINGS.index(ending) < _ENDINGS.index(
                    _split_name(other)[1])):
                chosen[stem] = name
    return tuple((_format_of(folder / name, data_format), folder / name)
                 for name in sorted(chosen.values()))


def _record_of_file(path: Path, data_format: str,
                    annotation_format: str | None,
                    need_annotations: bool) -> RecordFiles:
    """A file of tracks that is a record by itself, whatever its name."""
    stem, ending = _split_name(path.name)
    if not ending:
        raise DataError(path, 'file', f'a name ending in '
                        f'{", ".join(_ENDINGS)}', repr(path.suffix))
    names = sorted(other.name for other in path.parent.iterdir()
                   if is_shown(other))
    return RecordFiles(
        stem, ((_format_of(path, data_format), path), ),
        _annotation_files(path.parent, names, annotation_format,
                          need_annotations))


def _annotation_files(folder: Path, names: Sequence[str],
                      annotation_format: str | None,
                      needed: bool) -> tuple[Path, ...]:
    if annotation_format is None:
        return ()
    kinds = (ANNOTATION_NAMES if annotation_format == 'auto' else
             [annotation_format])
    found = tuple(folder / name for name in names
                  if any(re.search(ANNOTATION_NAMES[kind], name, re.I)
                         for kind in kinds))
    if needed and not found:
        raise DataError(
            folder, 'annotations',
            f'a file of annotations ({annotation_format})', 'none',
            'its name contains manual_scoring or annotations (or boris) and '
            'ends in .csv or .nc; leave records without by data_filter')
    return found


def _is_annotation(name: str) -> bool:
    return any(re.search(pattern, name, re.I)
               for pattern in ANNOTATION_NAMES.values())


def _split_name(name: str) -> tuple[str, str]:
    """Stem and ending, the latter '' if it is none of a file of tracks."""
    lower = name.lower()
    ending = next((end for end in sorted(_ENDINGS, key=len, reverse=True)
                   if lower.endswith(end)), '')
    return name[:len(name) - len(ending)], ending


def _format_of(path: Path, data_format: str) -> str:
    """The reader of a file, by its ending and, of an .h5, by its content."""
    if data_format != 'auto':
        return data_format
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is not None:
        return kind
    if re.search(r'SLEAP|\.analysis\.h5$', path.name, re.I):
        return 'sleap'
    try:
        with h5py.File(path, 'r') as file:
            return 'sleap' if 'tracks' in file else 'dlc'
    except OSError:  # damaged: the reader will say how
        return 'dlc'


def _some(names: Sequence[str]) -> str:
    more = f' and {len(names) - 3} more' if len(names) > 3 else ''
    return f'{", ".join(names[:3])}{more}'
