"""Comparing what two trainings end with."""
from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .trainings import Run

STATES = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers',
          'early_stopping')


def assert_same_training(one: Run, other: Run) -> None:
    """Final states, losses and metrics agree bit for bit."""
    ours, theirs = one.checkpoint, other.checkpoint
    assert ours['meta']['iter'] == theirs['meta']['iter']
    for name in STATES:
        _assert_same(ours.get(name), theirs.get(name), name)
    ours, theirs = ({
        name: buffer.data[0]
        for name, buffer in checkpoint['message_hub']['log_scalars'].items()
        if name.startswith(('train/loss', 'val/')) and 'time' not in name
    } for checkpoint in (ours, theirs))
    _assert_same(ours, theirs, 'history')
    for name in ('losses_0', 'metrics_0'):
        np.testing.assert_equal(one.lines(name), other.lines(name))


def _assert_same(one: Any, other: Any, where: str) -> None:
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            _assert_same(one[key], other[key], f'{where}.{key}')
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            _assert_same(a, b, f'{where}.{index}')
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        np.testing.assert_equal(one, other, where)
