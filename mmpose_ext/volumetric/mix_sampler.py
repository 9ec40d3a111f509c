"""Batches with a fixed share of labelled time points."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mmengine.runner.runner import _SlicedDataset

from mmpose_ext.registry import DATA_SAMPLERS
from mmpose_ext.storage import DataError
from mmpose_ext.training.draws import Draw, DrawSampler, hash_words, stream

Array = np.ndarray


@DATA_SAMPLERS.register_module()
class DannceMixSampler(DrawSampler):
    """Labelled and unlabelled time points by turns.

    An epoch shows each labelled time point once, and between them unlabelled
    ones, which go on from where the epoch before ended: over the epochs all
    are seen equally often. With ``num_batch_per_epoch`` of the loader an epoch
    ends after so many batches, and shows some labelled ones alone. Every
    process follows the same pattern and takes
    every w-th time point of either kind, so the batches of all processes
    together are those of a single one. A batch holds the mix exactly if its
    size is a multiple of the sum of ``mix`` (and of the frames of a run).

    Args:
        dataset (Sized): A ``VolumetricPoseDataset`` with ``unlabelled``.
        mix (Sequence[int]): Labelled and unlabelled time points in turn.
            Defaults to (1, 1).
        shuffle (bool): Defaults to True.
        seed (int, optional): As of :class:`DrawSampler`.
        round_up (bool): As of :class:`DrawSampler`: an epoch ends with a
            whole turn in all processes, for which some labelled time points
            are shown twice. Defaults to True; nothing else is possible.

    Raises:
        DataError: If the data set has none of either kind, or an epoch has
            fewer time points than a turn.
        ValueError: If the mix is none.
    """

    def __init__(self,
                 dataset: Any,
                 mix: Sequence[int] = (1, 1),
                 shuffle: bool = True,
                 seed: int | None = None,
                 round_up: bool = True) -> None:
        if len(mix) != 2 or not all(
                isinstance(part, int) and part > 0 for part in mix):
            raise ValueError('mix: expected two whole numbers above 0, '
                             f'labelled and unlabelled, found {mix!r}')
        if not round_up:
            raise ValueError('round_up: the pattern needs whole turns')
        super().__init__(dataset, shuffle, seed)
        self.mix = int(mix[0]), int(mix[1])
        chunks = getattr(dataset, 'chunks', np.zeros((0, 1), np.int64))
        labelled = getattr(dataset, 'num_labelled', 0)
        self._runs = chunks[:labelled], chunks[labelled:]
        for runs, kind, hint in zip(
                self._runs, ('labelled', 'unlabelled'),
                ('', "unlabelled='equal' draws some"), strict=True):
            if not len(runs):
                raise DataError(
                    str(getattr(dataset, 'data_root', 'train_dataloader')),
                    'dataset', f'{kind} time points, for the sampler to mix',
                    'none', hint)
        turn = self.mix[0] * self.world_size
        self._turns = -(-len(self._runs[0]) // turn)
        samples = sum(self.mix) * chunks.shape[1]  # of a turn
        if isinstance(dataset, _SlicedDataset):
            self._turns = min(
                self._turns, _turns_of(dataset, samples * self.world_size))
        self.num_samples = self._turns * samples
        self.total_size = self.num_samples * self.world_size

    def __iter__(self) -> Iterator[Draw]:
        left_out, self._left_out = self._left_out, 0
        kinds = [self._draws(kind) for kind in range(2)]
        turns = [part.reshape(self._turns, -1, 2) for part in kinds]
        rows = np.concatenate(turns, 1).reshape(-1, 2)[left_out:]
        for index, seed in rows.tolist():
            yield Draw(index, seed)

    def _draws(self, kind: int) -> Array:
        """Indices and seeds (N, 2) uint64 of a kind, of this process."""
        runs, share = self._runs[kind], self.mix[kind]
        total = self._turns * share * self.world_size
        first = 0 if kind == 0 else self.epoch * total
        numbers = np.arange(first + self.rank, first + total,
                            self.world_size)
        chosen = self._order_of(kind, numbers, len(runs))
        length = runs.shape[1]
        places = (numbers[:, None] * length + np.arange(length)).ravel()
        seeds = stream(hash_words(self.seed, self.epoch, kind), places)
        return np.stack([runs[chosen].ravel().astype(np.uint64), seeds], 1)

    def _order_of(self, kind: int, numbers: Array, count: int) -> Array:
        """Which run is the n-th: one shuffled round follows another."""
        if not self.shuffle:
            return numbers % count
        rounds, place = np.divmod(numbers, count)
        chosen = np.empty_like(numbers)
        for lap in np.unique(rounds).tolist():
            # labelled ones begin anew with the epoch
            key = (self.epoch, lap) if kind == 0 else (-1, lap)
            order = np.random.default_rng(
                hash_words(self.seed, kind, *key)).permutation(count)
            chosen[rounds == lap] = order[place[rounds == lap]]
        return chosen


def _turns_of(dataset: _SlicedDataset, samples: int) -> int:
    """Whole turns of so many samples that ``num_batch_per_epoch`` leaves.

    Raises:
        DataError: If there is none.
    """
    if len(dataset) < samples:
        raise DataError(
            str(getattr(dataset, 'data_root', 'train_dataloader')),
            'num_batch_per_epoch', f'batches of {samples} time points or '
            'more together, a turn of all processes', str(len(dataset)))
    return len(dataset) // samples
