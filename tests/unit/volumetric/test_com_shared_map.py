"""Two animals that look alike: one map, then linked over time."""
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner, save_checkpoint
from scipy import io

from mmpose_ext.commands import run_command
from mmpose_ext.layout import project_root
from mmpose_ext.storage import DataError
from mmpose_ext.storage.com3d import read_com3d
from mmpose_ext.storage.label3d import write_label3d
from mmpose_ext.volumetric.com_datasets import ComImageDataset
from mmpose_ext.volumetric.com_inference import link_com
from mmpose_ext.volumetric.com_peaks import ComSharedHeatmap
from mmpose_ext.volumetric.recordings import Recording

from .com_files import ball_config, write_balls
from .pair_files import EACH, make_animal, write_pair

CONFIG = (project_root() / 'configs/volumetric'
          / 'com_shared-map_synthetic-pairs.py')
TEST = 24  # time points


def balls_config(root: Path) -> Config:
    """The config of the synthetic pairs on two balls."""
    config = ball_config(CONFIG, root, split='all',
                         recording_settings=dict(num_keypoints=16))
    config.model.head.decoder.sigma = 1.5
    return config


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    root = tmp_path_factory.mktemp('balls')
    write_balls(root / 'one', frames=40)
    np.save(root / 'middles.npy', write_balls(root / 'two', TEST, seed=1))
    runner = Runner.from_cfg(balls_config(root))
    runner.train()
    return runner


def test_a_small_network_learns_where_two_balls_are(trained: Runner) -> None:
    assert trained.model.head.out_channels == 1
    assert isinstance(trained.model.head.decoder, ComSharedHeatmap)
    figures = trained.test()
    assert figures['com/found'] > .95
    assert figures['com/mm_median'] < 4
    assert figures['com/mm_median'] < .2 * figures['com/trivial_mm_median']


def test_the_prediction_follows_each_ball(
        trained: Runner, capsys: pytest.CaptureFixture) -> None:
    root = Path(trained.cfg.test_dataloader.dataset.data_root)
    config = root / 'config.py'
    trained.cfg.dump(str(config))
    save_checkpoint(dict(state_dict=trained.model.state_dict(),
                         meta={}), str(root / 'a.pth'))
    code = run_command('predict', '', [
        str(config), str(root / 'a.pth'), str(root / 'two'), '--out',
        str(root / 'out'), '--device', 'cpu'])
    text = capsys.readouterr().out
    assert code == 0 and 'identities        ' in text
    assert 'exchanged back' not in text  # of one map there is no telling
    found = read_com3d(root / 'out' / 'com3d.mat').points
    middles = np.load(root / 'middles.npy')
    # each track is one ball from the first to the last time point, and
    # numbered as the labels are
    errors = np.linalg.norm(found - middles, axis=-1)
    assert np.median(errors) < 4 and errors.max() < 25
    metadata = io.loadmat(root / 'out' / 'com3d.mat',
                          simplify_cells=True)['metadata']
    assert metadata['error_px'].shape == (TEST, 2)
    assert 'map_of_animal' not in metadata
    assert json.loads((root / 'out/prediction_com.json').read_text())


def test_a_time_point_keeps_its_other_views(
        trained: Runner, capsys: pytest.CaptureFixture,
        monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(trained.cfg.test_dataloader.dataset.data_root)
    config, read = root / 'half.py', Recording.read
    trained.cfg.dump(str(config))
    save_checkpoint(dict(state_dict=trained.model.state_dict(), meta={}),
                    str(root / 'half.pth'))

    def damaged(self: Recording, row: int, view: int) -> np.ndarray:
        if (row == 5 and view == 1) or (row == 7 and view < 2):
            raise DataError(f'{view}.mp4', f'frame {row}', 'one', 'none')
        return read(self, row, view)

    monkeypatch.setattr(Recording, 'read', damaged)
    run_command('predict', '', [
        str(config), str(root / 'half.pth'), str(root / 'two'), '--out',
        str(root / 'half'), '--device', 'cpu'])
    text = capsys.readouterr().out
    assert 'partly readable   1, from their other views: sampleID 51' in text
    assert 'unreadable        1, NaN in the files: sampleID 71' in text
    found = read_com3d(root / 'half' / 'com3d.mat').points
    middles = np.load(root / 'middles.npy')
    assert np.linalg.norm(found[5] - middles[5], axis=-1).max() < 25
    assert np.isnan(found[7]).all() and np.isfinite(found[8]).all()


def test_exchanged_maps_are_counted_and_put_right() -> None:
    generator = np.random.default_rng(0)
    com = np.cumsum(generator.normal(0, 2, (60, 2, 3)), 0) + [
        [[0, 0, 0], [200, 0, 0]]]
    swapped = [7, 8, 30]
    found = dict(sample_ids=np.arange(60) * 10, com=com.copy(),
                 scores=np.tile([[[.9], [.8]]], (60, 1, 4)),
                 readable=np.ones(60, bool))
    for name in ('com', 'scores'):
        found[name][swapped] = found[name][swapped][:, ::-1]
    config = Config(dict(test_evaluator=dict(type='mmpose_ext.ComMetric')))
    linked = link_com(found, config, np.full_like(com, np.nan))
    np.testing.assert_array_equal(linked.found['com'], com)
    assert (linked.found['scores'][:, 0] == .9).all()
    assert linked.found['readable'] is found['readable']
    assert 'exchanged back at 3 of 60 time points, 0 doubtful' in linked.text
    maps = linked.notes['map_of_animal']
    assert np.flatnonzero(maps[:, 0] == 2).tolist() == swapped


def test_time_points_with_an_animal_unlabelled_teach_no_shared_map(
        tmp_path: Path) -> None:
    folder = write_pair(tmp_path / 'dyad')
    settings = {**EACH, 'com_file': None}
    own, shared = (ComImageDataset(
        str(folder), '.', recording_settings=settings, test_mode=True,
        shared_map=flag) for flag in (False, True))
    assert {item['sample_id'] for item in own.samples} == {
        1, 21, 41, 51, 61, 71, 81, 91}
    assert {item['sample_id'] for item in shared.samples} == {41, 61, 81}
    for item in shared.samples:
        assert np.isfinite(item['com']).all()
    other = make_animal(folder, 1)
    write_label3d(other.source, replace(
        other, label_ids=other.label_ids[:0], points=other.points[:0],
        label_frames=other.label_frames[:0], pixels=None))
    with pytest.raises(DataError, match='labels of all animals'):
        ComImageDataset(str(folder), '.', shared_map=True,
                        recording_settings=settings)


def test_the_map_of_a_config_has_as_many_animals_as_its_metric() -> None:
    config = Config.fromfile(CONFIG)
    decoder = config.model.head.decoder
    assert decoder.type == 'mmpose_ext.ComSharedHeatmap'
    assert decoder.num_individuals == 2
    assert config.model.head.out_channels == 1
    for name in ('val', 'test'):
        assert config[f'{name}_evaluator'].shared_map
        assert config[f'{name}_dataloader'].dataset.shared_map
    steps = config.train_dataloader.dataset.pipeline
    encoder = next(step.encoder for step in steps if 'encoder' in step)
    assert encoder == decoder
    assert torch.tensor(decoder.input_size).tolist() == [80, 64]
