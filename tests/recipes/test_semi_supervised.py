"""s-DANNCE by its real command lines: two steps, two animals, few labels."""
from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.storage.com3d import read_com3d
from mmpose_ext.storage.movement_netcdf import read_movement_netcdf
from mmpose_ext.synthesis.volumetric import write_world
from mmpose_ext.volumetric.prediction_files import read_poses_mat
from mmpose_ext.volumetric.recordings import open_recording

from .commands import ROOT, losses, run, run_afresh

CONFIGS = ROOT / 'configs/volumetric'
FIRST = CONFIGS / 'dannce_tiny_synthetic.py'
SECOND = CONFIGS / 'sdannce_tiny_synthetic.py'
MOUSE_FIRST = CONFIGS / 'dannce_10-labels_mouse-4cam.py'
MOUSE_SECOND = CONFIGS / 'sdannce_10-labels_mouse-4cam.py'
LABELS = 8  # of pairs

SMALL = ['model.data_preprocessor.grid.nvox=16']
LOGGED = ['default_hooks.checkpoint.interval=1',
          'default_hooks.logger.interval=1', 'train_cfg.max_epochs=1',
          'train_cfg.val_interval=1']
FEW = [f'train_dataloader.dataset.num_labels={LABELS}']

pytestmark = pytest.mark.xdist_group('semi-supervised recipes')


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('data')
    (folder / 'synthetic').mkdir()
    write_world(folder / 'synthetic/volumetric', seed=0, size=8)
    return folder


@pytest.fixture(scope='module')
def recording(data: Path) -> Path:
    return data / 'synthetic/volumetric/pair_test'


@pytest.fixture(scope='module')
def first(data: Path) -> Path:
    """Weights of step 1, of single animals."""
    run(data, 'train', FIRST, '--work-dir', 'first',
        '--cfg-options', *SMALL, *LOGGED, 'val_dataloader.dataset.indices=1')
    return data / 'first/epoch_1.pth'


@pytest.fixture(scope='module')
def second(data: Path, first: Path) -> tuple[Path, str]:
    """Weights of step 2, and what the training said."""
    output = run(data, 'train', SECOND, '--work-dir', 'second',
                 '--cfg-options', *SMALL, *LOGGED, *FEW,
                 f'load_from={first}')
    return data / 'second/epoch_1.pth', output


def test_the_second_step_starts_from_the_first(
        data: Path, second: tuple[Path, str]) -> None:
    """All weights are found but those of the graph, which is new."""
    _, output = second
    assert 'Load checkpoint from' in output
    missing = re.search('missing keys in source state_dict: (.*)', output)
    assert missing is not None
    assert all(key.startswith('head.refiner.')
               for key in missing[1].split(', '))
    assert 'unexpected key' not in output and 'size mismatch' not in output
    assert re.search(rf'{LABELS} labelled and \d+ unlabelled', output)
    for line in ('bones: 23 bones, ', 'weight/consistency', 'loss_bones',
                 'loss_consistency', 'volumetric/bone_cv'):
        assert line in output, line
    # each label once, two samples a batch, of which one is unlabelled
    assert len(losses(data / 'second')) == LABELS


def test_scores_tell_how_steady_the_bones_are(
        data: Path, second: tuple[Path, str]) -> None:
    output = run(data, 'test', SECOND, second[0], '--work-dir',
                 'tested', '--cfg-options', *SMALL,
                 'test_dataloader.dataset.indices=2')
    for name in ('MPJPE', 'bone_cv', 'bone_cv_labels'):
        assert f'volumetric/{name}: ' in output
    assert '16 poses' in output  # of two animals, at four turns


def test_two_animals_are_predicted_and_drawn(
        data: Path, second: tuple[Path, str], recording: Path) -> None:
    com = recording / 'com3d.mat'
    run(data, 'predict', SECOND, second[0], recording,
        '--com', com, '--out', 'found', '--cfg-options', *SMALL)
    truth = open_recording(recording, com_file='com3d.mat')
    after, before = (read_poses_mat(data / 'found' / name) for name in (
        'save_data_AVG.mat', 'init_save_data_AVG.mat'))
    shape = (len(truth), 2, 23, 3)
    assert after.points.shape == before.points.shape == shape
    assert not np.allclose(after.points, before.points)
    # each about its own middle
    middles = read_com3d(com).points
    assert np.abs(before.points - middles[:, :, None]).max() <= 125.1
    film = read_movement_netcdf(data / 'found/poses.nc')
    assert film.position.shape == shape
    np.testing.assert_allclose(film.position, after.points, rtol=1e-5)
    run(data, 'visualize', SECOND, 'found', recording, '--labels',
        '--out', 'pictures', '--stop', 2)
    assert {path.suffix for path in (data / 'pictures').iterdir()} == {
        '.mp4', '.png'}


def test_pictures_show_what_is_labelled_and_what_is_not(data: Path) -> None:
    run(data, 'browse_dataset', SECOND, '--out-dir', 'seen',
        '--number', 2, '--cfg-options', *SMALL, *FEW)
    # two animals of a label, and of what has none in two copies
    assert sorted(path.name for path in (data / 'seen').iterdir()) == [
        *(f'train_000_{i}.png' for i in range(2)),
        *(f'train_001_{i}.png' for i in range(4))]


def test_bones_from_a_file_are_those_of_the_labels(
        data: Path, second: tuple[Path, str]) -> None:
    output = run_afresh(
        data, '-W', 'error::RuntimeWarning', '-m',
        'mmpose_ext.volumetric.bone_priors', SECOND, '--out', 'bones.npy',
        '--cfg-options', *FEW)
    assert "priors='bones.npy'" in output
    assert np.load(data / 'bones.npy').shape == (23, 2)
    run(data, 'train', SECOND, '--work-dir', 'by_file',
        '--cfg-options', *SMALL, *LOGGED, *FEW,
        f'load_from={data / "first/epoch_1.pth"}',
        'model.head.pose_losses.bones.priors=bones.npy')
    assert losses(data / 'by_file') == losses(data / 'second')


def test_the_real_mouse_learns_from_ten_labels_and_the_rest(
        data: Path, real_data: Path) -> None:
    run(data, 'convert_dataset', 'anipose',
        real_data / 'mouse_4cam', '--out', 'mouse_4cam')
    for config, rows, options, steps in (
            (MOUSE_FIRST, '[0,1]', [], 1),
            # two that are labelled, and two that are not
            (MOUSE_SECOND, '[0,1,10,11]',
             [f'load_from={data}/mouse_1/epoch_1.pth',
              'train_dataloader.batch_size=2'], 2)):
        output = run(
            data, 'train', config, '--work-dir', f'mouse_{steps}',
            '--cfg-options', *SMALL, *LOGGED,
            f'train_dataloader.dataset.indices={rows}',
            'val_dataloader.dataset.indices=1', *options)
        assert len(losses(data / f'mouse_{steps}')) == steps
    assert 'missing keys' in output and 'loss_consistency' in output
    assert '10 labelled and ' in output


def test_settings_of_the_training_tips(data: Path, first: Path) -> None:
    """A number of unlabelled time points, a cache, a jitter of the middle."""
    output = run(
        data, 'train', SECOND, '--work-dir', 'tips', '--cfg-options', *SMALL,
        *LOGGED, *FEW, f'load_from={first}',
        'train_dataloader.dataset.unlabelled=4',
        'train_dataloader.dataset.cache.megabytes=64',
        'model.data_preprocessor.augment.com_jitter_mm=10.',
        'val_dataloader=None', 'val_cfg=None', 'val_evaluator=None',
        'default_hooks.checkpoint.save_best=None')
    assert re.search(rf'{LABELS} labelled and \d+ unlabelled', output)
