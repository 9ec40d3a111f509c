"""Refusing settings that nothing would read."""
from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmpose_ext.registry import HOOKS
from mmpose_ext.storage.errors import DataError, close_matches

# what Runner.from_cfg, Runner's methods and MMPose's scripts look up
READ_KEYS = frozenset((
    'model', 'work_dir', 'train_dataloader', 'val_dataloader',
    'test_dataloader', 'train_cfg', 'val_cfg', 'test_cfg', 'auto_scale_lr',
    'optim_wrapper', 'param_scheduler', 'val_evaluator', 'test_evaluator',
    'default_hooks', 'custom_hooks', 'data_preprocessor', 'load_from',
    'resume', 'launcher', 'env_cfg', 'log_processor', 'log_level',
    'visualizer', 'default_scope', 'randomness', 'experiment_name',
    'model_wrapper_cfg', 'sync_bn', 'find_unused_parameters',
    'activation_checkpointing', 'efficient_conv_bn_eval', 'compile',
    'preprocess_cfg'))

# parts of which MMEngine reads these keys and ignores all others
READ_PARTS = dict(
    env_cfg=('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    auto_scale_lr=('enable', 'base_batch_size'))

DATA_VARIABLE = 'MMPOSE_EXT_DATA'


@HOOKS.register_module()
class ConfigCheckHook(Hook):
    """Stops a run whose ``--cfg-options`` would be ignored.

    MMEngine takes any key on the command line. One that is misspelt, or that
    the config file has already copied to where it is used (``data_root``,
    ``max_epochs``), changes nothing, and no one says so.
    """

    priority = 'HIGHEST'

    def before_run(self, runner: Runner) -> None:
        """Check the run's config.

        Raises:
            DataError: If a setting would be ignored.
        """
        check_config(runner.cfg)


def check_config(config: Config) -> None:
    """Refuse a config with settings that neither Runner nor scripts read.

    Variables of the config file itself are free, unless they look like a
    misspelt key of the Runner. A config without a file is not compared. A
    hook that reads keys of its own names them in ``config_keys``, a tuple on
    its class.

    Args:
        config (Config): As it is run, the command line's changes included.

    Raises:
        DataError: If a setting would be ignored; it names the key and what
            to write instead.
    """
    name = config.filename or 'config'
    _check_parts(config, name)
    if 'model_wrapper_cfg' in config and 'find_unused_parameters' in config:
        raise DataError(
            name, 'find_unused_parameters', 'a key that is read',
            'one that model_wrapper_cfg hides',
            'write model_wrapper_cfg.find_unused_parameters='
            f'{config.find_unused_parameters}')
    if config.filename is None or not Path(config.filename).is_file():
        return
    written = Config.fromfile(config.filename)
    for key in sorted(set(config) - READ_KEYS - _keys_of_hooks(config)):
        if key not in written or written[key] != config[key]:
            raise DataError(name, key, 'a key that is read',
                            f'{key}={config[key]!r} in --cfg-options',
                            _advice(key, config[key], written))
        near = difflib.get_close_matches(key, READ_KEYS, n=1, cutoff=.9)
        if near:
            raise DataError(name, key, 'a key that is read', repr(key),
                            f'did you mean {near[0]}?')


def _keys_of_hooks(config: Config) -> set[str]:
    """Keys that hooks of ours read: what their ``config_keys`` names."""
    types = [str(hook['type']) for hook in config.get('custom_hooks') or ()
             if 'type' in hook]
    return {key for name in types if name.startswith('mmpose_ext.')
            for key in getattr(HOOKS.get(name), 'config_keys', ())}


def _check_parts(config: Config, name: str) -> None:
    for part, known in READ_PARTS.items():
        for key in config.get(part) or ():
            if key not in known:
                raise DataError(name, f'{part}.{key}',
                                f'one of {", ".join(known)}', repr(key),
                                close_matches(key, known))


def _advice(key: str, value: Any, written: Config) -> str:
    """What to write instead of an ignored key."""
    if key not in written:
        named = [place for place, _ in _settings(written)
                 if place.rpartition('.')[2] == key]
        near = named or difflib.get_close_matches(key, READ_KEYS, n=1)
        return f'did you mean {" or ".join(near)}?' if near else ''
    instead = [
        f'{place}{part}={changed}'
        for place in _places(key, written[key], written)
        for part, changed in _changes(written[key], value)
    ]
    advice = 'the file has copied it to where it is used'
    if instead:
        advice += f'; write {" ".join(instead)}'
    if isinstance(value, str) and 'root' in key:
        advice += f', or set the variable {DATA_VARIABLE}'
    return advice


def _places(key: str, value: Any, written: Config) -> list[str]:
    """Dotted names of the settings that hold a variable's value.

    A setting of another name counts only if the value is a text or a part of
    the config: equal numbers are mostly chance.
    """
    is_telling = isinstance(value, (str, dict, list))
    return [
        place for place, found in _settings(written) if found == value and
        (is_telling or place.rpartition('.')[2] == key)
    ]


def _settings(written: Config) -> Iterator[tuple[str, Any]]:
    """Dotted name and value of all that is read, parts before their parts."""

    def walk(part: Any, path: str) -> Iterator[tuple[str, Any]]:
        yield path, part
        items = (
            part.items() if isinstance(part, dict) else
            enumerate(part) if isinstance(part, (list, tuple)) else ())
        for name, child in items:
            yield from walk(child, f'{path}.{name}')

    for top in sorted(READ_KEYS & set(written)):
        yield from walk(written[top], top)


def _changes(old: Any, new: Any) -> Iterator[tuple[str, Any]]:
    """Dotted ends of the names under which a value differs, and its parts."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        yield '', new
        return
    for key, value in new.items():
        if key not in old:
            yield f'.{key}', value
        elif old[key] != value:
            for part, changed in _changes(old[key], value):
                yield f'.{key}{part}', changed


def find_settings(
    settings: Any, place: str, wanted: Callable[[Mapping[str, Any]], bool]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Find parts of a config, however deep they are wrapped.

    Args:
        settings (Any): The config or a part of it.
        place (str): Its dotted place.
        wanted (Callable): Whether a dict of settings is looked for; what is
            inside of one is not searched.

    Yields:
        tuple[str, Mapping]: Dotted place and settings.
    """
    if isinstance(settings, Mapping):
        if wanted(settings):
            yield place, settings
            return
        children: Any = settings.items()
    elif isinstance(settings, (list, tuple)):
        children = enumerate(settings)
    else:
        return
    for key, value in children:
        yield from find_settings(value, f'{place}.{key}', wanted)
