"""What a training's log says: figures, and verdicts on how it goes.

Lies beside the rooms, because importing the room of training takes seconds
that a monitor need not wait.
"""
from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mmpose_ext.drawing.curves import Best, learning_rates_of
from mmpose_ext.storage.errors import DataError, close_matches
from mmpose_ext.storage.run_config import look_up
from mmpose_ext.storage.run_log import EMA, Record, RunLog, figures_of

# Values of these are better when they are small.
_ERRORS = ('loss', 'error', 'err', 'mae', 'mse', 'rmse', 'nme', 'epe', 'mpjpe',
           'deg', 'px', 'mm', 'mpe', 'invalid')
# The figure of most families that has no config beside its log.
_USUAL = 'coco/AP'
_RECENT = 100  # records whose median times count
_LOADING = .3  # share of an iteration from which the loader holds it up
_PATIENCE = 10  # validations
_FALLING = 3  # validations
_MIDDLE = .5  # of a run, by when its warm-up should have ended
_QUIET, _GAPS = 600, 20  # seconds, usual gaps between lines, to be stale


@dataclass(frozen=True)
class Verdict:
    """A judgement on a run.

    Attributes:
        name: A word for programs.
        fatal: Whether going on is useless.
        text: What is the case.
        hint: What to do about it.
    """

    name: str
    fatal: bool
    text: str
    hint: str = ''


@dataclass(frozen=True)
class RunSummary:
    """Figures of a run; None stands for what the log does not tell.

    Attributes:
        name: Of the work directory.
        finished: Whether the run has come to its planned end.
        epoch, max_epochs: Last epoch logged, and planned.
        iteration, max_iterations: Likewise in iterations.
        eta_s: Seconds to the end: the median time of an iteration, of the
            last 100 records, times the iterations that remain.
        loss: Smoothed loss, see :class:`mmpose_ext.storage.run_log.RunLog`.
        loss_slope: Of a line through the loss of the last fifth of the
            records, at least 5, an epoch (an iteration without epochs).
        metric: Validation figure that decides.
        greater_is_better: Its rule.
        best: Its best value and the place of that.
        last: Its last value.
        validations: How many values it has.
        since_best: Epochs (iterations) logged since the best.
        validations_since_best: Likewise validations.
        images_per_s: Images trained on in a second, by all processes.
        images_seen: Images trained on so far.
        memory_mb: Memory of the device.
        loading_share: Share of an iteration's time that it waits for data,
            0..1, a median like ``eta_s``.
        phase: Of a training in phases.
        trainable_m: Trainable parameters, in millions.
        learning_rates: Last rate by name, of each stage where logged.
        verdicts: Judgements, fatal ones first.
    """

    name: str
    finished: bool
    epoch: int | None
    max_epochs: int | None
    iteration: int | None
    max_iterations: int | None
    eta_s: float | None
    loss: float | None
    loss_slope: float | None
    metric: str | None
    greater_is_better: bool
    best: Best | None
    last: float | None
    validations: int
    since_best: float | None
    validations_since_best: int | None
    images_per_s: float | None
    images_seen: int | None
    memory_mb: float | None
    loading_share: float | None
    phase: int | None
    trainable_m: float | None
    learning_rates: dict[str, float]
    verdicts: tuple[Verdict, ...]

    @property
    def fatal(self) -> bool:
        """Whether a verdict is."""
        return any(verdict.fatal for verdict in self.verdicts)


def summarize(log: RunLog,
              metric: str | None = None,
              now: float | None = None) -> RunSummary:
    """Sum up a run.

    Args:
        log (RunLog): Its log.
        metric (str, optional): Validation figure that decides. Defaults to
            that of the config's ``save_best``, else ``coco/AP``, else the
            first one logged.
        now (float, optional): Seconds since 1970. Defaults to the clock.

    Raises:
        DataError: If the metric is not in the log.
    """
    name, greater = choose_metric(log, metric)
    values = metric_values(log, name)
    best = find_best(name, values, greater)
    last = log.train[-1] if log.train else {}
    recent = log.train[-_RECENT:]
    seconds = _median([record.get('time') for record in recent])
    waiting = _median([record.get('data_time') for record in recent])
    total = planned_iterations(log)
    finished = is_finished(log)
    batch = batch_size(log)
    place = _last_place(log)
    return RunSummary(
        name=log.path.resolve().name,
        finished=finished,
        epoch=last.get('epoch'),
        max_epochs=look_up(log.config, 'train_cfg', 'max_epochs'),
        iteration=last.get('iter'),
        max_iterations=total,
        eta_s=0. if finished else None if None in (seconds, total) else
        seconds * max(0, total - last['iter']),
        loss=last.get(f'loss{EMA}'),
        loss_slope=_slope(log.train),
        metric=name,
        greater_is_better=greater,
        best=best,
        last=values[-1][1] if values else None,
        validations=len(values),
        since_best=None if best is None else place - best.x,
        validations_since_best=None if best is None else sum(
            x > best.x for x, _ in values),
        images_per_s=batch / seconds if batch and seconds else None,
        images_seen=batch * last['iter'] if batch and last else None,
        memory_mb=last.get('memory'),
        loading_share=waiting / seconds if seconds and waiting is not None
        else None,
        phase=last.get('phase'),
        trainable_m=last.get('trainable_params_M'),
        learning_rates={key: last[key] for key in learning_rates_of(last)},
        verdicts=tuple(sorted(
            judge(log, name, greater, time.time() if now is None else now),
            key=lambda verdict: not verdict.fatal)))


def choose_metric(log: RunLog,
                  wanted: str | None = None) -> tuple[str | None, bool]:
    """Validation figure that decides, and whether greater is better.

    Args:
        log (RunLog): The log.
        wanted (str, optional): As for :func:`summarize`.

    Returns:
        tuple[str | None, bool]: The name, None without validation.

    Raises:
        DataError: If the wanted one is not in the log.
    """
    names = figures_of(log.val)
    hook = look_up(log.config, 'default_hooks', 'checkpoint') or {}
    kept = hook.get('save_best')
    kept = kept if isinstance(kept, list) else [kept]
    rules = hook.get('rule')
    rules = rules if isinstance(rules, list) else [rules] * len(kept)
    if wanted is not None and wanted not in names:
        raise DataError(log.path, '--metric', f'one of {", ".join(names)}',
                        repr(wanted), close_matches(wanted, names))
    plain = [name for name in names
             if not name.endswith(('_trivial', '_low', '_high'))]
    choice = [wanted, *kept, _USUAL, *plain]
    name = next((name for name in choice if name in names), None)
    if name is None:
        return None, True
    rule = dict(zip(kept, rules, strict=False)).get(name)
    if rule in ('greater', 'less'):
        return name, rule == 'greater'
    words = name.lower().replace('/', '_').replace('@', '_').split('_')
    return name, not any(word in _ERRORS for word in words)


def metric_values(log: RunLog,
                  name: str | None) -> list[tuple[float, float]]:
    """Places ``x`` and values of a validation figure, NaN included."""
    return [(record['x'], record[name]) for record in log.val
            if name is not None and name in record]


def find_best(name: str | None, values: list[tuple[float, float]],
              greater: bool) -> Best | None:
    """The best value, the first one of equals; None without any."""
    known = [(x, value) for x, value in values if math.isfinite(value)]
    if name is None or not known:
        return None
    x, value = max(known, key=lambda item: item[1] if greater else -item[1])
    return Best(name, x, value)


def batch_size(log: RunLog) -> int | None:
    """Images that all processes together train on in an iteration."""
    images = look_up(log.config, 'train_dataloader', 'batch_size')
    return images * log.processes if isinstance(images, int) else None


def planned_iterations(log: RunLog) -> int | None:
    """Iterations of the whole run."""
    epochs = look_up(log.config, 'train_cfg', 'max_epochs')
    if isinstance(epochs, int):
        return epochs * log.epoch_length if log.epoch_length else None
    iterations = look_up(log.config, 'train_cfg', 'max_iters')
    return iterations if isinstance(iterations, int) else None


def is_finished(log: RunLog) -> bool:
    """Whether the run has come to its planned end.

    Its last iterations may be missing from the log, which has only every
    so-manieth; a run that validates ends with a validation.
    """
    total = planned_iterations(log)
    if total is None or not log.train:
        return False
    if log.val:
        return log.val[-1]['x'] >= total / (log.epoch_length or 1)
    return log.train[-1]['iter'] > total - (_line_gap(log) or 1)


def judge(log: RunLog, metric: str | None, greater: bool,
          now: float) -> Iterator[Verdict]:
    """Judge a run.

    Args:
        log (RunLog): Its log.
        metric (str | None): Validation figure that decides.
        greater (bool): Whether greater is better.
        now (float): Seconds since 1970.

    Yields:
        Verdict: What is out of order.
    """
    yield from _judge_loss(log.train)
    values = metric_values(log, metric)
    if values:
        yield from _judge_value(str(metric), values[-1][1], greater)
        yield from _judge_course(log, str(metric), values, greater)
    yield from _judge_warm_up(log)
    yield from _judge_loading(log.train[-_RECENT:])
    yield from _judge_age(log, now)


def _judge_loss(train: list[Record]) -> Iterator[Verdict]:
    broken = [(record['iter'], name) for record in train for name in record
              if 'loss' in name and not math.isfinite(record[name])]
    if broken:
        step, name = broken[0]
        count = len({step for step, _ in broken})
        yield Verdict(
            'loss not finite', True,
            f'{name} is NaN or infinite from iteration {step} on, in '
            f'{count} of {len(train)} records',
            'lower the learning rate, clip gradients (optim_wrapper.'
            'clip_grad), try without --amp, verify the data')


def _judge_value(metric: str, value: float, greater: bool
                 ) -> Iterator[Verdict]:
    if not math.isfinite(value):
        yield Verdict(
            'metric not finite', False, f'{metric} is {value}',
            'no prediction was counted: look at the predictions, and at the '
            'annotations of val_dataloader')
    elif greater and value == 0:
        yield Verdict(
            'metric zero', False, f'{metric} is exactly 0',
            'look at category ids, keypoint order and sigmas, num_keypoints '
            'and area of the annotations, the path of val_evaluator.ann_file,'
            ' and whether the pretrained weights were loaded (prefix); during'
            ' warm-up with EMA it is normal')


def _judge_course(log: RunLog, metric: str,
                  values: list[tuple[float, float]],
                  greater: bool) -> Iterator[Verdict]:
    best = find_best(metric, values, greater)
    if best is not None:
        since = sum(x > best.x for x, _ in values)
        unit = 'epoch' if log.epoch_length else 'iteration'
        if since >= _PATIENCE:
            yield Verdict(
                'plateau', False,
                f'{metric}: no new best in {since} validations, since '
                f'{unit} {best.x:g}', 'stop, or lower the learning rate')
    tail = values[-_FALLING - 1:]
    sign = 1 if greater else -1
    worse = len(tail) > _FALLING and all(
        sign * late < sign * early
        for (_, early), (_, late) in zip(tail, tail[1:], strict=False))
    before, after = (_loss_at(log.train, x) for x in (tail[0][0], tail[-1][0]))
    if worse and before is not None and after is not None and after < before:
        yield Verdict(
            'overfitting', False,
            f'{metric} got worse in {_FALLING} validations while the training'
            f' loss fell from {before:.3g} to {after:.3g}',
            'stronger augmentation, more weight decay, more frozen stages, '
            'more data')


def _judge_warm_up(log: RunLog) -> Iterator[Verdict]:
    total = planned_iterations(log)
    rates = [record['lr'] for record in log.train if 'lr' in record]
    rises = len(rates) > 2 and rates[-1] > rates[0] and all(
        after >= before
        for before, after in zip(rates, rates[1:], strict=False))
    if rises and total and log.train[-1]['iter'] > _MIDDLE * total:
        yield Verdict(
            'still warming up', False,
            f'the learning rate has only risen, up to iteration '
            f'{log.train[-1]["iter"]} of {total}',
            'param_scheduler: shorten the warm-up, or train for longer')


def _judge_loading(recent: list[Record]) -> Iterator[Verdict]:
    seconds = _median([record.get('time') for record in recent])
    waiting = _median([record.get('data_time') for record in recent])
    if seconds and waiting and waiting > _LOADING * seconds:
        yield Verdict(
            'loader-bound', False,
            f'{waiting / seconds:.0%} of an iteration is waiting for data',
            'more train_dataloader.num_workers, persistent_workers=True, a '
            'cache, smaller images')


def _judge_age(log: RunLog, now: float) -> Iterator[Verdict]:
    quiet = now - log.changed
    seconds = _median([record.get('time') for record in log.train[-_RECENT:]])
    usual = (seconds or 0) * (_line_gap(log) or 1)
    if not is_finished(log) and quiet > max(_QUIET, _GAPS * usual):
        yield Verdict(
            'stale', False, f'no new line for {format_duration(quiet)}',
            'the run has stopped, was killed or hangs; --resume takes it up')


def format_duration(seconds: float) -> str:
    """Days, hours, minutes and seconds, the two largest: '2 h 05 min'."""
    rest = round(seconds)
    if rest < 60:
        return f'{rest} s'
    if rest < 3600:
        return f'{rest // 60} min {rest % 60:02d} s'
    if rest < 86400:
        return f'{rest // 3600} h {rest % 3600 // 60:02d} min'
    return f'{rest // 86400} d {rest % 86400 // 3600:02d} h'


def _median(values: list[Any]) -> float | None:
    known = [value for value in values
             if value is not None and math.isfinite(value)]
    return statistics.median(known) if known else None


def _slope(train: list[Record]) -> float | None:
    """Of a line through the last losses, for each unit of ``x``."""
    points = [(record['x'], record['loss']) for record in train
              if math.isfinite(record.get('loss', math.nan))]
    points = points[-max(5, len(points) // 5):]
    if len(points) < 2:
        return None
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def _loss_at(train: list[Record], x: float) -> float | None:
    """Smoothed loss of the last record up to a place."""
    known = [record[f'loss{EMA}'] for record in train
             if record['x'] <= x and f'loss{EMA}' in record]
    return known[-1] if known else None


def _line_gap(log: RunLog) -> float | None:
    """Usual count of iterations from one record to the next."""
    steps = [record['iter'] for record in log.train]
    return _median([after - before for before, after in zip(
        steps, steps[1:], strict=False)])


def _last_place(log: RunLog) -> float:
    return max(records[-1]['x'] for records in (log.train, log.val)
               if records)
