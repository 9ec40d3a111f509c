"""A recording of calibrated cameras in the files of other programs.

Read here: sessions of sleap-anipose and anipose, and folders with OpenCV's
matrices. All have a calibration, a video a camera, and maybe points in space
and 2D tracks.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.storage import (
    CameraCalibration,
    DataError,
    PointTracks,
    SkeletonFile,
    SpacePoints,
    VideoReader,
    read_calibrations,
    read_skeleton_file,
    read_sleap_analysis,
    read_sleap_edges,
    read_space_points,
)
from mmpose_ext.storage.checks import is_shown
from mmpose_ext.storage.chunked_video import VIDEO_SUFFIXES
from mmpose_ext.volumetric.calibration_checks import (
    check_image_sizes,
    check_labels_in_images,
    check_units,
)
from mmpose_ext.volumetric.recordings import build_cameras

Array = np.ndarray

UNITS_MM = {'mm': 1., 'cm': 10., 'm': 1000.}
_NOISE_SHARE = .05  # of the image's diagonal; more is no noise of tracks


@dataclass(frozen=True, eq=False)
class CameraSession:
    """What a conversion needs of a session.

    V cameras, T frames of points, I individuals, K keypoints.

    Attributes:
        folder: The session.
        calibrations: V cameras, in mm.
        cameras: The same, pixels from 0.
        videos: V files, one a camera.
        num_frames: Frames that all videos have.
        fps: Of the first video.
        frames: (T,) int64 frames of the points, rising.
        points: (T, I, K, 3) mm, NaN = missing.
        skeleton: Names and edges; None without points.
        tracks: V 2D tracks in the order of the skeleton; empty if one view
            has none.
        files: All that was read.
    """

    folder: Path
    calibrations: tuple[CameraCalibration, ...]
    cameras: Cameras
    videos: tuple[Path, ...]
    num_frames: int
    fps: float
    frames: Array
    points: Array
    skeleton: SkeletonFile | None
    tracks: tuple[PointTracks, ...]
    files: tuple[Path, ...]

    def track_errors(self) -> Array | None:
        """Distances of projected points to the nearest individual's track.

        Returns:
            ndarray: (V, T, I, K) px, NaN where either is missing; None
            without tracks.
        """
        if not self.tracks:
            return None
        pixels, _ = self.cameras.project(self.points)
        errors = []
        for view, track in enumerate(self.tracks):
            found = np.full((len(self.frames), *track.points.shape[1:]),
                            np.nan)
            known = self.frames < len(track.frames)
            found[known] = track.points[self.frames[known]]
            apart = np.linalg.norm(
                pixels[view][:, :, None] - found[:, None], axis=-1)
            nearest = np.where(np.isnan(apart), np.inf, apart).min(2)
            errors.append(np.where(np.isinf(nearest), np.nan, nearest))
        return np.stack(errors)


def read_session(folder: Path,
                 calibration_names: Sequence[str],
                 unit: str = 'mm',
                 points_file: Path | None = None,
                 skeleton_file: Path | None = None,
                 unlabelled: bool = False) -> CameraSession:
    """Read a session and check that its parts fit together.

    Args:
        folder (Path): Has the calibration and, for each camera, a video
            ``<camera>.mp4`` or a folder ``<camera>`` with one; maybe tracks
            ``<camera>.analysis.h5``.
        calibration_names (Sequence[str]): Names the calibration may have.
        unit (str): Of the calibration and the points: ``mm``, ``cm`` or
            ``m``. Defaults to ``mm``.
        points_file (Path, optional): Points in space. Defaults to None, the
            folder's ``points3d.h5`` or its only ``.csv``.
        skeleton_file (Path, optional): Names and edges. Defaults to None:
            those of the tracks, or the table's names without edges.
        unlabelled (bool): Whether there are no points. Defaults to False.

    Raises:
        DataError: If something is missing, damaged, or does not fit.
    """
    if not folder.is_dir():
        raise DataError(folder, 'folder', 'a session',
                        'a file' if folder.exists() else 'nothing')
    calibration = _find_only(folder, calibration_names, 'calibration')
    calibrations = _scale(read_calibrations(calibration), UNITS_MM[unit])
    names = [camera.name for camera in calibrations]
    _check_distinct(calibrations, calibration)
    videos = tuple(_find_video(folder, name) for name in names)
    count, fps, sizes = _measure(videos, calibrations)
    cameras = build_cameras(calibration, calibrations, 0, sizes)
    check_image_sizes(calibration, cameras)
    read = [calibration, *videos]
    tracks, edges = _read_tracks(folder, names)
    read += [track.source for track in tracks]
    frames, points = np.zeros(0, np.int64), np.zeros((0, 1, 0, 3))
    skeleton = None
    if skeleton_file is not None:
        skeleton = read_skeleton_file(skeleton_file)
        read.append(skeleton_file)
    elif edges is not None:
        skeleton = SkeletonFile(tracks[0].source, tracks[0].names, edges)
    if not unlabelled:
        source = points_file or _find_only(
            folder, ('points3d.h5', '*.csv'), 'points',
            'name them by --points, or say --unlabelled')
        space = read_space_points(source)
        skeleton = _name_points(space, skeleton)
        frames, points = space.frames, space.points * UNITS_MM[unit]
        read.append(source)
        _check_points(space, points, cameras, count)
        tracks = [_in_order(track, skeleton.names) for track in tracks]
    session = CameraSession(
        folder, calibrations, cameras, videos, count, fps, frames, points,
        skeleton, tuple(tracks) if len(points) else (), tuple(read))
    _check_errors(session, calibration)
    return session


def _find_only(folder: Path, patterns: Sequence[str], what: str,
               hint: str = '') -> Path:
    """The first pattern's only file."""
    for pattern in patterns:
        found = sorted(filter(is_shown, folder.glob(pattern)))
        if len(found) > 1:
            raise DataError(folder, what, 'one file',
                            ', '.join(path.name for path in found), hint)
        if found:
            return found[0]
    raise DataError(folder, what, ' or '.join(patterns), 'no such file', hint)


def _scale(calibrations: Sequence[CameraCalibration],
           factor: float) -> tuple[CameraCalibration, ...]:
    return tuple(replace(camera, translation=camera.translation * factor)
                 for camera in calibrations)


def _check_distinct(calibrations: Sequence[CameraCalibration],
                    path: Path) -> None:
    """No two cameras can stand in one place and look the same way."""
    for i, camera in enumerate(calibrations):
        for other in calibrations[:i]:
            if (np.allclose(camera.translation, other.translation)
                    and np.allclose(camera.rotation, other.rotation)):
                raise DataError(
                    path, f'camera {camera.name!r}', 'a place of its own',
                    f'that of camera {other.name!r}', 'calibrate it again')


def _find_video(folder: Path, name: str) -> Path:
    inside = folder / name
    found = [folder / f'{name}{suffix}' for suffix in VIDEO_SUFFIXES]
    if inside.is_dir():
        found += sorted(path for path in inside.iterdir()
                        if path.suffix.lower() in VIDEO_SUFFIXES)
    found = [path for path in found if path.is_file() and is_shown(path)]
    if len(found) != 1:
        raise DataError(
            folder, f'camera {name!r}', f'one video, such as {name}.mp4',
            ', '.join(path.name for path in found) or 'none',
            'name the videos as the calibration names the cameras')
    return found[0]


def _measure(videos: Sequence[Path],
             calibrations: Sequence[CameraCalibration]
             ) -> tuple[int, float, Array]:
    """Frames that all videos have, the rate, and sizes (V, 2)."""
    counts, sizes, rates = [], [], []
    for path, camera in zip(videos, calibrations, strict=True):
        with VideoReader(path) as video:
            counts.append(len(video))
            sizes.append(video.size)
            rates.append(video.fps)
        if camera.size is not None and camera.size != sizes[-1]:
            raise DataError(
                path, f'camera {camera.name!r}, size',
                '{} x {} px, as calibrated'.format(*camera.size),
                '{} x {}'.format(*sizes[-1]))
    return min(counts), rates[0], np.array(sizes)


def _read_tracks(folder: Path, names: Sequence[str]
                 ) -> tuple[list[PointTracks], Array | None]:
    """2D tracks of all views, else none; and the edges."""
    files = [folder / f'{name}.analysis.h5' for name in names]
    if not all(path.is_file() for path in files):
        return [], None
    return ([read_sleap_analysis(path) for path in files],
            read_sleap_edges(files[0]))


def _name_points(space: SpacePoints,
                 found: SkeletonFile | None) -> SkeletonFile:
    """The skeleton of the points, in their order."""
    count = space.points.shape[2]
    if found is None and space.names is not None:
        found = SkeletonFile(space.source, space.names,
                             np.zeros((0, 2), np.int64))
    if found is None:
        raise DataError(space.source, 'names',
                        f'names of the {count} points', 'none',
                        'name them by --skeleton')
    if space.names is not None and set(space.names) == set(found.names):
        # The table's order counts: the edges are told anew in it.
        places = np.array([space.names.index(name) for name in found.names])
        found = replace(found, names=space.names, edges=places[found.edges])
    if len(found.names) != count:
        raise DataError(space.source, 'points', f'{len(found.names)} a '
                        f'frame, as {found.source.name} names them',
                        str(count))
    return found


def _in_order(track: PointTracks, names: Sequence[str]) -> PointTracks:
    order = [track.names.index(name) for name in names
             if name in track.names]
    if len(order) != len(names):
        raise DataError(track.source, 'names', ', '.join(names),
                        ', '.join(track.names))
    return replace(track, names=tuple(names),
                   points=track.points[:, :, order],
                   scores=track.scores[:, :, order])


def _check_points(space: SpacePoints, points: Array, cameras: Cameras,
                  num_frames: int) -> None:
    if not np.isfinite(points).all(-1).any():
        raise DataError(space.source, 'points', 'at least one', 'none')
    if space.frames[-1] >= num_frames:
        raise DataError(
            space.source, f'frame {space.frames[-1]}',
            f'frames below {num_frames}, which all videos have',
            f'{int((space.frames >= num_frames).sum())} beyond')
    check_units(space.source, cameras, points)
    check_labels_in_images(space.source, cameras, points)


def _check_errors(session: CameraSession, calibration: Path) -> None:
    """Refuse points that are not where the tracks see them."""
    errors = session.track_errors()
    if errors is None:
        return
    assert session.cameras.sizes is not None
    for name, error, size in zip(session.cameras.names, errors,
                                 session.cameras.sizes, strict=True):
        limit = _NOISE_SHARE * np.hypot(*size)
        if np.isfinite(error).any() and np.nanmedian(error) > limit:
            raise DataError(
                calibration, f'camera {name!r}',
                'points that project onto their 2D tracks, to '
                f'{limit:.0f} px', f'a median distance of '
                f'{np.nanmedian(error):.0f} px',
                'the camera moved, or the calibration is of another one')
