"""What the network is given: volumes, places and labels."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.geometry.volumes import sample_volume
from mmpose_ext.geometry.voxels import MIRRORED, VoxelGrid, turned_axes
from mmpose_ext.registry import MODELS
from tests.unit.geometry.camera_rigs import ring

CAMERAS = ring(4).resize(.25)
GRID = dict(vmin=-60., vmax=60., nvox=16)
FLIPS = [1, 0, 2]
ALL_AT_ONCE = dict(rotate='any', mirror=.5, com_jitter_mm=20., scale=.1,
                   view_draw='replace', view_dropout=.3, brightness=.05,
                   contrast=.1, hue=.05)


def preprocessor(**arguments):
    return MODELS.build(dict(
        type='mmpose_ext.VolumetricDataPreprocessor',
        **{'grid': GRID, **arguments}))


def item(seed: int = 0, individuals: int = 1, cameras: Cameras = CAMERAS,
         **metainfo) -> dict:
    """A sample as the data set's pipeline packs it."""
    generator = np.random.default_rng(seed)
    com = generator.uniform(-20, 20, (individuals, 3))
    sample = PoseDataSample(metainfo={
        **dict(cameras=cameras, com=com, turn=0., draw_seed=seed * 7919 - 3,
               flip_indices=FLIPS), **metainfo})
    sample.gt_instances = InstanceData(keypoints=np.float32(
        com[:, None] + generator.uniform(-40, 40, (individuals, 3, 3))))
    images = [torch.from_numpy(generator.integers(
        0, 256, (3, height, width), np.uint8))
        for width, height in cameras.sizes.tolist()]
    return dict(inputs=images, data_samples=sample)


def run(items: list[dict], training: bool = False, **arguments):
    data = preprocessor(**arguments)(pseudo_collate(items), training)
    return data['inputs'], data['data_samples']


def test_volumes_are_those_of_the_geometry_one_for_each_animal():
    items = [item(1, individuals=2), item(2), item(3, individuals=2)]
    inputs, samples = run(items)
    assert inputs['volumes'].shape == (5, 12, 16, 16, 16)
    assert inputs['volumes'].dtype == torch.float32
    assert inputs['view_mask'].all() and inputs['view_mask'].shape == (5, 4)
    grid, row = VoxelGrid(**GRID), 0
    np.testing.assert_allclose(inputs['offsets'], grid.offsets)
    for one, sample in zip(items, samples, strict=True):
        for index, com in enumerate(sample.metainfo['com']):
            np.testing.assert_array_equal(
                inputs['volumes'][row],
                sample_volume(one['inputs'], CAMERAS, com, grid=grid))
            np.testing.assert_allclose(inputs['centres'][row], com, atol=1e-5)
            np.testing.assert_array_equal(inputs['axes'][row], np.eye(3))
            np.testing.assert_array_equal(
                sample.metainfo['grid_centres'][index], com)
            row += 1
        assert sample.metainfo['grid_axes'].shape == (
            len(sample.metainfo['com']), 3, 3)
        assert 'gt_instance_labels' not in sample


def test_turn_of_a_test_turns_the_grid():
    inputs, samples = run([item(1, turn=np.pi / 2)])
    upright, _ = run([item(1)])
    np.testing.assert_array_equal(
        inputs['volumes'],
        upright['volumes'].flip(-2).transpose(-3, -2))
    np.testing.assert_array_equal(samples[0].metainfo['grid_axes'][0],
                                  turned_axes(np.pi / 2))


def test_validation_is_not_augmented():
    plain, _ = run([item(1)])
    found, _ = run([item(1)], augment=ALL_AT_ONCE)
    for name in plain:
        np.testing.assert_array_equal(found[name], plain[name])


def test_labels_come_in_training_and_keep_what_is_missing():
    one = item(1, individuals=2)
    one['data_samples'].gt_instances.keypoints[1, 2] = np.nan
    inputs, samples = run([one], training=True)
    found = samples[0].gt_instance_labels.keypoints
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(
        found, one['data_samples'].gt_instances.keypoints)


def test_augmented_volumes_are_sampled_where_they_say_they_lie():
    one = item(5, individuals=2)
    inputs, samples = run([one], training=True, augment=dict(
        rotate='any', mirror=.5, com_jitter_mm=20., scale=.2))
    grid, meta = VoxelGrid(**GRID), samples[0].metainfo
    for index in range(2):
        centre, axes = meta['grid_centres'][index], meta['grid_axes'][index]
        np.testing.assert_array_equal(
            inputs['volumes'][index],
            sample_volume(one['inputs'], CAMERAS, centre, axes, grid=grid))
        moved = abs(centre - meta['com'][index])
        assert (moved < 20).all() and (moved > 0).all()
        scale = abs(np.linalg.det(axes))**(1 / 3)
        assert .8 < scale < 1.2
        np.testing.assert_allclose(axes.T @ axes, scale**2 * np.eye(3),
                                   atol=1e-12)
        np.testing.assert_allclose(inputs['axes'][index], axes, atol=1e-6)
    assert (meta['grid_axes'][0] != meta['grid_axes'][1]).any()


def test_mirrored_volumes_exchange_left_and_right():
    mirrored = 0
    for seed in range(12):
        one = item(seed)
        inputs, samples = run([one], training=True, augment=dict(mirror=.5))
        labels = samples[0].gt_instance_labels.keypoints
        truth = one['data_samples'].gt_instances.keypoints
        axes = samples[0].metainfo['grid_axes'][0]
        if np.array_equal(axes, MIRRORED):
            mirrored += 1
            plain, _ = run([one])
            np.testing.assert_array_equal(labels, truth[:, FLIPS])
            np.testing.assert_array_equal(inputs['volumes'],
                                          plain['volumes'].flip(-3))
        else:
            np.testing.assert_array_equal(axes, np.eye(3))
            np.testing.assert_array_equal(labels, truth)
    assert 2 <= mirrored <= 10


def test_right_angles_are_the_four_of_them():
    found = {tuple(run([item(seed)], training=True,
                       augment=dict(rotate='right_angles'))[1][0]
                   .metainfo['grid_axes'][0][0, :2]) for seed in range(30)}
    assert found == {(1., 0.), (0., 1.), (-1., 0.), (0., -1.)}


def test_draws_are_the_same_in_any_batch():
    arguments = dict(training=True, augment=ALL_AT_ONCE)
    together, _ = run([item(seed, individuals=2) for seed in range(3)],
                      **arguments)
    for seed in range(3):
        alone, _ = run([item(seed, individuals=2)], **arguments)
        for name in ('volumes', 'centres', 'axes', 'view_mask'):
            np.testing.assert_array_equal(
                alone[name], together[name][2 * seed:2 * seed + 2])


def test_seeds_of_64_bits_are_taken_signed_or_not():
    signed, unsigned = (
        run([item(1, draw_seed=seed)], True, augment=ALL_AT_ONCE)[0]
        for seed in (-3, 2**64 - 3))
    np.testing.assert_array_equal(signed['volumes'], unsigned['volumes'])


def parts_of(inputs: dict, plain: dict) -> list[list[int]]:
    """The camera that each view of each volume shows, -1 for none."""
    views = plain['volumes'].unflatten(1, (-1, 3))
    return [[next((i for i, view in enumerate(views[row])
                   if torch.equal(part, view)), -1) for part in parts]
            for row, parts in enumerate(
                inputs['volumes'].unflatten(1, (-1, 3)))]


def test_cameras_are_permuted_or_drawn_again():
    distinct = []
    for seed in range(8):
        plain, _ = run([item(seed)])
        permuted, _ = run([item(seed)], True,
                          augment=dict(view_draw='permute'))
        drawn, _ = run([item(seed)], True, augment=dict(view_draw='replace'))
        assert sorted(parts_of(permuted, plain)[0]) == [0, 1, 2, 3]
        found = parts_of(drawn, plain)[0]
        assert -1 not in found
        distinct.append(len(set(found)))
    # 4 (1 - .75^4) on average
    assert 2 <= np.mean(distinct) <= 3.4


@pytest.mark.parametrize('count', [1, 2, 3, 4])
def test_dropped_views_are_blank_and_two_stay(count):
    cameras = CAMERAS.select(range(count))
    kept = []
    for seed in range(8):
        inputs, _ = run([item(seed, cameras=cameras)], True,
                        augment=dict(view_dropout=.9))
        blank = (inputs['volumes'].unflatten(1, (-1, 3)) == 0).all(
            -1).all(-1).all(-1).all(-1)
        np.testing.assert_array_equal(inputs['view_mask'], ~blank)
        kept.append(int((~blank).sum()))
    assert min(kept) == min(2, count)
    assert max(kept) <= count


@pytest.mark.parametrize(('num_views', 'expected'), [
    (2, [0, 1]), (4, [0, 1, 2, 3]), (6, [0, 1, 2, 3, 0, 1])])
def test_views_are_cut_or_repeated_to_their_number(num_views, expected):
    plain, _ = run([item(1)])
    inputs, _ = run([item(1)], num_views=num_views)
    assert inputs['view_mask'].shape == (1, num_views)
    assert parts_of(inputs, plain) == [expected]


def test_mono_volumes_are_luma_of_the_colored_ones():
    colored, _ = run([item(1)], interpolation='bilinear')
    mono, _ = run([item(1)], interpolation='bilinear', mono=True)
    weights = torch.tensor([.2125, .7154, .0721])
    expected = (colored['volumes'].unflatten(1, (4, 3))
                * weights[:, None, None, None]).sum(2)
    np.testing.assert_allclose(mono['volumes'], expected, atol=1e-5)


def test_peer_compat_samples_one_pixel_to_the_lower_right():
    one = item(1)
    found, _ = run([one], peer_compat=True)
    shifted = item(1)
    shifted['inputs'] = [
        torch.nn.functional.pad(image.float(), (0, 1, 0, 1), 'replicate')
        .to(torch.uint8)[:, 1:, 1:] for image in shifted['inputs']]
    expected, _ = run([shifted])
    # at the very edge, one clamps and the other repeats the same pixels
    assert (found['volumes'] == expected['volumes']).float().mean() > .999


@pytest.mark.parametrize('mono', [False, True])
def test_mixed_precision_changes_no_volume(mono):
    arguments = dict(mono=mono, augment=dict(contrast=.1, hue=.05))
    wanted, _ = run([item(1)], True, **arguments)
    with torch.autocast('cpu', torch.bfloat16):
        found, _ = run([item(1)], True, **arguments)
    assert found['volumes'].dtype == torch.float32
    assert found['volumes'].equal(wanted['volumes'])


def test_colors_change_in_training_and_places_do_not():
    plain, _ = run([item(1)])
    found, _ = run([item(1)], True, augment=dict(
        brightness=.1, contrast=.1, hue=.05))
    difference = abs(found['volumes'] - plain['volumes'])
    assert 0 < difference.mean() < .25
    np.testing.assert_array_equal(found['centres'], plain['centres'])


@pytest.mark.parametrize(('change', 'message'), [
    (dict(rotate='sometimes'), 'rotate'),
    (dict(view_draw='shuffle'), 'view_draw'),
    (dict(mirror=2.), 'mirror'),
    (dict(com_jitter_mm=-1.), 'com_jitter_mm'),
    (dict(scale=1.), 'scale'),
    (dict(saturation=.1), 'saturation'),
])
def test_impossible_augmentation_is_refused_at_once(change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        preprocessor(augment=change)


def test_batches_collated_otherwise_are_refused():
    one = item(1)
    with pytest.raises(ValueError, match='pseudo_collate'):
        preprocessor()(dict(inputs=[one['inputs']],
                            data_samples=[one['data_samples']]))


def test_copies_are_volumes_of_the_same_animal_in_other_grids():
    """In the order of copy, then animal; what is drawn differs."""
    items = [item(1, individuals=2), item(2)]
    items[1]['data_samples'].gt_instances.keypoints[:] = np.nan
    inputs, samples = run(items, True, augment=dict(
        rotate='any', com_jitter_mm=5.), copies=dict(labelled=2,
                                                    unlabelled=3))
    columns = {name: inputs[name].tolist() for name in (
        'samples', 'copies', 'individuals')}
    assert columns == dict(samples=[0] * 4 + [1] * 3,
                           copies=[0, 0, 1, 1, 0, 1, 2],
                           individuals=[0, 1, 0, 1, 0, 0, 0])
    assert len(inputs['volumes']) == 7
    grids = torch.cat([inputs['centres'], inputs['axes'].flatten(1)], 1)
    assert len(torch.unique(grids, dim=0)) == 7
    coms = torch.tensor(np.concatenate(
        [items[0]['data_samples'].com[[0, 1, 0, 1]],
         items[1]['data_samples'].com[[0, 0, 0]]]))
    assert (inputs['centres'] - coms).abs().max() <= 5
    labels = samples[0].gt_instance_labels.keypoints
    torch.testing.assert_close(labels[:2], labels[2:])
    assert samples[1].metainfo['grid_axes'].shape == (3, 3, 3)


def test_the_first_copy_is_what_there_is_without_copies():
    for individuals in (1, 2):
        items = [item(4, individuals=individuals)]
        alone, _ = run(items, True, augment=ALL_AT_ONCE)
        copied, _ = run(items, True, augment=ALL_AT_ONCE, copies=3)
        torch.testing.assert_close(
            copied['volumes'][:individuals], alone['volumes'],
            rtol=0, atol=0)


def test_a_test_makes_no_copies():
    inputs, _ = run([item(1, individuals=2)], copies=4)
    assert len(inputs['volumes']) == 2


def test_animals_are_turned_together_if_asked_for():
    items = [item(3, individuals=3)]
    augment = dict(rotate='any', mirror=.5, scale=.2, com_jitter_mm=5.)
    for together in (False, True):
        inputs, samples = run(
            items, True, augment=dict(augment, together=together), copies=2)
        axes = inputs['axes'].unflatten(0, (2, 3))
        assert bool((axes == axes[:, :1]).all()) == together
        assert not (axes[0] == axes[1]).all()
        shifts = inputs['centres'].unflatten(0, (2, 3)) - torch.tensor(
            samples[0].com)
        assert len(torch.unique(shifts.flatten(0, 1), dim=0)) == 6


def test_colours_differ_from_copy_to_copy():
    inputs, _ = run([item(1, individuals=2)], True, copies=2,
                    augment=dict(brightness=.5))
    first, second = inputs['volumes'].unflatten(0, (2, 2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize('copies', [0, -1, 2.5, dict(labelled=0),
                                    dict(unlabelled='two')])
def test_what_is_no_number_of_copies_is_refused(copies):
    with pytest.raises((ValueError, TypeError), match='copies|mapping'):
        preprocessor(copies=copies)


def test_views_that_another_animal_hides_are_not_looked_at():
    """Two animals in a line with camera 0: it sees the nearer one alone."""
    one = item(1, individuals=2)
    centre = CAMERAS.positions[0]
    towards = centre / np.linalg.norm(centre)
    one['data_samples'].set_metainfo(dict(
        com=np.stack([np.zeros(3), 120 * towards])))
    for action in ('blank', 'replace'):
        inputs, _ = run([one], occlusion=dict(
            radius_mm=40., limit=.5, action=action))
        mask = inputs['view_mask']
        assert mask[1].all()
        blocks = inputs['volumes'][0].unflatten(0, (4, 3))
        if action == 'blank':
            assert mask[0].tolist() == [False, True, True, True]
            assert not blocks[0].any()
        else:
            assert mask.all()
            assert any(torch.equal(blocks[0], other)
                       for other in blocks[1:])


@pytest.mark.parametrize('settings', [
    dict(radius_mm=0.), dict(radius_mm=40., limit=1.5),
    dict(radius_mm=40., action='erase')])
def test_what_is_no_rule_for_hidden_views_is_refused(settings):
    with pytest.raises(ValueError, match='occlusion'):
        preprocessor(occlusion=settings)
