"""The original's augmentations, draw by draw, of finished questions."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mmpose_ext.behavior.augmentation import Augmentation
from mmpose_ext.behavior.batch_augmentation import rotations_about

Array = np.ndarray


class PublishedAugmentations:
    """Augments the windows of one task, one after another.

    Each augmentation has a generator of its own; whether one with ``p`` below
    1 is applied is drawn from a further one, where the original uses torch's
    global generator. Identities are permuted although this makes answers of
    ``shift`` false.

    Args:
        augmentations (tuple[Augmentation, ...]): In their order.
        seed (int): That of the first; the next ones count up.
        gate_seed (int): Of the generator that decides what is applied.
    """

    def __init__(self, augmentations: tuple[Augmentation, ...], seed: int,
                 gate_seed: int) -> None:
        self._augmentations = augmentations
        self._seeds = seed, gate_seed
        self._rewind()

    def apply(self, windows: Array, numbers: list[int]) -> Array:
        """Augment windows (M, W, N, K, S) by their numbers in the run."""
        results = []
        for window, number in zip(windows, numbers, strict=True):
            if number < self._position:
                self._rewind()
            while self._position < number:
                self._one(torch.from_numpy(window))  # for its draws
            results.append(self._one(torch.from_numpy(window)).numpy())
        return np.stack(results)

    def _rewind(self) -> None:
        self._position = 0
        self._gate = torch.Generator().manual_seed(self._seeds[1])
        self._generators = [
            torch.Generator().manual_seed(self._seeds[0] + i)
            for i in range(len(self._augmentations))
        ]

    def _one(self, window: Tensor) -> Tensor:
        self._position += 1
        for item, generator in zip(self._augmentations, self._generators,
                                   strict=True):
            if item.p < 1 and not float(
                    torch.rand((1, ), generator=self._gate)) < item.p:
                continue
            window = _ACTIONS[item.name](window, item, generator)
        return window


def _permutation(count: int, generator: torch.Generator) -> Tensor:
    """A random permutation that is not the identity."""
    identity = torch.arange(count)
    if count < 2:
        return identity
    order = torch.randperm(count, generator=generator)
    while torch.equal(order, identity):
        order = torch.randperm(count, generator=generator)
    return order


def _permute_identities(window: Tensor, item: Augmentation,
                        generator: torch.Generator) -> Tensor:
    return window[:, _permutation(window.shape[1], generator)]


def _permute_axes(window: Tensor, item: Augmentation,
                  generator: torch.Generator) -> Tensor:
    return window[..., _permutation(window.shape[-1], generator)]


def _permute_block(window: Tensor, item: Augmentation,
                   generator: torch.Generator) -> Tensor:
    size = len(window)
    length = int(item.number('frac') * size)
    if length == 0:
        return window
    order = _permutation(window.shape[1], generator)
    start = int(torch.randint(1 - length, size, (1, ), generator=generator))
    block = slice(max(start, 0), min(start + length, size))
    window = window.clone()
    window[block] = window[block][:, order]
    return window


def _jitter(window: Tensor, item: Augmentation,
            generator: torch.Generator) -> Tensor:
    size, individuals, keypoints, axes = window.shape
    # in the order of the original's storage
    noise = torch.randn((size, axes, keypoints, individuals),
                        generator=generator).permute(0, 3, 2, 1)
    return (window + item.number('sigma') * noise).clamp(0, 1)


def _ablate(window: Tensor, item: Augmentation,
            generator: torch.Generator) -> Tensor:
    _, individuals, keypoints, _ = window.shape
    hidden = torch.rand((1, 1, keypoints, individuals),
                        generator=generator) < item.number('pB')
    return window.masked_fill(hidden.permute(0, 3, 2, 1), 0.)


def _rotate(window: Tensor, item: Augmentation,
            generator: torch.Generator) -> Tensor:
    share = torch.rand((1, ), generator=generator)
    angle = torch.deg2rad((2 * share - 1) * item.number('max_angle'))[0]
    axes = window.shape[-1]
    if axes == 2:
        cos, sin = angle.cos(), angle.sin()
        matrix = torch.stack([torch.stack([cos, -sin]),
                              torch.stack([sin, cos])])
    else:
        axis = torch.randn((1, 3), generator=generator)
        matrix = rotations_about(axis, angle[None])[0]
    turned = (window - .5) @ matrix.T + .5
    mode = item.values['mode']
    if mode == 'truncate':
        return turned.clamp(0, 1)
    if mode == 'rescale' and (turned.min() < 0 or turned.max() > 1):
        flat = turned.reshape(-1, axes)
        low, high = flat.amin(0), flat.amax(0)
        return (turned - low) / (high - low)
    return turned


_ACTIONS: dict[str, Callable[[Tensor, Augmentation, torch.Generator],
                             Tensor]] = dict(
    all_perm_id=_permute_identities,
    all_perm_ax=_permute_axes,
    blk_perm_id=_permute_block,
    gauss_jitter=_jitter,
    kp_ablation=_ablate,
    rotation=_rotate)
