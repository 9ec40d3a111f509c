"""The seed alone decides; the number of workers does not."""
from __future__ import annotations

import numpy as np

from .states import assert_same_training


def test_workers_change_nothing(family, undisturbed, new_run):
    # also the second run of the same seed
    run = family.train(new_run(), **{
        'train_dataloader.num_workers': 2, 'val_dataloader.num_workers': 1})
    assert run.codes == [0], run.log
    assert_same_training(run, undisturbed)


def test_another_seed_gives_another_training(family, undisturbed, new_run):
    run = family.train(new_run(), **{'randomness.seed': 8})
    assert run.codes == [0], run.log
    ours, theirs = (
        [line['loss'] for line in each.lines('losses_0').values()]
        for each in (run, undisturbed))
    assert np.all(np.not_equal(ours, theirs))
