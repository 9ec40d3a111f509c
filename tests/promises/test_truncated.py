"""A damaged checkpoint is named, and the one before it is used."""
from __future__ import annotations

import os

from .states import assert_same_training


def truncate(path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def test_newest_is_passed_over(family, killed, undisturbed, tmp_path):
    run = killed.copy(tmp_path / 'run')
    truncate(run.folder / 'epoch_2.pth')
    family.train(run, '--resume')
    assert run.codes == [0], run.log
    assert 'epoch_2.pth: a truncated file' in run.log
    assert 'Resuming from epoch_1.pth' in run.log
    assert_same_training(run, undisturbed)


def test_all_are_broken(family, killed, tmp_path):
    run = killed.copy(tmp_path / 'run')
    for step in (1, 2):
        truncate(run.folder / f'epoch_{step}.pth')
    family.train(run, '--resume')
    assert run.codes == [1]
    error = run.log.strip().splitlines()[-1]
    assert 'epoch_1.pth' in error and 'epoch_2.pth' in error


def test_named_one_is_refused(family, killed, tmp_path):
    run = killed.copy(tmp_path / 'run')
    path = run.folder / 'epoch_2.pth'
    truncate(path)
    for tried in (family.train(run, '--resume', str(path)),
                  family.test(run, path)):
        assert tried.codes == [1]
        error = tried.log.strip().splitlines()[-1]
        assert 'DataError' in error and 'truncated' in error
