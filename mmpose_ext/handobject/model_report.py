"""``tools/model_report.py``: parameters by component, and their gradients.

A parameter that no loss reaches never learns. One real training step, with
all hooks of the config, shows them.
"""
from __future__ import annotations

import argparse
import contextlib
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from mmpose_ext.drawing.curves import COLORS
from mmpose_ext.drawing.figures import new_figure, save_figure
from mmpose_ext.handobject.missing_files import drop_losses_without_files
from mmpose_ext.handobject.report_files import (
    add_out_option,
    check_out_option,
    leave_report,
)
from mmpose_ext.handobject.update_guard import component_groups
from mmpose_ext.registry import MODELS
from mmpose_ext.training import bare_model, text_table
from mmpose_ext.training.benchmark_figures import open_session
from mmpose_ext.training.loading import without_log

NAME = 'model_report'
_NAMES_SHOWN = 12
_FROZEN_COLOR = '#BBBBBB'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_out_option(parser, NAME)
    parser.add_argument(
        '--step', action=argparse.BooleanOptionalAction, default=True,
        help='make a training step, which needs the data set')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Print the table; write picture and figures."""
    check_out_option(arguments.out)
    report = report_model(config, arguments.step)
    leave_report(report, render(report), draw, arguments.out, NAME)
    return 0


def report_model(config: Config, step: bool = True) -> dict[str, Any]:
    """Everything about a config's model; its weights are drawn.

    Args:
        config (Config): Of a training.
        step (bool): Whether to make a training step. Defaults to True.

    Returns:
        dict: ``components`` by name, each with ``parameters``,
        ``trainable``, ``mebibytes``, ``dtypes`` and, after a step,
        ``gradient_norm``; ``total``; ``losses_left_out``, which need files
        that are not there; after a step ``losses``,
        ``without_gradient`` (no loss reaches them), ``zero_gradient`` (of
        this batch; all of what precedes layers that begin at 0, too) and
        ``not_in_optimizer``, names of parameters that shall train.
    """
    config = without_weights(config)
    said = dict(config=str(config.filename),
                losses_left_out=drop_losses_without_files(config))
    if not step:
        with without_log():
            model: nn.Module = MODELS.build(config.model)
        return dict(said, **describe(model))
    with open_session(config) as session:
        watch = _WatchStep()
        session.runner.register_hook(watch, priority='LOWEST')
        with contextlib.suppress(_Seen):
            session.runner.train()
        # as the hooks of the config left it: frozen, and so on
        found = describe(bare_model(session.runner.model))
    for name, norm in watch.norms.items():
        found['components'][name]['gradient_norm'] = norm
    return dict(said, **found, losses=watch.losses, **watch.names)


def describe(model: nn.Module) -> dict[str, Any]:
    """Sizes of a bare model, by component and in all."""
    groups = component_groups(model)
    return dict(
        components={name: _sizes(group) for name, group in groups.items()},
        total=_sizes(list(model.parameters())))


def without_weights(config: Config) -> Config:
    """A copy of a config that loads no weights from files."""
    config = Config(config.to_dict(), filename=config.filename)
    config.load_from, config.resume = None, False
    _drop_pretrained(config.model)
    return config


def render(report: Mapping[str, Any]) -> str:
    """The report as text."""
    rows = [_row(name, part, report['total'])
            for name, part in [*report['components'].items(),
                               ('all', report['total'])]]
    text = text_table(('component', 'parameters', 'trainable', 'share', 'MiB',
                       'dtype', 'gradient'), rows)
    if 'losses' in report:
        losses = ', '.join(f'{name} {value:.4g}'
                           for name, value in report['losses'].items())
        text += f'\nlosses of the first batch: {losses}'
    if report.get('losses_left_out'):
        text += ('\nlosses left out, whose files are not there: '
                 f'{", ".join(report["losses_left_out"])}')
    for key, what in (
            ('without_gradient', 'no loss reaches'),
            ('zero_gradient', 'a gradient of 0 in this batch have'),
            ('not_in_optimizer', 'not in the optimizer are')):
        if key in report:
            text += f'\n{what}: {_listed(report[key])}'
    return text


def draw(report: Mapping[str, Any], path: Path) -> None:
    """Draw the components as bars, what trains in colour.

    Args:
        report (Mapping): Of :func:`report_model`.
        path (Path): PNG to write.
    """
    parts = report['components']
    names = list(parts)[::-1]
    figure = new_figure(9, 1.2 + .26 * len(names), layout='constrained')
    axis = figure.subplots()
    trains = [parts[name]['trainable'] for name in names]
    frozen = [parts[name]['parameters'] - parts[name]['trainable']
              for name in names]
    axis.barh(names, trains, color=COLORS[0], label='trains')
    axis.barh(names, frozen, left=trains, color=_FROZEN_COLOR,
              label='frozen')
    largest = max(part['parameters'] for part in parts.values())
    for row, name in enumerate(names):
        part = parts[name]
        text = f'{part["parameters"]:,}'
        if 'gradient_norm' in part:
            text += f'   |g| {part["gradient_norm"]:.2g}'
        axis.text(part['parameters'] + .01 * largest, row, text, va='center',
                  fontsize=8)
    total = report['total']
    axis.set(xlim=(0, 1.35 * largest), xlabel='parameters',
             title=f'{total["parameters"]:,} parameters, '
             f'{total["trainable"]:,} train')
    axis.spines[['top', 'right']].set_visible(False)
    axis.tick_params(axis='y', labelsize=8)
    axis.legend(frameon=False, fontsize=8, loc='lower right')
    save_figure(figure, path)


class _Seen(Exception):  # noqa: N818 - it is no error
    """The step was made."""


class _WatchStep(Hook):
    """Takes notes of the first backward pass and ends the run."""

    def __init__(self) -> None:
        self.losses: dict[str, float] = {}
        self.norms: dict[str, float] = {}
        self.names: dict[str, list[str]] = {}

    def before_train_iter(self, runner: Runner, batch_idx: int,
                          data_batch: Any = None) -> None:
        """Listen to losses, and stand behind the backward pass."""
        model: Any = bare_model(runner.model)
        wrapper: Any = runner.optim_wrapper
        parse, backward = model.parse_losses, wrapper.backward

        def listen(losses: dict[str, Any]) -> Any:
            total, parts = parse(losses)
            self.losses = {name: float(value.detach()) for name, value
                           in parts.items() if 'loss' in name}
            return total, parts

        def stop(loss: Tensor, **kwargs: Any) -> None:
            backward(loss, **kwargs)
            self._look(model, wrapper)
            raise _Seen

        model.parse_losses, wrapper.backward = listen, stop

    def _look(self, model: nn.Module, wrapper: Any) -> None:
        learnt = {id(parameter) for group in wrapper.param_groups
                  for parameter in group['params']}
        trains = {name: value for name, value in model.named_parameters()
                  if value.requires_grad}
        self.names = dict(
            without_gradient=[name for name, value in trains.items()
                              if value.grad is None],
            zero_gradient=[name for name, value in trains.items()
                           if value.grad is not None
                           and not bool(value.grad.any())],
            not_in_optimizer=[name for name, value in trains.items()
                              if id(value) not in learnt])
        self.norms = {
            name: math.sqrt(sum(float(value.grad.float().square().sum())
                                for value in group if value.grad is not None))
            for name, group in component_groups(model).items()
            if any(value.grad is not None for value in group)}


def _sizes(parameters: list[nn.Parameter]) -> dict[str, Any]:
    types: Counter[str] = Counter()
    for value in parameters:
        types[str(value.dtype).removeprefix('torch.')] += value.numel()
    return dict(
        parameters=sum(value.numel() for value in parameters),
        trainable=sum(value.numel() for value in parameters
                      if value.requires_grad),
        mebibytes=sum(value.numel() * value.element_size()
                      for value in parameters) / 2**20,
        dtypes=dict(types))


def _row(name: str, part: Mapping[str, Any],
         total: Mapping[str, Any]) -> list[str]:
    norm = part.get('gradient_norm')
    return [name, f'{part["parameters"]:,}', f'{part["trainable"]:,}',
            f'{part["parameters"] / max(total["parameters"], 1):.1%}',
            f'{part["mebibytes"]:.1f}', ' '.join(part['dtypes']),
            '-' if norm is None else f'{norm:.3g}']


def _listed(names: list[str]) -> str:
    shown = ', '.join(names[:_NAMES_SHOWN]) or 'none'
    more = len(names) - _NAMES_SHOWN
    return f'{shown} and {more} more' if more > 0 else shown


def _drop_pretrained(settings: Any) -> None:
    """Leave out what would load weights, wherever it stands."""
    if isinstance(settings, dict):
        init = settings.get('init_cfg')
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            del settings['init_cfg']
    elif not isinstance(settings, list | tuple):
        return
    values = settings.values() if isinstance(settings, dict) else settings
    for value in values:
        _drop_pretrained(value)

