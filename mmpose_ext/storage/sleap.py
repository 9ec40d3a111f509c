"""SLEAP files: labels (.slp) and analysis exports (.analysis.h5)."""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from .checks import StrPath, check_file, check_keys
from .errors import DataError
from .hdf5 import open_hdf5, read_dataset
from .records import PointTracks

_USER, _PREDICTED = 0, 1  # values of instance_type
_TABLES = {
    'frames': ('video', 'frame_idx', 'instance_id_start', 'instance_id_end'),
    'instances': ('instance_id', 'instance_type', 'skeleton', 'track',
                  'from_predicted', 'point_id_start', 'point_id_end'),
    'points': ('x', 'y', 'visible'),
    'pred_points': ('x', 'y', 'visible', 'score'),
}


def read_slp(path: StrPath) -> PointTracks:
    """Read a SLEAP labels file.

    One row a labelled frame, sorted by video and frame. Individuals are the
    tracks that occur; instances without a track fill 'instance_0',
    'instance_1', ... in the order of the file. An instance made by hand
    replaces the predicted one of its track and the one it was made from.
    Points marked invisible are missing.

    Since format 1.1 pixel centres lie at integers. Older files put the corner
    of the first pixel at the origin, so half a pixel is subtracted
    (talmolab/sleap-io, pull request 231). Scores of predictions are peaks of
    confidence maps, which may pass 1 slightly; they are clipped to [0, 1].

    Args:
        path (str | Path): The .slp file.

    Returns:
        PointTracks: `video` is where the file says it is or, failing that,
        the same name beside the file; None for several or embedded videos.
        `sessions` are the videos' names without suffix.

    Raises:
        DataError: If the file is damaged or has no instance.
    """
    path = check_file(path, ['.slp'])
    with open_hdf5(path) as file:
        tables = {
            key: _read_table(file, key, fields, path)
            for key, fields in _TABLES.items()
        }
        check_keys(file, ['metadata'], path)
        attributes = file['metadata'].attrs
        check_keys(attributes, ['format_id', 'json'], path)
        legacy = float(attributes['format_id']) < 1.1
        metadata = _parse_json(attributes['json'], path, 'metadata')
        videos = _read_json_list(file, 'videos_json', path)
        tracks = [_track_name(track)
                  for track in _read_json_list(file, 'tracks_json', path)]
    names = _node_names(metadata, tables['instances'], path)
    frames = np.sort(tables['frames'], order=['video', 'frame_idx'])
    tables['frames'] = frames
    _check_frames(frames, len(videos), path)
    chosen = _choose_instances(tables, tracks, path)
    individuals = _order_individuals({name for _, name in chosen}, tracks)
    points, scores = _fill(tables, chosen, individuals, names, path)
    files = [_video_path(video, path) for video in videos]
    sessions = _video_names(files)
    return PointTracks(
        names=names,
        individuals=individuals,
        points=points - 0.5 if legacy else points,
        scores=scores,
        frames=frames['frame_idx'].astype(np.int64),
        images=None,
        video=files[0] if len(files) == 1 else None,
        sessions=tuple(sessions[video] for video in frames['video']),
        source=path)


def read_sleap_analysis(path: StrPath) -> PointTracks:
    """Read a SLEAP analysis export, one row a frame of the video.

    The file does not tell its pixel convention; the coordinates are taken as
    they are, which is right for labels of format 1.1 and later.

    Args:
        path (str | Path): The .h5 file with `tracks` (P, 2, K, T),
            `node_names`, `track_names` and, in newer files, `point_scores`
            (P, K, T), without which present points score 1.

    Raises:
        DataError: If the file is damaged or its axes are in another order.
    """
    path = check_file(path, ['.h5', '.hdf5'])
    with open_hdf5(path) as file:
        names = _read_names(file, 'node_names', path)
        individuals = _read_names(file, 'track_names', path)
        shape = (len(individuals) or None, 2, len(names), None)
        tracks = read_dataset(file, 'tracks', path, dtype='f', shape=shape)
        count, _, _, rows = tracks.shape
        scores = np.ones((count, len(names), rows))
        if 'point_scores' in file:
            scores = read_dataset(file, 'point_scores', path, dtype='f',
                                  shape=scores.shape)
        stated = (read_dataset(file, 'video_path', path, shape=()).item()
                  if 'video_path' in file else '')
    video = _locate(_decode(stated), path)
    individuals = individuals or tuple(f'instance_{i}' for i in range(count))
    points = tracks.transpose(3, 0, 2, 1).astype(np.float64)
    # NaN is the score that SLEAP writes for points made by hand.
    scores = np.nan_to_num(scores.transpose(2, 0, 1), nan=1.0)
    session = (video or path).name.split('.')[0]
    return PointTracks(names=names,
                       individuals=individuals,
                       points=points,
                       scores=_mask_scores(scores, points),
                       frames=np.arange(rows, dtype=np.int64),
                       images=None,
                       video=video,
                       sessions=(session, ) * rows,
                       source=path)


def read_sleap_edges(path: StrPath) -> np.ndarray:
    """Read which points of a SLEAP analysis export are joined.

    Args:
        path (str | Path): The .h5 file; `edge_inds` (E, 2) may be absent.

    Returns:
        np.ndarray: (E, 2) int64 places in its names, from 0.

    Raises:
        DataError: If the file is damaged.
    """
    path = check_file(path, ['.h5', '.hdf5'])
    with open_hdf5(path) as file:
        if 'edge_inds' not in file or not file['edge_inds'].size:
            return np.zeros((0, 2), np.int64)
        return read_dataset(file, 'edge_inds', path, dtype='iu',
                            shape=(None, 2)).astype(np.int64)


def _choose_instances(tables: Mapping[str, np.ndarray], tracks: Sequence[str],
                      path: Path) -> dict[tuple[int, str], int]:
    """Map (row, individual) to the instance that counts there."""
    instances = {key: tables['instances'][key].tolist()
                 for key in _TABLES['instances']}
    kinds = instances['instance_type']
    chosen: dict[tuple[int, str], int] = {}
    for row, frame in enumerate(tables['frames']):
        start, end = (int(frame[f'instance_id_{key}'])
                      for key in ('start', 'end'))
        _check_range(start, end, len(kinds), f'frame {frame["frame_idx"]}',
                     'instances', path)
        # By hand first: a predicted instance then finds its place taken.
        members = sorted(range(start, end), key=lambda i: kinds[i])
        corrected = {instances['from_predicted'][i] for i in members
                     if kinds[i] == _USER}
        untracked = 0
        for number in members:
            predicted = kinds[number] == _PREDICTED
            if predicted and instances['instance_id'][number] in corrected:
                continue
            track = instances['track'][number]
            _check_range(track, track + 1, len(tracks),
                         f'frame {frame["frame_idx"]}', 'tracks', path, -1)
            name = tracks[track] if track >= 0 else f'instance_{untracked}'
            untracked += track < 0
            taken = chosen.setdefault((row, name), number)
            if taken != number and not (predicted and kinds[taken] == _USER):
                raise DataError(path, f'frame {frame["frame_idx"]}',
                                f'one instance of {name!r}', 'several')
    if not chosen:
        raise DataError(path, "key 'instances'", 'labelled instances', 'none')
    return chosen


def _fill(tables: Mapping[str, np.ndarray],
          chosen: Mapping[tuple[int, str], int], individuals: Sequence[str],
          names: Sequence[str], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Copy the chosen instances' points: (T, P, K, 2) and (T, P, K)."""
    shape = (len(tables['frames']), len(individuals), len(names))
    points = np.full((*shape, 2), np.nan)
    scores = np.ones(shape)
    for (row, name), number in chosen.items():
        instance = tables['instances'][number]
        predicted = instance['instance_type'] == _PREDICTED
        table = tables['pred_points' if predicted else 'points']
        start, end = (int(instance[f'point_id_{key}'])
                      for key in ('start', 'end'))
        _check_range(start, end, len(table), f'instance {number}', 'points',
                     path)
        if end - start != len(names):
            raise DataError(path, f'instance {number}', f'{len(names)} points',
                            f'{end - start}')
        part = table[start:end]
        at = row, individuals.index(name)
        both = np.stack([part['x'], part['y']], -1)
        points[at] = np.where(part['visible'][:, None], both, np.nan)
        if predicted:
            scores[at] = part['score']
    return points, _mask_scores(scores, points)


def _mask_scores(scores: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Clip scores to [0, 1] and drop those of missing points."""
    missing = np.isnan(points).all(-1)
    return np.where(missing, np.nan, np.clip(scores, 0.0, 1.0))


def _check_range(start: int, end: int, size: int, where: str, what: str,
                 path: Path, lowest: int = 0) -> None:
    if not lowest <= start <= end <= size:
        raise DataError(path, where, f'{what} within 0 to {size}',
                        f'{start} to {end}', 'the file is damaged')


def _check_frames(frames: np.ndarray, videos: int, path: Path) -> None:
    """Check that frames, sorted, occur once and in a known video."""
    same = ((frames['video'][1:] == frames['video'][:-1])
            & (frames['frame_idx'][1:] == frames['frame_idx'][:-1]))
    if same.any():
        raise DataError(path, "key 'frames'", 'each frame once',
                        f'frame {frames["frame_idx"][1:][same][0]} twice')
    if len(frames) and frames['video'][-1] >= videos:
        raise DataError(path, "key 'frames'", f'videos below {videos}',
                        f'video {frames["video"][-1]}')


def _node_names(metadata: Any, instances: np.ndarray,
                path: Path) -> tuple[str, ...]:
    """Names in the order of an instance's points."""
    skeletons = np.unique(instances['skeleton']).tolist()
    if len(skeletons) != 1:
        raise DataError(path, "key 'instances'", 'one skeleton in use',
                        str(skeletons) if skeletons else 'no instance')
    try:
        # The skeleton lists positions in the file's own list of nodes.
        nodes = metadata['skeletons'][skeletons[0]]['nodes']
        return tuple(str(metadata['nodes'][node['id']]['name'])
                     for node in nodes)
    except (KeyError, IndexError, TypeError) as error:
        raise DataError(path, 'metadata', 'a skeleton with named nodes',
                        f'none that can be read ({error!r})') from error


def _order_individuals(names: set[str],
                       tracks: Sequence[str]) -> tuple[str, ...]:
    """Tracks in the file's order, then those without a track."""
    tracked = [name for name in dict.fromkeys(tracks) if name in names]
    others = names.difference(tracks)
    return (*tracked, *sorted(others, key=lambda name: (len(name), name)))


def _read_table(file: Any, key: str, fields: Sequence[str],
                path: Path) -> np.ndarray:
    """A table whose fields are single numbers."""
    table = read_dataset(file, key, path, fields, shape=(None, ))
    for field in fields:
        if table.dtype[field].kind not in 'biuf':
            raise DataError(path, f'key {key!r}', f'numbers as {field}',
                            str(table.dtype[field]))
    return table


def _read_names(file: Any, key: str, path: Path) -> tuple[str, ...]:
    return tuple(_decode(name)
                 for name in read_dataset(file, key, path, shape=(None, )))


def _decode(text: Any) -> str:
    return text.decode() if isinstance(text, bytes) else str(text)


def _read_json_list(file: Any, key: str, path: Path) -> list[Any]:
    return [_parse_json(text, path, key)
            for text in read_dataset(file, key, path, shape=(None, ))]


def _parse_json(text: Any, path: Path, where: str) -> Any:
    try:
        return json.loads(_decode(text))
    except ValueError as error:
        raise DataError(path, where, 'JSON', str(error)) from error


def _track_name(track: Any) -> str:
    """Name in an entry [first frame, name] of `tracks_json`."""
    return str(track[-1] if isinstance(track, list) and track else track)


def _video_path(video: Any, path: Path) -> Path | None:
    """The file of one entry of `videos_json`."""
    # Older files have the name in 'backend', newer ones beside it, too.
    for entry in (video, video.get('backend')
                  if isinstance(video, dict) else None):
        name = entry.get('filename') if isinstance(entry, dict) else None
        if isinstance(name, str):
            return _locate(name, path)
    return None


def _locate(name: str, path: Path) -> Path | None:
    """Where a file says its video is, else the same name beside it."""
    if name in ('', '.'):  # '.' stands for images inside the file
        return None
    stated = path.parent / name
    # Often written on another machine, with its separators.
    return (stated if stated.is_file() else path.parent /
            PureWindowsPath(name).name)


def _video_names(files: Sequence[Path | None]) -> list[str]:
    """A name for each video, different for different videos."""
    names = [file.stem if file else f'video_{i}'
             for i, file in enumerate(files)]
    if len(set(names)) < len(names):
        names = [f'{name}_{i}' for i, name in enumerate(names)]
    return names
