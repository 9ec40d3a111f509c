"""Recordings of animals by several calibrated cameras.

A recording is a folder: videos of each camera, cut in chunks, beside a
Label3D file (``*dannce.mat``) with calibration, frame numbers and labels. A
converter leaves ``recording.json`` there, with what the file cannot say.

A time point has a sampleID, the same in all cameras, and in each camera a
frame of its own; the two numbers need not be equal. V views, M time points,
I individuals, K keypoints.
"""
from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.storage import DataError
from mmpose_ext.storage.calibrations import CameraCalibration
from mmpose_ext.storage.checks import StrPath, is_shown
from mmpose_ext.storage.chunked_video import (
    ChunkedVideo,
    find_camera_folders,
)
from mmpose_ext.storage.label3d import Label3D, read_label3d
from mmpose_ext.volumetric.body_centres import (
    BodyCentres,
    centres_at,
    centroids,
    describe_ids,
    filter_centres,
)
from mmpose_ext.volumetric.calibration_checks import (
    check_image_sizes,
    check_labels_in_images,
    check_units,
    compare_labels,
)
from mmpose_ext.volumetric.individual_files import (
    Files,
    align_cameras,
    list_files,
    merge_labels,
    read_individual_centres,
)

Array = np.ndarray

SETTINGS_FILE = 'recording.json'
LABEL_FILES = '*dannce.mat'
_SETTINGS = ('pixel_origin', 'fps', 'skeleton')


@dataclass(eq=False)
class Recording:
    """What is known of one recording, checked.

    Attributes:
        name: Name of the folder.
        folder: The folder.
        label_files: The Label3D file, or one an animal.
        cameras: V cameras of the videos, pixels from 0, with sizes.
        videos: V videos, or none; frames are decoded when asked for.
        sample_ids: (M,) int64, rising.
        frames: (M, V) int64, numbers of frames in the videos.
        com: (M, I, 3) mm, the middle of each animal; NaN unknown.
        points: (M, I, K, 3) mm; NaN missing.
        labelled: (M,) bool, whether anybody labelled the time point.
        pixel_origin: Where the label file counts pixels from.
        fps: Frames per second, None unknown.
        skeleton: File that names the keypoints, None unknown.
    """

    name: str
    folder: Path
    label_files: tuple[Path, ...]
    cameras: Cameras
    videos: tuple[ChunkedVideo, ...]
    sample_ids: Array
    frames: Array
    com: Array
    points: Array
    labelled: Array
    pixel_origin: int
    fps: float | None
    skeleton: Path | None = None

    @property
    def label_file(self) -> Path:
        """The Label3D file, of several the first."""
        return self.label_files[0]

    @property
    def num_individuals(self) -> int:
        """Animals, I."""
        return int(self.points.shape[1])

    @property
    def num_keypoints(self) -> int:
        """Keypoints of an animal, K."""
        return int(self.points.shape[2])

    @property
    def com_known(self) -> Array:
        """(M,) whether the middles of all animals are known."""
        return np.isfinite(self.com).all((1, 2))

    @property
    def labelled_animals(self) -> Array:
        """(M, I) whether an animal has any label."""
        return np.isfinite(self.points).all(-1).any(-1)

    def __len__(self) -> int:
        return len(self.sample_ids)

    def read(self, row: int, view: int) -> Array:
        """Read the picture of a time point in a view.

        Args:
            row (int): Of the time points, from 0 to M - 1.
            view (int): Of the cameras, from 0 to V - 1.

        Returns:
            ndarray: (H, W, 3) uint8, BGR.

        Raises:
            DataError: If the frame is damaged.
        """
        return self.videos[view].read(int(self.frames[row, view]))

    def close(self) -> None:
        """Give the videos' handles back; reading on opens new ones."""
        for video in self.videos:
            video.close()


def open_recording(folder: StrPath,
                   label_file: Files | None = None,
                   com_file: Files | None = None,
                   com_source: str = 'auto',
                   camera_names: Sequence[str] | None = None,
                   videos: StrPath | None = 'videos',
                   pixel_origin: int | None = None,
                   com_median_window: int | None = None,
                   com_limit_mm: float | None = None,
                   num_keypoints: int | None = None) -> Recording:
    """Open a recording and check that its parts fit together.

    Each chunk of video is opened, and its first frame decoded. Time points
    without a label whose frames no video holds are left out.

    Args:
        folder (str | Path): The recording.
        label_file (str | Path | Sequence, optional): Its Label3D file, or
            one an animal: several in their order, or a pattern such as
            ``*dannce.mat`` for all of such a name, sorted. Relative paths
            begin at the folder. Defaults to None, the only ``*dannce.mat``.
        com_file (str | Path | Sequence, optional): A ``com3d.mat`` with the
            middles of the animals, or one an animal, likewise. Defaults to
            None.
        com_source (str): Where these come from: ``file``, ``label_file``
            (its ``com``), ``labels`` (the centroids of the labels), or
            ``auto``, the first of the three that there is. Defaults to
            ``auto``.
        camera_names (Sequence[str], optional): Cameras to use, in this order.
            Defaults to None, all of the label file.
        videos (str | Path, optional): Folder of the cameras' folders; None
            for what needs no pictures. Defaults to ``videos``.
        pixel_origin (int, optional): Where calibration and 2D labels of the
            file put the centre of the first pixel. Defaults to None:
            ``recording.json``'s, else 1, as MATLAB does.
        com_median_window (int, optional): Time points of the median filter of
            the middles; even numbers are made odd. Defaults to None.
        com_limit_mm (float, optional): Middles with a larger coordinate count
            as unknown. Defaults to None.
        num_keypoints (int, optional): Of one animal. Defaults to None: what
            the number of middles says, else all belong to one animal.

    Returns:
        Recording: The recording.

    Raises:
        DataError: If something is missing, damaged, or does not fit.
        ValueError: If the settings contradict each other.
    """
    folder = _check_folder(folder)
    paths = ((_find_label_file(folder), ) if label_file is None else
             list_files(folder, label_file, 'label_file'))
    path = paths[0]
    settings = _read_settings(folder / SETTINGS_FILE)
    if pixel_origin is None:
        pixel_origin = int(settings.get('pixel_origin', 1))
    records = [_leave_out_empty(read_label3d(item, camera_names))
               for item in paths]
    for record in records:
        _check_sync(record)
    records = align_cameras(records)
    record = merge_labels(records, num_keypoints)
    opened = () if videos is None else _open_videos(
        folder / videos, path, record.calibrations)
    sizes = np.array([video.size for video in opened]) if opened else None
    cameras = build_cameras(path, record.calibrations, pixel_origin, sizes)
    given = read_individual_centres(
        records, () if com_file is None else
        list_files(folder, com_file, 'com_file'), com_source)
    individuals = (_count_individuals(record, given, num_keypoints)
                   if len(records) == 1 else len(records))
    count = (record.points.shape[1] // individuals if len(record.points)
             else num_keypoints or 0)
    check_image_sizes(path, cameras)
    for item in records:
        _check_labels(item, cameras, pixel_origin, count)
    labels = record.points.reshape(len(record.points), individuals, count, 3)
    rows, labelled = _join(record, opened)
    points = np.full((len(rows), *labels.shape[1:]), np.nan)
    points[np.searchsorted(record.sample_ids[rows], record.label_ids)] = labels
    com = _centres(paths, record, given, rows, labels, com_median_window,
                   com_limit_mm)
    return Recording(
        name=os.path.basename(os.path.abspath(folder)), folder=folder,
        label_files=paths, cameras=cameras, videos=opened,
        sample_ids=record.sample_ids[rows], frames=record.frames[rows],
        com=com, points=points, labelled=labelled, pixel_origin=pixel_origin,
        fps=settings.get('fps') or (opened[0].fps if opened else None),
        skeleton=find_skeleton(folder))


def find_skeleton(folder: StrPath) -> Path | None:
    """The file that names a recording's keypoints; None if it tells none.

    Args:
        folder (str | Path): The recording.

    Raises:
        DataError: If the folder or the file is missing.
    """
    folder = _check_folder(folder)
    name = _read_settings(folder / SETTINGS_FILE).get('skeleton')
    return None if name is None else folder / name


def build_cameras(path: StrPath, calibrations: Sequence[CameraCalibration],
                  pixel_origin: int, sizes: Array | None) -> Cameras:
    """Cameras of a file's calibrations, of either convention.

    Args:
        path (str | Path): The file, for errors.
        calibrations (Sequence[CameraCalibration]): V cameras.
        pixel_origin (int): Where those in MATLAB's convention put the centre
            of the first pixel; OpenCV's is at 0.
        sizes (ndarray, optional): (V, 2) width and height of the images, px.
            None: those of the calibrations, if all have them.

    Raises:
        DataError: If a camera looks into a mirror.
    """
    mirrored = [item.name for item in calibrations if item.mirrored]
    if mirrored:
        raise DataError(path, f'camera {mirrored[0]}, m', 'a direct view',
                        'a mirror image', 'flip the video and calibrate it '
                        'as a camera of its own')
    if sizes is None and all(item.size for item in calibrations):
        sizes = np.array([item.size for item in calibrations])
    origins = [1 if item.convention == 'opencv' else pixel_origin
               for item in calibrations]
    parts = [item.to_matlab() for item in calibrations]
    radial = np.zeros((len(parts), 3))
    matrices = np.stack([item.matrix for item in parts]).astype(np.float64)
    for i, item in enumerate(parts):
        radial[i, :len(item.radial)] = item.radial
        matrices[i, 2, :2] -= origins[i]
    return Cameras.from_matlab(
        [item.name for item in parts], matrices,
        np.stack([item.rotation for item in parts]),
        np.stack([item.translation for item in parts]), radial,
        np.stack([item.tangential for item in parts]), pixel_origin=0,
        sizes=sizes)


def _check_folder(folder: StrPath) -> Path:
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(folder, 'folder', 'a recording',
                        'a file' if folder.exists() else 'nothing')
    return folder


def _find_label_file(folder: Path) -> Path:
    found = sorted(filter(is_shown, folder.glob(LABEL_FILES)))
    if len(found) == 1:
        return found[0]
    names = ', '.join(path.name for path in found)
    raise DataError(folder, 'label file', f'one {LABEL_FILES}',
                    names or 'none', 'name it by label_file, or several, '
                    'one an animal')


def _read_settings(path: Path) -> dict[str, Any]:
    """What a converter wrote beside the label file; {} if nothing."""
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(path, 'file', 'JSON', str(error)) from error
    if not isinstance(settings, dict) or not set(settings) <= set(_SETTINGS):
        raise DataError(path, 'file', f'an object of {", ".join(_SETTINGS)}',
                        str(settings)[:200])
    if settings.get('pixel_origin', 1) not in (0, 1):
        raise DataError(path, 'pixel_origin', '0 or 1',
                        str(settings['pixel_origin']))
    fps = settings.get('fps')
    if fps is not None and not (isinstance(fps, (int, float)) and fps > 0):
        raise DataError(path, 'fps', 'a positive number or null', str(fps))
    skeleton = settings.get('skeleton')
    if skeleton is not None and not (path.parent / str(skeleton)).is_file():
        raise DataError(path, 'skeleton', 'a file in the folder',
                        repr(skeleton))
    return settings


def _leave_out_empty(record: Label3D) -> Label3D:
    """The record without rows of labels in which no keypoint is labelled."""
    kept = np.isfinite(record.points).all(-1).any(1)
    return replace(
        record, label_ids=record.label_ids[kept],
        label_frames=record.label_frames[kept], points=record.points[kept],
        pixels=None if record.pixels is None else record.pixels[:, kept])


def _check_sync(record: Label3D) -> None:
    """The labels must be of known time points, and of the same frames."""
    if not len(record.sample_ids):
        raise DataError(record.source, 'sync.data_sampleID', 'time points',
                        'none', 'export the file with its sync')
    unknown = ~np.isin(record.label_ids, record.sample_ids)
    if unknown.any():
        ids = record.label_ids[unknown]
        raise DataError(
            record.source, 'labelData.data_sampleID', 'sampleIDs of sync, '
            f'{describe_ids(record.sample_ids)}',
            f'{describe_ids(ids)} that sync does not have',
            'a sampleID is no frame number; write both as sync has them')
    rows = np.searchsorted(record.sample_ids, record.label_ids)
    differs = (record.frames[rows] != record.label_frames).any(1)
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        view = int(np.flatnonzero(
            record.frames[rows[row]] != record.label_frames[row])[0])
        raise DataError(
            record.source,
            f'labelData of {record.calibrations[view].name}, sampleID '
            f'{record.label_ids[row]}',
            f'data_frame {record.frames[rows[row], view]}, as sync has it',
            f'{record.label_frames[row, view]}; {differs.sum()} of '
            f'{len(differs)} labels differ',
            'the labels were made on other frames')


def _open_videos(
        folder: Path, path: Path,
        calibrations: Sequence[CameraCalibration]) -> tuple[ChunkedVideo, ...]:
    """Videos of all cameras, each chunk looked at."""
    names = [item.name for item in calibrations]
    opened = tuple(ChunkedVideo(found)
                   for found in find_camera_folders(folder, names))
    for item, video in zip(calibrations, opened, strict=True):
        video.check()
        if item.size is not None and tuple(item.size) != tuple(video.size):
            raise DataError(
                path, f'camera {item.name}',
                f'images of {item.size[0]} x {item.size[1]} px, as '
                'calibrated', f'videos of {video.size[0]} x '
                f'{video.size[1]} px in {folder}')
    return opened


def _check_labels(record: Label3D, cameras: Cameras, pixel_origin: int,
                  num_keypoints: int) -> None:
    """The labels of a file must fit the cameras."""
    path, rows = record.source, len(record.points)
    labels = (record.points.reshape(rows, -1, num_keypoints, 3) if rows else
              np.zeros((0, 1, num_keypoints, 3)))
    check_units(path, cameras, labels)
    compare_labels(path, record, cameras, pixel_origin)
    check_labels_in_images(path, cameras, labels)


def _count_individuals(record: Label3D, given: BodyCentres | None,
                       num_keypoints: int | None) -> int:
    """How many animals share the columns of the labels."""
    columns = record.points.shape[1]
    animals = 1 if given is None else given.points.shape[1]
    if not len(record.points):
        return animals
    if num_keypoints is None:
        if columns % animals:
            raise DataError(
                record.source, 'labelData.data_3d',
                f'the same keypoints of {animals} animals, as many as '
                f'{record.source if given is None else given.source} has',
                f'{columns} points')
        return animals
    if columns % num_keypoints:
        raise DataError(
            record.source, 'labelData.data_3d',
            f'{num_keypoints} keypoints, 3 columns each, as the skeleton has',
            f'{columns} keypoints ({3 * columns} columns)',
            'choose the skeleton that the labels were made with')
    individuals = columns // num_keypoints
    if given is not None and animals != individuals:
        raise DataError(
            given.source, given.where,
            f'the middles of {individuals} animals: the labels in '
            f'{record.source.name} have {columns} points, '
            f'{individuals} x {num_keypoints}', f'those of {animals}',
            "com_source='labels' takes the centroids of the labels")
    return individuals


def _join(record: Label3D,
          videos: Sequence[ChunkedVideo]) -> tuple[Array, Array]:
    """Rows (M,) of the time points that can be read, and which have labels."""
    has_labels = np.isin(record.sample_ids, record.label_ids)
    if not videos:
        return np.arange(len(has_labels)), has_labels
    first = np.array([video.first for video in videos])
    stop = np.array([video.stop for video in videos])
    _check_first_frame(record, first, stop)
    inside = (record.frames >= first) & (record.frames < stop)
    lost = np.asarray(~inside.all(1))
    if (lost & has_labels).any():
        row = int(np.flatnonzero(lost & has_labels)[0])
        view = int(np.flatnonzero(~inside[row])[0])
        raise DataError(
            record.source, f'sampleID {record.sample_ids[row]}',
            f'a frame of camera {record.calibrations[view].name}, whose '
            f'videos have {first[view]} to {stop[view] - 1}',
            f'frame {record.frames[row, view]}; '
            f'{(lost & has_labels).sum()} labels have no picture',
            'a chunk of video is missing or misnamed: its name is the '
            'number of its first frame')
    if lost.all():
        raise DataError(
            record.source, 'sync', 'time points whose frames the videos hold',
            f'none of {len(lost)}: frames {record.frames.min()} to '
            f'{record.frames.max()}, videos {first.max()} to '
            f'{stop.min() - 1}')
    if lost.any():
        print_log(f'{record.source}: {lost.sum()} of {len(lost)} time points '
                  'have no picture in some view and are left out', 'current')
    rows = np.flatnonzero(~lost)
    return rows, has_labels[rows]


def _check_first_frame(record: Label3D, first: Array, stop: Array) -> None:
    """Frames count from the videos' first, which is 0 and not 1."""
    low, high = record.frames.min(0), record.frames.max(0)
    if (low == first + 1).all() and (high == stop).all():
        raise DataError(
            record.source, 'sync.data_frame',
            f'frames from {first[0]} to {stop[0] - 1}, as the videos of '
            f'{record.calibrations[0].name} have', f'{low[0]} to {high[0]}',
            'they look counted from 1: subtract 1 from all data_frame')


def _centres(paths: Sequence[Path], record: Label3D,
             given: BodyCentres | None, rows: Array, labels: Array,
             window: int | None, limit_mm: float | None) -> Array:
    """Middles (M, I, 3) of the animals at the time points of rows."""
    ids = record.sample_ids[rows]
    if given is None:
        com = np.full((len(rows), labels.shape[1], 3), np.nan)
        com[np.searchsorted(ids, record.label_ids)] = centroids(labels)
    else:
        given = filter_centres(given, window)
        com = centres_at(given, ids, record, labels, paths)
    if limit_mm is not None:
        far = (abs(com) > limit_mm).any(-1)
        com[far] = np.nan
        if far.any():
            print_log(f'{paths[0]}: {far.sum()} middles lie beyond '
                      f'{limit_mm:g} mm and count as unknown', 'current')
    return com
