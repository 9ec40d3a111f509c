"""What the original behaviour transformer calls its weights and settings."""
from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

# Names of tasks in older releases.
OLD_TASKS = dict(nwp='order', smp='cons', dmp='shift', vsp='warp')
FRAME_TASKS = ('multiclass', 'multilabel')

_HEAD = re.compile(r'task_heads\.(\w+)\.(logits\..+)')
_RECURRENT = re.compile(
    r'backbone\.(?:\w+\.)*((?:weight|bias)_(?:ih|hh)_l\d+)')


def task_name(original: str) -> str:
    """The present name of a task."""
    return OLD_TASKS.get(original, original)


def rename_original(
        state: Mapping[str, Tensor],
        settings: Mapping[str, Any]
) -> tuple[dict[str, Tensor], list[str]]:
    """Give the tensors of an original network our names.

    Args:
        state (Mapping[str, Tensor]): By original name.
        settings (Mapping[str, Any]): ``backbone`` of the original's
            ``model_config.yml``.

    Returns:
        tuple[dict[str, Tensor], list[str]]: Tensors of a
        :class:`LisbetModel` by name, and the names that have no counterpart.
    """
    recurrent = settings.get('type') == 'lstm'
    renamed: dict[str, Tensor] = {}
    left = []
    for name, value in state.items():
        head = _HEAD.fullmatch(name)
        if head:
            renamed[f'heads.{task_name(head[1])}.{head[2]}'] = value
        elif recurrent and _RECURRENT.fullmatch(name):
            kind = _RECURRENT.sub(r'\1', name)
            renamed[f'backbone.lstm.{kind}'] = value
        elif recurrent and name.startswith('backbone.'):
            renamed[_linear_of_lstm(name, renamed)] = value
        elif name.startswith('backbone.'):
            renamed[name] = value
        else:
            left.append(name)
    return renamed, left


def _linear_of_lstm(name: str, renamed: Mapping[str, Tensor]) -> str:
    """Our name of a linear layer: the first of two embeds frames."""
    kind = name.rpartition('.')[2]
    before = f'backbone.frame_embedder.{kind}'
    return before if before not in renamed else f'backbone.output.{kind}'


def backbone_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Our config of an original's ``backbone``.

    Raises:
        KeyError: If a setting is missing, or the type is another.
    """
    kind = settings.get('type', 'transformer')
    found: dict[str, Any] = dict(
        type=dict(transformer='mmpose_ext.LisbetTransformer',
                  lstm='mmpose_ext.LisbetLSTM',
                  tcn='mmpose_ext.LisbetTCN')[kind],
        in_channels=settings['feature_dim'],
        embed_dims=settings['embedding_dim'],
        hidden_channels=settings['hidden_dim'])
    if kind == 'tcn':
        optional = dict(num_blocks='num_blocks', kernel_size='kernel_size',
                        dilation_base='dilation_base')
        found.update({ours: settings[theirs]
                      for ours, theirs in optional.items()
                      if theirs in settings})
    else:
        found['num_layers'] = settings['num_layers']
    if kind == 'transformer':
        found.update(num_heads=settings['num_heads'],
                     max_length=settings['max_length'])
    return found


def head_settings(task: str, settings: Mapping[str, Any],
                  is_linear: bool) -> dict[str, Any]:
    """Our config of an original's head.

    Args:
        task (str): Present name.
        settings (Mapping[str, Any]): Of ``out_heads``.
        is_linear (bool): Whether it is a single layer.

    Raises:
        KeyError: If a setting is missing.
    """
    found: dict[str, Any] = dict(
        type='mmpose_ext.LisbetWindowHead',
        in_channels=settings['input_dim'],
        hidden_channels=None if is_linear else settings['hidden_dim'])
    if task in FRAME_TASKS:
        found.update(type='mmpose_ext.LisbetFrameHead', kind=task,
                     num_classes=settings['num_classes'])
    return found
