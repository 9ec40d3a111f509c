"""Augmentation of whole batches of windows, on their device.

All numbers come from the seeds of the windows: neither workers nor processes
nor the size of a batch change what a window looks like.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mmpose_ext.behavior.augmentation import IDENTITY, Augmentation
from mmpose_ext.training import hashed_normal, hashed_uniform

_FIRST_STREAM = 1000  # beyond those of the tasks


def augment_windows(windows: Tensor, seeds: Tensor,
                    augmentations: tuple[Augmentation, ...],
                    flip_indices: Sequence[int]) -> Tensor:
    """Augment windows; what concerns identities is passed over.

    Args:
        windows (Tensor): float32 (M, W, N, K, S), NaN = missing.
        seeds (Tensor): int64 (M,).
        augmentations (tuple[Augmentation, ...]): In their order.
        flip_indices (Sequence[int]): Keypoint of the other side, K.

    Returns:
        Tensor: Of the same shape.
    """
    for i, item in enumerate(augmentations):
        if item.name in IDENTITY:
            continue
        stream = _FIRST_STREAM + 10 * i
        if item.name == 'mirror':
            changed = mirror(windows, flip_indices)
        else:
            changed = _ACTIONS[item.name](windows, seeds, item, stream)
        if item.p < 1:
            applied = hashed_uniform(seeds, 1, stream + 9)[:, 0] < item.p
            changed = torch.where(applied[:, None, None, None, None], changed,
                                  windows)
        windows = changed
    return windows


def mirror(windows: Tensor, flip_indices: Sequence[int]) -> Tensor:
    """Mirror the first axis; left becomes right in the names too."""
    turned = windows[..., list(flip_indices), :].clone()
    turned[..., 0] = 1 - turned[..., 0]
    return turned


def _rows(values: Tensor) -> Tensor:
    """(M,) numbers for arrays (M, W, N, K, S)."""
    return values[:, None, None, None, None]


def _permute_axes(windows: Tensor, seeds: Tensor, item: Augmentation,
                  stream: int) -> Tensor:
    axes = windows.shape[-1]
    if axes == 2:  # always changed, as there is one other order alone
        return windows.flip(-1)
    order = hashed_uniform(seeds, axes, stream).argsort(1)
    return windows.gather(
        -1, order[:, None, None, None].expand(windows.shape))


def _jitter(windows: Tensor, seeds: Tensor, item: Augmentation,
            stream: int) -> Tensor:
    noise = hashed_normal(seeds, windows[0].numel(), stream)
    return windows + item.number('sigma') * noise.reshape(windows.shape)


def _smooth_jitter(windows: Tensor, seeds: Tensor, item: Augmentation,
                   stream: int) -> Tensor:
    count, size, *parts = windows.shape
    length = min(item.number('length'), size - 1)
    knots = int((size - 1) / length) + 2
    values = hashed_normal(seeds, knots * windows[0, 0].numel(), stream)
    values = values.reshape(count, knots, *parts)
    places = torch.arange(size, device=windows.device) / length
    before = places.long()
    share = (places - before)[:, None, None, None]
    noise = values[:, before] * (1 - share) + values[:, before + 1] * share
    return windows + item.number('sigma') * noise


def _ablate(windows: Tensor, seeds: Tensor, item: Augmentation,
            stream: int) -> Tensor:
    count, _, individuals, keypoints, _ = windows.shape
    drawn = hashed_uniform(seeds, individuals * keypoints, stream)
    hidden = (drawn < item.number('pB')).reshape(
        count, 1, individuals, keypoints, 1)
    return windows.masked_fill(hidden, float('nan'))


def _drop_runs(windows: Tensor, seeds: Tensor, item: Augmentation,
               stream: int) -> Tensor:
    count, size, individuals, keypoints, _ = windows.shape
    chosen, place = hashed_uniform(
        seeds, 2 * individuals * keypoints, stream).reshape(
            count, 2, 1, individuals, keypoints).unbind(1)
    length = max(1, int(item.number('frac') * size))
    start = (place * (size + length - 1)).floor() - length + 1
    steps = torch.arange(size, device=windows.device)[:, None, None]
    hidden = ((chosen < item.number('pB')) & (steps >= start)
              & (steps < start + length))
    return windows.masked_fill(hidden[..., None], float('nan'))


def _rotate(windows: Tensor, seeds: Tensor, item: Augmentation,
            stream: int) -> Tensor:
    share = hashed_uniform(seeds, 1, stream)[:, 0]
    angle = torch.deg2rad((2 * share - 1) * item.number('max_angle'))
    if windows.shape[-1] == 2:
        cos, sin = angle.cos(), angle.sin()
        matrix = torch.stack([cos, -sin, sin, cos], 1).reshape(-1, 2, 2)
    else:
        matrix = rotations_about(hashed_normal(seeds, 3, stream + 1), angle)
    turned = torch.einsum('mwnks,mts->mwnkt', windows - .5, matrix) + .5
    mode = item.values['mode']
    if mode == 'truncate':
        return turned.clamp(0, 1)
    if mode == 'rescale':
        return _rescale(turned)
    return turned


def rotations_about(axes: Tensor, angles: Tensor) -> Tensor:
    """Rotation matrices (M, 3, 3) about axes (M, 3), by Rodrigues' formula.

    Args:
        axes (Tensor): Of any length.
        angles (Tensor): (M,) radians.
    """
    x, y, z = (axes / axes.norm(dim=1, keepdim=True)).unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero],
                        1).reshape(-1, 3, 3)
    cos, sin = (part[:, None, None] for part in (angles.cos(), angles.sin()))
    return (torch.eye(3, device=axes.device) + sin * cross
            + (1 - cos) * cross @ cross)


def _rescale(windows: Tensor) -> Tensor:
    """Bring each window that left [0, 1] back to it, each axis by itself."""
    points = windows.flatten(1, 3)
    known = ~points.isnan()
    low = points.masked_fill(~known, float('inf')).amin(1)
    high = points.masked_fill(~known, -float('inf')).amax(1)
    left = ((low < 0) | (high > 1)).any(1)
    span = (high - low).clamp(min=1e-6)
    scaled = (windows - low[:, None, None, None]) / span[:, None, None, None]
    return torch.where(_rows(left), scaled, windows)


def _translate(windows: Tensor, seeds: Tensor, item: Augmentation,
               stream: int) -> Tensor:
    share = hashed_uniform(seeds, windows.shape[-1], stream)
    moved = (2 * share - 1) * item.number('max')
    return windows + moved[:, None, None, None]


def _scale(windows: Tensor, seeds: Tensor, item: Augmentation,
           stream: int) -> Tensor:
    share = hashed_uniform(seeds, 1, stream)[:, 0]
    factor = item.number('max')**(2 * share - 1)
    return (windows - .5) * _rows(factor) + .5


_ACTIONS: dict[str, Callable[[Tensor, Tensor, Augmentation, int],
                             Tensor]] = dict(
    all_perm_ax=_permute_axes,
    gauss_jitter=_jitter,
    smooth_jitter=_smooth_jitter,
    kp_ablation=_ablate,
    kp_dropout=_drop_runs,
    rotation=_rotate,
    translation=_translate,
    scale=_scale)
