"""One object that predicts with a model of any family.

A family plugs in by ``mmpose_ext/<family>/inferencer.py`` with a function
``load(config, checkpoint, device, **options)`` that returns a
:class:`FamilyInferencer`. Its keyword-only parameters are the options that
there are; none of them may be called as an argument of the command that
means something else.
"""
from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn, Protocol

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.structures import PoseDataSample
from torch import nn

from mmpose_ext.families import family_module, family_names, family_of
from mmpose_ext.layout import project_root
from mmpose_ext.storage import DataError, close_matches
from mmpose_ext.stored_config import config_of
from mmpose_ext.training import choose_device


class FamilyInferencer(Protocol):
    """What a family's ``inferencer.load`` returns.

    Attributes:
        model: The network with its trained weights, on `device`.
        device: Where it runs.
    """

    model: nn.Module
    device: torch.device

    def __call__(self, inputs: Any, batch_size: int | None = None,
                 **options: Any) -> Iterator[PoseDataSample]:
        """Predict, reading no more than a batch ahead.

        Args:
            inputs: What the family reads.
            batch_size: Defaults to None: what suits the device.
            **options: The family's own, keyword-only parameters.

        Yields:
            PoseDataSample: With ``pred_instances`` as NumPy arrays.

        Raises:
            DataError: If an input is none that the family reads.
        """
        ...


class Inferencer:
    """Predict with a trained model of any family.

    Args:
        checkpoint (str | Path): A checkpoint of a training. It is loaded
            without running the code that it may hold.
        config (Config | str | Path, optional): A config, its file, or the
            name of one of this package, without ``.py``. Defaults to None:
            the one that is stored in the checkpoint, of which nothing is
            trusted (see :mod:`mmpose_ext.stored_config`).
        device (str): ``auto`` (a GPU if there is one), ``cpu``, ``cuda``,
            ``cuda:1`` ... Defaults to ``auto``.
        **options: Of the family, such as ``tta='d4'`` of direction.

    Attributes:
        family (str): Name of the family.
        config (Config): What the model was built from.
        checkpoint (Path): Its weights.

    Raises:
        DataError: If a file or the device is missing, or the checkpoint is
            of another model than the config.
        TypeError: If the family has no such option.

    Example::

        inferencer = Inferencer('work_dirs/horses/best.pth')
        for sample in inferencer('pictures'):
            print(sample.img_path, sample.pred_instances.keypoints)
    """

    def __init__(self, checkpoint: str | PathLike[str],
                 config: Config | str | PathLike[str] | None = None,
                 device: str | torch.device = 'auto',
                 **options: Any) -> None:
        self.checkpoint = Path(checkpoint)
        chosen = choose_device(str(device))
        self.config = (config_of(self.checkpoint) if config is None
                       else find_config(config))
        self.family = _family_of(self.config)
        load = _part_of(self.family, 'inferencer').load
        _check_options(options, load, f'Inferencer of {self.family}')
        self._enter_scope()
        self._options = options
        self._inferencer: FamilyInferencer = load(
            self.config, self.checkpoint, chosen, **options)

    @property
    def model(self) -> nn.Module:
        """The network with its trained weights."""
        return self._inferencer.model

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._inferencer.device

    def __call__(self, inputs: Any, batch_size: int | None = None,
                 **options: Any) -> Iterator[PoseDataSample]:
        """Predict, reading no more than a batch ahead.

        Args:
            inputs: A path, arrays, or an iterable of such, also an endless
                one; see the family's page.
            batch_size (int, optional): How much the network gets at a time.
                Defaults to None: what suits the device.
            **options: Of the family.

        Returns:
            Iterator[PoseDataSample]: One sample a picture, crop, time point
            or record, in order, with ``pred_instances`` as NumPy arrays.

        Raises:
            DataError: If an input is damaged or none that the family reads;
                of an iterable when its turn comes.
            TypeError: If the family has no such option.
        """
        _check_options(options, type(self._inferencer).__call__,
                       f'calling the Inferencer of {self.family}')
        if batch_size is not None and batch_size < 1:
            raise ValueError('batch_size: expected at least 1, found '
                             f'{batch_size}')
        self._enter_scope()
        return self._inferencer(inputs, batch_size, **options)

    def write(self, input_path: str | PathLike[str],
              out: str | PathLike[str], **options: Any) -> Path:
        """Predict and write the family's files, as ``tools/predict.py``.

        Args:
            input_path (str | Path): What the command takes for its input.
            out (str | Path): What it takes for ``--out``.
            **options: The command's options by name, with underscores:
                ``crop_side=120`` is ``--crop-side 120``. Those that the
                object was made with hold here too.

        Returns:
            Path: `out`.

        Raises:
            DataError: If the input is damaged or cannot be predicted from.
            TypeError: If the command has no such option.
            ValueError: If the command does not take a value.
        """
        predict = _part_of(self.family, 'predict')
        parser = _RaisingParser(prog=f'{self.family}: write', add_help=False)
        predict.add_arguments(parser)
        known = {action.dest: action for action in parser._actions
                 if action.option_strings and action.dest != 'out'}
        _refuse_unknown(options, known, parser.prog)
        settings = {'device': str(self.device), **self._options}
        settings = {name: value for name, value in settings.items()
                    if name in known} | options
        words = [f'--out={out}']
        for name, value in settings.items():
            words += _words(known[name], value)
        arguments = parser.parse_args(
            [*words, '--', str(self.checkpoint), str(input_path)])
        self._enter_scope()
        code = predict.run(self.config.copy(), arguments)
        if code:
            raise DataError(input_path, 'input', 'a prediction',
                            f'exit code {code}')
        return Path(out)

    def _enter_scope(self) -> None:
        init_default_scope(self.config.get('default_scope', 'mmpose'))


def iterate_some(inputs: Any) -> Iterator[Any]:
    """The items of an iterable of inputs.

    Raises:
        DataError: If it is none, or there are no items.
    """
    if not isinstance(inputs, Iterable):
        raise DataError('inputs', 'type', 'a path, an array or an iterable '
                        'of such', type(inputs).__name__)
    empty = True
    for item in inputs:
        empty = False
        yield item
    if empty:
        raise DataError('inputs', 'iterable', 'at least one item', 'none')


def find_config(config: Config | str | PathLike[str]) -> Config:
    """Load a config that the user names and so trusts.

    Args:
        config (Config | str | Path): A config, its file, or the name of one
            of this package, without ``.py``.

    Raises:
        DataError: If there is none.
    """
    if isinstance(config, Config):
        return config.copy()
    path = Path(config)
    if path.suffix != '.py':
        shipped = {file.stem: file for file in sorted(
            (project_root() / 'configs').rglob('*.py'))
            if '_base_' not in file.parts}
        if str(config) not in shipped:
            raise DataError(
                config, 'config', 'a .py file, or the name of a config of '
                'this package', 'neither',
                close_matches(str(config), shipped))
        path = shipped[str(config)]
    try:
        return Config.fromfile(path)
    except (OSError, SyntaxError) as error:
        raise DataError(path, 'config', 'a config that can be read',
                        str(error)) from error


def _family_of(config: Config) -> str:
    try:
        return family_of(config)
    except ValueError as error:
        raise DataError(
            config.filename or 'config', 'custom_imports.imports',
            'one of ' + ', '.join(f'mmpose_ext.{name}'
                                  for name in family_names()),
            str(config.get('custom_imports', {}).get('imports', []))
        ) from error


def _part_of(family: str, name: str) -> Any:
    module = family_module(family, name)
    if module is None:
        raise NotImplementedError(f'the family {family} has no {name}.py')
    return module


def _check_options(options: Mapping[str, Any], function: Callable[..., Any],
                   what: str) -> None:
    """Refuse keywords that are no keyword-only parameters of a function."""
    known = [name for name, parameter
             in inspect.signature(function).parameters.items()
             if parameter.kind is parameter.KEYWORD_ONLY]
    _refuse_unknown(options, known, what)


def _refuse_unknown(options: Mapping[str, Any],
                    known: Sequence[str] | Mapping[str, Any],
                    what: str) -> None:
    unknown = sorted({*options} - {*known})
    if unknown:
        raise TypeError(f'{what}: no option {", ".join(unknown)}; there are '
                        f'{", ".join(sorted(known)) or "none"}')


class _RaisingParser(argparse.ArgumentParser):
    """A parser that raises where others end the program."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f'{self.prog}: {message}')


def _words(action: argparse.Action, value: Any) -> list[str]:
    """An option as the command line has it; none for its default."""
    flag = action.option_strings[-1]
    if value is None or value is False:
        return []
    if action.nargs == 0:
        if value is not True:
            raise ValueError(f'{action.dest}: expected True or False, found '
                             f'{value!r}')
        return [flag]
    if action.nargs is None:
        return [f'{flag}={value}']
    values = [value] if isinstance(value, str | PathLike) else list(value)
    return [flag, *map(str, values)]
