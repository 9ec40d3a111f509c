"""Checkpoints of the original behaviour transformer, made into ours.

``python -m mmpose_ext.behavior.original_checkpoints MODEL_CONFIG WEIGHTS OUT``
reads the ``model_config.yml`` and ``weights_last.pt`` of the original. It
writes a checkpoint that ``tools/predict.py``, ``tools/test.py`` and
``load_from`` take like one of our own, and prints the config of the model,
which gives what the original gives.

Nothing but tensors and plain values is read.
"""
from __future__ import annotations

import argparse
import pickle
import pprint
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from mmpose_ext.behavior.original_names import (
    backbone_settings,
    head_settings,
    rename_original,
    task_name,
)
from mmpose_ext.compat.checkpoints import damage
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import (
    DataError,
    atomic_file,
    check_file,
    refuse_to_replace,
)
from mmpose_ext.training import state_of

_NO_TASKS = ('embedding', )  # of an exported embedder: no weights


def read_settings(path: str | Path) -> dict[str, Any]:
    """Read a ``model_config.yml``.

    Raises:
        DataError: If it is missing or no such file.
    """
    check_file(path)
    try:
        content = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(path, 'file', 'a YAML file of plain values',
                        str(error).splitlines()[0]) from error
    if not isinstance(content, dict) or not isinstance(
            content.get('backbone'), dict):
        raise DataError(path, 'backbone', 'settings of a network', 'none',
                        'it is the model_config.yml beside weights/')
    return content


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the weights of an original, making nothing but tensors.

    Raises:
        DataError: If the file is missing, damaged, or holds other things.
    """
    check_file(path)
    reason = damage(Path(path))
    if reason:
        raise DataError(path, 'file', 'a whole checkpoint', reason)
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise DataError(path, 'objects', 'tensors alone',
                        str(error).splitlines()[0]) from error
    state = state_of(content) if isinstance(content, dict) else {}
    if not any(name.startswith('backbone.') for name in state):
        raise DataError(path, 'content', 'tensors named backbone.*',
                        ', '.join(list(state)[:3]) or 'no tensors')
    return state


def model_settings(path: str | Path, settings: Mapping[str, Any],
                   state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Config of the :class:`LisbetModel` that an original is.

    Args:
        path (str | Path): Where the settings are from, for errors.
        settings (Mapping): As :func:`read_settings` gives them.
        state (Mapping[str, Tensor]): The original's weights.

    Raises:
        DataError: If a setting is missing or has no counterpart.
    """
    heads = {}
    try:
        backbone = backbone_settings(settings['backbone'])
        for name, head in (settings.get('out_heads') or {}).items():
            if name not in _NO_TASKS:
                task = task_name(name)
                heads[task] = head_settings(
                    task, head or {},
                    f'task_heads.{name}.logits.weight' in state)
    except KeyError as error:
        raise DataError(path, 'settings', 'the original\'s, as its release '
                        '0.4 writes them', f'no {error.args[0]!r}') from error
    points = settings.get('input_features') or {}
    return dict(
        type='mmpose_ext.LisbetModel',
        data_preprocessor=dict(
            type='mmpose_ext.LisbetPreprocessor',
            individuals=len(points.get('individuals') or (0, 0)),
            keypoints=len(points.get('keypoints') or range(7)),
            axes=len(points.get('space') or (0, 0))),
        backbone=backbone, heads=heads,
        window_offset=int(settings.get('window_offset', 0)))


def convert_original(config: str | Path,
                     weights: str | Path) -> dict[str, Any]:
    """Make an original checkpoint one of ours.

    Args:
        config (str | Path): ``model_config.yml``.
        weights (str | Path): ``weights_last.pt``.

    Returns:
        dict: ``state_dict`` and ``meta``: in it ``model``, the config of the
        model, ``dataset_meta`` with what the original knows of its data, and
        ``left_out``, names of tensors without a counterpart.

    Raises:
        DataError: If a file is damaged or of something else, or the two do
            not fit each other.
    """
    settings, state = read_settings(config), read_weights(weights)
    model = model_settings(config, settings, state)
    renamed, left = rename_original(state, settings['backbone'])
    built = MODELS.build(dict(model, data_preprocessor=None))
    try:
        built.load_state_dict(renamed, strict=True)
    except RuntimeError as error:
        reason = [line.strip() for line in str(error).splitlines()][1:2]
        raise DataError(weights, 'weights', f'those of {config}',
                        f'others: {"".join(reason)}') from error
    points = settings.get('input_features') or {}
    return dict(
        state_dict=renamed,
        meta=dict(
            model=model,
            dataset_meta=dict(
                dataset_name='behavior',
                individuals=list(points.get('individuals') or ()),
                keypoint_id2name=dict(enumerate(
                    points.get('keypoints') or ())),
                axes=list(points.get('space') or ()),
                tasks=list(model['heads']),
                window_size=settings.get('window_size'),
                window_offset=model['window_offset']),
            converted_from=Path(weights).name,
            left_out=left))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv (Sequence[str], optional): Defaults to the command line.

    Returns:
        int: Exit code; 1 for bad data, 2 for wrong usage.
    """
    parser = argparse.ArgumentParser(
        prog='python -m mmpose_ext.behavior.original_checkpoints',
        description='Make a checkpoint of the original behaviour transformer '
        'one of ours.')
    parser.add_argument('config', type=Path, help='its model_config.yml')
    parser.add_argument('weights', type=Path, help='its weights_last.pt')
    parser.add_argument('out', type=Path, help='.pth to write')
    arguments = parser.parse_args(argv)
    try:
        refuse_to_replace(arguments.out,
                          [arguments.config, arguments.weights])
        checkpoint = convert_original(arguments.config, arguments.weights)
    except DataError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    with atomic_file(arguments.out) as temporary:
        torch.save(checkpoint, temporary)
    meta = checkpoint['meta']
    if meta['left_out']:
        print('left out, without a counterpart: '
              f'{", ".join(meta["left_out"])}')
    print(f'model = {pprint.pformat(meta["model"], sort_dicts=False)}\n'
          f'window_size: {meta["dataset_meta"]["window_size"]}\n'
          f'written: {arguments.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
