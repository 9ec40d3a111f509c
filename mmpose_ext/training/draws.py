"""Random numbers that depend on what is drawn, never on what came before.

A sampler hands out every index together with a 64-bit seed made from the
run's seed, the epoch and the position in the epoch. Augmentation that uses
this seed alone looks the same with any number of workers and processes, and
after a resume.

The generator is splitmix64 (Steele, Lea and Flood, OOPSLA 2014) used as a
counter-based hash: draw j of a seed is a pure function of (seed, stream, j).
"""
from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sized
from typing import Any

import numpy as np
import torch
from mmengine.dataset import DefaultSampler
from torch import Tensor

from mmpose_ext.registry import DATA_SAMPLERS

_STEP = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_WORD = (1 << 64) - 1
_BLOCK = 1 << 16  # draws made at a time


def hash_words(*words: int) -> int:
    """Hash integers, in their order, to one of 64 bits."""
    state = 0
    for word in words:
        state = _mix_int((state + _STEP + word) & _WORD)
    return state


class Draw(int):
    """An index into a data set that carries the seed of its augmentation.

    The seed travels to the workers with the index, and through the
    arithmetic by which wrappers (repetition, concatenation) find the index
    of the wrapped data set.

    Args:
        index (int): The index.
        seed (int): The seed, in [0, 2**64).
    """

    seed: int

    def __new__(cls, index: int, seed: int) -> Draw:
        draw = super().__new__(cls, index)
        draw.seed = seed
        return draw

    def __reduce__(self) -> tuple[type[Draw], tuple[int, int]]:
        return Draw, (int(self), self.seed)

    def __add__(self, other: Any) -> Any:
        return self._keep_seed(super().__add__(other))

    def __sub__(self, other: Any) -> Any:
        return self._keep_seed(super().__sub__(other))

    def __mod__(self, other: Any) -> Any:
        return self._keep_seed(super().__mod__(other))

    def __floordiv__(self, other: Any) -> Any:
        return self._keep_seed(super().__floordiv__(other))

    def _keep_seed(self, result: Any) -> Any:
        if result is NotImplemented:
            return result
        return Draw(result, self.seed)


@DATA_SAMPLERS.register_module()
class DrawSampler(DefaultSampler):
    """MMEngine's ``DefaultSampler`` yielding :class:`Draw` instead of int.

    The order is that of ``DefaultSampler``: rank r of w takes every w-th
    index from r on, so the batches of all ranks at step i together are batch
    i of a single process with the same global batch size.

    Args:
        dataset (Sized): The data set.
        shuffle (bool): Whether to shuffle, anew in every epoch. Defaults to
            True.
        seed (int, optional): Seed of order and draws, equal in all
            processes. Defaults to None, a common random one.
        round_up (bool): Whether to repeat indices so that all ranks get
            equally many. Defaults to True.
        infinite (bool): Whether to go on with the next epoch without end, as
            ``InfiniteSampler`` does for iteration-based training; nothing is
            repeated then. Defaults to False.
        epoch_fraction (float): Share of the data set that an epoch takes.
            Shuffled, epochs go through all of it before anything comes again.
            Defaults to 1.

    Attributes:
        epoch_size: Indices of an epoch, of all ranks together and without
            those repeated.

    Raises:
        ValueError: If the fraction is not in (0, 1].
    """

    def __init__(self,
                 dataset: Sized,
                 shuffle: bool = True,
                 seed: int | None = None,
                 round_up: bool = True,
                 infinite: bool = False,
                 epoch_fraction: float = 1.) -> None:
        super().__init__(dataset, shuffle, seed, round_up)
        if not 0 < epoch_fraction <= 1:
            raise ValueError('epoch_fraction: expected above 0 and at most 1, '
                             f'found {epoch_fraction}')
        self.infinite = infinite
        self.epoch_size = math.ceil(len(dataset) * epoch_fraction)
        if epoch_fraction < 1:
            own = (self.epoch_size - self.rank) / self.world_size
            if round_up:
                own = self.epoch_size / self.world_size
            self.num_samples = math.ceil(own)
            self.total_size = (self.num_samples * self.world_size
                               if round_up else self.epoch_size)
        self._left_out = 0

    def skip(self, draws: int) -> None:
        """Leave out the first draws of this rank in the next pass alone."""
        self._left_out = draws

    def __iter__(self) -> Iterator[Draw]:
        for epoch, blocks in self._passes():
            order = self._order(epoch)
            key = hash_words(self.seed, epoch)
            for positions in blocks:
                indices = order[positions % self.epoch_size]
                for index, seed in zip(
                        indices.tolist(), stream(key, positions).tolist(),
                        strict=True):
                    yield Draw(index, seed)

    def _passes(self) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
        """Epochs, and in each the places of this rank, block by block."""
        left_out, self._left_out = self._left_out, 0
        size, epoch, offset = self.epoch_size, self.epoch, self.rank
        total = size if self.infinite else self.total_size
        while True:
            count = len(range(offset, total, self.world_size))
            start = offset + min(left_out, count) * self.world_size
            left_out = max(left_out - count, 0)
            # a data set of millions would fill the memory with numbers
            step = _BLOCK * self.world_size
            yield epoch, (
                np.arange(first, min(first + step, total), self.world_size)
                for first in range(start, total, step))
            if not self.infinite:
                return
            # the ranks go on taking turns across the border of the epochs
            offset = (offset - size) % self.world_size
            epoch += 1

    def _order(self, epoch: int) -> np.ndarray:
        """Indices of the data set in the order of an epoch."""
        if not self.shuffle:
            return np.arange(self.epoch_size)
        size, parts = len(self.dataset), []
        start, stop = (number * self.epoch_size
                       for number in (epoch, epoch + 1))
        while start < stop:
            cycle, place = divmod(start, size)
            generator = torch.Generator().manual_seed(self.seed + cycle)
            order = torch.randperm(size, generator=generator)
            parts.append(order[place:place + stop - start].numpy())
            start += len(parts[-1])
        return np.concatenate(parts)


def draw_seeds(indices: Iterable[int]) -> np.ndarray:
    """Seeds of a batch of indices.

    Args:
        indices (Iterable[int]): Draws, or plain indices (as in validation),
            whose seed is a hash of the index alone.

    Returns:
        ndarray: uint64 (B,). ``torch.from_numpy(seeds.view(np.int64))`` fits
        :func:`hashed_uniform`.
    """
    return np.array([
        index.seed if isinstance(index, Draw) else hash_words(int(index))
        for index in indices
    ], np.uint64)


def hashed_uniform(seeds: Tensor, draws: int, stream: int = 0) -> Tensor:
    """Uniform numbers, a pure function of seed, stream and column.

    Bits are identical on every device, and the first columns do not depend
    on how many are asked for.

    Args:
        seeds (Tensor): int64 (B,), any values, neighbouring ones included.
        draws (int): Numbers per seed.
        stream (int): Another stream gives independent numbers for the same
            seeds. Defaults to 0.

    Returns:
        Tensor: float32 (B, draws) in [0, 1), multiples of 2**-24, on the
        device of `seeds`.
    """
    bits = _hashed_bits(seeds, draws, hash_words(stream))
    return _shift_right(bits, 40).to(torch.float32).mul_(2.**-24)


def hashed_normal(seeds: Tensor, draws: int, stream: int = 0) -> Tensor:
    """Standard normal numbers; arguments as in :func:`hashed_uniform`.

    Independent of the uniform numbers of the same seeds and stream. The
    distribution function is inverted in double precision, so that devices
    differ in the last bit of the float32 result at most.

    Returns:
        Tensor: float32 (B, draws) on the device of `seeds`.
    """
    bits = _hashed_bits(seeds, draws, hash_words(stream, 1))
    # odd multiples of 2**-52: exact, and never the ends of (-1, 1)
    symmetric = (bits >> 12).to(torch.float64).mul_(2).add_(1).mul_(2.**-52)
    return symmetric.erfinv_().mul_(2**.5).to(torch.float32)


def _hashed_bits(seeds: Tensor, draws: int, key: int) -> Tensor:
    """Hash of seed, key and column: int64 (B, draws)."""
    if seeds.dtype != torch.int64 or seeds.dim() != 1:
        raise TypeError('seeds: expected an int64 tensor (B,), found '
                        f'{seeds.dtype} {tuple(seeds.shape)}')
    columns = torch.arange(1, draws + 1, device=seeds.device)
    # the seed itself is mixed first: seeds a step apart would else share
    # all but one of their numbers
    states = _mix_tensor(seeds + _signed(key))
    return _mix_tensor(states[:, None] + columns.mul_(_signed(_STEP)))


def _mix_tensor(state: Tensor) -> Tensor:
    """splitmix64's finaliser on int64, in place; products wrap around."""
    state ^= _shift_right(state, 30)
    state *= _signed(_FIRST)
    state ^= _shift_right(state, 27)
    state *= _signed(_SECOND)
    state ^= _shift_right(state, 31)
    return state


def _shift_right(state: Tensor, bits: int) -> Tensor:
    """Logical shift: torch shifts in copies of the sign."""
    return (state >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def stream(key: int, positions: np.ndarray) -> np.ndarray:
    """Seeds uint64 (N,) at positions (N,) of the stream of a key."""
    state = (positions.astype(np.uint64) + np.uint64(1)) * np.uint64(_STEP)
    state += np.uint64(key)
    state ^= state >> np.uint64(30)
    state *= np.uint64(_FIRST)
    state ^= state >> np.uint64(27)
    state *= np.uint64(_SECOND)
    state ^= state >> np.uint64(31)
    return state


def _mix_int(state: int) -> int:
    state = (state ^ (state >> 30)) * _FIRST & _WORD
    state = (state ^ (state >> 27)) * _SECOND & _WORD
    return state ^ (state >> 31)


def _signed(word: int) -> int:
    """The int64 with the bits of an unsigned word."""
    return word - (1 << 64) if word >> 63 else word
