"""``tools/visualize.py`` for recordings by several cameras."""
from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config
from rich.console import Console
from rich.progress import track

from mmpose_ext.command_options import check_least, check_out
from mmpose_ext.drawing import contact_sheet, write_picture
from mmpose_ext.storage import (
    DataError,
    VideoWriter,
    atomic_folder,
    refuse_to_replace,
)
from mmpose_ext.training import keypoint_names
from mmpose_ext.volumetric.mosaic import AZIMUTH, Mosaic, Scene, mean_error
from mmpose_ext.volumetric.pose_drawing import PoseStyle
from mmpose_ext.volumetric.prediction_files import (
    POSES_MAT,
    PosePredictions,
    read_poses_mat,
)
from mmpose_ext.volumetric.prediction_plan import choose_rows
from mmpose_ext.volumetric.recordings import Recording, open_recording
from mmpose_ext.volumetric.skeletons import load_skeleton
from mmpose_ext.volumetric.streaming import read_ahead

Array = np.ndarray

MOVIE, SHEET = 'poses.mp4', 'sheet.png'
_FPS = 25.  # of a recording that states none
_SMOOTH_S = .5  # the views follow the animal this slowly
_REACH_SHARE = 98  # per cent of the points are within the reach
_FLOOR_SHARE = 1  # per cent of the points are below the floor
_TURN_S = 30.  # of the panel's camera round the animal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        'prediction', type=Path,
        help=f'folder that predict wrote, or its {POSES_MAT}')
    parser.add_argument(
        'recording', type=Path,
        help='folder with a *dannce.mat and videos/CAMERA/FRAME.mp4')
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FILE.mp4|DIR',
        help=f'movie, or a new folder for {MOVIE} and, with --labels, '
        f'{SHEET}: the best, a middling and the worst time point')
    parser.add_argument(
        '--start', type=int, default=0, metavar='N',
        help='first time point of the recording, from 0 (default: 0)')
    parser.add_argument(
        '--stop', type=int, metavar='N',
        help='time point to stop before (default: the end)')
    parser.add_argument(
        '--every', type=int, default=1, metavar='N',
        help='draw each N-th time point (default: 1)')
    parser.add_argument(
        '--fps', type=float,
        help="of the movie (default: the recording's own speed)")
    parser.add_argument(
        '--views', metavar='A,B', help='cameras to show (default: all)')
    parser.add_argument(
        '--whole', action='store_true',
        help='show whole pictures instead of what is about the animal')
    parser.add_argument(
        '--labels', action='store_true',
        help="draw the recording's labels too, and write errors")
    parser.add_argument(
        '--overwrite', action='store_true', help='replace what is there')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Draw, write and summarise."""
    out: Path = arguments.out
    _check(arguments)
    prediction = arguments.prediction
    predictions = read_poses_mat(
        prediction / POSES_MAT if prediction.is_dir() else prediction)
    recording = _open(config, arguments, predictions)
    with closing(recording):
        refuse_to_replace(out, [recording.label_file, predictions.source,
                                *arguments.recording.rglob('*.mp4')])
        movie = PoseMovie.prepare(config, recording, predictions, arguments)
        fps = movie.fps
        if out.suffix.lower() == '.mp4':
            movie.write(out)
        else:
            with atomic_folder(out, arguments.overwrite) as folder:
                movie.write(folder / MOVIE)
                if arguments.labels:
                    movie.write_sheet(folder / SHEET)
    errors = movie.errors()
    print(f'time points  {len(movie.rows)}, {fps:g} a second')
    if np.isfinite(errors).any():
        print(f'error        mean {np.nanmean(errors):.2f} mm, median '
              f'{np.nanmedian(errors):.2f} mm, in '
              f'{np.isfinite(errors).sum()} labelled time points')
    print(f'written      {out}')
    return 0


@dataclass(frozen=True, eq=False)
class PoseMovie:
    """Predictions on a recording, time point by time point.

    Attributes:
        recording: With the V views to show.
        rows: (T,) its time points.
        poses: (T, I, K, 3) mm.
        truth: (T, I, K, 3) mm, or None: not drawn.
        middles: (T, 3) what the views show, mm.
        mosaic: How it is laid out.
        fps: Time points a second.
    """

    recording: Recording
    rows: Array
    poses: Array
    truth: Array | None
    middles: Array
    mosaic: Mosaic
    fps: float

    @classmethod
    def prepare(cls, config: Config, recording: Recording,
                predictions: PosePredictions,
                arguments: argparse.Namespace) -> PoseMovie:
        """Choose what is drawn, and how large.

        Raises:
            DataError: If prediction, recording and options do not fit
                together.
        """
        wanted, _ = choose_rows(recording, arguments.start, arguments.stop,
                                arguments.every, need_com=False)
        _, places, found = np.intersect1d(
            recording.sample_ids[wanted], predictions.sample_ids,
            return_indices=True)
        rows = wanted[places]
        poses = predictions.points[found].astype(np.float64)
        if not np.isfinite(poses).any():
            raise DataError(
                predictions.source, 'sampleID', 'predictions for sampleIDs '
                f'{recording.sample_ids[wanted[0]]} to '
                f'{recording.sample_ids[wanted[-1]]} of {recording.name}',
                'none', '--start and --stop count time points of the '
                'recording')
        truth = recording.points[rows] if arguments.labels else None
        if truth is not None and not np.isfinite(truth).any():
            raise DataError(recording.label_file, '--labels',
                            'labelled time points among those drawn', 'none')
        fps = arguments.fps or (recording.fps or _FPS) / _usual_step(
            recording.frames[rows, 0])
        middles = follow(poses, round(_SMOOTH_S * fps))
        shown = np.concatenate([poses] if truth is None else [poses, truth],
                               1)
        away = np.linalg.norm(shown - middles[:, None, None], axis=-1)
        reach = float(np.nanpercentile(away, _REACH_SHARE))
        mosaic = Mosaic(
            _style(config, recording, predictions), len(recording.cameras),
            max(reach, 1.), float(
                np.nanpercentile(shown[..., 2], _FLOOR_SHARE)),
            whole=arguments.whole)
        return cls(recording, rows, poses, truth, middles, mosaic, fps)

    def errors(self) -> Array:
        """Mean error (T,) of each time point, mm; NaN without labels."""
        if self.truth is None:
            return np.full(len(self.rows), np.nan)
        return np.array([mean_error(poses, truth) for poses, truth in zip(
            self.poses, self.truth, strict=True)])

    def pictures(self, chosen: Array) -> Iterator[Array]:
        """Draw some of the T time points, in rising order."""
        turn = 2 * math.pi / (_TURN_S * self.fps)  # a time point
        with closing(read_ahead(self.recording, self.rows[chosen])) as images:
            for index, views in zip(chosen, images, strict=True):
                row = int(self.rows[index])
                truth = None if self.truth is None else self.truth[index]
                scene = Scene(
                    views, self.recording.cameras, self.poses[index], truth,
                    f'{self.recording.name}   sampleID '
                    f'{self.recording.sample_ids[row]}')
                yield self.mosaic.draw(
                    scene, self.middles[index], AZIMUTH + turn * index)

    def write(self, path: Path) -> None:
        """Write the movie, whole or not at all."""
        chosen = np.arange(len(self.rows))
        with VideoWriter(path, self.fps, self.mosaic.size) as video:
            for picture in track(
                    self.pictures(chosen), 'drawing', len(chosen),
                    console=Console(stderr=True), transient=True):
                video.write(picture)

    def write_sheet(self, path: Path) -> None:
        """Write the time points of least, middle and largest error."""
        errors = self.errors()
        ranked = np.argsort(errors)[:np.isfinite(errors).sum()]
        picked = {'best': ranked[0], 'median': ranked[(len(ranked) - 1) // 2],
                  'worst': ranked[-1]}
        chosen = np.unique(list(picked.values()))
        drawn = dict(zip(chosen.tolist(), self.pictures(chosen), strict=True))
        sheet = contact_sheet(
            [drawn[int(index)] for index in picked.values()], 1,
            [f'{name} of {len(ranked)}: {errors[index]:.2f} mm'
             for name, index in picked.items()])
        write_picture(path, sheet)


def follow(poses: Array, window: int) -> Array:
    """Middles of poses, smoothed over time so that pictures do not shake.

    Args:
        poses (ndarray): (T, I, K, 3) mm, NaN unknown, not all.
        window (int): Time points of the moving average.

    Returns:
        ndarray: (T, 3) mm, without gaps.
    """
    flat = poses.reshape(len(poses), -1, 3)
    known = np.isfinite(flat).all(-1)
    rows = np.flatnonzero(known.any(1))
    middles = np.stack([flat[row, known[row]].mean(0) for row in rows])
    filled = np.stack([np.interp(np.arange(len(poses)), rows, middle)
                       for middle in middles.T], -1)
    half = min(window // 2, len(poses) - 1)
    padded = np.pad(filled, ((half, half), (0, 0)), mode='edge')
    total = np.cumsum(np.concatenate([np.zeros((1, 3)), padded]), 0)
    width = 2 * half + 1
    return np.asarray((total[width:] - total[:-width]) / width)


def _usual_step(frames: Array) -> float:
    """How many frames of a video lie from one time point to the next.

    Recordings, predictions and options may leave most of them out.
    """
    return max(float(np.median(np.diff(frames))), 1.) if len(
        frames) > 1 else 1.


def _check(arguments: argparse.Namespace) -> None:
    """Find out what cannot be done before it takes time."""
    check_least(arguments.recording, arguments, start=0, every=1)
    if arguments.fps is not None and not 0 < arguments.fps < math.inf:
        raise DataError(arguments.recording, '--fps', 'above 0',
                        str(arguments.fps))
    check_out(arguments.out, ('.mp4', ), folder=True,
              overwrite=arguments.overwrite)


def _open(config: Config, arguments: argparse.Namespace,
          predictions: PosePredictions) -> Recording:
    """The recording, with the views to be shown."""
    dataset = config.test_dataloader.dataset
    options = dict(dataset.get('recording_settings') or {})
    for name in ('com_median_window', 'com_limit_mm'):
        options.pop(name, None)
    # where the animals are is known from their poses
    options.update(com_file=None, com_source='labels',
                   num_keypoints=predictions.points.shape[2])
    if arguments.views:
        options['camera_names'] = arguments.views.split(',')
    recording = open_recording(arguments.recording, **options)
    animals = predictions.points.shape[1]
    if arguments.labels and recording.num_individuals != animals:
        raise DataError(recording.label_file, 'labelData.data_3d',
                        f'{animals} animals, as {predictions.source} has',
                        f'{recording.num_individuals}')
    return recording


def _style(config: Config, recording: Recording,
           predictions: PosePredictions) -> PoseStyle:
    """Colours and links, of the config's skeleton or the recording's."""
    dataset = config.test_dataloader.dataset
    source = dataset.get('skeleton') or recording.skeleton
    if source is None:
        raise DataError(config.filename, 'test_dataloader.dataset.skeleton',
                        'a skeleton', 'none, nor has the recording one')
    meta = load_skeleton(source, dataset.get('data_root', '.'))
    names = keypoint_names(meta)
    count = predictions.points.shape[2]
    if len(names) != count or (predictions.keypoints
                               and predictions.keypoints != names):
        raise DataError(
            predictions.source, 'joint_names', f'the {len(names)} keypoints '
            f'of {source}, {", ".join(names[:3])} ...',
            f'{count}, {", ".join(predictions.keypoints[:3])} ...')
    return PoseStyle.from_names(names, meta['skeleton_links'])
