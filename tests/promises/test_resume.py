"""A training killed at any time and resumed ends as if never killed."""
from __future__ import annotations

import pytest

from .states import assert_same_training
from .trainings import ITERATIONS


def test_killed_in_an_epoch(family, killed, undisturbed, tmp_path):
    run = family.train(killed.copy(tmp_path / 'run'), '--resume')
    assert run.codes == [0], run.log
    assert_same_training(run, undisturbed)


def test_killed_in_an_epoch_with_workers(family, undisturbed, new_run):
    workers = {'train_dataloader.num_workers': 2}
    run = family.train(
        new_run(), kill=f'before_train_iter:{ITERATIONS + 2}', **workers)
    assert run.codes == [-9], run.log
    family.train(run, '--resume', **workers)
    assert run.codes == [0], run.log
    assert_same_training(run, undisturbed)


@pytest.mark.parametrize('stage', ['before_val', 'after_val'])
def test_killed_around_a_validation(family, undisturbed, new_run, stage):
    run = family.train(new_run(), kill=f'{stage}:{2 * ITERATIONS}')
    assert run.codes == [-9], run.log
    family.train(run, '--resume')
    assert run.codes == [0], run.log
    assert_same_training(run, undisturbed)
