"""Batches of random windows, as the data preprocessor hands them on."""
from __future__ import annotations

from typing import Any

import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import Tensor

SMALL = dict(type='mmpose_ext.LisbetTransformer', in_channels=8,
             embed_dims=16, num_layers=2, num_heads=2, hidden_channels=32,
             max_length=12)


def small_head(**changes: Any) -> dict:
    """Config of a head that fits ``SMALL``."""
    return dict(dict(type='mmpose_ext.LisbetWindowHead', in_channels=16,
                     hidden_channels=32), **changes)


def sample_of(task: str, first: int = 0, windows: int | None = None,
              **labels: Tensor) -> PoseDataSample:
    """The data sample of a task."""
    sample = PoseDataSample()
    meta = dict(task=task, first=first)
    if windows is not None:
        meta['windows'] = windows
    sample.set_metainfo(meta)
    sample.gt_instance_labels = InstanceData(**labels)
    return sample


def embed_windows(model: Any, windows: Tensor,
                  valid: Tensor | None = None) -> Tensor:
    """Tokens (M, D) of the frames of windows (M, W, N, K, S)."""
    data = dict(inputs=windows, data_samples=None)
    if valid is not None:
        data['valid'] = valid
    with torch.no_grad():
        features = model.data_preprocessor(data, False)['inputs']
        tokens = model.extract_feat(features)
    return tokens[:, tokens.shape[1] - 1 - model.window_offset]


def batch_of(tasks: tuple[str, ...], count: int = 5, length: int = 12,
             seed: int = 0) -> tuple[Tensor, list[PoseDataSample]]:
    """Windows (M, W, 8) of binary tasks and their samples."""
    generator = torch.Generator().manual_seed(seed)
    windows = torch.randn(len(tasks) * count, length, 8, generator=generator)
    return windows, [
        sample_of(task, place * count, labels=torch.randint(
            0, 2, (count, 1), generator=generator).float())
        for place, task in enumerate(tasks)]
