"""No space while a training saves: one clear error, and it can be resumed."""
from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

from mmpose_ext.compat.checkpoints import damage
from tests.campaigns.cases import Case, Place, PromiseError, configs_of
from tests.campaigns.kills import check_same, temporaries, train_undisturbed
from tests.front_door.client import Server
from tests.promises.trainings import ITERATIONS, Run

NAME = 'disk-full'
COUNT = 14

# from when on no file may grow above a limit, and what still fits
MOMENTS = (f'before_train_iter:{2 * ITERATIONS + 1}',
           f'before_val:{2 * ITERATIONS}',
           f'before_save_checkpoint:{2 * ITERATIONS}')
LIMITS = {'checkpoints': .5, 'all files': 0.}  # share of a checkpoint


def plan(seeds: range, family: str | None) -> Iterator[Case]:
    """A full disk for each seed, the tiny configs in turn."""
    configs = configs_of(family)
    for seed in seeds:
        config = configs[seed % len(configs)]
        draw = random.Random(f'{NAME} {seed}')
        limit = [*LIMITS][seed // len(configs) % len(LIMITS)]
        moment = draw.choice(MOMENTS)
        yield Case(NAME, seed, config.parent.name,
                   f'{config.stem}: no space for {limit} at {moment}',
                   f'no space for {limit}',
                   _FullDisk(config, moment, LIMITS[limit]))


class _FullDisk:
    """Train until the disk is full, make room, resume, compare."""

    def __init__(self, config: Path, moment: str, share: float) -> None:
        self._config, self._moment, self._share = config, moment, share

    def __call__(self, place: Place, server: Server, folder: Path) -> str:
        family = place.family(self._config, server)
        undisturbed, _ = train_undisturbed(place, family)
        size = (undisturbed.folder / 'epoch_1.pth').stat().st_size
        run = family.train(
            Run(folder / 'run'), kill=self._moment,
            disturbance=str(max(int(self._share * size), 1)))
        check_error(run, saves=self._share > 0)
        family.train(run, '--resume')
        check_same(run, undisturbed)
        return 'to the bit'


def check_error(run: Run, saves: bool) -> None:
    """A training ended in an error that tells file and cause.

    Args:
        run (Run): The training.
        saves (bool): Whether it was a checkpoint that could not be written.
    """
    if run.codes != [1]:
        raise PromiseError(f'ended with {run.codes}:\n{run.log[-3000:]}')
    time.sleep(1)  # the last words come through a pipe
    last = run.log.strip().splitlines()[-1]
    told = 'File too large' in last and str(run.folder) in last
    if not told or (saves and 'checkpoint could not be written' not in last):
        raise PromiseError(f'ends in {last!r}')
    left = temporaries(run.folder)
    broken = [path.name for path in run.folder.glob('*.pth') if damage(path)]
    if left or broken:
        raise PromiseError(f'left behind: {left}, broken: {broken}')
