"""``tools/predict.py`` for the direction tagger."""
from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmpose_ext.command_options import (
    add_device_option,
    check_out,
    number_above_0,
    number_from,
)
from mmpose_ext.direction.angles import CONVENTIONS, direction_angles, wrap
from mmpose_ext.direction.crops import crop_to_frame, frame_to_crop
from mmpose_ext.direction.estimator import TTAS
from mmpose_ext.direction.frames import CropSource, open_source
from mmpose_ext.direction.inference import (
    DirectionTagger,
    choose_batch,
    load_estimator,
)
from mmpose_ext.direction.sequence import JUMP_DEG, sequence_figures
from mmpose_ext.direction.smoothing import (
    Smoother,
    parse_smoother,
    repair_reversals,
)
from mmpose_ext.direction.tracks import (
    DirectionTracks,
    check_output,
    write_tracks,
)
from mmpose_ext.progress import prediction_progress
from mmpose_ext.training import choose_device

Array = np.ndarray

DEFAULT_FPS = 30.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument(
        'input',
        type=Path,
        help='npz file with images (N, S, S), folder of images, or video')
    parser.add_argument(
        '--out', type=Path, required=True, help='.csv, .npz or .h5')
    parser.add_argument('--movie', type=Path, help='draw into this .mp4')
    _add_crop_arguments(parser)
    parser.add_argument(
        '--smooth',
        type=_smoother,
        metavar='METHOD',
        help='median:k | savgol:window,order | one_euro:min_cutoff,beta | '
        'rts:acceleration,noise; raw values are kept in columns *_raw')
    parser.add_argument(
        '--repair',
        action='store_true',
        help='swap nose and tail where that undoes a reversal')
    parser.add_argument(
        '--tta',
        choices=TTAS,
        default='none',
        help='d4: average over the eight symmetries, eight times slower; '
        'their spread gives a confidence to models without (default: none)')
    parser.add_argument(
        '--fallback',
        action='store_true',
        help='look again, with d4, at frames that are flagged or beside a '
        f'jump above {JUMP_DEG:g} degrees')
    parser.add_argument(
        '--threshold',
        type=float,
        default=.5,
        help='angle_conf below which a frame is flagged (default: .5, a '
        'standard deviation of 40 degrees)')
    parser.add_argument(
        '--convention',
        choices=CONVENTIONS,
        default='image',
        help='image: 0 right, clockwise; math: 0 right, counter-clockwise; '
        'compass: 0 up, clockwise')
    parser.add_argument(
        '--fps',
        type=number_above_0,
        help=f"default: the video's, or {DEFAULT_FPS:g}")
    parser.add_argument(
        '--batch-size',
        type=number_from(1, kind=int),
        help='crops at a time (default: 64 on a CPU, where larger batches '
        'leave the cache, 512 on a GPU)')
    add_device_option(parser)


def _add_crop_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--crop',
        metavar='bg|TABLE',
        help='INPUT holds full frames: find the animal by background '
        'subtraction, or take its centre from a table (frame,x,y, or '
        'DeepLabCut tracks)')
    parser.add_argument(
        '--crop-side',
        type=number_from(1, kind=int),
        help='side of the crop in the full frame, px; it has to show the '
        'animal as large as the training images do (default: their side)')
    parser.add_argument(
        '--individual', help='animal to follow, if TABLE has several')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Predict, write and summarise."""
    check_output(arguments.out)
    if arguments.movie:
        check_out(arguments.movie, ('.mp4', ), option='--movie')
    choose_device(arguments.device)
    model = load_estimator(config, arguments.checkpoint)
    tagger = DirectionTagger(model, arguments.device, arguments.tta)
    source = open_source(arguments.input, tagger.size, arguments.crop,
                         arguments.crop_side, arguments.individual)
    fps = arguments.fps or source.fps or DEFAULT_FPS
    batch_size = arguments.batch_size or choose_batch(tagger.device)
    began, cpu_began = time.perf_counter(), time.process_time()
    tracks = tag_source(tagger, source, fps, batch_size)
    seconds = time.perf_counter() - began
    cpu_seconds = time.process_time() - cpu_began
    tracks = flag(tracks, arguments.threshold)
    lines = [f'frames          {source.count}, '
             f'{source.count / seconds:,.0f} a second, '
             f'{source.count / cpu_seconds:,.0f} a CPU-second']
    if arguments.fallback and arguments.tta != 'd4':
        again = doubtful(tracks)
        careful = DirectionTagger(model, arguments.device, 'd4')
        tracks = flag(
            tag_again(careful, source, tracks, again, batch_size),
            arguments.threshold)
        lines.append(f'fallback        {again.sum()} frames looked at again')
    tracks = refine(tracks, arguments.repair, arguments.smooth)
    if tracks.swapped is not None:
        lines.append(f'repair          {tracks.swapped.sum()} frames swapped')
    tracks = replace(
        tracks,
        convention=arguments.convention,
        meta=dict(
            input=str(arguments.input),
            config=str(config.filename),
            checkpoint=str(arguments.checkpoint),
            tta=arguments.tta,
            crop=arguments.crop,
            crop_side=source.side,
            threshold=arguments.threshold))
    write_tracks(arguments.out, tracks)
    lines += summarise(tracks, arguments.threshold)
    lines.append(f'written         {arguments.out}')
    if arguments.movie:
        draw_movie(arguments.movie, source, tracks, batch_size)
        lines.append(f'movie           {arguments.movie}')
    print('\n'.join(lines))
    return 0


def tag_source(tagger: DirectionTagger,
               source: CropSource,
               fps: float,
               batch_size: int = 64) -> DirectionTracks:
    """Tag all frames of a source.

    Images are held a batch at a time; the result takes about 100 bytes a
    frame. Frames without a crop are missing (NaN, confidence 0).

    Args:
        tagger (DirectionTagger): The model.
        source (CropSource): What to tag.
        fps (float): Frames per second of the source.
        batch_size (int): Crops at a time. Defaults to 64.
    """
    count = source.count
    empty = DirectionTracks(
        frames=np.arange(count),
        fps=fps,
        points=np.full((count, 3, 2), np.nan),
        scores=np.zeros((count, 3)),
        angle_conf=np.zeros(count),
        flagged=np.ones(count, bool),
        origins=np.full((count, 2), np.nan))
    return tag_again(tagger, source, empty, np.ones(count, bool), batch_size)


def tag_again(tagger: DirectionTagger,
              source: CropSource,
              tracks: DirectionTracks,
              chosen: Array,
              batch_size: int = 64) -> DirectionTracks:
    """Tag some frames of a source and put them in the place of the old.

    Args:
        tagger (DirectionTagger): The model.
        source (CropSource): What the tracks are of.
        tracks (DirectionTracks): Results so far.
        chosen (ndarray): (T,) bool, the frames to tag.
        batch_size (int): Crops at a time. Defaults to 64.
    """
    points, scores = tracks.points.copy(), tracks.scores.copy()
    angle_conf, origins = tracks.angle_conf.copy(), tracks.origins.copy()
    with prediction_progress() as progress:
        task = progress.add_task('tagging', total=source.count)
        for batch in source.batches(batch_size):
            inside = chosen[batch.frames]
            if inside.any():
                found = tagger.tag(batch.images[inside])
                rows = batch.frames[inside]
                origins[rows] = batch.origins[inside]
                points[rows] = crop_to_frame(
                    found.points, origins[rows][:, None], source.side,
                    source.size)
                scores[rows] = found.scores
                angle_conf[rows] = found.angle_conf
            progress.update(task, completed=int(batch.frames[-1]) + 1)
        progress.update(task, completed=source.count)
    return replace(
        tracks, points=points, scores=scores, angle_conf=angle_conf,
        origins=origins)


def flag(tracks: DirectionTracks, threshold: float) -> DirectionTracks:
    """Flag frames with low confidence or without a head direction."""
    missing = ~np.isfinite(direction_angles(tracks.points)['head'])
    return replace(
        tracks, flagged=missing | (tracks.angle_conf < threshold))


def doubtful(tracks: DirectionTracks) -> Array:
    """Frames (T,) that are flagged or on either side of a jump."""
    again = tracks.flagged.copy()
    for name in ('body', 'head'):
        angle = direction_angles(tracks.points)[name]
        jumps = np.abs(wrap(np.diff(angle))) > np.radians(JUMP_DEG)
        again[1:] |= jumps
        again[:-1] |= jumps
    return again


def refine(tracks: DirectionTracks, repair: bool,
           smoother: Smoother | None) -> DirectionTracks:
    """Repair reversals, then smooth; raw points are kept."""
    if not repair and smoother is None:
        return tracks
    points, swapped = tracks.points, None
    if repair:
        points, swapped = repair_reversals(points, tracks.frames,
                                           tracks.angle_conf)
    if smoother is not None:
        points = smoother(points, tracks.scores, tracks.frames, tracks.fps)
    return replace(tracks, points=points, raw=tracks.points, swapped=swapped)


def summarise(tracks: DirectionTracks, threshold: float) -> list[str]:
    """Lines that say how steady and sure the tracks are."""

    def figures(points: Array) -> dict[str, float]:
        return sequence_figures(points, tracks.frames, tracks.angle_conf,
                                threshold)

    now = figures(tracks.points)
    before = now if tracks.raw is None else figures(tracks.raw)
    lines = []
    for key, name, form in (
        ('head_jitter_deg', 'head jitter', '{:.2f} deg'),
        ('body_jitter_deg', 'body jitter', '{:.2f} deg'),
        ('jitter_px', 'point jitter', '{:.2f} px'),
        ('head_jumps', f'jumps > {JUMP_DEG:g}', '{:.2%} of head steps')):
        text = form.format(now[key])
        if tracks.raw is not None:
            text += f' (raw {form.format(before[key])})'
        lines.append(f'{name:<16}{text}')
    missing = int((~np.isfinite(tracks.points[:, 0, 0])).sum())
    lines.append(f'low confidence  {now["low_conf"]:.2%} below {threshold:g}'
                 f', {tracks.flagged.sum()} frames flagged, {missing} '
                 'without an animal')
    if (tracks.scores == 1).all():
        lines.append('                the model estimates no confidence; '
                     '--tta d4 does')
    return lines


def draw_movie(path: Path, source: CropSource, tracks: DirectionTracks,
               batch_size: int = 64) -> None:
    """Write a movie of the crops; a frame without one is black."""
    # here, because drawing is slow to import
    from mmpose_ext.direction.visualizer import write_movie

    def images() -> Iterator[Array]:
        black = np.zeros((source.size, source.size), np.uint8)
        shown = 0
        for batch in source.batches(batch_size):
            for frame, image in zip(batch.frames, batch.images, strict=True):
                yield from itertools.repeat(black, int(frame) - shown)
                yield image
                shown = int(frame) + 1
        yield from itertools.repeat(black, source.count - shown)

    write_movie(
        path,
        images(),
        frame_to_crop(tracks.points, tracks.origins[:, None], source.side,
                      source.size),
        scores=tracks.scores,
        angle_conf=tracks.angle_conf,
        fps=tracks.fps)


def _smoother(text: str) -> Smoother:
    try:
        return parse_smoother(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
