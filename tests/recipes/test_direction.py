"""The direction tagger by its real command lines, on tiny data."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mmpose_ext.compat.checkpoints import load_checkpoint
from mmpose_ext.synthesis.direction import write_world

from .commands import PACKAGED, ROOT, losses, run, run_afresh

CONFIG = ROOT / 'configs/direction/direction-cnn_tiny_synthetic.py'
MOUSE = ROOT / 'configs/direction/direction-cnn_openfield-mouse.py'
SHORT = ['train_cfg.max_epochs=1', 'train_dataloader.dataset.repeat=2',
         'train_dataloader.batch_size=16', 'default_hooks.logger.interval=1']

pytestmark = pytest.mark.xdist_group('recipes')


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('data')
    write_world(folder / 'synthetic' / 'direction', seed=0, size=72)
    return folder


@pytest.fixture(scope='module')
def trained(data: Path) -> Path:
    """Work directory of a short training by our script."""
    output = run_afresh(data, 'train', CONFIG, '--work-dir',
                        'ours', '--cfg-options', *SHORT)
    assert 'Warning' not in output and 'WARNING' not in output
    return data / 'ours'


def test_packaged_script_does_the_same(data: Path, trained: Path) -> None:
    run_afresh(data, PACKAGED, CONFIG, '--work-dir', 'packaged',
               '--cfg-options', *SHORT)
    assert losses(trained) == losses(data / 'packaged')
    assert len(losses(trained)) == 4


@pytest.mark.dist
def test_torchrun_on_two_cpu_processes(data: Path, trained: Path) -> None:
    """The same global batch gives the same weights, to rounding."""
    run_afresh(data, '-m', 'torch.distributed.run', '--nproc_per_node=2',
               '--master_port=29517', ROOT / 'tools/train.py', CONFIG,
               '--launcher', 'pytorch', '--work-dir', 'two', '--cfg-options',
               *SHORT, 'train_dataloader.batch_size=8')
    # a process logs the loss of its own half; the weights are common
    assert len(losses(data / 'two')) == len(losses(trained))
    two, one = (load_checkpoint(folder / 'epoch_1.pth')['state_dict']
                for folder in (data / 'two', trained))
    for name, value in one.items():
        torch.testing.assert_close(
            two[name], value, rtol=1e-3, atol=1e-3, msg=name)


def test_what_a_training_leaves(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert {'epoch_1.pth', 'last_checkpoint', 'split.json', 'report.json',
            'report.md', 'curves.png', 'worst.png', 'predictions_val.csv',
            'model_weights.pt'} <= names
    report = json.loads((trained / 'report.json').read_text())
    assert 'trivial' in json.dumps(report)


def test_predict_draw_and_export(data: Path, trained: Path) -> None:
    checkpoint = trained / 'epoch_1.pth'
    run_afresh(data, 'predict', CONFIG, checkpoint,
               data / 'synthetic/direction/movie.npz', '--out', 'angles.csv',
               '--movie', 'movie.mp4')
    assert len((data / 'angles.csv').read_text().splitlines()) == 601
    assert (data / 'movie.mp4').stat().st_size > 10_000
    run_afresh(data, 'export_onnx', CONFIG, checkpoint, '--out',
               'model.onnx')
    assert (data / 'model.onnx').stat().st_size > 100_000


def test_real_frames_from_project_to_training(
        data: Path, real_data: Path) -> None:
    project = real_data / 'openfield_mouse'
    run_afresh(data, 'convert_dataset', 'dlc', project, '--out',
               data / 'openfield_mouse')
    run(data, 'verify_dataset', MOUSE)
    output = run(data, 'train', MOUSE, '--work-dir', 'mouse',
                 '--show-dir', 'pictures', '--auto-scale-lr',
                 '--cfg-options', *SHORT)
    assert 'split by blocks of frames: train 81, val 12, test 23' in output
