"""Training a network in phases, in which more and more of it learns."""
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.optim import OneCycleParamScheduler, _ParamScheduler
from mmengine.runner import Runner
from torch import nn

from mmpose_ext.registry import HOOKS
from mmpose_ext.storage.errors import DataError
from mmpose_ext.training.freezing import (
    FreezeState,
    FreezeStatesHook,
    NormPolicy,
)
from mmpose_ext.training.phases import (
    check_boundary,
    config_name,
    nearest_start,
    phase_starts,
    run_progress,
    skipped_phases,
)
from mmpose_ext.training.stages import (
    bare_model,
    find_stages,
    select_parameters,
)

_PHASE_KEYS = ('begin', 'trainable', 'step', 'step_epochs', 'lr_scale',
               'norm_eval')
_NAME = 'GradualUnfreezeHook'


@HOOKS.register_module()
class GradualUnfreezeHook(FreezeStatesHook):
    """Trains a model in phases that differ in what is frozen.

    Each phase is a dict with the keys

    * ``begin`` (float | int): Its start, a fraction of the run in [0, 1), or
      a number of epochs (of iterations, in a loop without epochs). The first
      begins at 0. Fractions move with ``max_epochs``.
    * ``trainable`` (list[str]): What trains, as stages, modules or
      parameters, see
      :func:`~mmpose_ext.training.stages.select_parameters`. If all patterns
      start with '+', they are added to those of the phase before. Defaults to
      what trained before, and in the first phase to everything.
    * ``step`` (float | int) or ``step_epochs`` (int): Lets the patterns begin
      to train one after the other, the deepest first, at this distance.
      Defaults to None, all at once.
    * ``lr_scale`` (float): Factor on all learning rates, compared with a run
      without phases. Defaults to 1.
    * ``norm_eval`` (bool | list[str]): Layers whose running statistics stay
      as they are though they train, see
      :class:`~mmpose_ext.training.freezing.FreezeHook`. Defaults to False.

    The optimizer keeps all parameters in its groups throughout, so that a
    checkpoint of any phase can be resumed in any other.

    Args:
        phases (Sequence[dict]): The phases in their order. One shorter than
            an epoch is skipped with a warning.
        always_frozen (Sequence[str]): Patterns of what never trains, whatever
            the phases say. Defaults to ().
        bn_policy ('eval' | 'train' | 'affine'): As in
            :class:`~mmpose_ext.training.freezing.FreezeStatesHook`; under
            'affine' the scales and shifts of what is always frozen do not
            train either. Defaults to 'eval'.

    Example:
        >>> custom_hooks = [dict(
        >>>     type='mmpose_ext.GradualUnfreezeHook',
        >>>     always_frozen=['stem', 'stage1'],
        >>>     phases=[
        >>>         dict(begin=0., trainable=['head', 'stage4']),
        >>>         dict(begin=1 / 3, trainable=['+stage3', '+stage2'],
        >>>              step=1 / 6),
        >>>         dict(begin=2 / 3, lr_scale=.1, norm_eval=True)])]
    """

    def __init__(self,
                 phases: Sequence[dict[str, Any]],
                 always_frozen: Sequence[str] = (),
                 bn_policy: NormPolicy = 'eval') -> None:
        super().__init__(bn_policy)
        self.phases = phases
        self.always_frozen = always_frozen

    def plan(self, runner: Runner) -> list[FreezeState]:
        """The states of the run: one a phase, or one a step of a phase."""
        name = config_name(runner.cfg)
        _check_phases(self.phases, name)
        total = run_progress(runner)[1]
        starts = phase_starts([phase['begin'] for phase in self.phases],
                              total, name, f'{_NAME}.phases')
        model = bare_model(runner.model)
        never = frozenset(select_parameters(model, self.always_frozen,
                                            f'{_NAME}.always_frozen'))
        parameters = dict(model.named_parameters())
        learning = parameters.keys() - never
        # what the model itself has frozen trains only if it is named
        trainable = frozenset(n for n in learning
                              if parameters[n].requires_grad)
        states: list[FreezeState] = []
        for number, phase in enumerate(self.phases):
            end = (*starts, total)[number + 1]
            moments = self._moments(model, phase, number, trainable, never,
                                    total)
            for step, (start, trainable) in enumerate(moments, 1):
                title = f'phase {number + 1} of {len(self.phases)}'
                if len(moments) > 1:
                    title += f', step {step} of {len(moments)}'
                states.append(self.make_state(
                    model, trainable, learning,
                    norm_eval=phase.get('norm_eval', False),
                    where=f'{_NAME}.phases[{number}].norm_eval',
                    # a step that is late is left to the next phase
                    start=min(start, max(end, moments[0][0])),
                    phase=number + 1, title=title,
                    lr_scale=phase.get('lr_scale', 1.)))
        for skipped in skipped_phases([s.start for s in states], total):
            runner.logger.warning(
                f'{_NAME}: {states[skipped].title} is skipped in a run of '
                f'{total}')
        self._check_schedules(runner)
        return states

    def enter_state(self, runner: Runner, state: FreezeState) -> None:
        """Let train what shall train, at the learning rates of the phase."""
        scale_learning_rates(runner, state.lr_scale)
        super().enter_state(runner, state)

    def _moments(self, model: nn.Module, phase: dict[str, Any], number: int,
                 before: frozenset[str], never: frozenset[str],
                 total: int) -> list[tuple[int, frozenset[str]]]:
        """Starts of a phase and its steps, and what trains from then on."""
        patterns = phase.get('trainable')
        begin = nearest_start(phase['begin'], total)
        if patterns is None:
            return [(begin, before)]
        where = f'{_NAME}.phases[{number}].trainable'
        added = [frozenset(select_parameters(model, [p.lstrip('+')], where))
                 for p in patterns]
        for pattern, names in zip(patterns, added, strict=True):
            if names <= never:
                raise DataError('model', where, 'what may train',
                                f'{pattern!r}, which is always frozen')
        now = before if patterns and patterns[0].startswith('+') else (
            frozenset())
        step = phase.get('step', phase.get('step_epochs'))
        if step is None:
            return [(begin, now.union(*added) - never)]
        order = [name for stage in find_stages(model)
                 for name in stage.parameters]
        added.sort(key=lambda names: max(map(order.index, names)),
                   reverse=True)
        moments = []
        for count, names in enumerate(added):
            now = (now | names) - never
            moments.append(
                (nearest_start(phase['begin'], total, count * step), now))
        return moments

    def _check_schedules(self, runner: Runner) -> None:
        """Warn of schedules that a factor on the learning rates distorts."""
        if all(phase.get('lr_scale', 1.) == 1 for phase in self.phases):
            return
        for scheduler in _rate_schedulers(runner):
            if getattr(scheduler, 'eta_min', None) or isinstance(
                    scheduler, OneCycleParamScheduler):
                runner.logger.warning(
                    f'{_NAME}: {type(scheduler).__name__} aims at an absolute '
                    'learning rate, which lr_scale does not change. Write '
                    'eta_min_ratio instead of eta_min')


def scale_learning_rates(runner: Runner, target: float) -> None:
    """Multiply the learning rates so that their factor becomes the target.

    MMEngine's schedules go on from the current rate, so that the rest of
    their curve is scaled. The factor is kept in the optimizer's groups, and
    with them in checkpoints: what is scaled already is not scaled again.

    Args:
        runner (Runner): Its optimizer and schedules are built.
        target (float): The factor compared with a run without any.
    """
    groups = runner.optim_wrapper.param_groups
    change = target / groups[0].get('phase_scale', 1.)
    if change == 1:
        return
    for group in groups:
        group['phase_scale'] = target
        group['lr'] *= change
        if 'initial_lr' in group:
            group['initial_lr'] *= change
    for scheduler in _rate_schedulers(runner):
        scheduler.base_values = [
            value * change for value in scheduler.base_values
        ]


def _rate_schedulers(runner: Runner) -> Iterator[_ParamScheduler]:
    for scheduler in runner.param_schedulers or ():
        if scheduler.param_name == 'lr':
            yield scheduler


def _check_phases(phases: Sequence[dict[str, Any]], name: str) -> None:
    """Refuse phases with unknown keys or values of the wrong kind."""
    for number, phase in enumerate(phases):
        where = f'{_NAME}.phases[{number}]'
        for key in phase:
            if key not in _PHASE_KEYS:
                raise DataError(name, f'{where}.{key}',
                                f'one of {", ".join(_PHASE_KEYS)}', repr(key))
        if 'begin' not in phase:
            raise DataError(name, f'{where}.begin', 'the start of the phase',
                            'none')
        patterns = phase.get('trainable')
        if patterns is not None and len(
                {pattern.startswith('+') for pattern in patterns}) > 1:
            raise DataError(name, f'{where}.trainable',
                            "'+' before all patterns or none", repr(patterns))
        _check_step(phase, name, where)
        scale = phase.get('lr_scale', 1.)
        if not isinstance(scale, (int, float)) or not (
                0 < scale < math.inf):
            raise DataError(name, f'{where}.lr_scale', 'a number above 0',
                            repr(scale),
                            'freeze what shall not learn')


def _check_step(phase: dict[str, Any], name: str, where: str) -> None:
    keys = [key for key in ('step', 'step_epochs') if key in phase]
    if not keys:
        return
    if len(keys) == 2 or 'trainable' not in phase:
        raise DataError(name, f'{where}.{keys[-1]}',
                        'one of step and step_epochs, beside trainable',
                        ', '.join(phase))
    step = phase[keys[0]]
    check_boundary(step, name, f'{where}.{keys[0]}')
    if not step or keys[0] == 'step_epochs' and isinstance(step, float):
        raise DataError(name, f'{where}.{keys[0]}', 'a distance above 0' if
                        not step else 'a whole number of epochs', repr(step))
