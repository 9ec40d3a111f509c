"""Poses of a batch, and which of them belong together."""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmpose_ext.storage import DataError

# columns that say which volumes belong together
BELONGING = ('samples', 'copies', 'individuals', 'chunks', 'times')


@dataclass(frozen=True)
class PoseBatch:
    """Predicted poses beside their labels.

    M volumes, K keypoints. Left and right are the animal's own, also where a
    volume was mirrored.

    Attributes:
        points: (M, K, 3) predicted, world mm.
        target: (M, K, 3) labels, world mm; NaN where unknown.
        samples: (M,) int64, number of the time point in the batch.
        copies: (M,) int64, which of the volumes of a time point's animal.
        individuals: (M,) int64, which animal.
        chunks: (M,) int64, number of the run of frames in the batch.
        times: (M,) int64, frames of a run count from 0.
    """

    points: Tensor
    target: Tensor
    samples: Tensor
    copies: Tensor
    individuals: Tensor
    chunks: Tensor
    times: Tensor

    def numbers(self, *names: str) -> Tensor:
        """Number the groups of volumes that agree in some columns.

        ``numbers('samples', 'individuals')`` are the copies of an animal at a
        time point.

        Args:
            *names (str): Columns.

        Returns:
            Tensor: (M,) int64, for each volume the place of its group's
            first one.
        """
        return group_numbers(*(getattr(self, name) for name in names))


def require_whole_runs(file: str, batch_size: int, chunk_length: int) -> None:
    """Check that a batch holds runs of frames as a whole.

    Args:
        file (str): The config, for errors.
        batch_size (int): Time points of the batch.
        chunk_length (int): Frames of a run.

    Raises:
        DataError: If it tears one.
    """
    if batch_size % chunk_length:
        raise DataError(
            file, 'train_dataloader.batch_size',
            f'a multiple of chunk_length={chunk_length}', str(batch_size),
            'runs of frames must not be torn')


def group_numbers(*columns: Tensor) -> Tensor:
    """Number the groups of rows that agree in all columns.

    Args:
        *columns (Tensor): (M,) each.

    Returns:
        Tensor: (M,) int64, for each row the place of its group's first one.
    """
    rows = torch.stack(columns, 1)
    # M is small; torch.unique would make the device wait
    return (rows[:, None] == rows).all(-1).int().argmax(1)
