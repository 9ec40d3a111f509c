"""The order in which the original asks its questions: that of their numbers.
"""
from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

from mmpose_ext.registry import DATA_SAMPLERS
from mmpose_ext.training import Draw, DrawSampler


@DATA_SAMPLERS.register_module()
class LisbetStreamSampler(DrawSampler):
    """Numbers the questions of a run, for ``parity`` of the data set.

    In place of a seed an index carries its number in the stream.

    Args:
        dataset (Sized): The data set.
        **kwargs: Those of ``DrawSampler`` but for ``shuffle``.
    """

    def __init__(self, dataset: Sized, **kwargs: Any) -> None:
        super().__init__(dataset, shuffle=False, **kwargs)

    def __iter__(self) -> Iterator[Draw]:
        for epoch, blocks in self._passes():
            for positions in blocks:
                for place in (positions % self.epoch_size).tolist():
                    yield Draw(place, epoch * self.epoch_size + place)
