"""``--amp`` trains and predicts on a CPU, nearly as in full precision."""
from __future__ import annotations

import math

import pytest

from .trainings import EPOCHS, ITERATIONS

# of a loss: eight bits, and then steps on a slightly other way
NEAR = [.02, .1, .2, .2]


def test_half_precision_is_near_to_full(family, undisturbed, new_run) -> None:
    """The last epoch, and the validation after it."""
    before = undisturbed.folder / f'epoch_{EPOCHS - 1}.pth'
    run = family.train(
        new_run(), '--amp', '--resume', str(before),
        **{'val_cfg.fp16': True})
    assert run.codes == [0], run.log
    ours, theirs = run.lines('losses_0'), undisturbed.lines('losses_0')
    assert len(ours) == ITERATIONS
    for (step, line), near in zip(ours.items(), NEAR, strict=True):
        assert line['loss'] == pytest.approx(theirs[step]['loss'], rel=near)
    weights = run.checkpoint['state_dict']
    assert [name for name, value in weights.items()
            if not value.isfinite().all()] == []
    assert {value.dtype for value in weights.values()} == {
        value.dtype for value in undisturbed.checkpoint['state_dict'].values()}
    last = run.lines('metrics_0')[EPOCHS * ITERATIONS]
    full = undisturbed.lines('metrics_0')[EPOCHS * ITERATIONS]
    assert last.keys() == full.keys()
    for name, value in full.items():
        assert math.isnan(value) == math.isnan(last[name]), name
        # no highest bin of com and rtmpose: after twelve steps their maps are
        # all but flat, and rounding decides which it is
        if name.endswith('MPJPE'):
            assert last[name] == pytest.approx(value, rel=.1), name
