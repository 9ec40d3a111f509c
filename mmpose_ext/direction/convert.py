"""Recordings of DeepLabCut, SLEAP and COCO turned into square crops.

``tools/convert_dataset.py`` finds the converters in :data:`CONVERTERS`. All
of them read a :class:`PointTracks`, choose base, neck and head among its
points and cut one square around each animal.
"""
from __future__ import annotations

import functools
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from mmpose_ext.command_options import check_new_folder, number_from
from mmpose_ext.commands import Converter
from mmpose_ext.direction.angles import POINTS
from mmpose_ext.direction.datasets import POINT_KEYS, read_direction_file
from mmpose_ext.direction.label_sheet import draw_label_sheet
from mmpose_ext.direction.landmarks import has_landmarks
from mmpose_ext.direction.recordings import (
    Crops,
    Recording,
    check_one_animal,
    choose_rows,
    cut_crops,
    hide_outside,
    iter_images,
    iter_video,
    label_floor,
)
from mmpose_ext.storage import (
    DataError,
    PointTracks,
    VideoReader,
    atomic_folder,
    check_file,
    read_coco_keypoints,
    read_coco_names,
    read_dlc_names,
    read_dlc_project,
    read_dlc_tracks,
    read_sleap_analysis,
    read_slp,
    refuse_to_replace,
    write_npz,
)

FILE_NAME = 'direction.npz'
SHEET_TILES = 64


def _convert(read: Callable[[Namespace], PointTracks],
             arguments: Namespace) -> None:
    out: Path = arguments.out
    check_new_folder(out, arguments.overwrite)
    tracks = read(arguments)
    refuse_to_replace(out, [path for path in (
        arguments.input, arguments.video or tracks.video,
        getattr(arguments, 'images', None), *(tracks.images or ()))
        if path])
    recording = choose_rows(tracks, arguments)
    images = recording.tracks.images
    if images is not None:
        check_one_animal(recording)
        crops = cut_crops(recording, iter_images(recording), arguments)
    else:
        with VideoReader(_video_of(recording.tracks, arguments)) as video:
            recording = hide_outside(recording, video.size)
            crops = cut_crops(recording, iter_video(recording, video),
                              arguments)
    print(write_dataset(recording, crops, arguments))
    print(f'written: {out / FILE_NAME}, README.txt, contact_sheet.png')


def write_dataset(recording: Recording, crops: Crops,
                  arguments: Namespace) -> str:
    """Write the folder of the data set, whole or not at all.

    Returns:
        str: The description that its README holds.
    """
    arrays = {
        'images': crops.images,
        **{key: crops.points[:, i] for i, key in enumerate(POINT_KEYS)},
        'session': recording.sessions,
        'frame': recording.tracks.frames[recording.rows],
        'crop_center': crops.centers,
        'crop_size': crops.sides,
    }
    visible = np.isfinite(crops.points).all(-1)
    if not visible.all():
        arrays['vis'] = visible
    if recording.tracks.images is not None:
        arrays['image'] = np.array([
            '/'.join(recording.tracks.images[row].parts[-2:])
            for row in recording.rows])
    text = describe(recording, crops, arguments)
    out: Path = arguments.out
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(out, arguments.overwrite) as folder:
        write_npz(folder / FILE_NAME, **arrays)
        try:
            read_direction_file(folder / FILE_NAME, rows='stored')
        except DataError as error:
            raise DataError(recording.tracks.source, error.where,
                            error.expected, error.found, error.hint
                            or 'check the points and --crop-scale') from error
        (folder / 'README.txt').write_text(text + '\n', encoding='utf-8')
        shown = np.linspace(0, len(visible) - 1,
                            min(SHEET_TILES, len(visible))).astype(int)
        sheet = draw_label_sheet(crops.images[shown], crops.points[shown])
        if not cv2.imwrite(str(folder / 'contact_sheet.png'), sheet):
            raise OSError(f'{out / "contact_sheet.png"} cannot be written')
    return text


def describe(recording: Recording, crops: Crops,
             arguments: Namespace) -> str:
    """Where a data set comes from, and what its labels can tell."""
    tracks, sides = recording.tracks, np.unique(crops.sides)
    hidden = int((~np.isfinite(crops.points).all(-1)).sum())
    mapping = ', '.join(f'{landmark} = {" + ".join(recording.parts[landmark])}'
                        for landmark in POINTS)
    scale = ' to '.join(f'{side / arguments.size:.3g}'
                        for side in dict.fromkeys((sides[0], sides[-1])))
    side = ' to '.join(map(str, dict.fromkeys((sides[0], sides[-1]))))
    floors = ' and '.join(
        f'{value:.1f} degrees ({name})'
        for name, value in label_floor(recording).items())
    return (
        f'{len(crops.images)} crops of {arguments.size}x{arguments.size} px '
        f'from {tracks.source} ({arguments.format}), '
        f'{len(set(recording.sessions))} session(s); {hidden} points hidden, '
        f'{recording.dropped} rows left out because two of the three points '
        f'are missing. Points: {mapping} (the mean where several). '
        f'Each crop is a square of {side} px of the frame '
        f'({arguments.crop_scale:g} times the median distance of base and '
        f'head in its session), {scale} px of the frame a pixel, about the '
        'middle between the ends of the animal, off by up to '
        f'{arguments.jitter:g} of its side (seed {arguments.seed}). '
        'What the labels allow: each pixel of the frame by which a labelled '
        f'point is off (standard deviation a coordinate) makes {floors} of '
        'error in the angles; no smaller error can be claimed from such '
        'labels.')


def _video_of(tracks: PointTracks, arguments: Namespace) -> Path:
    path = arguments.video or tracks.video
    if path is None:
        raise DataError(tracks.source, 'video', 'the name of one video',
                        'none', 'name it by --video FILE')
    return check_file(path, hint='name the video by --video FILE')


def _read_sleap(path: Path) -> PointTracks:
    reader = read_slp if path.suffix.lower() == '.slp' else read_sleap_analysis
    return reader(path)


def _add_arguments(parser: ArgumentParser, *extra: str) -> None:
    """Options of a converter; extra: ``video``, ``images``."""
    for landmark in POINTS:
        parser.add_argument(
            f'--{landmark}', metavar='NAME[+NAME]',
            help=f'point for {landmark}, or several to take the mean of; '
            'found by the usual names by default')
    parser.add_argument('--individual', metavar='NAME',
                        help='the animal, where the recording has several')
    parser.add_argument('--size', type=number_from(16, kind=int), default=50,
                        help='side of the crops in px (default: 50)')
    parser.add_argument(
        '--crop-scale', type=number_from(1), default=1.6,
        help='side of the square in the frame as a multiple of the typical '
        'distance of base and head (default: 1.6)')
    parser.add_argument(
        '--jitter', type=number_from(0), default=.1,
        help='random shift of the crops along each axis, as a share of their '
        'side (default: 0.1)')
    parser.add_argument('--seed', type=int, default=0,
                        help='of the jitter (default: 0)')
    parser.add_argument('--every', type=number_from(1, kind=int), default=1,
                        metavar='N', help='take every Nth row (default: 1)')
    parser.add_argument(
        '--min-score', type=float, default=.6,
        help='points below this confidence count as hidden; labels made by '
        'hand have 1 (default: 0.6)')
    parser.set_defaults(video=None)
    if 'video' in extra:
        parser.add_argument('--video', type=Path, help='video of the points')
    if 'images' in extra:
        parser.add_argument('--images', type=Path, metavar='DIR',
                            help='folder of the images (default: INPUT\'s)')


def _ends_in(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: path.suffix.lower() in suffixes


def _accepts_dlc(path: Path) -> bool:
    return path.is_dir() and has_landmarks(read_dlc_names(path))


def _accepts_sleap(path: Path) -> bool:
    if not _ends_in('.slp', '.h5', '.hdf5')(path):
        return False
    tracks = _read_sleap(path)
    # several animals without these points are meant for another family
    return len(tracks.individuals) == 1 or has_landmarks(tracks.names)


def _accepts_coco(path: Path) -> bool:
    return path.suffix.lower() == '.json' and has_landmarks(
        read_coco_names(path))


CONVERTERS: dict[str, Converter] = {
    'dlc': Converter(
        'labelled DeepLabCut project (folder with config.yaml); of the '
        'labels the .csv is read, not the .h5 beside it',
        _accepts_dlc, _add_arguments,
        functools.partial(_convert, lambda a: read_dlc_project(a.input))),
    'sleap': Converter(
        'SLEAP labels (.slp) or analysis (.h5) and their video',
        _accepts_sleap,
        lambda parser: _add_arguments(parser, 'video'),
        functools.partial(_convert, lambda a: _read_sleap(a.input))),
    'coco': Converter(
        'COCO keypoints (.json) and their images, one animal each',
        _accepts_coco, lambda parser: _add_arguments(parser, 'images'),
        functools.partial(
            _convert, lambda a: read_coco_keypoints(a.input, a.images))),
    'tracks': Converter(
        'DeepLabCut predictions (.csv, .h5) and their --video',
        _ends_in('.csv', '.h5', '.hdf5'),
        lambda parser: _add_arguments(parser, 'video'),
        functools.partial(_convert, lambda a: read_dlc_tracks(a.input))),
}
