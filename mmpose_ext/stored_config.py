"""The config inside a checkpoint, of which nothing is trusted.

MMEngine stores the text of the config in a checkpoint and, to read it, runs
it. Beyond that a config runs code by what it names: ``type='os.system'`` is
imported from wherever it is, so are the modules of ``custom_imports`` and the
package of ``_scope_``, and a Python file of metainfo is run. Here the text is
read as values, and names are those of registered parts of this package, of
MMPose and of what it is built from. What would fetch a file is left out.
"""
from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

from mmengine.config import Config
from mmengine.registry import Registry

from mmpose_ext.compat.checkpoints import (
    BrokenCheckpointError,
    UnsafeCheckpointError,
    load_checkpoint,
)
from mmpose_ext.families import family_names
from mmpose_ext.storage import DataError, check_file
from mmpose_ext.storage.run_config import parse_config_text

TRUST = ('a config that is given is trusted: Inferencer(checkpoint, '
         'config=...)')
# The parts that name classes and are needed to predict.
PARTS = ('model', 'train_dataloader', 'val_dataloader', 'test_dataloader',
         'test_evaluator')
# Weights to begin from, which those of the checkpoint replace, and places on
# other machines.
FETCHING = ('init_cfg', 'pretrained', 'load_from', 'backend_args',
            'file_client_args')
SCOPES = ('mmpose_ext', 'mmpose', 'mmengine', 'mmdet')
# Where registered names may lie. Not among them are classes that run or
# unpickle files which the config names: distillers, and data sets of others.
HOMES = tuple(f'{name}.' for name in (
    'mmpose_ext', 'mmpose.codecs', 'mmpose.datasets.transforms',
    'mmpose.evaluation', 'mmpose.models.backbones',
    'mmpose.models.data_preprocessors', 'mmpose.models.heads',
    'mmpose.models.losses', 'mmpose.models.necks',
    'mmpose.models.pose_estimators', 'mmdet.models.backbones',
    'mmdet.models.layers', 'mmdet.models.necks', 'mmcv.cnn',
    'mmcv.transforms', 'mmengine.dataset.sampler', 'mmengine.dataset.utils',
    'mmengine.model', 'torch.nn'))


def config_of(checkpoint: str | PathLike[str]) -> Config:
    """The config that a checkpoint was trained with, safe to build from.

    Hooks, optimisers, loggers and whatever else is not needed to predict are
    left out.

    Args:
        checkpoint (str | Path): A checkpoint of MMEngine.

    Returns:
        Config: With the checkpoint's path as its file name.

    Raises:
        DataError: If the checkpoint cannot be loaded or holds no config, or
            one that could run code.
    """
    path = check_file(checkpoint)
    try:
        loaded = load_checkpoint(path, map_location='cpu', mmap=True)
    except (OSError, BrokenCheckpointError, UnsafeCheckpointError) as error:
        raise DataError(path, 'file', 'a checkpoint', str(error)) from error
    meta = loaded.get('meta') if isinstance(loaded, dict) else None
    text = meta.get('cfg') if isinstance(meta, dict) else None
    if not isinstance(text, str):
        raise DataError(path, 'meta.cfg', "the text of the training's config",
                        'none', 'give it: Inferencer(checkpoint, config=...)')
    try:
        return Config(_Checker(path).check(parse_config_text(text)),
                      cfg_text=text, filename=str(path))
    except DataError:
        raise
    except ValueError as error:
        raise DataError(path, 'meta.cfg', 'a config of values alone',
                        str(error), TRUST) from error
    except KeyError as error:  # a name that MMEngine keeps for itself
        raise DataError(path, 'meta.cfg', 'a config of MMEngine',
                        str(error.args[0])) from error


class _Checker:
    """Refuses what could run code.

    Args:
        path (Path): The checkpoint, for errors.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Values of a config without what is not needed."""
        self._check_imports(config.get('custom_imports', {}))
        scope = config.get('default_scope', 'mmpose')
        if scope not in SCOPES:
            self._refuse('default_scope', f'one of {", ".join(SCOPES)}',
                         scope)
        return {key: self._copy(value, key) for key, value in config.items()
                if key in PARTS or not _names_classes(value)
                if key not in FETCHING}

    def _check_imports(self, settings: Any) -> None:
        allowed = {'mmpose_ext', *(f'mmpose_ext.{family}'
                                   for family in family_names())}
        names = settings.get('imports') if isinstance(
            settings, dict) else settings
        names = [names] if isinstance(names, str) else names or []
        if not isinstance(names, list | tuple) or not all(
                isinstance(name, str) and name in allowed for name in names):
            self._refuse('custom_imports.imports',
                         f'some of {", ".join(sorted(allowed))}', names)
        for name in names:  # they register their parts
            importlib.import_module(name)

    def _copy(self, value: Any, where: str) -> Any:
        """A part of the config, checked, without what would fetch a file."""
        if isinstance(value, list | tuple | set):
            return type(value)(self._copy(item, f'{where}[{i}]')
                               for i, item in enumerate(value))
        if isinstance(value, str) and Path(value).suffix.lower() == '.py':
            self._refuse(where, 'no file of Python', value)
        if not isinstance(value, dict):
            return value
        if 'from_file' in value:
            self._refuse(f'{where}.from_file', 'nothing', value['from_file'])
        scope = value.get('_scope_', 'mmpose')
        if scope not in SCOPES:
            self._refuse(f'{where}._scope_', f'one of {", ".join(SCOPES)}',
                         scope)
        # what metainfo calls a type is that of a keypoint
        if 'type' in value and '.metainfo' not in where:
            self._check_type(f'{where}.type', value['type'], scope)
        return {key: self._copy(item, f'{where}.{key}')
                for key, item in value.items() if key not in FETCHING}

    def _check_type(self, where: str, name: Any, scope: str) -> None:
        prefix, _, bare = str(name).rpartition('.')
        scopes = (prefix, ) if prefix else (scope, *SCOPES[:3])
        if not isinstance(name, str) or not {*scopes} <= {*SCOPES} or not any(
                _is_at_home(found) for found in _registered(bare, scopes)):
            self._refuse(where, 'the name of a registered part of '
                         'mmpose_ext or MMPose', name)

    def _refuse(self, where: str, expected: str, found: Any) -> NoReturn:
        raise DataError(self.path, f'meta.cfg, {where}', expected,
                        f'{found!r:.200}', TRUST)


def _names_classes(value: Any) -> bool:
    """Whether anything in a part of a config may be built."""
    if isinstance(value, dict):
        return 'type' in value or any(map(_names_classes, value.values()))
    return isinstance(value, list | tuple) and any(map(_names_classes, value))


def _is_at_home(found: Any) -> bool:
    return f'{getattr(found, "__module__", "")}.'.startswith(HOMES)


def _registered(name: str, scopes: tuple[str, ...]) -> Iterator[Any]:
    """What is registered under a name, which itself is never imported."""
    registries = [registry for scope in dict.fromkeys(scopes)
                  for registry in vars(importlib.import_module(
                      f'{scope}.registry')).values()
                  if isinstance(registry, Registry)
                  and registry.scope in (scope, 'mmengine')]
    for registry in registries:
        if name in registry.module_dict:
            yield registry.module_dict[name]
    # most are models, and importing the others takes time
    for registry in sorted(registries, key=lambda each: each.name != 'model'):
        registry.import_from_location()
        if name in registry.module_dict:
            yield registry.module_dict[name]
