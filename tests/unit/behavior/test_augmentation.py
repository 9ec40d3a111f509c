"""The short form says what is done; identities are permuted evenly."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.behavior.augmentation import (
    identity_draws,
    parse_augmentations,
    permute_identities,
    write_augmentations,
)

SEED_LINE = 'all_perm_id:p=0.5,all_perm_ax:p=0.7,blk_perm_id:p=0.3:frac=0.2'


def test_the_documented_line_is_read():
    items = parse_augmentations(SEED_LINE)
    assert [(item.name, dict(item.values)) for item in items] == [
        ('all_perm_id', dict(p=.5)), ('all_perm_ax', dict(p=.7)),
        ('blk_perm_id', dict(p=.3, frac=.2))]


def test_spaces_and_empty_items_are_passed_over_and_defaults_filled_in():
    items = parse_augmentations(
        ' , gauss_jitter : sigma = 0.02 ,, rotation:mode=rescale,')
    assert items[0].values == dict(p=1., sigma=.02)
    assert items[1].values == dict(p=1., max_angle=180., mode='rescale')
    assert parse_augmentations('') == ()


def test_what_is_written_is_read_again():
    items = parse_augmentations(SEED_LINE + ',kp_ablation:pB=.1,mirror')
    assert parse_augmentations(write_augmentations(items)) == items


def test_published_form_has_the_published_names_and_defaults():
    item, = parse_augmentations('rotation', published=True)
    assert item.values['mode'] == 'truncate'
    with pytest.raises(ValueError, match='mirror'):
        parse_augmentations('mirror', published=True)


@pytest.mark.parametrize(('text', 'said'), [
    ('all_perm_idd', "did you mean 'all_perm_id'"),
    ('all_perm_id:prob=.5', "no key 'prob'"),
    ('all_perm_id:p', 'invalid parameter format'),
    ('all_perm_id:p=', 'invalid parameter format'),
    ('all_perm_id:p=often', 'invalid parameter value'),
    ('all_perm_id:p=1.5', r'in \[0, 1\]'),
    ('blk_perm_id:frac=0', r'in \(0, 1\]'),
    ('blk_perm_id:fraq=.2', "did you mean 'frac'"),
    ('gauss_jitter:sigma=0', 'above 0'),
    ('gauss_jitter:sigma=nan', 'above 0'),
    ('kp_ablation', 'found no pB'),
    ('rotation:mode=clip', 'none or truncate or rescale'),
    ('rotation:max_angle=400', '400'),
    ('all_perm_id;p=.5', 'unknown'),
])
def test_typos_are_refused_with_what_is_meant(text, said):
    with pytest.raises(ValueError, match=said):
        parse_augmentations(text)


def permute(text, individuals=2, size=40, count=20_000):
    items = parse_augmentations(text)
    draws = np.random.default_rng(0).random(
        (count, len(items) * identity_draws(individuals)))
    return permute_identities(items, draws, size, individuals)


def test_all_permutations_are_equally_likely():
    sources = permute('all_perm_id:p=1', 3)[:, 0]
    _, counts = np.unique(sources, axis=0, return_counts=True)
    assert len(counts) == 6
    assert np.abs(counts / counts.sum() - 1 / 6).max() < .01


def test_a_share_of_windows_is_permuted():
    changed = permute('all_perm_id:p=0.5')[:, 0, 0] == 1
    assert changed.mean() == pytest.approx(.25, abs=.01)


def test_each_frame_is_in_a_block_equally_often():
    size, length = 40, 8
    swapped = permute('blk_perm_id:frac=0.2', size=size)[:, :, 0] == 1
    rate = .5 * length / (size + length - 1)  # half of the time exchanged
    np.testing.assert_allclose(swapped.mean(0), rate, atol=.01)
    assert (np.diff(swapped.astype(int), axis=1) == 1).sum(1).max() == 1


def test_nothing_to_permute_gives_nothing():
    assert permute_identities(parse_augmentations('mirror'),
                              np.zeros((3, 0)), 10, 2) is None
