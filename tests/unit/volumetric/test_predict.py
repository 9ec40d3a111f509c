"""From a recording on the disk to files of poses, by the command."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import save_checkpoint
from scipy import io

from mmpose_ext.commands import run_command
from mmpose_ext.registry import DATASETS, MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.storage.com3d import ComTrack, read_com3d, write_com3d
from mmpose_ext.storage.movement_netcdf import read_movement_netcdf
from mmpose_ext.volumetric import predict
from mmpose_ext.volumetric.com_inference import LocatedCom
from mmpose_ext.volumetric.inference import DanncePredictor, load_model
from mmpose_ext.volumetric.prediction_files import read_poses_mat
from mmpose_ext.volumetric.recordings import Recording, open_recording
from mmpose_ext.volumetric.streaming import BlockStore
from tests.unit.volumetric.recording_files import FRAMES
from tests.unit.volumetric.small_models import write_pose_model


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A recording, a config and the weights of an untrained model."""
    return write_pose_model(tmp_path_factory.mktemp('predict'))


def call(files: dict[str, Path], out: Path, *words: Any) -> int:
    return run_command('predict', '', [
        str(files['config']), str(files['checkpoint']),
        str(files['recording']), '--out', str(out), '--device', 'cpu',
        *map(str, words)])


def test_poses_are_those_of_the_data_sets_own_samples(files):
    """Images go the way that they go in a test."""
    config = Config.fromfile(files['config'])
    model = load_model(config, files['checkpoint'])
    data = DATASETS.build(config.test_dataloader.dataset)
    with torch.inference_mode():
        wanted = model.test_step(pseudo_collate([data[i] for i in range(5)]))
    recording = open_recording(files['recording'])
    images = [[recording.read(row, view) for view in range(3)]
              for row in range(5)]
    found = DanncePredictor(model).predict(images, recording.cameras,
                                           recording.com[:5])
    for row, sample in enumerate(wanted):
        instances = sample.pred_instances
        np.testing.assert_allclose(found.points[row], instances.keypoints,
                                   atol=1e-3)
        np.testing.assert_allclose(found.scores[row],
                                   instances.keypoint_scores, rtol=1e-4)
        np.testing.assert_allclose(found.spread[row], instances.spread_mm,
                                   rtol=1e-4)


def test_turns_are_averaged(files):
    config = Config.fromfile(files['config'])
    model = load_model(config, files['checkpoint'])
    recording = open_recording(files['recording'])
    images = [[recording.read(row, view) for view in range(3)]
              for row in range(2)]
    config.test_dataloader.dataset.turns = (0, 90, 180, 270)
    data = DATASETS.build(config.test_dataloader.dataset)
    with torch.inference_mode():
        samples = model.test_step(pseudo_collate([data[i] for i in range(8)]))
    wanted = np.mean([sample.pred_instances.keypoints
                      for sample in samples[4:]], 0)
    found = DanncePredictor(model, turns=4).predict(
        images, recording.cameras, recording.com[:2])
    np.testing.assert_allclose(found.points[1], wanted, atol=1e-3)


def test_individuals_without_a_centre_of_mass_stay_unknown(files):
    model = load_model(Config.fromfile(files['config']), files['checkpoint'])
    recording = open_recording(files['recording'])
    images = [[recording.read(row, view) for view in range(3)]
              for row in range(3)]
    com = np.repeat(recording.com[:3], 2, 1)
    com[1], com[2, 0] = np.nan, np.nan
    found = DanncePredictor(model).predict(images, recording.cameras, com)
    assert np.isfinite(found.points).all((2, 3)).tolist() == [
        [True, True], [False, False], [False, True]]
    alone = DanncePredictor(model).predict(images[2:], recording.cameras,
                                           recording.com[2:3])
    np.testing.assert_allclose(found.points[2, 1], alone.points[0, 0],
                               atol=1e-3)


def test_command_writes_poses_with_true_sample_ids(files, tmp_path, capsys):
    out = tmp_path / 'out'
    assert call(files, out, '--start', 1, '--stop', 11, '--every', 3) == 0
    recording = open_recording(files['recording'])
    rows = [1, 4, 7, 10]
    found = read_poses_mat(out / 'save_data_AVG.mat')
    assert found.sample_ids.tolist() == recording.sample_ids[rows].tolist()
    assert found.points.shape == (4, 1, 16, 3)
    assert np.isfinite(found.points).all()
    np.testing.assert_allclose(found.com, recording.com[rows])
    assert found.cameras == recording.cameras.names
    assert found.keypoints[:3] == ('EarL', 'EarR', 'Snout')
    poses = read_movement_netcdf(out / 'poses.nc')
    np.testing.assert_array_equal(poses.position, found.points)
    np.testing.assert_array_equal(poses.confidence, found.scores)
    np.testing.assert_allclose(poses.time, np.array(rows) / 30.)
    used = io.loadmat(out / 'com3d_used.mat')
    assert used['sampleID'].tolist() == [recording.sample_ids[rows].tolist()]
    assert used['com'].shape == (4, 3)
    assert sorted(path.name for path in out.iterdir()) == [
        'com3d_used.mat', 'poses.nc', 'prediction_poses.json',
        'save_data_AVG.mat']
    text = capsys.readouterr().out
    assert str(out / 'poses.nc') in text and 'time points       4' in text


@pytest.fixture(scope='module')
def refined(files: dict[str, Path]) -> dict[str, Path]:
    """The same, with a graph that moves the keypoints by some mm."""
    text = files['config'].read_text().replace(
        'in_channels=4,', 'in_channels=(4, 4, 4), refiner=dict('
        "type='mmpose_ext.DanncePoseGraph', skeleton='rat16', hidden=4, "
        'layers=1, fuse_channels=4),')
    path = files['root'] / 'refined.py'
    path.write_text(text)
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(path).model)
    torch.nn.init.normal_(model.head.refiner.last.own)
    weights = torch.load(files['checkpoint'], weights_only=False)
    save_checkpoint(dict(state_dict=model.state_dict(),
                         meta=weights['meta']), str(files['root'] / 'r.pth'))
    return dict(files, config=path, checkpoint=files['root'] / 'r.pth')


def test_poses_before_they_are_refined_are_written_too(
        refined, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(predict, 'BLOCK', 2)
    original, tried = DanncePredictor.predict, []

    def failing(self, images, cameras, com):
        tried.append(len(images))
        if len(tried) == 2:  # the second block
            raise KeyboardInterrupt
        return original(self, images, cameras, com)

    out = tmp_path / 'out'
    with monkeypatch.context() as patch:
        patch.setattr(DanncePredictor, 'predict', failing)
        with pytest.raises(KeyboardInterrupt):
            call(refined, out, '--stop', 3)
    assert call(refined, out, '--stop', 3, '--resume') == 0
    assert 'init_save_data_AVG.mat' in capsys.readouterr().out
    found, initial = (read_poses_mat(out / name) for name in (
        'save_data_AVG.mat', 'init_save_data_AVG.mat'))
    recording = open_recording(refined['recording'])
    images = [[recording.read(row, view) for view in range(3)]
              for row in range(3)]
    model = load_model(Config.fromfile(refined['config']),
                       refined['checkpoint'])
    wanted = DanncePredictor(model).predict(images, recording.cameras,
                                            recording.com[:3])
    np.testing.assert_allclose(found.points, wanted.points, atol=1e-3)
    np.testing.assert_allclose(initial.points, wanted.initial, atol=1e-3)
    assert np.abs(found.points - initial.points).max() > .1
    assert call(refined, out, '--stop', 3) == 1  # it is there


def test_refined_poses_without_images_are_unknown(refined):
    model = load_model(Config.fromfile(refined['config']),
                       refined['checkpoint'])
    recording = open_recording(refined['recording'])
    poses = DanncePredictor(model).predict(
        [None, None], recording.cameras, recording.com[:2])
    assert poses.initial.shape == (2, 1, 16, 3)
    assert np.isnan(poses.initial).all()


def test_what_stands_in_a_missing_picture_does_not_matter(refined):
    """The view is blank, not black."""
    model = load_model(Config.fromfile(refined['config']),
                       refined['checkpoint'])
    recording = open_recording(refined['recording'])
    views = [recording.read(1, view) for view in range(3)]
    predictor = DanncePredictor(model)
    missing = predictor.predict([[*views[:2], None]], recording.cameras,
                                recording.com[1:2])
    seen: list = []
    model.backbone.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs))
    predictor.predict([[*views[:2], None]], recording.cameras,
                      recording.com[1:2])
    volumes, mask = seen[0]
    assert mask.tolist() == [[True, True, False]]
    assert not volumes.unflatten(1, (3, -1))[:, 2].any()
    assert np.isfinite(missing.points).all()


def test_a_frame_that_cannot_be_read_costs_its_view_or_its_time_point(
        files, tmp_path, monkeypatch, capsys):
    """Of three views two are enough, one is not."""
    read = Recording.read

    def damaged(self: Recording, row: int, view: int) -> np.ndarray:
        if (row, view) in ((1, 0), (2, 1), (2, 2)):
            raise DataError('0.mp4', f'frame {row}', 'a picture', 'damage')
        return read(self, row, view)

    out = tmp_path / 'out'
    assert call(files, out, '--stop', 4) == 0
    monkeypatch.setattr(Recording, 'read', damaged)
    assert call(files, tmp_path / 'damaged', '--stop', 4) == 0
    whole, found = (read_poses_mat(folder / 'save_data_AVG.mat')
                    for folder in (out, tmp_path / 'damaged'))
    assert np.isnan(found.points[2]).all()
    assert np.isfinite(found.points[1]).all()
    assert abs(found.points[1] - whole.points[1]).max() > .01
    np.testing.assert_allclose(found.points[[0, 3]], whole.points[[0, 3]],
                               atol=1e-3)
    assert found.sample_ids.tolist() == whole.sample_ids.tolist()
    said = capsys.readouterr()
    assert f'1, NaN in the files: sampleID {found.sample_ids[2]}' in said.out
    assert (f'1, from their other views: sampleID {found.sample_ids[1]}'
            in said.out)
    assert 'left out: 0.mp4: frame 2' in said.err


def test_centres_of_mass_can_be_given(files, tmp_path, capsys):
    recording = open_recording(files['recording'])
    com = recording.com + 5.
    com[[2, 3]] = np.nan
    write_com3d(tmp_path / 'com3d.mat',
                ComTrack(tmp_path, recording.sample_ids[:9], com[:9]), {})
    out = tmp_path / 'out'
    assert call(files, out, '--com', tmp_path / 'com3d.mat') == 0
    used = read_com3d(out / 'com3d_used.mat')
    rows = [0, 1, 4, 5, 6, 7, 8]
    assert used.sample_ids.tolist() == recording.sample_ids[rows].tolist()
    np.testing.assert_allclose(used.points, com[rows])
    assert f'skipped           {FRAMES - 7}' in capsys.readouterr().out


def test_centres_of_mass_of_another_recording_are_refused(files, tmp_path,
                                                          capsys):
    write_com3d(tmp_path / 'com3d.mat', ComTrack(
        tmp_path, np.arange(2, 9), np.zeros((7, 1, 3))), {})
    assert call(files, tmp_path / 'out', '--com',
                tmp_path / 'com3d.mat') == 1
    assert 'none agrees' in capsys.readouterr().err


def test_interrupted_and_resumed_gives_the_same_bytes(
        files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(predict, 'BLOCK', 5)
    assert call(files, tmp_path / 'whole') == 0
    tried = []
    original = DanncePredictor.predict

    def failing(self, images, cameras, com):
        tried.append(len(images))
        if len(tried) == 4:  # in the second block
            raise KeyboardInterrupt
        return original(self, images, cameras, com)

    out = tmp_path / 'cut'
    monkeypatch.setattr(DanncePredictor, 'predict', failing)
    with pytest.raises(KeyboardInterrupt):
        call(files, out)
    assert [path.name for path in out.iterdir()] == ['.poses.parts']
    assert call(files, out) == 1
    assert '--resume' in capsys.readouterr().err
    assert call(files, out, '--resume') == 0
    assert '5 of them from before' in capsys.readouterr().out
    for name in ('save_data_AVG.mat', 'poses.nc', 'com3d_used.mat'):
        parts = [read_poses_mat(tmp_path / folder / 'save_data_AVG.mat')
                 for folder in ('whole', 'cut')]
        np.testing.assert_array_equal(parts[0].points, parts[1].points)
        assert (out / name).stat().st_size > 0
    assert json.loads((out / 'prediction_poses.json').read_text()) == (
        json.loads((tmp_path / 'whole' / 'prediction_poses.json'
                    ).read_text()))
    # to resume what is finished changes nothing
    tried.clear()
    assert call(files, out, '--resume') == 0
    assert not tried and 'finished already' in capsys.readouterr().out


@pytest.mark.parametrize('gone', ['fingerprint.json', '000001.npz'])
def test_a_kill_while_the_parts_are_removed_loses_nothing(
        files, tmp_path, monkeypatch, capsys, gone):
    monkeypatch.setattr(predict, 'BLOCK', 5)
    out = tmp_path / 'out'
    with monkeypatch.context() as patch:
        patch.setattr(BlockStore, 'remove', lambda store: (
            store.folder / gone).unlink())
        assert call(files, out) == 0
    assert (out / '.poses.parts').is_dir()
    before = (out / 'save_data_AVG.mat').read_bytes()
    assert call(files, out, '--resume') == 0
    assert 'finished already' in capsys.readouterr().out
    assert (out / 'save_data_AVG.mat').read_bytes() == before
    assert not (out / '.poses.parts').exists()


def test_a_kill_while_results_are_replaced_goes_on_with_the_new_ones(
        files, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'out'
    assert call(files, out) == 0

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DanncePredictor, 'predict', killed)
        with pytest.raises(KeyboardInterrupt):
            call(files, out, '--overwrite')
    capsys.readouterr()
    assert call(files, out, '--resume') == 0
    assert 'finished already' not in capsys.readouterr().out
    assert (out / 'prediction_poses.json').is_file()


def test_older_results_are_not_replaced_unasked(files, tmp_path, capsys):
    out = tmp_path / 'out'
    assert call(files, out, '--stop', 2) == 0
    assert call(files, out, '--stop', 3) == 1
    assert '--overwrite' in capsys.readouterr().err
    assert call(files, out, '--stop', 3, '--resume') == 1
    assert 'time_points' in capsys.readouterr().err
    assert call(files, out, '--stop', 3, '--overwrite') == 0
    assert len(read_poses_mat(out / 'save_data_AVG.mat').points) == 3


@pytest.mark.parametrize(('words', 'message'), [
    (('--every', 0), '--every'),
    (('--batch-size', 0), '--batch-size'),
    (('--turn-average', 0), '--turn-average'),
    (('--start', 99), '0 to 11'),
    (('--start', 5, '--stop', 5), 'start, stop'),
    (('--com', 'nowhere.mat'), 'nowhere.mat'),
    (('--device', 'cuda:77'), '--device'),
])
def test_wrong_arguments_are_named(files, tmp_path, capsys, words, message):
    assert call(files, tmp_path / 'out', *words) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_centres_that_the_config_names_are_missed_with_their_cure(
        files, tmp_path, capsys):
    assert call(files, tmp_path / 'out', '--cfg-options',
                'test_dataloader.dataset.recording_settings.com_file='
                'found.mat') == 1
    message = capsys.readouterr().err
    assert 'found.mat' in message and '--com' in message


def test_weights_of_another_model_are_refused(files, tmp_path):
    config = Config.fromfile(files['config'])
    config.model.head.num_keypoints = 7
    with pytest.raises(DataError, match='weights'):
        load_model(config, files['checkpoint'])
    with pytest.raises(DataError, match='no such checkpoint'):
        load_model(config, tmp_path / 'no.pth')


def test_names_come_from_the_config_where_the_weights_have_none(
        files, tmp_path):
    config = Config.fromfile(files['config'])
    weights = torch.load(files['checkpoint'], weights_only=False)
    torch.save(weights['state_dict'], tmp_path / 'a.pth')
    model = load_model(config, tmp_path / 'a.pth')
    assert DanncePredictor(model).keypoint_names[2] == 'Snout'
    del config.test_dataloader.dataset.skeleton
    model = load_model(config, tmp_path / 'a.pth')
    with pytest.raises(DataError, match='names of the keypoints'):
        DanncePredictor(model)


class FakeLocator:
    """Says where the animal is without looking."""

    def __init__(self, model: Any, config: Any) -> None:
        pass

    def locate(self, images: list, cameras: Any) -> LocatedCom:
        count = len(images)
        com = np.full((count, 1, 3), [1., 2, 3])
        com[0] = np.nan
        return LocatedCom(com, np.full((count, 1), .5),
                          np.full((count, 1), 3), np.full((count, 1, 3), .9))


def test_a_network_for_centres_of_mass_writes_com3d(
        files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(predict, 'ComLocator', FakeLocator)
    monkeypatch.setattr(predict, 'load_model',
                        lambda *arguments: torch.nn.Identity())
    out = tmp_path / 'out'
    assert call(files, out, '--com', tmp_path / 'a.mat') == 1
    assert '--com' in capsys.readouterr().err
    assert call(files, out, '--turn-average', 4) == 1
    assert '--turn-average' in capsys.readouterr().err
    assert call(files, out) == 0
    found = read_com3d(out / 'com3d.mat')
    assert found.sample_ids.tolist() == [1 + 10 * i for i in range(FRAMES)]
    assert np.isnan(found.points[::4]).all()
    np.testing.assert_array_equal(found.points[1, 0], [1, 2, 3])
    metadata = io.loadmat(out / 'com3d.mat', simplify_cells=True)['metadata']
    assert metadata['num_views'].tolist() == [3] * FRAMES
    assert list(metadata['camnames']) == ['Camera1', 'Camera2', 'Camera3']
    assert 'not found         3' in capsys.readouterr().out
    # poses and centres of mass may share a folder
    monkeypatch.undo()
    assert call(files, out, '--com', out / 'com3d.mat') == 0
    assert len(read_poses_mat(out / 'save_data_AVG.mat').points) == FRAMES - 3
