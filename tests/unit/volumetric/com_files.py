"""Recordings of a bright ball, whose middle a network can soon find."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config

from mmpose_ext.storage import VideoWriter
from mmpose_ext.storage.label3d import write_label3d

from .recording_files import (
    BODY,
    HEIGHT,
    NAMES,
    WIDTH,
    make_record,
    project,
)

RADIUS = 6


def write_ball(folder: Path, frames: int = 20, seed: int = 0) -> np.ndarray:
    """A recording of a ball that is elsewhere in each frame.

    The last frame has the ball outside the first camera's picture.

    Returns:
        ndarray: (frames, 3) its middle, mm.
    """
    generator = np.random.default_rng(seed)
    record = make_record(folder, frames)
    middles = generator.uniform((-70, -70, -20), (70, 70, 40), (frames, 3))
    middles[-1] = _beside_first_view(record.calibrations)
    points = middles[:, None] + (BODY - BODY.mean(0)) / 4
    points[0, 3:] = np.nan
    # what remains of the first frame shall still be about its middle
    points[0, :3] += middles[0] - points[0, :3].mean(0)
    record = replace(record, points=points, com=None, com_ids=None,
                     pixels=project(record.calibrations, points))
    centres = project(record.calibrations, middles) - 1
    _film(folder / 'videos', centres[:, :, None], generator)
    write_label3d(record.source, record)
    return middles


def write_balls(folder: Path, frames: int = 20, seed: int = 0) -> np.ndarray:
    """A recording of two balls that look alike and roll about each other.

    Returns:
        ndarray: (frames, 2, 3) their middles, mm.
    """
    generator = np.random.default_rng(seed)
    record = make_record(folder, frames)
    angle = generator.uniform(0, 2 * np.pi) + .25 * np.arange(frames)
    apart = 45 * np.stack(
        [np.cos(angle), np.sin(angle), 0 * angle], -1)
    centre = 20 * np.sin(.1 * np.arange(frames)[:, None] + [0, 1, 2])
    middles = np.stack([centre + apart, centre - apart], 1)
    folder.mkdir()
    points = middles[:, :, None] + (BODY - BODY.mean(0)) / 4
    write_label3d(record.source, replace(
        record, points=points.reshape(frames, -1, 3), com=None, com_ids=None,
        pixels=None))
    centres = project(record.calibrations, middles) - 1
    _film(folder / 'videos', centres, generator)
    return middles


def _film(videos: Path, centres: np.ndarray,
          generator: np.random.Generator) -> None:
    """Videos of bright balls (V, T, I, 2), px, before noise."""
    for name, frames in zip(NAMES, centres, strict=True):
        place = videos / name
        place.mkdir(parents=True)
        with VideoWriter(place / '0.mp4', 30., (WIDTH, HEIGHT)) as video:
            for balls in frames:
                image = generator.integers(
                    30, 60, (HEIGHT, WIDTH, 3), np.uint8)
                for ball in np.rint(balls * 16).astype(int).tolist():
                    cv2.circle(image, ball, RADIUS * 16, (80, 180, 255), -1,
                               cv2.LINE_AA, 4)
                video.write(image)


def ball_config(path: Path, root: Path, **recordings: object) -> Config:
    """A COM config on recordings of balls, frames at half their size.

    Args:
        path (Path): The config.
        root (Path): Of the recordings ``one``, to learn from, and ``two``.
        **recordings: What else the data sets are told.
    """
    config = Config.fromfile(path)
    size = (WIDTH // 2, HEIGHT // 2)
    for loader, name in (('train', 'one'), ('val', 'two'), ('test', 'two')):
        dataset = config[f'{loader}_dataloader'].dataset
        dataset.update(data_root=str(root), recordings=[name], factor=2,
                       **recordings)
        for step in dataset.pipeline:
            if 'input_size' in step:
                step.input_size = size
            if 'encoder' in step:
                step.encoder.update(
                    input_size=size, heatmap_size=size, sigma=1.5)
    config.model.head.decoder.update(input_size=size, heatmap_size=size)
    config.model.backbone.widths = (8, 16)
    config.train_cfg.update(max_epochs=12, val_interval=12)
    config.default_hooks.checkpoint = dict(
        type='mmpose_ext.ResumableCheckpointHook', interval=100,
        save_last=False)
    config.visualizer = dict(type='PoseLocalVisualizer', vis_backends=[])
    config.work_dir = str(root / 'work_dir')
    return config


def _beside_first_view(calibrations: tuple) -> np.ndarray:
    """A place that the first camera alone does not see."""
    generator = np.random.default_rng(5)
    places = generator.uniform(
        (-400, -400, -50), (400, 400, 250), (20_000, 3))
    pixels = project(calibrations, places)
    inside = ((pixels > 3) & (pixels < (WIDTH - 3, HEIGHT - 3))).all(-1)
    outside = ((pixels < -7)
               | (pixels > (WIDTH + 7, HEIGHT + 7))).any(-1)
    return places[np.flatnonzero(inside[1:].all(0) & outside[0])[0]]
