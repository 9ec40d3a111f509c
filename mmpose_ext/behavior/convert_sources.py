"""Recordings of other programs, read one after another for conversion."""
from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mmpose_ext.behavior.record_files import find_records
from mmpose_ext.storage import (
    DataError,
    FrameLabels,
    PointTracks,
    PoseTracks,
    check_file,
    fill_gaps,
    join_individuals,
    read_boris_csv,
    read_event_csv,
    read_movement_annotations,
    read_movement_netcdf,
    read_sleap_analysis,
    read_slp,
    tracks_of_points,
)
from mmpose_ext.storage.behavior_events import COLUMNS
from mmpose_ext.storage.calms21 import CALMS21_HINT, read_calms21
from mmpose_ext.storage.checks import is_shown
from mmpose_ext.storage.chunked_video import VIDEO_SUFFIXES
from mmpose_ext.storage.labelled_tracks import LabelledTracks
from mmpose_ext.storage.mabe22 import MABE22_HINT, read_mabe22

# Of files of one name the first is read.
SLEAP_ENDINGS = ('.slp', '.analysis.h5', '.h5', '.hdf5')
DLC_ENDINGS = ('.h5', '.hdf5', '.csv')
# in a project of DeepLabCut, whose labels are of single pictures
_PROJECT = ('config.yaml', 'labeled-data')

Records = Iterator[LabelledTracks]


def find_files(path: Path, endings: Sequence[str],
               hint: str = '') -> dict[str, Path]:
    """The files of an input, by the ids of their records.

    Args:
        path (Path): A file, or a folder that is searched at any depth; what
            begins with ``.`` or ``_`` is left out.
        endings (Sequence[str]): Of their names. Where two differ in these
            alone, the file of the earlier ending counts.
        hint (str): Added to errors. Defaults to ''.

    Raises:
        DataError: If nothing is there.
    """
    if not path.is_dir():
        path = check_file(path, endings, hint)
        return {_split(path.name, endings)[0]: path}
    found: dict[str, Path] = {}
    for file in sorted(path.rglob('*')):
        inner = file.relative_to(path)
        stem, rank = _split(file.name, endings)
        if not stem or not file.is_file() or not all(
                is_shown(Path(part)) for part in inner.parts):
            continue
        name = inner.with_name(stem).as_posix()
        if name not in found or rank < _split(found[name].name, endings)[1]:
            found[name] = file
    if not found:
        raise DataError(path, 'folder',
                        f'files ending in {", ".join(endings)}', 'none', hint)
    return found


def _split(name: str, endings: Sequence[str]) -> tuple[str, int]:
    """Stem and rank of the ending; no stem where none fits."""
    for rank, ending in enumerate(endings):
        if name.lower().endswith(ending):
            return name[:-len(ending)], rank
    return '', len(endings)


def read_sleap_file(path: Path) -> PointTracks:
    """Read SLEAP's labels or an analysis file, as its name tells."""
    return (read_slp(path) if path.suffix.lower() == '.slp'
            else read_sleap_analysis(path))


def accepts_tracks(endings: Sequence[str],
                   read: Callable[[Path], PointTracks], path: Path) -> bool:
    """Whether there are tracks of two or more individuals.

    Args:
        endings (Sequence[str]): Of files.
        read (Callable[[Path], PointTracks]): Their reader.
        path (Path): A file or a folder, of which one file is read. A
            DeepLabCut project is for other families.
    """
    if path.is_dir():
        if any((path / name).exists() for name in _PROJECT):
            return False
        try:
            path = next(iter(find_files(path, endings).values()))
        except DataError:
            return False
    return bool(_split(path.name, endings)[0]) and len(
        read(path).individuals) > 1


def iter_points(endings: Sequence[str], read: Callable[[Path], PointTracks],
                arguments: Namespace) -> Iterator[Records]:
    """Records of DeepLabCut's or SLEAP's files, a file at a time."""
    for name, path in _chosen(arguments, endings):
        points = read(path)
        video = arguments.video or points.video or _video_beside(points)
        # a video that was asked for has to be there
        if video is not None and arguments.video is None and not (
                video.is_file()):
            video = None
        yield _finish(name, tracks_of_points(points, video), arguments)


def iter_movement(arguments: Namespace) -> Iterator[Records]:
    """Records of movement's files, a file at a time.

    A folder of records keeps their ids, and the annotations beside them.
    """
    root: Path = arguments.input
    if not root.is_dir() or any(root.glob('*.nc')):
        for name, path in _chosen(arguments, ('.nc', )):
            yield _finish(name, fill_gaps(read_movement_netcdf(path)),
                          arguments)
        return
    for files in find_records(root, 'movement', 'auto'):
        tracks = join_individuals([read_movement_netcdf(path)
                                   for _, path in files.tracking])
        if len(files.annotations) > 1:
            raise DataError(
                files.place.parent, 'annotations', 'one file',
                ', '.join(path.name for path in files.annotations),
                'convert the record alone, with --annotations')
        beside = files.annotations[0] if files.annotations else None
        yield _finish(files.id, fill_gaps(tracks), arguments, beside)


def iter_calms21(arguments: Namespace) -> Iterator[Records]:
    """Records of CalMS21's files, a file at a time."""
    files = find_files(arguments.input, ('.json', ), CALMS21_HINT)
    # precomputed features lie beside the poses
    chosen = [path for path in files.values()
              if arguments.input.is_file()
              or not path.name.startswith('taskprog')]
    for path in chosen:
        yield iter(read_calms21(path))


def iter_mabe22(arguments: Namespace) -> Iterator[Records]:
    """Records of MABe22's files, a file at a time, by train and test."""
    files = find_files(arguments.input, ('.npy', ), MABE22_HINT)
    if arguments.input.is_dir():
        files = {name: path for name, path in files.items()
                 if 'triplet' in name.lower() and 'label' not in name.lower()}
        if not files:
            raise DataError(arguments.input, 'folder',
                            'files named ...triplet....npy', 'none',
                            'name the file itself')
        if arguments.labels is not None:
            raise DataError(arguments.input, '--labels', 'one file as INPUT, '
                            'whose labels these are', 'a folder')
    for path in files.values():
        part = next((f'{part}/' for part in ('train', 'test')
                     if part in path.name.lower()), '')
        yield (replace(record, id=part + record.id)
               for record in read_mabe22(path, arguments.labels))


def _chosen(arguments: Namespace,
            endings: Sequence[str]) -> list[tuple[str, Path]]:
    """Files of the input; options for one file want one."""
    files = find_files(arguments.input, endings)
    for option in ('video', 'annotations'):
        if getattr(arguments, option) is not None and len(files) > 1:
            raise DataError(arguments.input, f'--{option}',
                            'one file as INPUT, which it belongs to',
                            f'{len(files)} files')
    # annotations may lie beside movement's tracks
    return [(name, path) for name, path in files.items()
            if len(files) == 1 or not any(
                word in path.name.lower()
                for word in ('annotations', 'manual_scoring'))]


def _finish(name: str, tracks: PoseTracks, arguments: Namespace,
            beside: Path | None = None) -> Records:
    """Apply the options to the tracks of one file, labelled by another."""
    fps = arguments.fps
    if fps is not None:
        if tracks.fps is not None and abs(tracks.fps - fps) > .01 * fps:
            raise DataError(tracks.source, '--fps',
                            f'{tracks.fps:g}, as the file or its video says',
                            f'{fps:g}', 'leave the option out')
        tracks = replace(tracks, fps=fps)
    labels = None
    annotations = arguments.annotations or beside
    if annotations is not None:
        labels = read_annotations(annotations, tracks)
    yield LabelledTracks(name, tracks, labels)


def read_annotations(path: Path, tracks: PoseTracks) -> FrameLabels:
    """Read a file of annotations of any known kind.

    Args:
        path (Path): movement's .nc, a table of events or BORIS's table.
        tracks (PoseTracks): What is annotated.

    Raises:
        DataError: If it is damaged or of another kind.
    """
    path = check_file(path, ('.nc', '.csv', '.tsv'))
    if path.suffix.lower() == '.nc':
        return read_movement_annotations(path)
    first = path.read_bytes()[:4096].decode('utf-8-sig', 'replace').lower()
    read = (read_event_csv if all(column in first for column in COLUMNS[1:])
            else read_boris_csv)
    return read(path, len(tracks), tracks.fps, int(tracks.frames[0]))


def _video_beside(points: PointTracks) -> Path | None:
    """A video of the session's name in the folder of its tracks."""
    for suffix in VIDEO_SUFFIXES:
        video = points.source.parent / f'{points.sessions[0]}{suffix}'
        if video.is_file():
            return video
    return None
