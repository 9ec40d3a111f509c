"""Making sure that a training starts from the weights it was given.

MMEngine loads what fits and logs the rest: with one wrong prefix a network
"starts from a checkpoint" of which not one tensor was used.
"""
from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import CheckpointLoader, Runner
from torch import Tensor, nn

from mmpose_ext.registry import HOOKS
from mmpose_ext.storage.errors import DataError
from mmpose_ext.training.parameter_table import text_table
from mmpose_ext.training.stages import BACKBONE, bare_model, find_stages

MIN_SHARE = .9
_WRAPPER = 'module.'


@HOOKS.register_module()
class CheckpointSanityHook(Hook):
    """Stops a run whose checkpoint did not reach its network.

    Watched are ``load_from`` and every ``init_cfg`` of type 'Pretrained'. A
    table tells how many tensors of each stage came from the file. It is an
    error if a stage of the backbone got none or the backbone less than 90 %;
    where there is no backbone, the same holds of the whole. A resumed run is
    not examined.
    """

    # before hooks that change weights of their own
    priority = 'VERY_HIGH'

    def after_load_checkpoint(self, runner: Runner,
                              checkpoint: dict[str, Any]) -> None:
        """Compare ``load_from`` with the model, before it is copied.

        Raises:
            DataError: If too little fits.
        """
        if runner._resume:
            return
        tensors = state_of(checkpoint)
        parameters = dict(bare_model(runner.model).named_parameters())
        loaded = {name for name, parameter in parameters.items()
                  if name in tensors
                  and tensors[name].shape == parameter.shape}
        _report(runner, runner._load_from, loaded, parameters)
        require_loaded(runner.model, loaded, parameters, runner._load_from,
                       _naming_hint(parameters, tensors, len(loaded)))

    def before_train(self, runner: Runner) -> None:
        """Compare initialised modules with the files that they name.

        Raises:
            DataError: If too little came from one.
        """
        if runner._has_loaded:  # which replaced what was initialised
            return
        for path, module, settings in _pretrained_modules(runner.model):
            file = settings['checkpoint']
            tensors = state_of(
                CheckpointLoader.load_checkpoint(file, map_location='cpu'))
            prefix = (settings.get('prefix') or '').rstrip('.')
            prefix += '.' if prefix else ''
            parameters = dict(module.named_parameters())
            loaded = {
                f'{path}{name}' for name, parameter in parameters.items()
                if _equal(parameter, tensors.get(f'{prefix}{name}'))
            }
            meant = [f'{path}{name}' for name in parameters]
            _report(runner, file, loaded, meant)
            require_loaded(runner.model, loaded, meant, file,
                           _naming_hint(parameters, tensors, len(loaded)))


def state_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors of a checkpoint by name, without DDP's 'module.' in front."""
    state = checkpoint.get('state_dict', checkpoint)
    return {name.removeprefix(_WRAPPER): value
            for name, value in state.items() if isinstance(value, Tensor)}


def origin_table(model: nn.Module, loaded: Collection[str],
                 meant: Collection[str]) -> str:
    """Tell how much of each stage came from a file.

    Args:
        model (nn.Module): An estimator, wrapped or not.
        loaded (Collection[str]): Parameters that came from the file, by full
            dotted name.
        meant (Collection[str]): Those that were meant to.

    Returns:
        str: A line a stage: 'loaded n of N tensors (x %)'.
    """
    rows = []
    for stage in find_stages(model):
        members = [name for name in stage.parameters if name in meant]
        if members:
            count = sum(name in loaded for name in members)
            rows.append([stage.name, f'{count} of {len(members)}',
                         f'{count / len(members):.0%}'])
    return text_table(('stage', 'tensors loaded', 'share'), rows)


def require_loaded(model: nn.Module,
                   loaded: Collection[str],
                   meant: Collection[str],
                   file: str,
                   hint: str = '') -> None:
    """Check that a file reached the backbone, or the whole without one.

    Args:
        model (nn.Module): An estimator, wrapped or not.
        loaded (Collection[str]): Parameters that came from the file, by full
            dotted name.
        meant (Collection[str]): Those that were meant to.
        file (str): The file.
        hint (str): Added to the error. Defaults to ''.

    Raises:
        DataError: If less than 90 % did, or none of a stage.
    """
    backbone = [name for name in meant if name.startswith(BACKBONE)]
    what = 'the backbone' if backbone else 'the model'
    wanted = set(backbone or meant)
    count = len(wanted.intersection(loaded))
    if count < MIN_SHARE * len(wanted):
        raise DataError(
            file, what, f'{MIN_SHARE:.0%} of its {len(wanted)} tensors by '
            'name and shape', f'{count} of {len(wanted)}', hint)
    for stage in find_stages(model):
        members = wanted.intersection(stage.parameters)
        if members and not members.intersection(loaded):
            raise DataError(file, f'stage {stage.name}',
                            f'its {len(members)} tensors by name and shape',
                            f'0 of {len(members)}', hint)


def naming_hint(wanted: Collection[str], available: Collection[str]) -> str:
    """Find the prefix that makes most names of a file those of a model.

    Args:
        wanted (Collection[str]): Names of the model or module.
        available (Collection[str]): Names in the file.

    Returns:
        str: A hint; '' if names as they are match as often.
    """
    available = set(available)
    best, hint = sum(name in available for name in wanted), ''
    for prefix in _prefixes(available):
        count = sum(f'{prefix}{name}' in available for name in wanted)
        if count > best:
            best, hint = count, (
                f'with prefix={prefix!r} {count} of {len(wanted)} names '
                'would match')
    for prefix in _prefixes(wanted):
        count = sum(name.startswith(prefix)
                    and name.removeprefix(prefix) in available
                    for name in wanted)
        if count > best:
            module = prefix.rstrip('.')
            best, hint = count, (
                f'the file holds {module} alone, {count} names match without '
                f'{prefix!r}: give it to model.{module}.init_cfg')
    return hint


def _naming_hint(parameters: Collection[str], tensors: Mapping[str, Tensor],
                 count: int) -> str:
    """The hint on names, unless all that was meant came."""
    return '' if count == len(parameters) else naming_hint(
        parameters, tensors)


def _prefixes(names: Collection[str]) -> list[str]:
    """Leading one or two components of names, each with its dot."""
    found: dict[str, None] = {}
    for name in names:
        parts = name.split('.')
        for depth in (1, 2):
            if depth < len(parts):
                found['.'.join(parts[:depth]) + '.'] = None
    return list(found)


def _report(runner: Runner, file: str, loaded: Collection[str],
            meant: Collection[str]) -> None:
    table = origin_table(runner.model, loaded, meant)
    runner.logger.info(f'Weights from {file}:\n{table}')


def _pretrained_modules(
        model: nn.Module) -> Iterator[tuple[str, nn.Module, dict[str, Any]]]:
    """Prefix, module and settings of each 'Pretrained' initialisation."""
    for path, module in bare_model(model).named_modules():
        settings = getattr(module, 'init_cfg', None) or ()
        for one in [settings] if isinstance(settings, dict) else settings:
            if one.get('type') == 'Pretrained':
                yield f'{path}.' if path else '', module, one


def _equal(parameter: Tensor, value: Tensor | None) -> bool:
    return (value is not None and value.shape == parameter.shape
            and torch.equal(parameter.detach().cpu(),
                            value.to(parameter.dtype)))
