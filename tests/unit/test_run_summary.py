"""Figures and verdicts of logs whose answers are known."""
from __future__ import annotations

import json
import math
import os
import statistics
import time
from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.run_summary import choose_metric, format_duration, summarize
from mmpose_ext.storage import DataError
from mmpose_ext.storage.run_log import RunLog

LENGTH = 10  # iterations of an epoch
CONFIG = '''
default_hooks = dict(checkpoint=dict(
    rule='{rule}', save_best='{metric}', type='CheckpointHook'))
train_cfg = dict(by_epoch=True, max_epochs={epochs}, val_interval=1)
train_dataloader = dict(batch_size=16, num_workers=2)
'''


def write_run(folder: Path, scores: list[float], *, epochs: int = 20,
              metric: str = 'coco/AP', rule: str = 'greater',
              loss: list[float] | None = None, **figures: object) -> RunLog:
    """One record and one validation an epoch."""
    path = folder / 'work' / '20260101_000000' / 'vis_data'
    path.mkdir(parents=True)
    lines = []
    for epoch, score in enumerate(scores, 1):
        step = LENGTH * epoch
        record = {'loss': loss[epoch - 1] if loss else 1 / epoch, 'lr': 1e-3,
                  'time': .5, 'data_time': .05, 'memory': 1000}
        record |= {name: value[epoch - 1] if isinstance(value, list)
                   else value for name, value in figures.items()}
        lines.append({**record, 'epoch': epoch, 'iter': step, 'step': step})
        lines.append({metric: score, 'time': 1., 'step': epoch})
    (path / 'scalars.json').write_text(
        ''.join(json.dumps(line) + '\n' for line in lines))
    (path / 'config.py').write_text(CONFIG.format(
        rule=rule, metric=metric, epochs=epochs))
    return RunLog(folder / 'work')


def verdicts(log: RunLog, **kwargs: float) -> dict[str, bool]:
    return {verdict.name: verdict.fatal
            for verdict in summarize(log, **kwargs).verdicts}


def test_figures_are_those_of_a_log_read_by_hand(tmp_path: Path) -> None:
    scores = [.1, .4, .7, .6, .65]
    times = [.5, .7, .4, .6, .9]
    log = write_run(tmp_path, scores, time=times, data_time=.06, phase=2,
                    trainable_params_M=3.5, **{'lr/head': 2e-3})
    found = summarize(log)
    losses = [1., 1 / 2, 1 / 3, 1 / 4, 1 / 5]
    smooth = losses[0]
    for loss in losses[1:]:
        smooth = .9 * smooth + .1 * loss
    assert (found.name, found.finished) == ('work', False)
    assert (found.epoch, found.max_epochs) == (5, 20)
    assert (found.iteration, found.max_iterations) == (50, 200)
    assert found.eta_s == pytest.approx(statistics.median(times) * 150)
    assert found.loss == pytest.approx(smooth)
    slope = np.polyfit([1, 2, 3, 4, 5], losses, 1)[0]
    assert found.loss_slope == pytest.approx(slope)
    assert found.best == ('coco/AP', 3, .7)
    assert found.last == .65
    assert (found.since_best, found.validations_since_best) == (2, 2)
    assert found.images_per_s == pytest.approx(16 / .6)
    assert found.images_seen == 800
    assert found.memory_mb == 1000
    assert found.loading_share == pytest.approx(.1)
    assert (found.phase, found.trainable_m) == (2, 3.5)
    assert found.learning_rates == {'lr/head': 2e-3}
    assert found.verdicts == () and not found.fatal


def test_processes_of_the_text_log_multiply_the_images(
        tmp_path: Path) -> None:
    log = write_run(tmp_path, [.1])
    run = log.files[-1].parent.parent
    (run / f'{run.name}.log').write_text('    GPU number: 4\n')
    assert summarize(log).images_per_s == pytest.approx(4 * 16 / .5)


def test_slope_is_that_of_the_last_fifth(tmp_path: Path) -> None:
    loss = [float(abs(epoch - 80)) for epoch in range(100)]
    log = write_run(tmp_path, [.1] * 100, epochs=100, loss=loss)
    assert summarize(log).loss_slope == pytest.approx(1)


def test_smaller_is_better_where_the_config_says_so(tmp_path: Path) -> None:
    log = write_run(tmp_path, [30., 10., 20.], metric='dir/mae',
                    rule='less')
    assert summarize(log).best == ('dir/mae', 2, 10.)


@pytest.mark.parametrize(('name', 'greater'), [
    ('coco/AP', True), ('horse/PCK@0.1/nose', True), ('NME', False),
    ('dir/head_mae_deg', False), ('horse/epe_px/nose', False),
    ('mpjpe_mm', False), ('accuracy', True), ('val/loss', False)])
def test_rule_follows_from_the_name_without_a_config(
        tmp_path: Path, name: str, greater: bool) -> None:
    path = tmp_path / 's.json'
    path.write_text(json.dumps({name: .5, 'step': 1}) + '\n')
    assert choose_metric(RunLog(path)) == (name, greater)


def test_metric_is_asked_for_then_the_configs_then_the_usual(
        tmp_path: Path) -> None:
    log = write_run(tmp_path, [.1], metric='coco/AR')
    log.val[0] |= {'zero': 1., 'coco/AP': 1.}
    assert choose_metric(log, 'zero')[0] == 'zero'
    assert choose_metric(log)[0] == 'coco/AR'
    log.config.clear()
    assert choose_metric(log)[0] == 'coco/AP'
    del log.val[0]['coco/AP']
    assert choose_metric(log)[0] == 'coco/AR'  # the first one


def test_unknown_metric_is_refused_with_the_known_ones(
        tmp_path: Path) -> None:
    log = write_run(tmp_path, [.1])
    with pytest.raises(DataError, match='did you mean coco/AP') as error:
        choose_metric(log, 'coco/APP')
    assert 'coco/AP' in error.value.expected


def test_run_without_validation_or_config_has_what_it_has(
        tmp_path: Path) -> None:
    path = tmp_path / 's.json'
    path.write_text('{"loss": 0.5, "iter": 10, "step": 10}\n')
    found = summarize(RunLog(path))
    assert found.loss == .5 and found.iteration == 10
    assert found.metric is found.best is found.eta_s is found.epoch is None
    assert found.images_per_s is found.loading_share is None
    assert found.verdicts == ()


def test_run_that_ended_has_nothing_left(tmp_path: Path) -> None:
    log = write_run(tmp_path, [.1, .2, .3], epochs=3)
    found = summarize(log, now=time.time() + 1e6)
    assert found.finished and found.eta_s == 0
    assert found.verdicts == ()


@pytest.mark.parametrize('loss', [math.nan, math.inf])
def test_loss_that_is_not_finite_is_fatal(tmp_path: Path,
                                          loss: float) -> None:
    log = write_run(tmp_path, [.1] * 3, loss=[1., loss, loss])
    assert verdicts(log)['loss not finite'] is True
    found = summarize(log)
    assert found.fatal and found.verdicts[0].name == 'loss not finite'
    assert 'iteration 20 on, in 2 of 3' in found.verdicts[0].text


def test_resumed_run_is_not_blamed_for_what_it_replaced(
        tmp_path: Path) -> None:
    log = write_run(tmp_path, [.1] * 3, loss=[1., .9, math.nan])
    run = tmp_path / 'work' / '20260102_000000' / 'vis_data'
    run.mkdir(parents=True)
    (run / 'scalars.json').write_text(json.dumps(
        {'loss': .8, 'epoch': 3, 'iter': 30, 'step': 30}) + '\n')
    assert log.update()
    assert not summarize(log).fatal


@pytest.mark.parametrize(('validations', 'found'), [(10, False),
                                                    (11, True)])
def test_plateau_is_ten_validations_without_a_new_best(
        tmp_path: Path, validations: int, found: bool) -> None:
    scores = [.5] * validations  # equal is not better
    assert ('plateau' in verdicts(write_run(tmp_path, scores))) is found


@pytest.mark.parametrize(('scores', 'loss', 'found'), [
    ([.5, .4, .3, .2], [4., 3., 2., 1.], True),
    ([.5, .4, .3, .3], [4., 3., 2., 1.], False),
    ([.4, .3, .2], [3., 2., 1.], False),
    ([.5, .4, .3, .2], [1., 2., 3., 4.], False)])
def test_overfitting_is_three_worse_validations_at_a_falling_loss(
        tmp_path: Path, scores: list[float], loss: list[float],
        found: bool) -> None:
    log = write_run(tmp_path, scores, loss=loss)
    assert ('overfitting' in verdicts(log)) is found


def test_overfitting_of_an_error_is_its_growth(tmp_path: Path) -> None:
    log = write_run(tmp_path, [1., 2., 3., 4.], metric='mae', rule='less')
    assert 'overfitting' in verdicts(log)


@pytest.mark.parametrize(('rates', 'epochs', 'found'), [
    ([1e-4, 2e-4, 3e-4], 4, True),
    ([1e-4, 2e-4, 3e-4], 20, False),  # still at the beginning
    ([1e-4, 3e-4, 2e-4], 4, False),
    ([1e-4, 1e-4, 1e-4], 4, False)])
def test_warm_up_should_end_in_the_first_half(
        tmp_path: Path, rates: list[float], epochs: int,
        found: bool) -> None:
    log = write_run(tmp_path, [.1, .2, .3], epochs=epochs, lr=rates)
    assert ('still warming up' in verdicts(log)) is found


@pytest.mark.parametrize(('score', 'rule', 'name'), [
    (0., 'greater', {'metric zero'}), (math.nan, 'less',
                                       {'metric not finite'}),
    (0., 'less', set()), (1e-4, 'greater', set())])
def test_metric_of_nothing_is_told_with_its_causes(
        tmp_path: Path, score: float, rule: str, name: set[str]) -> None:
    log = write_run(tmp_path, [score], rule=rule)
    found = summarize(log).verdicts
    assert {verdict.name for verdict in found} == name
    assert all(verdict.hint for verdict in found)


@pytest.mark.parametrize(('waiting', 'found'), [(.14, False), (.16, True)])
def test_loader_is_blamed_from_thirty_percent_on(
        tmp_path: Path, waiting: float, found: bool) -> None:
    log = write_run(tmp_path, [.1], data_time=waiting)
    assert ('loader-bound' in verdicts(log)) is found


def test_silent_log_is_stale_unless_the_run_has_ended(
        tmp_path: Path) -> None:
    log = write_run(tmp_path, [.1, .2])
    written = 1e9
    os.utime(log.files[-1], (written, written))
    assert 'stale' not in verdicts(log, now=written + 500)
    assert 'stale' in verdicts(log, now=written + 700)


def test_slow_run_may_be_silent_for_longer(tmp_path: Path) -> None:
    log = write_run(tmp_path, [.1, .2], time=60.)  # 10 min between lines
    written = 1e9
    os.utime(log.files[-1], (written, written))
    assert 'stale' not in verdicts(log, now=written + 3 * 3600)
    assert 'stale' in verdicts(log, now=written + 4 * 3600)


@pytest.mark.parametrize(('seconds', 'text'), [
    (0, '0 s'), (59.4, '59 s'), (61, '1 min 01 s'), (7500, '2 h 05 min'),
    (90000, '1 d 01 h')])
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
