"""Freezing parts of a network, for a whole run or for phases of it.

A frozen parameter has ``requires_grad=False`` and no gradient: its backward
pass is saved, and the optimiser, its weight decay included, passes it over.
A learning rate of zero would do none of that. Layers that gather running
statistics (batch normalisation) are no longer in training mode where they
are frozen.

Freezing takes place when the training begins, after the optimiser was built:
one that is built without a parameter never learns it. For the same reason
do not use a backbone's ``frozen_stages`` for what thaws later.
"""
from __future__ import annotations

import gc
import weakref
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import (
    MMSeparateDistributedDataParallel,
    is_model_wrapper,
)
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmpose_ext.registry import HOOKS
from mmpose_ext.storage.errors import DataError
from mmpose_ext.training.parameter_table import log_parameter_table
from mmpose_ext.training.phases import config_name, phase_of, run_progress
from mmpose_ext.training.stages import (
    Stage,
    bare_model,
    find_stages,
    select_parameters,
)

NormPolicy = Literal['eval', 'train', 'affine']
_POLICIES = ('eval', 'train', 'affine')
_NAMES_SHOWN = 6  # of modules of one stage, in a line of the log


@dataclass(frozen=True)
class FreezeState:
    """What trains from one moment of the run on.

    Attributes:
        start: The moment, in what the train loop counts.
        phase: Number of the phase, from 1.
        title: How the log calls it.
        trainable: Full names of the parameters that train.
        still: Layers whose running statistics stay as they are.
        lr_scale: Factor on all learning rates.
    """

    start: int
    phase: int
    title: str
    trainable: frozenset[str]
    still: tuple[nn.Module, ...]
    lr_scale: float = 1.


class FreezeStatesHook(Hook):
    """Base of the hooks that freeze: keeps a run in the state that is due.

    A subclass says what the states are. They are entered before the training,
    which covers resumed runs, and where a new one begins.

    With several processes the model's ``DistributedDataParallel`` is built
    anew whenever other parameters train. It averages the gradients of exactly
    those that trained when it was built; a frozen one would else be waited
    for without end, and a thawed one would differ between the processes.
    ``find_unused_parameters`` is not needed.

    Args:
        bn_policy ('eval' | 'train' | 'affine'): What layers with running
            statistics do where they are frozen: stay as they are, go on
            gathering statistics, or keep these and train their scale and
            shift. Defaults to 'eval'.

    The priority is that of a hook which acts before schedules, averages and
    checkpoints of the same moment. One that loads weights in ``before_train``
    needs a higher one.
    """

    priority = 'ABOVE_NORMAL'

    def __init__(self, bn_policy: NormPolicy = 'eval') -> None:
        if bn_policy not in _POLICIES:
            raise DataError('config', f'{type(self).__name__}.bn_policy',
                            f'one of {", ".join(_POLICIES)}', repr(bn_policy))
        self.bn_policy = bn_policy

    def plan(self, runner: Runner) -> list[FreezeState]:
        """The states of the run, in the order of their starts."""
        raise NotImplementedError

    def make_state(self,
                   model: nn.Module,
                   trainable: Collection[str],
                   learning: Collection[str],
                   *,
                   norm_eval: bool | Sequence[str],
                   where: str,
                   start: int = 0,
                   phase: int = 1,
                   title: str = 'the whole run',
                   lr_scale: float = 1.) -> FreezeState:
        """Describe a state, with what `bn_policy` makes of it.

        Args:
            model (nn.Module): The bare model.
            trainable (Collection[str]): Names of the parameters that train.
            learning (Collection[str]): Names of all but the parameters that
                train under no policy.
            norm_eval (bool | Sequence[str]): As in :class:`FreezeHook`.
            where (str): The setting `norm_eval`, for the error.
            start (int): See :class:`FreezeState`, as for the others.
            phase (int): Number of the phase.
            title (str): Its name.
            lr_scale (float): Factor on all learning rates.
        """
        still = still_layers(model, trainable, self.bn_policy, norm_eval,
                             where)
        trainable = frozenset(trainable)
        if self.bn_policy == 'affine':
            trainable |= _affine_parameters(model) & set(learning)
        return FreezeState(start, phase, title, trainable, still, lr_scale)

    def before_train(self, runner: Runner) -> None:
        """Plan the run and enter the state that is due.

        Raises:
            DataError: If a setting does not fit the model or the run.
        """
        self._check_run(runner)
        self.states = self.plan(runner)
        self._starts = [state.start for state in self.states]
        for state in self.states:
            self._check_state(runner, state)
        if runner.cfg.get('compile') and len(self.states) > 1:
            runner.logger.warning(
                'the model is compiled anew whenever other parameters train')
        self.state: FreezeState | None = None
        self._enter_due_state(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Enter the state that is due."""
        self._enter_due_state(runner)

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: Any = None) -> None:
        """Enter the state that is due, and keep its layers still.

        The train loop puts the whole model into training mode, after
        ``before_train_epoch`` and after each validation.
        """
        self._enter_due_state(runner)
        for module in self.state.still:  # type: ignore[union-attr]
            if module.training:
                module.eval()

    def enter_state(self, runner: Runner, state: FreezeState) -> None:
        """Let train what shall train, and report it."""
        changed = set_trainable(bare_model(runner.model), state.trainable)
        if changed and is_model_wrapper(runner.model):
            rebuild_wrapper(runner)
        _report(runner, state, changed)

    def _enter_due_state(self, runner: Runner) -> None:
        progress, _ = run_progress(runner)
        state = self.states[phase_of(progress, self._starts)]
        if state is self.state:
            return
        self.state = state
        self.enter_state(runner, state)

    def _check_run(self, runner: Runner) -> None:
        name, where = config_name(runner.cfg), type(self).__name__
        hooks = [hook for hook in runner.hooks
                 if isinstance(hook, FreezeStatesHook)]
        if len(hooks) > 1:
            found = ', '.join(type(hook).__name__ for hook in hooks)
            raise DataError(name, 'custom_hooks', 'one hook that freezes',
                            found)
        if is_model_wrapper(runner.model) and not (
                _is_rebuildable(runner.model)):
            raise DataError(name, where, 'DistributedDataParallel',
                            type(runner.model).__name__)
        if isinstance(runner.optim_wrapper, OptimWrapperDict):
            raise DataError(name, where, 'one optimizer', 'several')

    def _check_state(self, runner: Runner, state: FreezeState) -> None:
        """Refuse a state in which nothing trains, or what cannot."""
        name, where = config_name(runner.cfg), type(self).__name__
        if not state.trainable:
            raise DataError(name, f'{where}, {state.title}',
                            'a parameter that trains', 'none')
        learnt = {
            id(parameter)
            for group in runner.optim_wrapper.optimizer.param_groups
            for parameter in group['params']
        }
        parameters = dict(bare_model(runner.model).named_parameters())
        for key in sorted(state.trainable):
            if id(parameters[key]) not in learnt:
                raise DataError(
                    name, f'{where}, {state.title}',
                    f'{key} in the optimizer', 'it is not in the optimizer',
                    'the model froze it before the optimizer was built: '
                    'leave that to this hook, without frozen_stages and the '
                    'like, or name it among what is always frozen')


@HOOKS.register_module()
class FreezeHook(FreezeStatesHook):
    """Freezes parts of the model for the whole run.

    Args:
        patterns (Sequence[str]): Names of stages, modules or parameters, as
            in :func:`~mmpose_ext.training.stages.select_parameters`.
        bn_policy ('eval' | 'train' | 'affine'): As in
            :class:`FreezeStatesHook`. Defaults to 'eval'.
        norm_eval (bool | Sequence[str]): Further layers whose running
            statistics stay as they are, though they train: those that match
            the patterns, or all. Defaults to (), none.

    Example:
        >>> custom_hooks = [
        >>>     dict(type='mmpose_ext.FreezeHook',
        >>>          patterns=['backbone.stem', 'backbone.stage1'])]
    """

    def __init__(self,
                 patterns: Sequence[str],
                 bn_policy: NormPolicy = 'eval',
                 norm_eval: bool | Sequence[str] = ()) -> None:
        super().__init__(bn_policy)
        self.patterns = patterns
        self.norm_eval = norm_eval

    def plan(self, runner: Runner) -> list[FreezeState]:
        """One state, from the start of the run on."""
        model = bare_model(runner.model)
        frozen = select_parameters(model, self.patterns, 'FreezeHook.patterns')
        # what the model itself has frozen stays so
        learning = {name for name, parameter in model.named_parameters()
                    if parameter.requires_grad}
        return [self.make_state(
            model, learning - frozen.keys(), learning,
            norm_eval=self.norm_eval, where='FreezeHook.norm_eval')]


def set_trainable(model: nn.Module, trainable: Collection[str]) -> set[str]:
    """Let some parameters of a bare model train, and freeze the others.

    Args:
        model (nn.Module): The bare model.
        trainable (Collection[str]): Full names of those that train.

    Returns:
        set[str]: Names of the parameters for which this is a change.
    """
    changed = set()
    for name, parameter in model.named_parameters():
        trains = name in trainable
        if parameter.requires_grad != trains:
            parameter.requires_grad_(trains)
            changed.add(name)
        if not trains:
            parameter.grad = None
    return changed


def still_layers(model: nn.Module, trainable: Collection[str],
                 bn_policy: NormPolicy, norm_eval: bool | Sequence[str],
                 where: str) -> tuple[nn.Module, ...]:
    """Layers that must not gather running statistics.

    A layer is frozen if its parameters are, and one that has none if those
    of the module round it are.

    Args:
        model (nn.Module): The bare model.
        trainable (Collection[str]): Names of the parameters that train.
        bn_policy ('eval' | 'train' | 'affine'): With 'train', frozen layers
            gather statistics like the others.
        norm_eval (bool | Sequence[str]): Layers that are still though they
            train: all, or those that match the patterns.
        where (str): The setting `norm_eval`, for the error.

    Returns:
        tuple[nn.Module]: In the order of the model.
    """
    layers = _statistics_layers(model)
    if norm_eval is True:
        return tuple(layers.values())
    named = set(select_parameters(model, norm_eval or (), where))
    still = []
    for prefix, layer in layers.items():
        about = _parameters_about(prefix, model)
        is_frozen = bn_policy != 'train' and about.isdisjoint(trainable)
        if is_frozen or about & named:
            still.append(layer)
    return tuple(still)


def rebuild_wrapper(runner: Runner) -> None:
    """Build a runner's ``DistributedDataParallel`` anew.

    The new one averages the gradients of what trains now. All processes have
    to call this at the same moment.
    """
    old = runner.model
    runner.model = bare_model(old)
    # What the old one hung on the parameters goes with its reducer, of which
    # the logger has a share.
    reducer = weakref.ref(old.reducer)
    old.reducer = old.logger = None
    del old
    gc.collect()
    if reducer() is not None:
        raise RuntimeError('the old DistributedDataParallel is still in use')
    # The layers are converted already: a second time would give them new
    # parameters, which the optimizer does not know.
    with _without_sync_bn(runner.cfg):
        runner.model = runner.wrap_model(
            runner.cfg.get('model_wrapper_cfg'), runner.model)
    runner._maybe_compile('train_step')


def _is_rebuildable(wrapper: nn.Module) -> bool:
    """Whether it is one DDP, not several or another kind of wrapper."""
    return isinstance(wrapper, DistributedDataParallel) and not isinstance(
        wrapper, MMSeparateDistributedDataParallel)


@contextmanager
def _without_sync_bn(config: Config) -> Iterator[None]:
    sync_bn = config.get('sync_bn')
    if sync_bn is None:
        yield
        return
    config.sync_bn = None
    try:
        yield
    finally:
        config.sync_bn = sync_bn


def _statistics_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Layers with running statistics, batch normalisations mostly."""
    return {
        name: module for name, module in model.named_modules()
        if isinstance(getattr(module, 'running_mean', None), Tensor)
    }


def _affine_parameters(model: nn.Module) -> set[str]:
    """Names of scales and shifts of the layers with running statistics."""
    owned = {
        id(parameter) for layer in _statistics_layers(model).values()
        for parameter in layer.parameters(recurse=False)
    }
    return {name for name, parameter in model.named_parameters()
            if id(parameter) in owned}


def _parameters_about(prefix: str, model: nn.Module) -> set[str]:
    """Names of a module's parameters, or of those of one round it."""
    while prefix:
        names = {f'{prefix}.{name}' for name, _ in
                 model.get_submodule(prefix).named_parameters()}
        if names:
            return names
        prefix = prefix.rpartition('.')[0]
    return {name for name, _ in model.named_parameters()}


def _report(runner: Runner, state: FreezeState, changed: set[str]) -> None:
    """Log what has changed, and record it among the run's curves."""
    model = bare_model(runner.model)
    sizes = {name: parameter.numel()
             for name, parameter in model.named_parameters()}
    training = sum(sizes[name] for name in state.trainable)
    parts = []
    for verb, names in (('thawed', changed & state.trainable),
                        ('frozen', changed - state.trainable)):
        named = [name for stage in find_stages(model)
                 for name in names_of_part(model, stage, names)]
        if named:
            parts.append(f'{verb} {", ".join(named)}')
    if state.lr_scale != 1:
        parts.append(f'learning rates x {state.lr_scale:g}')
    parts.append(f'{training / 1e6:.3f} M of {sum(sizes.values()) / 1e6:.3f} '
                 'M parameters train')
    log_parameter_table(runner, f'{state.title}: {"; ".join(parts)}')
    runner.message_hub.update_scalar('train/phase', state.phase)
    runner.message_hub.update_scalar('train/trainable_params_M',
                                     training / 1e6)


def names_of_part(model: nn.Module, stage: Stage,
                  changed: set[str]) -> list[str]:
    """What of a stage has changed, for the log.

    Args:
        model (nn.Module): The bare model.
        stage (Stage): One of its stages.
        changed (set[str]): Names of parameters.

    Returns:
        list[str]: The stage, if all of it is among these, else the outermost
        modules and parameters that are, or the first six of them.
    """
    left = changed.intersection(stage.parameters)
    if len(left) == len(stage.parameters):
        return [stage.name]
    names = []
    for name, module in model.named_modules():  # the outer ones first
        own = {f'{name}.{parameter}'
               for parameter, _ in module.named_parameters()}
        if own and own <= left:
            names.append(name)
            left -= own
    names += sorted(left)
    more = len(names) - _NAMES_SHOWN
    return names if more <= 0 else [*names[:_NAMES_SHOWN], f'{more} more']
