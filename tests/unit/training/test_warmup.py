"""Warm-up and cosine decay, against rates worked out by hand."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper

from mmpose_ext.registry import PARAM_SCHEDULERS
from mmpose_ext.storage import DataError

SCHEDULE = [
    dict(type='mmpose_ext.WarmupLR', by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min_ratio=.05,
         convert_to_iter_based=True),
]
# 140 samples in batches of 4: 35 iterations an epoch, 10,500 in 300 epochs,
# of which min(500, 525) warm up. Rates at the end of 12 epochs of
# 1e-3 m (0.05 + 0.95 (1 + cos(pi e / 300)) / 2) (0.001 + 0.999 w), where w is
# 35 e / 500 up to 1, for the multipliers m of stem, stage4 and head.
TABLE = {
    1: (3.5464e-6, 3.5464e-5, 7.0928e-5),
    5: (1.7521e-5, 1.7521e-4, 3.5042e-4),
    14: (4.8751e-5, 4.8751e-4, 9.7503e-4),
    15: (4.9708e-5, 4.9708e-4, 9.9415e-4),
    28: (4.8986e-5, 4.8986e-4, 9.7973e-4),
    50: (4.6818e-5, 4.6818e-4, 9.3636e-4),
    100: (3.8125e-5, 3.8125e-4, 7.6250e-4),
    150: (2.6250e-5, 2.6250e-4, 5.2500e-4),
    200: (1.4375e-5, 1.4375e-4, 2.8750e-4),
    250: (5.6819e-6, 5.6819e-5, 1.1364e-4),
    280: (3.0190e-6, 3.0190e-5, 6.0380e-5),
    300: (2.5000e-6, 2.5000e-5, 5.0000e-5),
}


def scheduled(toy_runner, epochs: int, samples: int,
              schedule: list[dict]) -> tuple:
    """Optimiser and schedulers as the Runner builds them."""
    runner = toy_runner(**{
        'train_cfg.max_epochs': epochs,
        'train_dataloader.dataset.dataset.size': samples})
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    groups = [
        dict(params=[torch.nn.Parameter(torch.zeros(1))], lr=1e-3 * multiplier)
        for multiplier in (.05, .5, 1.)]
    runner.optim_wrapper = OptimWrapper(torch.optim.AdamW(groups))
    return runner.optim_wrapper, runner.build_param_scheduler(schedule)


def rates(toy_runner, epochs: int, samples: int = 140,
          schedule: list[dict] = SCHEDULE) -> np.ndarray:
    """Rate of each group at every iteration, and after the last."""
    wrapper, schedulers = scheduled(toy_runner, epochs, samples, schedule)
    found = []
    for _ in range(epochs * samples // 4 + 1):
        found.append([g['lr'] for g in wrapper.optimizer.param_groups])
        wrapper.step()
        for scheduler in schedulers:
            assert not scheduler.by_epoch
            scheduler.step()
    return np.array(found)


def test_rate_of_each_stage_at_twelve_epochs(toy_runner) -> None:
    found = rates(toy_runner, 300)
    # The rate stays where the last iteration has left it.
    at = [min(35 * epoch, 10_499) for epoch in TABLE]
    # MMEngine's schedulers multiply step by step: 0.06 % beside the product.
    np.testing.assert_allclose(found[at], list(TABLE.values()), rtol=6e-4)
    assert found[0] == pytest.approx([5e-8, 5e-7, 1e-6])
    assert found[:501, 2].argmax() == 500


@pytest.mark.parametrize('schedule', [
    SCHEDULE, [dict(SCHEDULE[0], by_epoch=True, convert_to_iter_based=True),
               SCHEDULE[1]]])
def test_short_run_warms_up_for_a_twentieth(toy_runner, schedule) -> None:
    found = rates(toy_runner, 4, schedule=schedule)[:, 2] / 1e-3
    assert found[:8] == pytest.approx(
        [.001, .1437, .286, .429, .571, .714, .856, .998], rel=4e-3)
    assert found[-2] == pytest.approx(.05, rel=4e-3)


def test_run_of_a_few_iterations_reaches_the_full_rate(toy_runner) -> None:
    found = rates(toy_runner, 3, samples=4, schedule=SCHEDULE[:1])[:, 2]
    assert found == pytest.approx([1e-6, 1e-3, 1e-3, 1e-3])


def test_length_of_the_run_is_not_a_matter_of_the_config(toy_runner) -> None:
    schedule = [dict(SCHEDULE[0], share=.5, max_iters=4, start_factor=.5)]
    found = rates(toy_runner, 2, samples=24, schedule=schedule)[:, 2]
    assert found[:6] == pytest.approx(
        [.5e-3, .625e-3, .75e-3, .875e-3, 1e-3, 1e-3])


@pytest.mark.parametrize('arguments, found', [
    (dict(end=300), 'epochs'), (dict(by_epoch=False), 'without an end')])
def test_epochs_or_an_endless_run_are_refused(arguments, found) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.)
    with pytest.raises(DataError, match='by_epoch=False') as caught:
        PARAM_SCHEDULERS.build(dict(
            type='mmpose_ext.WarmupLR', optimizer=optimizer, **arguments))
    assert found in caught.value.found
