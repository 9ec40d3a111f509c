"""Recordings of other programs turned into Label3D recording folders.

``tools/convert_dataset.py`` finds the converters in :data:`CONVERTERS`. What
they write is the layout that laboratories have: videos by camera, a
``*dannce.mat`` in MATLAB's convention, and the middles of the animals.
"""
from __future__ import annotations

import functools
import json
import os
import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.command_options import check_out
from mmpose_ext.commands import Converter
from mmpose_ext.drawing import write_picture
from mmpose_ext.storage import (
    ComTrack,
    Label3D,
    atomic_folder,
    refuse_to_replace,
    write_com3d,
    write_label3d,
    write_skeleton_file,
)
from mmpose_ext.volumetric.body_centres import centroids
from mmpose_ext.volumetric.convert_sheet import draw_session
from mmpose_ext.volumetric.convert_sources import (
    UNITS_MM,
    CameraSession,
    read_session,
)
from mmpose_ext.volumetric.recordings import SETTINGS_FILE

Array = np.ndarray

LABEL_FILE = 'label3d_dannce.mat'
COM_FILE = 'com3d.mat'
SKELETON_FILE = 'skeleton.json'
SHEET_FILE = 'contact_sheet.png'
_CALIBRATIONS = {
    'anipose': ('calibration.toml', ),
    'opencv': ('calibration.yaml', 'calibration.yml', 'calibration.json'),
}


def write_recording(session: CameraSession, out: Path, videos: str,
                    overwrite: bool) -> None:
    """Write a session as a recording folder, whole or not at all.

    A sampleID is the frame. Every frame that all videos have is a time
    point; those with a point are labelled. As in Label3D's own files 2D
    labels are the projected 3D ones. Videos are never transcoded.

    Args:
        session (CameraSession): What to write.
        out (Path): The folder.
        videos (str): ``link`` (the same file under a second name, or a copy
            on another disk), ``copy``, or ``symlink``.
        overwrite (bool): Whether a folder with content may be replaced.

    Raises:
        DataError: If the folder cannot be made.
    """
    refuse_to_replace(out, session.files)
    with atomic_folder(out, overwrite) as folder:
        for name, source in zip(session.cameras.names, session.videos,
                                strict=True):
            target = folder / 'videos' / name / f'0{source.suffix.lower()}'
            target.parent.mkdir(parents=True)
            _place(source, target, videos)
        write_label3d(folder / LABEL_FILE, label_record(session))
        settings: dict[str, Any] = dict(pixel_origin=1, fps=session.fps)
        if session.skeleton is not None:
            write_skeleton_file(folder / SKELETON_FILE, session.skeleton)
            settings['skeleton'] = SKELETON_FILE
        if len(session.points):
            write_com3d(folder / COM_FILE, ComTrack(
                folder / COM_FILE, session.frames,
                centroids(session.points)),
                {'source': str(session.folder),
                 'method': 'mean of the labelled keypoints'})
        (folder / SETTINGS_FILE).write_text(
            json.dumps(settings, indent=1) + '\n')
        write_picture(folder / SHEET_FILE, draw_session(session))


def label_record(session: CameraSession) -> Label3D:
    """The Label3D record of a session.

    Several individuals stand one after the other in the columns.
    """
    views = len(session.cameras)
    rows = np.flatnonzero(
        np.isfinite(session.points).all(-1).any((1, 2)))
    individuals, keypoints = session.points.shape[1:3]
    points = session.points[rows].reshape(len(rows),
                                          individuals * keypoints, 3)
    points[~np.isfinite(points).all(-1)] = np.nan
    pixels, _ = session.cameras.project(points)
    every = np.arange(session.num_frames, dtype=np.int64)
    labelled = session.frames[rows]
    return Label3D(
        session.folder, session.calibrations, every,
        np.repeat(every[:, None], views, 1), labelled,
        np.repeat(labelled[:, None], views, 1), points, pixels + 1,
        session.frames if len(session.points) else None,
        centroids(session.points) if len(session.points) else None)


def _place(source: Path, target: Path, how: str) -> None:
    """Bring a video to its place."""
    source = source.resolve()
    if how == 'symlink':
        target.symlink_to(source)
        return
    if how == 'link':
        try:
            os.link(source, target)
            return
        except OSError:  # another disk, or one without links
            pass
    shutil.copyfile(source, target)


def _describe(session: CameraSession) -> str:
    """What became of a session, for people."""
    count, names = session.num_frames, session.cameras.names
    lines = [f'{session.folder}: {len(names)} cameras, {count} frames of '
             f'{session.fps:g} fps']
    if len(session.points):
        known = np.isfinite(session.points).all(-1)
        lines.append(
            f'labels: {int(known.any((1, 2)).sum())} frames, '
            f'{session.points.shape[1]} individuals, '
            f'{session.points.shape[2]} keypoints, '
            f'{1 - known.mean():.1%} missing')
    errors = session.track_errors()
    assert session.cameras.sizes is not None
    for view, name in enumerate(names):
        width, height = session.cameras.sizes[view]
        text = f'  {name}: {width} x {height} px'
        if errors is not None and np.isfinite(errors[view]).any():
            text += (', labels to 2D tracks: median '
                     f'{np.nanmedian(errors[view]):.2f} px, 95 % below '
                     f'{np.nanpercentile(errors[view], 95):.1f} px')
        lines.append(text)
    return '\n'.join(lines)


def _convert(calibrations: Sequence[str], arguments: Namespace) -> None:
    out: Path = arguments.out
    check_out(out, overwrite=arguments.overwrite)
    session = read_session(
        arguments.input, calibrations, arguments.unit, arguments.points,
        arguments.skeleton, arguments.unlabelled)
    write_recording(session, out, arguments.videos, arguments.overwrite)
    print(_describe(session))
    print(f'written: {out}: {", ".join(sorted(os.listdir(out)))}')


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        '--points', type=Path, metavar='FILE',
        help='points in space, .h5 or .csv (default: points3d.h5, else the '
        'only .csv of the folder)')
    parser.add_argument(
        '--skeleton', type=Path, metavar='FILE',
        help='names and edges, .json or .mat (default: those of the tracks '
        'or the table)')
    parser.add_argument(
        '--unit', choices=sorted(UNITS_MM), default='mm',
        help='of the calibration and the points (default: mm)')
    parser.add_argument(
        '--unlabelled', action='store_true',
        help='there are no points: a recording to predict on')
    parser.add_argument(
        '--videos', choices=('link', 'copy', 'symlink'), default='link',
        help='how the videos come into the folder; a hard link takes no '
        'space (default: link)')


def _accepts(calibrations: Sequence[str], path: Path) -> bool:
    return path.is_dir() and any(
        (path / name).is_file() for name in calibrations)


CONVERTERS: dict[str, Converter] = {
    name: Converter(text, functools.partial(_accepts, _CALIBRATIONS[name]),
                    _add_arguments,
                    functools.partial(_convert, _CALIBRATIONS[name]))
    for name, text in (
        ('anipose', 'session of anipose or sleap-anipose (folder with '
         'calibration.toml, <camera>.mp4, points3d.h5 or a .csv)'),
        ('opencv', "folder with OpenCV's matrices in calibration.yaml or "
         '.json, <camera>.mp4, and points3d.h5 or a .csv'))
}
