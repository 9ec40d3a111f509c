"""A trained estimator made fast for images as they are stored."""
from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mmpose_ext.direction.estimator import (
    DirectionEstimate,
    DirectionEstimator,
)
from mmpose_ext.registry import MODELS
from mmpose_ext.training import choose_device, load_whole

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Tags:
    """Estimates of some images, as arrays.

    Attributes:
        points: (N, 3, 2) base, neck and head, px.
        scores: (N, 3) in [0, 1].
        angle_conf: (N,) in [0, 1].
    """

    points: Array
    scores: Array
    angle_conf: Array


class DirectionTagger:
    """Estimates points from uint8 images, without MMEngine's bookkeeping.

    Works on a copy of the estimator in which each batch normalisation is
    folded into the convolution before it.

    Args:
        model (DirectionEstimator): A trained estimator.
        device (str): ``cpu``, ``cuda``, ``cuda:1`` ... or ``auto``, which
            takes a GPU if there is one. Defaults to ``cpu``.
        tta (str): ``d4`` averages over the eight symmetries. Defaults to
            ``none``.
    """

    def __init__(self,
                 model: DirectionEstimator,
                 device: str = 'cpu',
                 tta: str = 'none') -> None:
        self.device = choose_device(device)
        self.model = fold_batch_norm(model).to(self.device)
        self.model.test_cfg = dict(self.model.test_cfg or {}, tta=tta)
        self.size = int(self.model.head.decoder.input_size[0])
        self.mean, self.std = normalisation(self.model)

    def estimate(self, images: Array) -> DirectionEstimate:
        """Estimate one batch, uint8 (B, S, S); tensors stay on the device."""
        with torch.inference_mode():
            inputs = torch.from_numpy(images).to(self.device)
            inputs = inputs[:, None].float().sub_(self.mean).div_(self.std)
            return self.model.estimate(inputs)

    def tag(self, images: Array) -> Tags:
        """Estimate one batch of images, uint8 (B, S, S)."""
        found = self.estimate(images)
        return Tags(*(value.float().cpu().numpy() for value in (
            found.points, found.scores, found.angle_conf)))


def choose_batch(device: torch.device) -> int:
    """Crops at a time: on a CPU larger batches leave the cache."""
    return 64 if device.type == 'cpu' else 512


def load_tagger(config: Config,
                checkpoint: str | Path,
                device: str = 'cpu',
                tta: str = 'none') -> DirectionTagger:
    """Build the config's model with trained weights.

    Args:
        config (Config): Config of the training.
        checkpoint (str | Path): A checkpoint, or weights alone.
        device (str): As in :class:`DirectionTagger`. Defaults to ``cpu``.
        tta (str): As there. Defaults to ``none``.

    Raises:
        DataError: If the checkpoint cannot be loaded or is of another model.
    """
    return DirectionTagger(load_estimator(config, checkpoint), device, tta)


def load_estimator(config: Config,
                   checkpoint: str | Path) -> DirectionEstimator:
    """Build the config's estimator with trained weights, on the CPU.

    Raises:
        DataError: As in :func:`load_tagger`.
    """
    model = MODELS.build(config.model)
    load_whole(model, checkpoint, config)
    return model.eval()


def fold_batch_norm(model: DirectionEstimator) -> DirectionEstimator:
    """Copy a model for inference, batch normalisation folded away.

    Only a normalisation that directly follows a convolution in an
    ``nn.Sequential`` is folded; others stay as they are.
    """
    model = copy.deepcopy(model).eval()
    for module in model.modules():
        if isinstance(module, nn.Sequential):
            _fold_sequence(module)
    return model


def _fold_sequence(sequence: nn.Sequential) -> None:
    for i in range(len(sequence) - 1):
        conv, norm = sequence[i], sequence[i + 1]
        if isinstance(conv, nn.Conv2d) and isinstance(
                norm, nn.modules.batchnorm._BatchNorm):
            folded: Any = fuse_conv_bn_eval(conv, norm)
            # folding multiplies into the default memory format
            sequence[i] = folded.to(memory_format=torch.channels_last)
            sequence[i + 1] = nn.Identity()


def normalisation(model: DirectionEstimator) -> tuple[float, float]:
    """Mean and standard deviation by which images are normalised.

    Returns:
        tuple[float, float]: Grey levels of 255; (0, 1) without normalisation.
    """
    preprocessor: Any = model.data_preprocessor
    if not getattr(preprocessor, '_enable_normalize', False):
        return 0., 1.
    mean, std = (value.flatten().tolist()
                 for value in (preprocessor.mean, preprocessor.std))
    if len(mean) != 1:
        raise ValueError('model.data_preprocessor.mean: expected one grey '
                         f'level, found {mean}')
    return mean[0], std[0]

