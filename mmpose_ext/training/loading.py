"""What a command needs of a config: data, a device, trained weights."""
from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner, load_checkpoint
from torch import nn
from torch.utils.data import DataLoader

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


def build_serial_loader(config: Config, split: str,
                        without: Sequence[str] = ()) -> DataLoader[Any]:
    """Build the data loader of a split in this process alone.

    It draws what a training draws in its first epoch.

    Args:
        config (Config): Of a training.
        split (str): ``train``, ``val`` or ``test``.
        without (Sequence[str]): Settings of the data set to leave out.
            Defaults to ().

    Raises:
        DataError: If the config has no such loader.
    """
    key = f'{split}_dataloader'
    if not config.get(key):
        raise DataError(config.filename, key, 'a data loader', 'none')
    settings = config[key].to_dict()
    settings.update(num_workers=0, persistent_workers=False)
    settings.pop('prefetch_factor', None)
    for name in without:
        settings['dataset'].pop(name, None)
    return Runner.build_dataloader(
        settings, seed=config.get('randomness', {}).get('seed', 0))


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
            loaded = load_checkpoint(
                model, str(checkpoint), map_location='cpu', strict=True)
    except (OSError, BrokenCheckpointError, UnsafeCheckpointError) as error:
        raise DataError(checkpoint, 'file', 'a checkpoint',
                        str(error)) from error
    except RuntimeError as error:  # what torch raises if keys do not fit
        raise DataError(checkpoint, 'weights', f'those of {config.filename}',
                        f'others: {error}') from error
    except (AttributeError, TypeError) as error:  # no dict where one should be
        raise DataError(checkpoint, 'weights', 'a dict of tensors',
                        f'another kind of content: {error}') from error
    meta = loaded.get('meta')
    if not isinstance(meta, (dict, type(None))):
        raise DataError(checkpoint, "key 'meta'", 'a dict',
                        f'a {type(meta).__name__}')
    return loaded


@contextlib.contextmanager
def telling_of_picture(path: str | Path) -> Iterator[None]:
    """Let a picture that MMPose's ``LoadImage`` cannot read be one error.

    Args:
        path (str | Path): The picture that is loaded in the body.

    Raises:
        DataError: With ``where`` 'file'.
    """
    try:
        yield
    except (AssertionError, cv2.error) as error:
        if 'occurs when loading' not in str(error):
            raise
        raise DataError(path, 'file', 'a readable picture',
                        'none, or a damaged one') from error


@contextlib.contextmanager
def without_log() -> Iterator[None]:
    """Let data sets and models be built without a word in the log.

    For commands that print the same by themselves.
    """
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('ERROR')
    try:
        yield
    finally:
        logger.setLevel(level)


def keypoint_names(meta: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Names of the keypoints in their order; none where none are told.

    Args:
        meta (Mapping, optional): MMPose's metainfo of a data set, maybe from
            a file that made texts of the numbers.
    """
    by_id = (meta or {}).get('keypoint_id2name') or {}
    return tuple(str(by_id[number]) for number in sorted(by_id, key=int))
