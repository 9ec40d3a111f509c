"""What the networks see, drawn: the volume, its targets, and its mirror."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmpose_ext.commands import run_command
from mmpose_ext.registry import DATASETS, MODELS
from mmpose_ext.volumetric.browse_dataset import (
    TILE,
    SeenVolume,
    draw_com_sample,
    draw_slab,
    draw_view,
    draw_volume,
    iter_volumes,
)
from tests.unit.volumetric.com_files import write_ball, write_balls

CONFIG = '''
default_scope = 'mmpose'
custom_imports = dict(imports=['mmpose_ext.volumetric'])
model = dict(
    type='mmpose_ext.DannceEstimator',
    data_preprocessor=dict(
        type='mmpose_ext.VolumetricDataPreprocessor',
        grid=dict(vmin=-60., vmax=60., nvox=24), interpolation='bilinear',
        augment=dict(rotate='any', mirror=1., com_jitter_mm=20.)))
train_dataloader = dict(
    batch_size=4, num_workers=2, persistent_workers=True,
    sampler=dict(type='mmpose_ext.DrawSampler', shuffle=True),
    dataset=dict(
        type='mmpose_ext.VolumetricPoseDataset', data_root={root!r},
        recordings=['day'], skeleton='rat16', cache=dict(megabytes=1),
        pipeline=[
            dict(type='mmpose_ext.DannceLoadFrames'),
            dict(type='mmpose_ext.DannceCropToVolume', reach_mm=80.),
            dict(type='mmpose_ext.DanncePackInputs')]))
'''
COM = '''
default_scope = 'mmpose'
custom_imports = dict(imports=['mmpose_ext.volumetric'])
codec = dict(type='UDPHeatmap', input_size=(48, 36), heatmap_size=(48, 36),
             sigma=2.)
train_dataloader = dict(
    batch_size=4, num_workers=0,
    sampler=dict(type='mmpose_ext.DrawSampler', shuffle=True),
    dataset=dict(
        type='mmpose_ext.ComImageDataset', data_root={root!r},
        recordings=['day'], factor=2, pipeline=[
            dict(type='GetBBoxCenterScale', padding=1.),
            dict(type='RandomFlip', direction='horizontal'),
            dict(type='TopdownAffine', input_size=(48, 36), use_udp=True),
            dict(type='GenerateTarget', encoder=codec),
            dict(type='PackPoseInputs')]))
'''


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp('browse')
    middles = write_ball(root / 'day')
    for name, text in (('pose', CONFIG), ('com', COM)):
        (root / f'{name}.py').write_text(text.format(root=str(root)))
    return dict(root=root, middles=middles)


@pytest.fixture(scope='module')
def volumes(files) -> list[SeenVolume]:
    """Of four time points, turned, moved and mirrored."""
    config = Config.fromfile(files['root'] / 'pose.py')
    dataset = DATASETS.build(config.train_dataloader.dataset)
    preprocessor = MODELS.build(config.model.data_preprocessor)
    return [volume for index in (3, 5, 8, 11)
            for volume in iter_volumes(dataset[index], preprocessor, True)]


def test_targets_lie_on_what_the_volume_shows(volumes):
    """The ball is brightest where the mirrored, turned targets are."""
    for volume in volumes:
        assert volume.mirrored
        bright = volume.volume[..., 1].astype(float)
        weights = np.clip(bright - .9 * bright.max(), 0, None)
        offsets = volume.grid.offsets
        found = [(weights.sum(axes) * offsets).sum() / weights.sum()
                 for axes in ((0, 2), (1, 2), (0, 1))]  # x, y, z
        middle = volume.local_targets().mean(0)
        assert np.linalg.norm(found - middle) < 2 * volume.grid.spacing


def test_a_slab_shows_its_axes_rightwards_and_upwards(volumes):
    """The ball's pixels are about the targets' middle in each slab."""
    for volume in volumes:
        middle = volume.local_targets().mean(0)
        bare = SeenVolume(**{**vars(volume),
                             'labels': volume.labels * np.nan})
        for column, row, axes in (('x', 'y', [0, 1]), ('x', 'z', [0, 2]),
                                  ('y', 'z', [1, 2])):
            tile = draw_slab(bare, column, row)
            assert tile.shape == (TILE, TILE, 3)
            x, y = (middle[axes] * [1, -1] + 60) * TILE / 120
            green = cv2.GaussianBlur(tile[..., 1], (0, 0), 8)
            near = green[int(y) - 25:int(y) + 25, int(x) - 25:int(x) + 25]
            assert near.max() >= .9 * green.max()


def test_a_mirror_exchanges_the_sides_of_the_targets(volumes):
    volume = volumes[0]
    assert not np.allclose(volume.targets, volume.labels)
    np.testing.assert_allclose(
        volume.targets[np.lexsort(volume.targets.T)],
        volume.labels[np.lexsort(volume.labels.T)], atol=1e-4)
    assert 'sides exchanged' in volume.describe()


def test_views_keep_the_labels_sides(volumes):
    """What is drawn over a photograph is the animal, not its mirror."""
    volume = volumes[0]
    swapped = SeenVolume(**{**vars(volume), 'labels': volume.targets})
    assert (draw_view(volume, 0) != draw_view(swapped, 0)).any()
    one_sided = SeenVolume(**{**vars(volume), 'targets': volume.labels})
    assert (draw_view(volume, 0) == draw_view(one_sided, 0)).all()


def test_unlabelled_volumes_can_be_drawn(volumes):
    lost = np.full_like(volumes[0].labels, np.nan)
    drawn = draw_volume(SeenVolume(**{
        **vars(volumes[0]), 'labels': lost, 'targets': lost}))
    assert drawn.shape == draw_volume(volumes[0]).shape


@pytest.mark.parametrize('name, expected', [
    ('pose', ['train_000_0.png', 'train_001_0.png']),
    ('com', ['train_000.png'])])
def test_the_command_writes_pictures(files, tmp_path, capsys, name, expected):
    assert run_command('browse_dataset', '', [
        str(files['root'] / f'{name}.py'), '--out-dir', str(tmp_path / 'new'),
        '--number', '2']) == 0
    written = sorted((tmp_path / 'new').iterdir())
    assert [path.name for path in written] == expected
    assert str(written[0]) in capsys.readouterr().out
    assert cv2.imread(str(written[0])).std() > 5


def test_a_centres_target_is_drawn_on_the_animal(files):
    config = Config.fromfile(files['root'] / 'com.py')
    config.train_dataloader.dataset.pipeline.pop()  # packing
    dataset = DATASETS.build(config.train_dataloader.dataset)
    results = dataset[6]
    tile, caption = draw_com_sample(results)
    assert caption.startswith('day/Camera1/') and '1 of 1' in caption
    place = (results['transformed_keypoints'].reshape(2) + .5) * TILE / 48
    shade = tile[int(place[1]), int(place[0])].astype(int)
    assert shade[1] > shade[2] and shade[1] > shade[0]


@pytest.mark.parametrize('words', [('--number', '0'), ('--split', 'val')])
def test_wrong_options_leave_nothing(files, tmp_path: Path, words):
    assert run_command('browse_dataset', '', [
        str(files['root'] / 'pose.py'), '--out-dir', str(tmp_path / 'new'),
        *words]) == 1
    assert not list(tmp_path.iterdir())


def test_every_copy_of_every_animal_is_shown(tmp_path):
    """Two of each animal of a time point that nobody labelled."""
    write_balls(tmp_path / 'day')
    (tmp_path / 'pose.py').write_text(CONFIG.format(root=str(tmp_path)))
    config = Config.fromfile(tmp_path / 'pose.py')
    settings = config.train_dataloader.dataset
    settings.update(num_individuals=2, num_labels=4, unlabelled='equal',
                    recording_settings=dict(com_source='labels'))
    dataset = DATASETS.build(settings)
    preprocessor = MODELS.build(dict(
        config.model.data_preprocessor, copies=dict(unlabelled=2)))
    shown, hidden = (
        list(iter_volumes(dataset[index], preprocessor, True))
        for index in (0, 4))
    assert [volume.caption.split('   ')[2:] for volume in hidden] == [
        [f'animal {animal} of 2', f'copy {copy} of 2', 'no labels']
        for copy in (1, 2) for animal in (1, 2)]
    assert not np.allclose(hidden[0].axes, hidden[2].axes)
    assert all(np.isnan(volume.targets).all() for volume in hidden)
    assert [volume.caption.split('   ')[2] for volume in shown] == [
        'animal 1 of 2', 'animal 2 of 2']
    for volume in shown:
        known = np.isfinite(volume.labels).all(-1)
        assert f'{known.sum()} of 16 labelled' in volume.caption
