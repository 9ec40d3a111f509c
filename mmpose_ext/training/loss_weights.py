"""Weights of losses that change in the course of a run."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn

from mmpose_ext.registry import HOOKS
from mmpose_ext.storage.errors import DataError, close_matches
from mmpose_ext.training.phases import check_boundary, config_name
from mmpose_ext.training.stages import bare_model

_NAME = 'LossWeightHook'
_KEYS = ('loss', 'start', 'end', 'begin', 'until', 'curve')

_CURVES: dict[str, Callable[[float], float]] = dict(
    linear=lambda share: share,
    cosine=lambda share: (1 - math.cos(math.pi * share)) / 2,
    step=lambda share: float(share >= 1))


@dataclass(frozen=True)
class WeightRamp:
    """How a factor on a weight changes.

    Attributes:
        loss: Dotted name of the loss in the bare model.
        start: The factor until `begin`.
        end: The factor from `until` on.
        begin: Iterations, maybe not whole.
        until: The same, after `begin`.
        curve: ``linear``, ``cosine`` (slow at both ends), or ``step``, all
            at once at `until`.
    """

    loss: str
    start: float
    end: float
    begin: float
    until: float
    curve: str

    def factor(self, iteration: int) -> float:
        """The factor of the iteration that follows so many finished ones."""
        share = (iteration - self.begin) / (self.until - self.begin)
        share = _CURVES[self.curve](min(max(share, 0.), 1.))
        return (1 - share) * self.start + share * self.end


@HOOKS.register_module()
class LossWeightHook(Hook):
    """Scales the weights of losses by factors that follow the progress.

    The weight is a function of the finished iterations alone, so that a
    resumed run goes on with the right one. It is logged as
    ``weight/<last part of the loss's name>``, or by the whole name where two
    end alike.

    Args:
        schedules (Sequence[dict]): Each with

            * ``loss``: Dotted name of a module of the model with a
              ``loss_weight``, such as ``head.pose_losses.bones``. Factors of
              several schedules of a loss multiply.
            * ``start`` and ``end``: Factors on the weight of the config,
              before and after. Default to 0 and 1.
            * ``begin`` and ``until``: When the factor leaves the one and
              reaches the other: fractions of the run, or whole numbers of
              epochs (iterations in a loop without epochs). Default to 0 and
              0.3. ``until=1.`` is the end of the run.
            * ``curve``: ``linear``, ``cosine`` (slow at both ends) or
              ``step``, which changes at ``until`` and has no ``begin``.
              Defaults to ``linear``.

    Example:
        >>> custom_hooks = [dict(
        >>>     type='mmpose_ext.LossWeightHook',
        >>>     schedules=[dict(loss='head.pose_losses.bones', until=.3)])]
    """

    def __init__(self, schedules: Sequence[dict[str, Any]]) -> None:
        self.schedules = schedules
        self._losses: dict[str, nn.Module] = {}
        self._configured: dict[str, float] = {}

    def before_train(self, runner: Runner) -> None:
        """Find the losses and their weights.

        Raises:
            DataError: If a schedule is none, or names no loss.
        """
        name, loop = config_name(runner.cfg), runner.train_loop
        unit = (1. if isinstance(loop, IterBasedTrainLoop) else
                loop.max_iters / loop.max_epochs)
        modules = dict(bare_model(runner.model).named_modules())
        self._ramps = []
        for number, schedule in enumerate(self.schedules):
            where = f'{_NAME}.schedules[{number}]'
            ramp = _read_ramp(schedule, unit, loop.max_iters, name, where)
            _check_loss(ramp.loss, modules, name, f'{where}.loss')
            self._ramps.append(ramp)
            self._losses[ramp.loss] = modules[ramp.loss]
            # once: a second training finds what the first has left
            self._configured.setdefault(
                ramp.loss, _weight_of(modules[ramp.loss]))

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: Any = None) -> None:
        """Give the losses the weights that are due."""
        ends = [path.rpartition('.')[2] for path in self._losses]
        for (path, loss), end in zip(self._losses.items(), ends, strict=True):
            weight = self._configured[path] * math.prod(
                ramp.factor(runner.iter) for ramp in self._ramps
                if ramp.loss == path)
            loss.loss_weight = weight  # type: ignore[assignment]
            title = end if ends.count(end) == 1 else path
            runner.message_hub.update_scalar(f'train/weight/{title}', weight)


def _read_ramp(schedule: dict[str, Any], unit: float, total: int, file: str,
               where: str) -> WeightRamp:
    """A schedule in iterations.

    Args:
        schedule (dict): As the config has it.
        unit (float): Iterations of what whole numbers count.
        total (int): Iterations of the run.
        file (str): The config, for errors.
        where (str): The place in it, for errors.
    """
    for key in schedule:
        if key not in _KEYS:
            raise DataError(file, f'{where}.{key}',
                            f'one of {", ".join(_KEYS)}', repr(key),
                            close_matches(key, _KEYS))
    settings = {'start': 0., 'end': 1., 'begin': 0, 'until': .3,
                'curve': 'linear', **schedule}
    if settings['curve'] not in _CURVES:
        raise DataError(file, f'{where}.curve', f'one of {", ".join(_CURVES)}',
                        repr(settings['curve']))
    if settings['curve'] == 'step' and 'begin' in schedule:
        raise DataError(file, f'{where}.begin', 'none, a step has no length',
                        repr(schedule['begin']), 'it is taken at until')
    for key in ('start', 'end'):
        value = settings[key]
        if not isinstance(value, Real) or not 0 <= float(value) < math.inf:
            raise DataError(file, f'{where}.{key}', 'a factor from 0 up',
                            repr(value))
    begin, until = settings['begin'], settings['until']
    check_boundary(begin, file, f'{where}.begin')
    if not (isinstance(until, float) and until == 1):
        check_boundary(until, file, f'{where}.until')
    first, last = (value * (unit if isinstance(value, Integral) else total)
                   for value in (begin, until))
    if first >= last:
        raise DataError(file, f'{where}.until', f'after begin, {begin}',
                        f'{until}, iteration {last:g} of {total}')
    return WeightRamp(str(settings.get('loss')), float(settings['start']),
                      float(settings['end']), first, last, settings['curve'])


def _check_loss(path: str, modules: dict[str, nn.Module], file: str,
                where: str) -> None:
    known = [name for name, module in modules.items()
             if not math.isnan(_weight_of(module))]
    if path not in known:
        found = ('a module without loss_weight' if path in modules else
                 'no such module')
        raise DataError(
            file, where, 'a loss of the model: '
            + (', '.join(known) or 'it has none with a loss_weight'),
            f'{path!r}, {found}', close_matches(path, known))


def _weight_of(module: nn.Module) -> float:
    """Weight of a loss; NaN of what is none."""
    weight = getattr(module, 'loss_weight', None)
    is_number = isinstance(weight, Real) and not isinstance(weight, bool)
    return float(weight) if is_number else math.nan  # type: ignore[arg-type]
