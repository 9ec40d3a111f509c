from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmpose_ext.layout import project_root
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.com_inference import ComLocator
from mmpose_ext.volumetric.recordings import open_recording

from .com_files import ball_config, write_ball

CONFIGS = sorted((project_root() / 'configs/volumetric').glob('com_*.py'))
TINY = next(path for path in CONFIGS if path.stem == 'com_tiny_synthetic')
TEST = 6  # time points


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    root = tmp_path_factory.mktemp('balls')
    write_ball(root / 'one', frames=40)
    np.save(root / 'middles.npy', write_ball(root / 'two', TEST, seed=1))
    runner = Runner.from_cfg(ball_config(TINY, root))
    runner.train()
    return runner


def test_a_small_network_learns_where_the_ball_is(trained: Runner) -> None:
    figures = trained.test()
    assert figures['com/mm_median'] < 4
    assert figures['com/mm_median'] < .1 * figures['com/trivial_mm_median']
    assert figures['com/found'] == 1


def test_the_locator_finds_what_the_test_found(trained: Runner) -> None:
    """In frames of all views, with the views that do not see it left out."""
    root = Path(trained.cfg.test_dataloader.dataset.data_root)
    recording = open_recording(root / 'two', com_source='labels')
    middles = np.load(root / 'middles.npy')
    images = [[recording.read(t, v) for v in range(3)] for t in range(TEST)]
    locator = ComLocator(trained.model, trained.cfg, batch_size=7)
    com, error_px, num_views, scores = locator.locate(
        images, recording.cameras)
    assert com.shape == (TEST, 1, 3)
    assert error_px.shape == num_views.shape == (TEST, 1)
    assert scores.shape == (TEST, 1, 3)
    errors = np.linalg.norm(com[:, 0] - middles, axis=-1)
    assert np.median(errors) < 4
    assert np.nanmax(error_px) < 12
    assert num_views[-1, 0] == 2  # the first camera does not see it
    one = locator.locate(images[2:3], recording.cameras)
    np.testing.assert_allclose(one.com[0], com[2], atol=1e-3)
    # a time point whose frames cannot be read
    gone = locator.locate([None, images[2]], recording.cameras)
    lost = locator.locate([[None, *images[2][1:]]], recording.cameras)
    assert lost.num_views[0, 0] == 2 and lost.scores[0, 0, 0] == 0
    assert np.linalg.norm(lost.com[0] - com[2]) < 6
    assert np.isnan(gone.com[0]).all() and gone.num_views[0, 0] == 0
    np.testing.assert_allclose(gone.com[1], com[2], atol=1e-3)


def test_the_peak_is_read_between_the_pixels(trained: Runner) -> None:
    """What moves in the frame is found moved as far, halved."""
    root = Path(trained.cfg.test_dataloader.dataset.data_root)
    recording = open_recording(root / 'two', com_source='labels')
    locator = ComLocator(trained.model, trained.cfg)
    image = recording.read(1, 1)
    pixels, _ = locator._find([image, np.roll(image, (3, 5), (0, 1))])
    np.testing.assert_allclose(
        pixels[1, 0] - pixels[0, 0], [2.5, 1.5], atol=.25)


def test_other_configs_are_refused() -> None:
    config = Config(dict(test_dataloader=dict(dataset=dict(
        type='mmpose_ext.VolumetricPoseDataset', pipeline=[]))))
    with pytest.raises(DataError, match='ComImageDataset'):
        ComLocator(torch.nn.Identity(), config)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_sizes_of_configs_agree(path: Path) -> None:
    """Network input, maps and labels of one size, and head to backbone."""
    config = Config.fromfile(path)
    size = config.model.head.decoder.input_size
    assert config.model.head.decoder.heatmap_size == size
    for loader in ('train', 'val', 'test'):
        dataset = config[f'{loader}_dataloader'].dataset
        sizes = [step['input_size'] for step in dataset.pipeline
                 if 'input_size' in step]
        sizes += [step.encoder[key] for step in dataset.pipeline
                  if 'encoder' in step
                  for key in ('input_size', 'heatmap_size')]
        assert sizes and set(map(tuple, sizes)) == {tuple(size)}
    widths = config.model.backbone.get('widths', (32, ))
    assert config.model.head.in_channels == widths[0]
