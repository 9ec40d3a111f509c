"""Parity: the original's augmentations, by the stated draws."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mmpose_ext.behavior.augmentation import parse_augmentations
from mmpose_ext.behavior.published_augmentation import PublishedAugmentations

W, N, K = 20, 3, 4


def windows(count=50, axes=2):
    return np.random.default_rng(0).random(
        (count, W, N, K, axes), np.float32)


def apply(text, given=None, numbers=None, seed=5):
    given = windows() if given is None else given
    items = parse_augmentations(text, published=True)
    return PublishedAugmentations(items, seed, 9).apply(
        given, list(range(len(given))) if numbers is None else numbers)


def test_identities_and_axes_are_permuted_but_never_left():
    generator = torch.Generator().manual_seed(5)
    for before, after in zip(windows(), apply('all_perm_id'), strict=True):
        order = torch.arange(N)
        while torch.equal(order, torch.arange(N)):
            order = torch.randperm(N, generator=generator)
        np.testing.assert_array_equal(after, before[:, order.numpy()])
    np.testing.assert_array_equal(apply('all_perm_ax'), windows()[..., ::-1])


def test_blocks_begin_where_they_are_drawn():
    generator = torch.Generator().manual_seed(5)
    for before, after in zip(windows(), apply('blk_perm_id:frac=0.25'),
                             strict=True):
        order = torch.arange(N)
        while torch.equal(order, torch.arange(N)):
            order = torch.randperm(N, generator=generator)
        start = torch.randint(1 - 5, W, (1, ), generator=generator).item()
        wanted = before.copy()
        for frame in range(max(start, 0), min(start + 5, W)):
            wanted[frame] = before[frame][order.numpy()]
        np.testing.assert_array_equal(after, wanted)


def test_jitter_is_drawn_in_the_order_of_storage_and_kept_in_the_arena():
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(W, 2, K, N, generator=generator).numpy()
    wanted = np.clip(windows()[0] + .5 * noise.transpose(0, 3, 2, 1), 0, 1)
    np.testing.assert_allclose(apply('gauss_jitter:sigma=0.5')[0], wanted,
                               atol=1e-6)


def test_ablated_points_lie_in_the_corner():
    generator = torch.Generator().manual_seed(5)
    hidden = torch.rand(1, 1, K, N, generator=generator)[0, 0].numpy() < .3
    found = (apply('kp_ablation:pB=0.3')[0] == 0).all((0, 3))
    np.testing.assert_array_equal(found, hidden.T)


@pytest.mark.parametrize('axes', [2, 3])
def test_rotation_keeps_distances_unless_told_otherwise(axes):
    given = windows(axes=axes)
    turned = apply('rotation:mode=none', given)
    one, other = (np.linalg.norm(np.diff(part, axis=3), axis=-1)
                  for part in (given, turned))
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert apply('rotation', given).min() >= 0


def test_a_window_does_not_depend_on_how_it_is_reached():
    text = 'all_perm_id:p=0.5,gauss_jitter,rotation:p=0.3'
    whole = apply(text)
    late = apply(text, windows()[30:40], list(range(30, 40)))
    np.testing.assert_array_equal(late, whole[30:40])
    items = parse_augmentations(text, published=True)
    again = PublishedAugmentations(items, 5, 9)
    again.apply(windows(), list(range(50)))
    np.testing.assert_array_equal(
        again.apply(windows()[3:5], [3, 4]), whole[3:5])
