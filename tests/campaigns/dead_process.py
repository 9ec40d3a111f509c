"""One of two processes dies; the other ends with an error, and soon."""
from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config

from tests.campaigns.cases import Case, Place, PromiseError, configs_of
from tests.front_door.client import Server
from tests.promises.trainings import ITERATIONS, Run

NAME = 'dead-process'
COUNT = 21

PATIENCE = 60.  # seconds from the one end to the other
LONGEST = 240.
# moments: before the first exchange, while training, around a validation
MOMENTS = ('before_run:0', 'before_train:0', 'before_train_iter:2',
           f'after_train_epoch:{ITERATIONS}',
           f'before_save_checkpoint:{ITERATIONS}', f'before_val:{ITERATIONS}',
           f'before_val_iter:{ITERATIONS}', f'after_val_epoch:{ITERATIONS}',
           f'before_train_iter:{ITERATIONS}')
WAYS = {'': 'is killed', 'raise': 'raises an error',
        'worker': 'loses a worker'}


def plan(seeds: range, family: str | None) -> Iterator[Case]:
    """A death for each seed, the tiny configs in turn."""
    configs = configs_of(family)
    for seed in seeds:
        config = configs[seed % len(configs)]
        draw = random.Random(f'{NAME} {seed}')
        # now the configs begin again, now the ways
        way = [*WAYS][(seed + seed // len(configs)) % len(WAYS)]
        moment = draw.choice(MOMENTS if way != 'worker' else [
            moment for moment in MOMENTS if 'train_iter' in moment])
        # the first process alone saves
        rank = 0 if 'save' in moment else draw.randrange(2)
        yield Case(NAME, seed, config.parent.name,
                   f'{config.stem}: process {rank} {WAYS[way]} at {moment}',
                   WAYS[way], _Death(config, way, moment, rank))


class _Death:
    """Train in two processes of which one dies."""

    def __init__(self, config: Path, way: str, moment: str,
                 rank: int) -> None:
        self._config, self._way = config, way
        self._moment, self._rank = moment, rank

    def __call__(self, place: Place, server: Server, folder: Path) -> str:
        family = place.family(self._config, server)
        loader = Config.fromfile(
            family.config, import_custom_modules=False).train_dataloader
        run = family.train(
            Run(folder / 'run'), kill=self._moment, disturbance=self._way,
            disturbed=self._rank, processes=2, timeout=LONGEST,
            **{'train_dataloader.num_workers': 2 * (self._way == 'worker'),
               'train_dataloader.batch_size': loader.batch_size // 2})
        check_deaths(run, server.seconds, self._rank,
                     -9 if self._way == '' else 1)
        return 'an error, soon'


def check_deaths(run: Run, seconds: tuple[float, ...], rank: int,
                 code: int) -> None:
    """One process died as was wanted, and the other after it."""
    if run.codes[rank] != code:
        raise PromiseError(f'ended with {run.codes}:\n{run.log[-3000:]}')
    apart = seconds[1 - rank] - seconds[rank]
    if seconds[1 - rank] >= LONGEST or apart > PATIENCE:
        raise PromiseError(
            f'the other one went on for {apart:.0f} s:\n{run.log[-3000:]}')
    if run.codes[1 - rank] == 0:
        raise PromiseError(f'the other one ended well:\n{run.log[-3000:]}')
