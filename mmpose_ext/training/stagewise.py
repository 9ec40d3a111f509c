"""A learning rate for each stage of a network, and a log of them."""
from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.runner import Runner
from torch import nn

from mmpose_ext.registry import HOOKS, OPTIM_WRAPPER_CONSTRUCTORS
from mmpose_ext.storage.errors import DataError, close_matches
from mmpose_ext.training.freezing import FreezeStatesHook
from mmpose_ext.training.parameter_table import log_parameter_table
from mmpose_ext.training.stages import (
    HEAD,
    Stage,
    bare_model,
    find_stages,
)

_SETTINGS: dict[str, Any] = dict(
    stage_lrs=None,
    layer_decay=None,
    head_lr_mult=None,
    norm_decay_mult=0.,
    bias_decay_mult=0.)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class StageWiseOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Two parameter groups a stage: its weights, its norms and biases.

    Norms and biases learn at the rate of their stage and keep their own
    weight decay. The groups carry their ``name`` and ``stage``. Every
    parameter is in one, frozen or not, so that it can thaw later, and the
    state in a checkpoint fits whatever is frozen.

    Args:
        optim_wrapper_cfg (dict): As in MMEngine; the optimiser's ``lr`` must
            be given.
        paramwise_cfg (dict, optional): Any of

            - stage_lrs (dict[str, float]): Multiplier of the learning rate by
              the name of the stage, see
              :func:`mmpose_ext.training.find_stages`. Those left out have 1.
            - layer_decay (float): In its place: stage i of L before the head
              has ``layer_decay ** (L - i)``.
            - head_lr_mult (float): Multiplier of the head. Defaults to 1.
            - norm_decay_mult (float): Multiplier of the weight decay of
              normalisation layers. Defaults to 0.
            - bias_decay_mult (float): The same of biases. Defaults to 0.

    Raises:
        DataError: If a setting or a stage is unknown, or a multiplier is not
            above 0: what shall not learn is frozen, which is faster and
            keeps batch statistics too.

    Example:
        >>> optim_wrapper = dict(
        >>>     constructor='mmpose_ext.StageWiseOptimWrapperConstructor',
        >>>     optimizer=dict(type='AdamW', lr=1e-3, weight_decay=.05),
        >>>     paramwise_cfg=dict(stage_lrs=dict(stem=.05, stage4=.5)))
    """

    paramwise_cfg: dict[str, Any]

    def _validate_cfg(self) -> None:
        """Check the settings and fill in the defaults."""
        settings = {**_SETTINGS, **self.paramwise_cfg}
        for key in settings:
            if key not in _SETTINGS:
                raise _refusal(key, f'one of {", ".join(_SETTINGS)}',
                               repr(key), close_matches(key, _SETTINGS))
        if self.base_lr is None:
            raise DataError('config', 'optim_wrapper.optimizer', 'lr',
                            'none')
        given = settings['stage_lrs'] or {}
        if settings['layer_decay'] is not None and given:
            raise _refusal('layer_decay', 'stage_lrs or layer_decay', 'both')
        if settings['head_lr_mult'] is not None and HEAD in given:
            raise _refusal('head_lr_mult', f'it or stage_lrs.{HEAD}', 'both')
        for key in ('layer_decay', 'head_lr_mult'):
            if settings[key] is not None:
                _check_multiplier(key, settings[key])
        for stage, multiplier in given.items():
            _check_multiplier(f'stage_lrs.{stage}', multiplier)
        self.paramwise_cfg = settings

    def add_params(self,
                   params: list[dict[str, Any]],
                   module: nn.Module,
                   prefix: str = '',
                   is_dcn_module: int | float | None = None) -> None:
        """Add the groups of a model.

        The head comes first: MMEngine logs the first group's rate as ``lr``.

        Args:
            params (list[dict]): Receives the groups.
            module (nn.Module): The bare model.
            prefix (str): Unused, as is `is_dcn_module`.
            is_dcn_module (int | float, optional): See `prefix`.
        """
        parameters = dict(module.named_parameters())
        kinds = parameter_kinds(module)
        stages = find_stages(module)
        multipliers = self._multipliers(stages)
        for stage in reversed(stages):
            groups: dict[float, dict[str, Any]] = {}
            for name in stage.parameters:
                decay = self._decay_multiplier(kinds[name])
                group = groups.setdefault(decay, dict(params=[], kinds=[]))
                group['params'].append(parameters[name])
                group['kinds'].append(kinds[name])
            for decay, group in sorted(groups.items(), reverse=True):
                names = '+'.join(sorted(set(group.pop('kinds'))))
                group.update(
                    name=f'{stage.name}.{names}',
                    stage=stage.name,
                    lr=self.base_lr * multipliers[stage.name])
                if self.base_wd is not None:
                    group['weight_decay'] = self.base_wd * decay
                params.append(group)

    def _multipliers(self, stages: tuple[Stage, ...]) -> dict[str, float]:
        """Multiplier of the learning rate by stage."""
        names = [stage.name for stage in stages]
        given = dict(self.paramwise_cfg['stage_lrs'] or {})
        for name in given:
            if name not in names:
                raise _refusal(
                    'stage_lrs', f'stages of the model: {", ".join(names)}',
                    repr(name), close_matches(name, names))
        decay = self.paramwise_cfg['layer_decay']
        if decay is not None:
            before = [name for name in names if name != HEAD]
            given = {name: decay**(len(before) - number)
                     for number, name in enumerate(before)}
        head = self.paramwise_cfg['head_lr_mult']
        if head is not None:
            given[HEAD] = head
        return {name: given.get(name, 1.) for name in names}

    def _decay_multiplier(self, kind: str) -> float:
        return 1. if kind == 'weight' else self.paramwise_cfg[
            f'{kind}_decay_mult']


@HOOKS.register_module()
class StageLRHook(Hook):
    """Logs what trains at the start, and each stage's rate at every step.

    The scalars ``lr/<stage>`` stand beside MMEngine's ``lr``, which is the
    rate of the first parameter group alone.
    """

    # after the hooks that load and freeze, before the one that logs
    priority = 'NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Log the parameter table and find the group of each stage."""
        # a hook that freezes logs it with the state that it enters
        if not any(isinstance(hook, FreezeStatesHook)
                   for hook in runner.hooks):
            log_parameter_table(runner, 'What trains, by stage:')
        group_of = {
            id(parameter): number
            for number, group in enumerate(
                runner.optim_wrapper.optimizer.param_groups)
            for parameter in group['params']
        }
        parameters = dict(bare_model(runner.model).named_parameters())
        self._group_of_stage = {}
        for stage in find_stages(runner.model):
            groups = [group_of[id(parameters[name])]
                      for name in stage.parameters
                      if id(parameters[name]) in group_of]
            if groups:
                self._group_of_stage[stage.name] = groups[0]

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: Any = None) -> None:
        """Note the rates with which this step is made."""
        groups = runner.optim_wrapper.optimizer.param_groups
        for stage, number in self._group_of_stage.items():
            runner.message_hub.update_scalar(
                f'train/lr/{stage}', groups[number]['lr'])


def parameter_kinds(model: nn.Module) -> dict[str, str]:
    """Tell weights from norms and biases.

    Args:
        model (nn.Module): Any module.

    Returns:
        dict[str, str]: 'weight', 'norm' or 'bias' by full dotted name. What a
        module with Norm in its class's name owns is a norm, its bias
        included, and so is what a module lists in ``norm_parameters``.
    """
    kinds = {}
    for path, module in model.named_modules():
        is_norm = 'Norm' in type(module).__name__
        scales = getattr(module, 'norm_parameters', ())
        for name, _ in module.named_parameters(recurse=False):
            kind = ('norm' if is_norm or name in scales else
                    'bias' if name == 'bias' else 'weight')
            kinds[f'{path}.{name}' if path else name] = kind
    return kinds


def _check_multiplier(key: str, multiplier: float) -> None:
    if not multiplier > 0:
        raise _refusal(
            key, 'a multiplier above 0', str(multiplier),
            'freeze what shall not learn: mmpose_ext.FreezeHook')


def _refusal(key: str, expected: str, found: str, hint: str = '') -> DataError:
    return DataError('config', f'optim_wrapper.paramwise_cfg.{key}', expected,
                     found, hint)
