"""Configs whose meshes, grids or hand models are not on this machine."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

_ENDINGS = ('_dir', '_file', 'path', 'fields')
_MANO_LOSS = 'HandObjectManoLoss'


def drop_losses_without_files(config: Config) -> list[str]:
    """Take out of a config what needs files that are not there.

    Losses, the parametric hand with its loss, and the schedules of such
    losses: what is left can be built and makes a step.

    Args:
        config (Config): Of a training; changed.

    Returns:
        list[str]: Names of the losses, and ``mano``.
    """
    head = config.model.head
    losses = head.get('losses') or {}
    hand = bool(head.get('mano')) and _lacks_files(head.mano)
    # None is a loss that was switched off
    names = [name for name, loss in losses.items() if loss and (
        _lacks_files(loss) or hand and
        str(loss.get('type')).rpartition('.')[2] == _MANO_LOSS)]
    for name in names:
        losses.pop(name)
    for hook in config.get('custom_hooks') or []:
        if 'schedules' in hook:
            hook['schedules'] = [
                schedule for schedule in hook['schedules']
                if schedule.get('loss') not in {
                    f'head.losses.{name}' for name in names}]
    if hand:
        head.mano = None
        names.append('mano')
    return names


def _lacks_files(settings: Mapping[str, Any]) -> bool:
    return any(
        isinstance(value, str) and key.endswith(_ENDINGS)
        and not Path(value).exists() for key, value in settings.items())
