"""Augmentation of batches keeps shapes of bodies, and depends on seeds."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mmpose_ext.behavior.augmentation import parse_augmentations
from mmpose_ext.behavior.batch_augmentation import augment_windows

M, W, N, K = 64, 30, 2, 5
FLIPS = (0, 2, 1, 3, 4)


def windows(axes=2):
    generator = torch.Generator().manual_seed(0)
    return .3 + .4 * torch.rand(M, W, N, K, axes, generator=generator)


def seeds(count=M):
    return torch.arange(count) * 7 + 1


def augment(text, given=None, numbers=None):
    given = windows() if given is None else given
    return augment_windows(given, seeds() if numbers is None else numbers,
                           parse_augmentations(text), FLIPS)


def distances(points):
    flat = points.flatten(1, 3)
    return torch.cdist(flat, flat)


@pytest.mark.parametrize('axes', [2, 3])
@pytest.mark.parametrize('text', ['rotation', 'mirror', 'translation',
                                  'all_perm_ax'])
def test_distances_are_kept(text, axes):
    before = windows(axes)
    after = augment(text, before)
    if text == 'mirror':
        before = before[..., FLIPS, :]
    torch.testing.assert_close(distances(after), distances(before),
                               rtol=1e-3, atol=1e-3)
    assert not torch.allclose(after, before, atol=1e-3)


def test_handedness_survives_a_mirror_but_not_an_exchange_of_axes():
    """Left and right of a body, as the sign of a cross product."""
    def side(points):
        front = points[..., 3, :] - points[..., 0, :]
        across = points[..., 1, :] - points[..., 2, :]
        return torch.sign(front[..., 0] * across[..., 1]
                          - front[..., 1] * across[..., 0])
    before = windows()
    assert torch.equal(side(augment('mirror', before)), side(before))
    assert torch.equal(side(augment('all_perm_ax', before)), -side(before))


def test_angles_are_even_and_differ_from_window_to_window():
    given = torch.full((4000, 1, 1, 1, 2), .5)
    given[..., 0] = .8
    turned = augment_windows(given, seeds(4000),
                             parse_augmentations('rotation:max_angle=90'),
                             (0, )) - .5
    angles = torch.atan2(turned[..., 1], turned[..., 0]).flatten().numpy()
    shares = np.histogram(angles, 6, (-np.pi / 2, np.pi / 2))[0] / 4000
    np.testing.assert_allclose(shares, 1 / 6, atol=.02)


def test_rescaled_windows_fill_the_arena_and_truncated_ones_stay_in_it():
    given = windows() * 1.5
    assert augment('rotation:mode=truncate', given).amax() <= 1
    scaled = augment('rotation:mode=rescale', given)
    assert scaled.amin() >= 0 and scaled.amax() <= 1


def test_jitter_has_its_deviation_and_smooth_jitter_is_smooth():
    for text, steps in (('gauss_jitter:sigma=0.02', .02 * 2**.5),
                        ('smooth_jitter:sigma=0.02:length=10', .02 * .14)):
        noise = augment(text) - windows()
        assert float(noise.std()) == pytest.approx(.018, abs=.003)
        assert float(noise.diff(dim=1).std()) == pytest.approx(steps, rel=.1)


def test_ablated_points_are_missing_all_the_time_dropped_ones_for_a_while():
    gone = augment('kp_ablation:pB=0.2').isnan()[..., 0]
    assert torch.equal(gone.all(1), gone.any(1))
    assert float(gone.float().mean()) == pytest.approx(.2, abs=.05)
    runs = augment('kp_dropout:pB=0.5:frac=0.3').isnan()[..., 0]
    assert float(runs.any(1).float().mean()) == pytest.approx(.5, abs=.06)
    assert runs.sum(1).max() == 9


def test_a_share_of_windows_is_changed():
    changed = (augment('mirror:p=0.25') != windows()).flatten(1).any(1)
    assert float(changed.float().mean()) == pytest.approx(.25, abs=.15)


@pytest.mark.parametrize('text', [
    'rotation', 'gauss_jitter', 'smooth_jitter', 'kp_ablation:pB=.3',
    'kp_dropout', 'translation', 'scale', 'mirror:p=.5'])
def test_a_window_looks_the_same_in_any_batch(text):
    given, numbers = windows(), seeds()
    whole = augment(text, given, numbers)
    part = augment(text, given[20:30], numbers[20:30])
    torch.testing.assert_close(part, whole[20:30], rtol=0, atol=1e-6,
                               equal_nan=True)
    assert not torch.equal(augment(text, given, numbers + 1).nan_to_num(9.),
                           whole.nan_to_num(9.))


def test_missing_points_stay_missing():
    given = windows()
    given[:, :5, 0, 1] = float('nan')
    for text in ('rotation:mode=rescale', 'gauss_jitter', 'scale'):
        assert torch.equal(augment(text, given).isnan(), given.isnan())
