"""3D pose from several cameras by its real command lines, on tiny data."""
from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mmpose_ext.compat.checkpoints import load_checkpoint
from mmpose_ext.storage.com3d import read_com3d
from mmpose_ext.storage.movement_netcdf import read_movement_netcdf
from mmpose_ext.synthesis.volumetric import write_world
from mmpose_ext.volumetric.prediction_files import read_poses_mat
from mmpose_ext.volumetric.recordings import open_recording

from .commands import PACKAGED, ROOT, losses, run

CONFIGS = ROOT / 'configs/volumetric'
COM = CONFIGS / 'com_tiny_synthetic.py'
POSES = CONFIGS / 'dannce_tiny_synthetic.py'
MOUSE = CONFIGS / 'dannce_mouse-4cam.py'
LABELS = 64  # to train on

# 4 passes find the animal, if not well
COM_RUN = ['train_cfg.max_epochs=4', 'train_cfg.val_interval=4',
           'param_scheduler.1.T_max=4']
POSE_RUN = ['train_cfg.max_epochs=2', 'train_cfg.val_interval=2',
            'val_dataloader.dataset.indices=4',
            'model.data_preprocessor.grid.nvox=16',
            'default_hooks.checkpoint.interval=1',
            'default_hooks.logger.interval=1']

pytestmark = pytest.mark.xdist_group('volumetric recipes')


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('data')
    (folder / 'synthetic').mkdir()
    write_world(folder / 'synthetic/volumetric', seed=0, size=LABELS)
    return folder


@pytest.fixture(scope='module')
def recording(data: Path) -> Path:
    return data / 'synthetic/volumetric/test'


@pytest.fixture(scope='module')
def com_file(data: Path, recording: Path) -> Path:
    """Middles that a network found after a short training."""
    run(data, 'train', COM, '--work-dir', 'com', '--cfg-options',
        *COM_RUN)
    run(data, 'predict', COM, 'com/epoch_4.pth', recording,
        '--out', 'found')
    return data / 'found/com3d.mat'


@pytest.fixture(scope='module')
def trained(data: Path) -> Path:
    """Work directory of a short training for poses."""
    output = run(data, 'train', POSES, '--work-dir', 'poses',
                 '--cfg-options', *POSE_RUN)
    assert 'Warning' not in output and 'WARNING' not in output
    # two passes in batches of two
    assert len(losses(data / 'poses')) == LABELS
    return data / 'poses'


def weights(folder: Path, epoch: int) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / f'epoch_{epoch}.pth')['state_dict']


def test_middles_are_found_at_every_time_point(com_file: Path,
                                               recording: Path) -> None:
    found = read_com3d(com_file)
    truth = open_recording(recording)
    np.testing.assert_array_equal(found.sample_ids, truth.sample_ids)
    errors = np.linalg.norm(found.points - truth.com, axis=-1)
    assert np.isfinite(errors).mean() > .5
    assert np.nanmedian(errors) < 60


def test_poses_are_predicted_about_the_middles_found(
        data: Path, trained: Path, com_file: Path, recording: Path) -> None:
    out = com_file.parent
    run(data, 'predict', POSES, trained / 'epoch_2.pth',
        recording, '--com', com_file, '--out', out)
    poses = read_poses_mat(out / 'save_data_AVG.mat')
    middles, used = read_com3d(com_file), read_com3d(out / 'com3d_used.mat')
    known = np.isfinite(middles.points).all((1, 2))
    np.testing.assert_array_equal(poses.sample_ids,
                                  middles.sample_ids[known])
    np.testing.assert_allclose(used.points, middles.points[known])
    away = np.abs(poses.points - used.points[:, :, None])
    assert away.max() <= 125  # half of the volume
    film = read_movement_netcdf(out / 'poses.nc')
    np.testing.assert_allclose(film.position, poses.points, rtol=1e-5)
    run(data, 'visualize', POSES, out, recording, '--labels',
        '--out', 'pictures', '--stop', 4)
    names = {path.suffix for path in (data / 'pictures').iterdir()}
    assert '.mp4' in names and names & {'.png', '.jpg'}


def test_scores_of_turned_volumes(data: Path, trained: Path) -> None:
    output = run(data, 'test', POSES, trained / 'epoch_2.pth',
                 '--work-dir', 'tested', '--cfg-options',
                 'test_dataloader.dataset.indices=2',
                 'model.data_preprocessor.grid.nvox=16')
    assert 'volumetric/MPJPE' in output
    assert '[2/2]' in output  # two time points, each turned four times


def test_resumed_run_ends_with_the_same_bits(data: Path,
                                             trained: Path) -> None:
    again = data / 'resumed'
    again.mkdir()
    shutil.copy(trained / 'epoch_1.pth', again)
    (again / 'last_checkpoint').write_text(str(again / 'epoch_1.pth'))
    run(data, 'train', POSES, '--work-dir', again, '--resume',
        '--cfg-options', *POSE_RUN)
    for name, value in weights(trained, 2).items():
        assert torch.equal(weights(again, 2)[name], value), name


def test_fewer_cameras_start_from_these_weights(data: Path,
                                                trained: Path) -> None:
    """By the script that MMPose brings, as ``mim train`` runs it."""
    cameras = [f'{part}_dataloader.dataset.recording_settings.camera_names='
               'Camera1,Camera2,Camera3' for part in ('train', 'val')]
    output = run(
        data, PACKAGED, POSES, '--work-dir', 'fewer', '--cfg-options',
        *POSE_RUN, *cameras, f'load_from={trained / "epoch_2.pth"}',
        'model.data_preprocessor.num_views=3', 'model.backbone.num_views=3',
        'train_cfg.max_epochs=1', 'train_dataloader.num_batch_per_epoch=1')
    assert '4 views of 3 channels to 3 of 3' in output
    key = 'head.final_layer.bias'
    assert weights(data / 'fewer', 1)[key].shape == (23, )


def test_real_mouse_from_its_session_to_a_training(data: Path,
                                                   real_data: Path) -> None:
    run(data, 'convert_dataset', 'anipose',
        real_data / 'mouse_4cam', '--out', 'mouse_4cam')
    output = run(data, 'verify_dataset', MOUSE)
    assert 'no problems' in output
    run(data, 'train', MOUSE, '--work-dir', 'mouse',
        '--cfg-options', 'train_cfg.max_epochs=1',
        'train_dataloader.dataset.indices=8',
        'val_dataloader.dataset.indices=1',
        'default_hooks.checkpoint.interval=1',
        'default_hooks.logger.interval=1')
    assert len(losses(data / 'mouse')) == 2
