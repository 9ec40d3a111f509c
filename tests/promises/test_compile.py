"""A compiled training is the training, in checkpoints too."""
from __future__ import annotations

import json

import pytest

from .trainings import EPOCHS, ITERATIONS


@pytest.mark.parametrize('backend', [
    'eager', pytest.param('inductor', marks=pytest.mark.slow)])
def test_a_compiled_training_resumes_and_stays_the_same(
        family, undisturbed, new_run, backend) -> None:
    """The last epoch, after an interruption."""
    before = undisturbed.folder / f'epoch_{EPOCHS - 1}.pth'
    run = family.train(new_run(), '--resume', str(before),
                       **{'compile.backend': backend,
                          # which would be compiled once more
                          'train_cfg.val_begin': EPOCHS + 1})
    assert run.codes == [0], run.log
    counts = json.loads((run.folder / 'compiled.json').read_text())
    # at least a network forward, and not another for every batch
    assert 1 <= counts['unique_graphs'] <= 40
    assert 'recompile_limit' not in run.log
    ours, theirs = run.lines('losses_0'), undisturbed.lines('losses_0')
    assert len(ours) == ITERATIONS
    for step, line in ours.items():
        assert line['loss'] == pytest.approx(theirs[step]['loss'], rel=1e-3)
    assert run.checkpoint['state_dict'].keys() == (
        undisturbed.checkpoint['state_dict'].keys())
