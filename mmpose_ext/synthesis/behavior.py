"""Synthetic pairs of mice whose behaviour is known, as tracks and events.

Each recording has two animals of its own; a tracker found seven points of
each, with noise and gaps. What the animals do in each frame is exact.
"""
from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from mmpose_ext.storage import (
    DataError,
    PoseTracks,
    atomic_folder,
    events_of_labels,
    refuse_other_content,
    write_event_csv,
    write_pose_tracks,
)
from mmpose_ext.synthesis.dyad_gaits import (
    FPS,
    KEYPOINTS,
    draw_traits,
    pose_mice,
    stack_traits,
)
from mmpose_ext.synthesis.dyad_tracking import track_points
from mmpose_ext.synthesis.dyads import (
    ARENA,
    BEHAVIOURS,
    Dyad,
    simulate_dyads,
)

Array = np.ndarray

INDIVIDUALS = ('resident', 'intruder')
SPLITS = ('train', 'val', 'test')
FRAMES = 3000
_FEWEST = 6  # two recordings in each split, so that there is another one
_SHORTEST = 300  # frames
_AT_ONCE = 192_000  # frames, to bound the memory
_FIRST = {'train': 0, 'val': 100_000, 'test': 200_000}  # numbers of dyads


README = """
Synthetic pairs of mice, seed {seed}, made by mmpose_ext: {counts}, of {frames}
frames each at 30 per second. Each recording has two animals of its own.
tracking.nc, in movement's layout, has seven points of each as a tracker would
find them in a picture of 1024 x 570 px: about 1 px of noise, a few points
missing (NaN) or far off, both with a low confidence. annotations.csv has the
behaviours, in seconds: approach, attack, follow, idle and investigation, one
at a time; what is left is called other.
"""


@dataclass(frozen=True)
class Recording:
    """A recording of two mice.

    Attributes:
        dyad: The truth about it.
        points: (T, 2, 7, 2) float64, exact, px.
        position: (T, 2, 7, 2) float32, as tracked, px, NaN = missing.
        confidence: (T, 2, 7) float32.
    """

    dyad: Dyad
    points: Array
    position: Array
    confidence: Array


def record_dyads(seed: int, numbers: list[int],
                 frames: int = FRAMES) -> list[Recording]:
    """Record pairs of mice.

    Args:
        seed (int): Decides, with a pair's number, everything about it.
        numbers (list[int]): Of the pairs.
        frames (int): T. Defaults to 3,000, which is 100 s.

    Returns:
        list[Recording]: One for each number.
    """
    rngs = [np.random.default_rng([seed, number]) for number in numbers]
    traits = stack_traits([draw_traits(rng, 2) for rng in rngs])
    recordings = []
    for rng, dyad in zip(rngs, simulate_dyads(rngs, traits, frames),
                         strict=True):
        points = pose_mice(rng, dyad.traits, dyad.trunks)
        recordings.append(Recording(
            dyad, points, *track_points(rng, points, ARENA)))
    return recordings


def plan_world(size: int) -> dict[str, int]:
    """How many recordings the splits of a world have.

    Args:
        size (int): Recordings in all, at least 6.
    """
    held_out = max(2, size // 6)
    return {'train': size - 2 * held_out, 'val': held_out, 'test': held_out}


def write_world(out: str | Path,
                seed: int = 0,
                size: int = 24,
                frames: int = FRAMES,
                overwrite: bool = True) -> dict[str, int]:
    """Write recordings of pairs of mice, with a progress bar.

    ``{train,val,test}/dyad_.../`` with ``tracking.nc`` and
    ``annotations.csv`` each, and ``README.txt``. The folder appears whole or
    not at all. The same arguments make the same files.

    Args:
        out (str | Path): Folder to write, made if need be.
        seed (int): Decides everything. Defaults to 0.
        size (int): Recordings in all, at least 6; a sixth of them are to
            validate and a sixth to test, and at least two. Defaults to 24.
        frames (int): Of a recording, at least 300. Defaults to 3,000.
        overwrite (bool): Whether an older world there may be replaced.
            Defaults to True.

    Returns:
        dict[str, int]: Number of recordings in each split.

    Raises:
        DataError: If `size` or `frames` is too small, or `out` is a file or
            has other content than an older world.
    """
    out = Path(out)
    _check_target(out, size, frames)
    counts, at_once = plan_world(size), max(1, _AT_ONCE // frames)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(out, overwrite) as folder, Progress(
            console=Console(stderr=True)) as progress:
        task = progress.add_task('Watching mice', total=size)
        for split, count in counts.items():
            numbers = [_FIRST[split] + i for i in range(count)]
            for i in range(0, count, at_once):
                some = numbers[i:i + at_once]
                for number, recording in zip(
                        some, record_dyads(seed, some, frames), strict=True):
                    _write_recording(
                        folder / split / f'dyad_{number:06d}', recording)
                    progress.advance(task)
        text = README.format(
            seed=seed, frames=frames, counts=', '.join(
                f'{count} in {split}' for split, count in counts.items()))
        (folder / 'README.txt').write_text(
            textwrap.fill(text.strip(), 79) + '\n')
    return counts


def _check_target(out: Path, size: int, frames: int) -> None:
    if size < _FEWEST:
        raise DataError(out, 'size', f'at least {_FEWEST} recordings',
                        str(size))
    if frames < _SHORTEST:
        raise DataError(out, 'frames', f'at least {_SHORTEST}', str(frames))
    refuse_other_content(out, (*SPLITS, 'README.txt'))


def _write_recording(folder: Path, recording: Recording) -> None:
    folder.mkdir(parents=True)
    path = folder / 'tracking.nc'
    write_pose_tracks(path, PoseTracks(
        source=path, individuals=INDIVIDUALS, keypoints=KEYPOINTS,
        axes=('x', 'y'), position=recording.position,
        confidence=recording.confidence,
        frames=np.arange(len(recording.position)), fps=FPS,
        image_size=tuple(map(float, ARENA)),
        attributes={'source_software': 'mmpose_ext'}))
    kinds = np.arange(len(BEHAVIOURS))
    write_event_csv(folder / 'annotations.csv', events_of_labels(
        recording.dyad.behaviours[:, None] == kinds, BEHAVIOURS, FPS))
