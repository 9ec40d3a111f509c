"""Small recordings that tests write: a figure of dots before four cameras."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.storage import VideoWriter
from mmpose_ext.storage.calibrations import CameraCalibration
from mmpose_ext.storage.label3d import Label3D, write_label3d

Array = np.ndarray

WIDTH, HEIGHT = 96, 72
FRAMES = 12
NAMES = ('Camera1', 'Camera2', 'Camera3')
# rat16's points in mm, about the middle of the body
BODY = np.array([
    [30, 8, 12], [30, -8, 12], [40, 0, 8], [20, 0, 14], [0, 0, 16],
    [-25, 0, 10], [-40, 3, 6], [-55, 6, 4], [22, 12, 0], [18, 9, 6],
    [22, -12, 0], [18, -9, 6], [-20, 14, 0], [-18, 9, 6], [-20, -14, 0],
    [-18, -9, 6]], np.float64)


def make_cameras(names: tuple[str, ...] = NAMES) -> tuple[
        CameraCalibration, ...]:
    """Cameras on a circle that look down at the origin, MATLAB's way."""
    made = []
    for i, name in enumerate(names):
        angle = .3 + 2 * np.pi * i / len(names)
        position = np.array([400 * np.cos(angle), 400 * np.sin(angle), 300.])
        ahead = -position / np.linalg.norm(position)
        right = np.cross(ahead, [0, 0, 1])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(ahead, right), ahead])
        matrix = np.array([[150., 0, 0], [.3, 152., 0],
                           [WIDTH / 2 + i, HEIGHT / 2 - i, 1]])
        made.append(CameraCalibration(
            name, matrix, rotation.T, -rotation @ position,
            np.array([-.05, .01]), np.array([1e-3, -2e-3]), 'matlab', None))
    return tuple(made)


def project(calibrations: tuple[CameraCalibration, ...],
            points: Array) -> Array:
    """Pixels (V, ..., 2), from 1, of points (..., 3) mm."""
    radial = np.stack([item.radial for item in calibrations])
    cameras = Cameras.from_matlab(
        [item.name for item in calibrations],
        *(np.stack([getattr(item, name) for item in calibrations])
          for name in ('matrix', 'rotation', 'translation')),
        radial, np.stack([item.tangential for item in calibrations]))
    return cameras.project(points)[0] + 1


def make_record(folder: Path, frames: int = FRAMES,
                labelled: int | None = None) -> Label3D:
    """A walk with labels in every frame; sampleIDs are 1, 11, 21, ..."""
    calibrations = make_cameras()
    time = np.arange(frames)
    angle = .2 * time
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle),
                     np.cos(angle)], -1).reshape(-1, 2, 2)
    points = np.repeat(BODY[None], frames, 0)
    points[..., :2] = np.einsum('tij,tkj->tki', turn, points[..., :2])
    points += np.stack([2. * time - 10, -time, 10 + 0. * time], -1)[:, None]
    ids = 1 + 10 * time
    rows = slice(labelled)
    numbers = np.repeat(time[:, None], len(calibrations), 1)
    com = points.mean(1)[:, None] + 1.
    points = points[rows]
    return Label3D(
        source=folder / 'label3d_dannce.mat', calibrations=calibrations,
        sample_ids=ids, frames=numbers, label_ids=ids[rows],
        label_frames=numbers[rows], points=points,
        pixels=project(calibrations, points), com_ids=ids, com=com)


def write_videos(folder: Path, names: tuple[str, ...] = NAMES,
                 frames: int = FRAMES, chunk: int | None = None,
                 size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    """Videos whose grey tells frame and camera, with a bright corner."""
    chunk = chunk or frames
    for view, name in enumerate(names):
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        for first in range(0, frames, chunk):
            with VideoWriter(place / f'{first}.mp4', 30., size) as video:
                for frame in range(first, min(first + chunk, frames)):
                    image = np.full((size[1], size[0], 3),
                                    20 + 9 * frame + 4 * view, np.uint8)
                    image[:8, :8] = (250, 120, 10)
                    video.write(image)


def write_recording(folder: Path, frames: int = FRAMES,
                    labelled: int | None = None, chunk: int | None = 7,
                    **changes: object) -> Path:
    """A whole recording; changes replace fields of its label file."""
    folder.mkdir(parents=True, exist_ok=True)
    write_videos(folder / 'videos', frames=frames, chunk=chunk)
    record = replace(make_record(folder, frames, labelled), **changes)
    write_label3d(record.source, record)
    return folder
