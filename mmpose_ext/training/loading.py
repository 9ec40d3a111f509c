"""A trained model for use: its device and its weights."""
from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from torch import nn

from mmpose_ext.compat.checkpoints import (
    BrokenCheckpointError,
    UnsafeCheckpointError,
)
from mmpose_ext.storage.errors import DataError


def choose_device(name: str) -> torch.device:
    """A device by name; ``auto`` is a GPU if there is one.

    Raises:
        DataError: If there is no such device.
    """
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise DataError(name, '--device', 'a device of this machine',
                        str(error).splitlines()[0]) from error


def load_whole(model: nn.Module, checkpoint: str | Path,
               config: Config) -> dict[str, Any]:
    """Load weights into a model whose parameters they are, all of them.

    Args:
        model (nn.Module): A model on the CPU.
        checkpoint (str | Path): A checkpoint, or weights alone.
        config (Config): What the model was built from, for errors.

    Returns:
        dict[str, Any]: The checkpoint.

    Raises:
        DataError: If it cannot be loaded or is of another model.
    """
    try:
        # MMEngine's words about it must not mix with a command's output
        with contextlib.redirect_stdout(sys.stderr):
            # without `strict` what does not fit would be left out
            return load_checkpoint(
                model, str(checkpoint), map_location='cpu', strict=True)
    except (OSError, BrokenCheckpointError, UnsafeCheckpointError) as error:
        raise DataError(checkpoint, 'file', 'a checkpoint',
                        str(error)) from error
    except RuntimeError as error:  # what torch raises if keys do not fit
        raise DataError(checkpoint, 'weights', f'those of {config.filename}',
                        f'others: {error}') from error
