"""SIGKILL at random moments; the resumed training ends with the same bits."""
from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

from tests.campaigns.cases import Case, Place, PromiseError, configs_of
from tests.front_door.client import Server
from tests.promises.states import assert_same_training
from tests.promises.trainings import EPOCHS, ITERATIONS, Family, Run

NAME = 'kills'
COUNT = 50

STEPS = EPOCHS * ITERATIONS
EPOCH_ENDS = [ITERATIONS * epoch for epoch in range(1, EPOCHS + 1)]
# stage: iterations done then, and seconds later at most
STAGES: dict[str, tuple[list[int], float]] = {
    'before_train_iter': (list(range(STEPS)), 0.),
    'after_train_iter': (list(range(STEPS)), .1),
    'after_train_epoch': (EPOCH_ENDS, .2),
    'before_save_checkpoint': (EPOCH_ENDS, .3),  # while it is written
    'before_val': (EPOCH_ENDS[:-1], 0.),
    'before_val_iter': (EPOCH_ENDS, .2),
    'after_val_epoch': (EPOCH_ENDS, .2),
}
CLOCK = 'at any time'


def plan(seeds: range, family: str | None) -> Iterator[Case]:
    """A killed training for each seed, the tiny configs in turn."""
    configs = configs_of(family)
    for seed in seeds:
        config = configs[seed % len(configs)]
        draw = random.Random(f'{NAME} {seed}')
        stage = draw.choice([*STAGES, CLOCK, CLOCK, 'before_save_checkpoint'])
        workers = draw.choice([0, 0, 2])
        again = draw.random() < .3
        yield Case(
            NAME, seed, config.parent.name,
            f'{config.stem} killed {stage}, {workers} workers'
            + (', killed again when resumed' if again else ''), stage,
            _Kill(config, stage, workers, again, seed))


class _Kill:
    """Train, kill, resume, compare."""

    def __init__(self, config: Path, stage: str, workers: int, again: bool,
                 seed: int) -> None:
        self._config, self._stage, self._workers = config, stage, workers
        self._again, self._seed = again, seed

    def __call__(self, place: Place, server: Server, folder: Path) -> str:
        family = place.family(self._config, server)
        undisturbed, seconds = train_undisturbed(place, family)
        draw = random.Random(f'moments {self._seed}')
        options = {'train_dataloader.num_workers': self._workers}
        run = self._kill(family, folder, draw, seconds, options)
        if self._again:
            family.train(run, '--resume', timeout=draw.uniform(0, seconds),
                         **options)
        if not self._again or run.codes != [0]:
            family.train(run, '--resume', **options)
        check_same(run, undisturbed)
        return 'to the bit'

    def _kill(self, family: Family, folder: Path, draw: random.Random,
              seconds: float, options: dict[str, int]) -> Run:
        """A training that is killed; earlier, if it ended before."""
        share = 1.
        for attempt in range(9):
            run = Run(folder / f'run_{attempt}')
            if self._stage == CLOCK:
                family.train(run, timeout=share * draw.uniform(0, seconds),
                             **options)
            else:
                steps, late = STAGES[self._stage]
                delay = share * draw.uniform(0, late)
                family.train(
                    run, kill=f'{self._stage}:{draw.choice(steps)}+{delay:g}',
                    **options)
            if run.codes == [-9]:
                return run
            if run.codes != [0]:
                raise PromiseError(f'ended with {run.codes}:\n{run.log}')
            share /= 2
        raise PromiseError('the training was always faster than the kill')


def train_undisturbed(place: Place, family: Family) -> tuple[Run, float]:
    """The training to compare with, and its seconds."""
    with place.once(f'{family.name} undisturbed') as folder:
        run, clock = Run(folder), folder.with_suffix('.seconds')
        if not clock.exists():
            start = time.monotonic()
            family.train(run)
            if run.codes != [0]:
                raise PromiseError(f'undisturbed: {run.codes}:\n{run.log}')
            clock.write_text(str(time.monotonic() - start))
        return run, float(clock.read_text())


def check_same(run: Run, undisturbed: Run) -> None:
    """A training ended well, with the same bits and nothing beside."""
    if run.codes != [0]:
        raise PromiseError(f'resuming ended with {run.codes}:\n{run.log}')
    try:
        assert_same_training(run, undisturbed)
    except AssertionError as error:
        raise PromiseError(f'other results: {error}') from error
    left = temporaries(run.folder)
    if left:
        raise PromiseError(f'left behind: {left}')


def temporaries(folder: Path) -> list[str]:
    """Files whose writing was never finished."""
    return [str(path.relative_to(folder)) for path in folder.rglob('.*')
            if re.search(r'\.[0-9a-f]{8}(\.|$)', path.name)]
