"""Synthetic rats before calibrated cameras, as a laboratory records them.

Recordings of one rat each, and of two that meet. Each has animals, an arena
and a calibration of its own: videos cut into chunks, a Label3D file with
some time points labelled, and the tracks of the centres of mass for all.
"""
from __future__ import annotations

import textwrap
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from mmpose_ext.storage import (
    DataError,
    atomic_folder,
    refuse_other_content,
)
from mmpose_ext.synthesis.arena_films import Plan, write_recording

# Shares of `size` that are labelled, in per mille; a network that knows few
# animals fails on others.
_SINGLES = {**{f'train_{i + 1}': 125 for i in range(8)},
            'val': 250, 'test': 250}
_PAIRS = {**{f'pair_{i + 1}': 5 for i in range(10)},
          'pair_val': 50, 'pair_test': 150}
_FEWEST = 8  # labels of a recording of one rat
_FEWEST_OF_PAIRS = 2
_FIRST_PAIR = 100  # number of a session, so that singles may become more
_UNLABELLED = 100  # time points of a pair to train on, likewise
_FIRST_FRAMES = {'test': 1000, 'pair_test': 1000}  # 0 elsewhere
README = """
Synthetic rats, seed {seed}, made by mmpose_ext: {counts}. Each folder is a
recording: videos/CAMERA/FIRST_FRAME.mp4, label3d_dannce.mat (calibration,
sync and labels in MATLAB's convention, pixels counted from 1), com3d.mat
(centre of mass of all time points, with about 2 mm of noise) and
recording.json. World in mm, z up, the 23 keypoints of rat23. A label is
missing where no camera sees the point. truth.npz, which no laboratory has,
holds for all time points the exact keypoints (T, 23, 3), the centre of mass
(T, 3), what each camera sees (T, V, 23), and sampleIDs and frames.

In pair_... two rats meet: the first is hooded, the second smaller and brown.
A label has 46 points, the first rat's 23 and then the second's; com3d.mat
has a centre of mass of each; truth.npz has keypoints (T, 2, 23, 3), centres
(T, 2, 3) and what each camera sees (T, V, 2, 23). Of pair_val and pair_test
every time point is labelled, of the others a few.
"""


def plan_world(size: int) -> dict[str, Plan]:
    """What the recordings of a world hold.

    Args:
        size (int): Labelled time points of single rats to train on.
    """
    plans = {}
    for number, (name, share) in enumerate(_SINGLES.items()):
        labels = max(size * share // 1000, _FEWEST)
        plans[name] = Plan(number, labels, labels * 3 // 2,
                           _FIRST_FRAMES.get(name, 0))
    for number, (name, share) in enumerate(_PAIRS.items(), _FIRST_PAIR):
        labels = max(size * share // 1000, _FEWEST_OF_PAIRS)
        others = (0 if name in ('pair_val', 'pair_test') else
                  max(size * _UNLABELLED // 1000, _FEWEST_OF_PAIRS))
        plans[name] = Plan(number, labels, labels + others,
                           _FIRST_FRAMES.get(name, 0), animals=2)
    return plans


def write_world(out: str | Path,
                seed: int = 0,
                size: int = 400,
                overwrite: bool = True) -> dict[str, int]:
    """Write recordings of synthetic rats, with a progress bar.

    ``train_1`` to ``train_8``, ``val`` and ``test``, each a recording of
    another animal; ``pair_1`` to ``pair_10``, ``pair_val`` and ``pair_test``,
    each of two other animals that meet. ``README.txt`` says what is in them.
    The folder appears whole or not at all. The same seed makes the same
    files.

    Args:
        out (str | Path): Folder to write, made if need be.
        seed (int): Decides everything. Defaults to 0.
        size (int): Labelled time points of single rats to train on, at
            least 8; ``val`` and ``test`` have a quarter as many each, none
            fewer than 8, and videos are half as long again. ``pair_1`` to
            ``pair_10`` have a 200th each, and a tenth as many time points
            without a label; ``pair_val`` has a 20th and ``pair_test`` three
            20ths, none fewer than 2. Defaults to 400.
        overwrite (bool): Whether an older world there may be replaced.
            Defaults to True.

    Returns:
        dict[str, int]: Number of labelled time points in each recording.

    Raises:
        DataError: If `size` is too small, or `out` is a file or has other
            content than an older world.
    """
    out = Path(out)
    _check_target(out, size)
    plans = plan_world(size)
    counts = {name: plan.labels for name, plan in plans.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(out, overwrite) as folder, Progress(
            console=Console(stderr=True)) as progress:
        task = progress.add_task('Filming rats', total=sum(
            plan.times for plan in plans.values()))
        for name, plan in plans.items():
            write_recording(folder / name, seed, plan,
                            lambda: progress.advance(task))
        text = README.format(
            seed=seed, counts=', '.join(
                f'{count} labels in {name}'
                for name, count in counts.items()))
        (folder / 'README.txt').write_text('\n\n'.join(
            textwrap.fill(part, 79)
            for part in text.strip().split('\n\n')) + '\n')
    return counts


def _check_target(out: Path, size: int) -> None:
    if size < _FEWEST:
        raise DataError(out, 'size', f'at least {_FEWEST} labelled time '
                        'points', str(size))
    refuse_other_content(out, (*_SINGLES, *_PAIRS, 'README.txt'))
