"""Every config builds its network, of the published size, and it predicts."""
from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.layout import project_root
from mmpose_ext.registry import MODELS
from mmpose_ext.volumetric.skeletons import load_skeleton
from tests.unit.geometry.camera_rigs import ring

FOLDER = project_root() / 'configs' / 'volumetric'
PATHS = sorted(FOLDER.glob('*.py'))
ANY_VIEWS = 'dannce_any-views_1xb4-100e_rat23-80vox'
RATS = ring(6).resize(.125)

# published figures; of the stem of any views there are none
SIZES = {
    'dannce_compressed_1xb4-100e_rat23-6cam-80vox': 5_615_155,
    'dannce_parity_1xb4-100e_rat23-6cam-80vox': 5_615_155,
    'dannce_compressed_1xb4-200e_mouse22-6cam-64vox': 5_615_122,
    'dannce_full_1xb4-100e_rat23-6cam-80vox': 22_424_627,
    'com_rat23-240x144': 7_760_133,
    'sdannce_compressed_1xb2-40e_rat23-6cam-80vox': 5_878_110,
    'sdannce_parity_1xb1-40e_rat23-6cam-80vox': 5_878_110,
}
POSES = [path for path in PATHS if 'dannce' in path.stem]
FULL_SIZE = [path.stem for path in POSES if 'rat23' in path.stem
             or 'mouse22' in path.stem]


def build(name: str, **grid: int) -> tuple[Config, Any]:
    """A config, and its model with a changed grid."""
    init_default_scope('mmpose')
    config = Config.fromfile(FOLDER / f'{name}.py',
                             import_custom_modules=False)
    if grid:
        config.model.data_preprocessor.grid.update(grid)
    torch.manual_seed(0)
    return config, MODELS.build(config.model).eval()


def sample(cameras: Cameras, animals: int = 1) -> dict[str, Any]:
    """A time point as the data set packs it; animals stand side by side."""
    generator = np.random.default_rng(0)
    images = {  # a camera sees the same wherever it stands in the list
        name: torch.from_numpy(generator.integers(
            0, 256, (3, height, width), np.uint8))
        for name, (width, height) in zip(
            sorted(cameras.names), cameras.sizes.tolist(), strict=True)}
    packed = PoseDataSample(metainfo=dict(
        cameras=cameras, com=np.arange(animals)[:, None] * [[100., 0, 0]],
        turn=0., draw_seed=1))
    packed.gt_instances = InstanceData(
        keypoints=np.zeros((animals, 1, 3), np.float32))
    return dict(inputs=[images[name] for name in cameras.names],
                data_samples=packed)


def predict(model: Any, cameras: Cameras, animals: int = 1) -> np.ndarray:
    """Keypoints (I, K, 3) mm of a time point of random pictures."""
    with torch.inference_mode():
        found, = model.test_step(
            pseudo_collate([sample(cameras, animals)]))
    return np.asarray(found.pred_instances.keypoints)


@pytest.mark.parametrize('name', SIZES)
def test_network_has_the_published_size(name: str) -> None:
    _, model = build(name)
    assert sum(p.numel() for p in model.parameters()) == SIZES[name]


@pytest.mark.parametrize('name', FULL_SIZE)
def test_all_keypoints_are_found_inside_the_volume(name: str) -> None:
    config, model = build(name, nvox=16)
    points = predict(model, RATS)
    skeleton = config.test_dataloader.dataset.skeleton
    count = load_skeleton(skeleton)['num_keypoints']
    assert points.shape == (1, count, 3)
    assert (np.abs(points) <= config.model.data_preprocessor.grid.vmax).all()


@pytest.mark.parametrize('name', [
    name for name in SIZES if name.startswith('sdannce')])
def test_each_of_two_animals_is_found_in_its_own_volume(name: str) -> None:
    """A graph that has not learnt leaves the points where they are."""
    config, model = build(name, nvox=16)
    points = predict(model, RATS, animals=2)
    assert points.shape == (2, 23, 3)
    reach = config.model.data_preprocessor.grid.vmax
    assert (np.abs(points - [[[0., 0, 0]], [[100., 0, 0]]]) <= reach).all()
    np.testing.assert_allclose(points[:1], predict(model, RATS), atol=1e-3)


@pytest.mark.parametrize('views', [3, 5])
def test_any_views_go_in_any_order(views: int) -> None:
    _, model = build(ANY_VIEWS, nvox=16)
    cameras = ring(views).resize(.125)
    points = predict(model, cameras)
    again = predict(model, cameras.select(range(views - 1, -1, -1)))
    np.testing.assert_allclose(again, points, atol=1e-3)
    others = predict(model, cameras.select(range(views - 1)))
    assert not np.allclose(others, points, atol=1e-3)


def test_network_for_middles_keeps_the_size_of_the_picture() -> None:
    config, model = build('com_rat23-240x144')
    width, height = config.codec.input_size
    with torch.inference_mode():
        maps = model(torch.zeros(1, 3, height, width), None, mode='tensor')
    assert maps.shape == (1, 1, height, width)


@pytest.mark.parametrize('path', POSES, ids=[path.stem for path in POSES])
def test_pictures_are_cropped_with_room_for_all_changes(path: Path) -> None:
    config = Config.fromfile(path, import_custom_modules=False)
    preprocessor = config.model.data_preprocessor
    shift = preprocessor.augment.com_jitter_mm
    stretch = 1 + preprocessor.augment.get('scale', 0.)
    for part in ('train', 'val', 'test'):
        dataset = config[f'{part}_dataloader'].dataset
        reach, = (transform.reach_mm for transform in dataset.pipeline
                  if 'reach_mm' in transform)
        assert reach >= stretch * preprocessor.grid.vmax + shift
        assert dataset.get('com_jitter_mm', 0.) <= shift


@pytest.mark.parametrize('path', PATHS, ids=[path.stem for path in PATHS])
def test_what_is_trained_on_is_not_tested_on(path: Path) -> None:
    config = Config.fromfile(path, import_custom_modules=False)
    train, test = (config[f'{part}_dataloader'].dataset
                   for part in ('train', 'test'))
    assert test.test_mode and not train.get('test_mode')
    assert train.data_root == test.data_root
    if train.recordings == test.recordings:
        assert {train.split, test.split} == {'train', 'test'}
        assert train.get('split_by') == test.get('split_by')
    else:
        assert not any(fnmatch(name, train.recordings)
                       for name in test.recordings)
