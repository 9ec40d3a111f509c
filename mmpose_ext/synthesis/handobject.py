"""Synthetic hands that grasp things, as files of DexYCB.

Ten subjects in coloured gloves take hold of eight things on tables, before
eight cameras. Every file is where and what DexYCB has it; the truth is exact.
"""
from __future__ import annotations

import contextlib
import io
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from mmpose_ext.families import family_module
from mmpose_ext.storage import (
    DataError,
    atomic_folder,
    refuse_other_content,
)
from mmpose_ext.storage.dexycb import IMAGE_SIZE, SUBJECTS
from mmpose_ext.synthesis.grasp_objects import NAMES, grasp_object
from mmpose_ext.synthesis.hand_files import (
    sequence_name,
    write_calibration,
    write_frame,
    write_intrinsics,
    write_meta,
    write_model,
)
from mmpose_ext.synthesis.hand_pictures import Eye
from mmpose_ext.synthesis.hand_places import (
    Studio,
    draw_noise,
    draw_place,
    shade_table,
)
from mmpose_ext.synthesis.hand_scenes import (
    CAMERAS,
    draw_matrices,
    draw_moment,
    draw_rig,
    draw_scene,
    subject_body,
)

Array = np.ndarray

_TRAINING = 7  # subjects that setup s1 trains on
_FULL = (0, 2)  # subjects of which setup s0 validates and tests sequences
_FIFTH = 5  # of whose sequences one is left out
_MOST_FRAMES = 4  # of a sequence
_FEWEST = 56  # pictures to train on
README = """
Synthetic hands that grasp things, seed {seed}, made by mmpose_ext in the
layout of DexYCB: {counts}. Ten subjects with hands and gloves of their own,
left and right, {things} of the 21 YCB objects, of about their sizes, eight
cameras that all differ. Truth is exact, but for depth, which is rounded to
mm. There is no MANO hand: of pose_m the first three numbers are the turn of
the hand, the next twenty the angles of its fingers (of each, from thumb to
little finger: aside, and three that bend), the last three the wrist; betas
say how bones and girth differ from the middle. Sequences may begin without a
hand. The index folder was made by tools/convert_dataset.py.
"""


@dataclass(frozen=True)
class Plan:
    """A sequence to be taken.

    Attributes:
        subject: 0 to 9.
        number: Of the sequence, from 0 for each subject.
        frames: With a hand.
        empty: Frames before the hand comes.
    """

    subject: int
    number: int
    frames: int
    empty: int


def plan_world(size: int) -> list[Plan]:
    """What sequences a world holds.

    Args:
        size (int): Pictures to train on in setup s1, about.
    """
    moments = size / (_TRAINING * CAMERAS)
    frames = int(np.clip(round(np.sqrt(moments / 2.4)), 1, _MOST_FRAMES))
    count = max(round(moments / frames), 1)
    return [Plan(subject, number, frames,
                 int((2 * subject + number) % 7 == 1))
            for subject in range(len(SUBJECTS))
            for number in range(max(count, _FIFTH * (subject in _FULL)))]


def write_world(out: str | Path,
                seed: int = 0,
                size: int = 1176,
                overwrite: bool = True) -> dict[str, int]:
    """Write sequences of hands that grasp things, with a progress bar.

    The folder is a data root of DexYCB: folders of ten subjects,
    ``calibration``, ``models``, and with them ``index`` for all setups and
    ``README.txt``. It appears whole or not at all. The same seed makes the
    same pictures.

    Args:
        out (str | Path): Folder to write, made if need be.
        seed (int): Decides everything. Defaults to 0.
        size (int): Pictures with a hand to train on in setup s1, about; at
            least 56. A seventh as many are to validate, two sevenths to
            test. Defaults to 1176.
        overwrite (bool): Whether an older world there may be replaced.
            Defaults to True.

    Returns:
        dict[str, int]: Number of sequences and of pictures.

    Raises:
        DataError: If `size` is too small, or `out` is a file or has other
            content than an older world.
    """
    out = Path(out)
    if size < _FEWEST:
        raise DataError(out, 'size', f'at least {_FEWEST} pictures',
                        str(size))
    # grids are made of the models, and go with them
    refuse_other_content(out, (*SUBJECTS, 'calibration', 'models', 'index',
                               'distance_fields.npz', 'README.txt'))
    plans = plan_world(size)
    counts = {'sequences': len(plans), 'pictures': CAMERAS * sum(
        plan.frames + plan.empty for plan in plans)}
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(out, overwrite) as folder:
        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task('Grasping things',
                                     total=counts['pictures'])
            _write_files(folder, seed, plans, lambda: progress.advance(task))
        _write_index(folder)
        text = README.format(
            seed=seed, things=len(NAMES), counts=', '.join(
                f'{count} {name}' for name, count in counts.items()))
        (folder / 'README.txt').write_text(
            textwrap.fill(text.strip(), 79) + '\n')
    return counts


def _write_files(folder: Path, seed: int, plans: list[Plan],
                 advance: Callable[[], None]) -> None:
    """Write everything but the index."""
    matrices = draw_matrices(np.random.default_rng([seed, 0]), IMAGE_SIZE)
    write_intrinsics(folder, matrices)
    for ycb_id in NAMES:
        write_model(folder, grasp_object(ycb_id))
    noise = draw_noise(np.random.default_rng([seed, 2]))
    eyes = [Eye.of(matrix, IMAGE_SIZE) for matrix in matrices]
    for subject, name in enumerate(SUBJECTS):
        rig = draw_rig(np.random.default_rng([seed, 3, subject]), matrices)
        calibration = sequence_name(name, -1)
        write_calibration(folder, calibration, rig,
                          subject_body(seed, subject))
        studio = Studio(rig, eyes, noise)
        for plan in plans:
            if plan.subject == subject:
                _write_sequence(folder / name / sequence_name(
                    name, plan.number), seed, plan, studio, calibration,
                    advance)


def _write_sequence(folder: Path, seed: int, plan: Plan, studio: Studio,
                    calibration: str, advance: Callable[[], None]) -> None:
    rng = np.random.default_rng([seed, 4, plan.subject, plan.number])
    scene = draw_scene(rng, plan.subject, plan.number,
                       subject_body(seed, plan.subject))
    place = draw_place(rng)
    moments = [draw_moment(rng, scene, frame < plan.empty)
               for frame in range(plan.empty + plan.frames)]
    write_meta(folder, scene, calibration, moments, studio.rig)
    for frame, moment in enumerate(moments):
        table = shade_table(place, scene, moment)
        for camera in range(CAMERAS):
            shot = studio.shoot(rng, camera, place, scene, moment, table)
            write_frame(folder, frame, camera, shot, moment, studio.rig)
            advance()


def _write_index(folder: Path) -> None:
    """Index the files as one would those of DexYCB."""
    convert = family_module('handobject', 'convert')
    assert convert is not None
    (folder / 'index').mkdir()
    # its tables would name a folder that is about to move
    with contextlib.redirect_stdout(io.StringIO()):
        convert.convert_dexycb(folder, folder / 'index', setup='all',
                               contact=True)
