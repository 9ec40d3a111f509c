"""Small recordings of two animals, each with a label file of its own."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.storage.com3d import ComTrack, write_com3d
from mmpose_ext.storage.label3d import Label3D, write_label3d

from .recording_files import FRAMES, make_record, project, write_videos

LABELS = ('a_dannce.mat', 'b_dannce.mat')
CENTRES = ('instance1com3d.mat', 'instance2com3d.mat')
EACH: dict[str, Any] = dict(label_file=list(LABELS), com_file=list(CENTRES))
APART = np.array([10., 60., 0.])  # from the first animal to the second
ROWS = ((0, 2, 4, 6, 8), (4, 5, 6, 7, 8, 9))  # labelled in each file


def make_animal(folder: Path, animal: int, frames: int = FRAMES) -> Label3D:
    """What the label file of an animal says; no middles."""
    made = make_record(folder, frames)
    rows = np.array(ROWS[animal])
    points = made.points[rows] + animal * APART
    return replace(
        made, source=folder / LABELS[animal], label_ids=made.sample_ids[rows],
        label_frames=made.frames[rows], points=points,
        pixels=project(made.calibrations, points), com_ids=None, com=None)


def true_centres(folder: Path, frames: int = FRAMES) -> np.ndarray:
    """Middles (T, 2, 3) mm."""
    com = make_record(folder, frames).com
    assert com is not None
    return np.concatenate([com, com + APART], 1)


def write_pair(folder: Path, **changes: Callable[[Label3D], Any]) -> Path:
    """A recording with a label file and a file of middles an animal.

    Changes make fields of the second label file of what it would be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_videos(folder / 'videos')
    for animal in range(2):
        made = make_animal(folder, animal)
        if animal:
            made = replace(made, **{
                name: change(made) for name, change in changes.items()})
        write_label3d(made.source, made)
    write_centres(folder, true_centres(folder))
    return folder


def write_centres(folder: Path, centres: np.ndarray) -> None:
    """``instance<k>com3d.mat`` of each animal, and ``com3d.mat`` of all."""
    ids = make_record(folder).sample_ids
    for name, part in (('com3d.mat', centres), *(
            (name, centres[:, [i]]) for i, name in enumerate(CENTRES))):
        write_com3d(folder / name, ComTrack(folder, ids, part), {})
