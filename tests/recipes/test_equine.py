"""Horse pose by its real command lines, on tiny data."""
from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmpose_ext.compat.checkpoints import load_checkpoint
from mmpose_ext.equine.horse26 import NAMES
from mmpose_ext.registry import MODELS
from mmpose_ext.synthesis.equine import write_world

from .commands import ROOT, losses, run, run_afresh

CONFIGS = ROOT / 'configs/equine'
CONFIG = CONFIGS / 'rtmpose-m_tiny_synthetic.py'
RTMPOSE = CONFIGS / 'rtmpose-m_ap10k_horse26-256x256.py'
ALONE = [f'{part}_dataloader.{key}' for part in ('train', 'val', 'test')
         for key in ('num_workers=0', 'persistent_workers=False')]
SHORT = ['train_cfg.max_epochs=3', 'train_cfg.val_interval=3',
         'train_dataloader.batch_size=8', 'default_hooks.logger.interval=1',
         'default_hooks.checkpoint.interval=1', *ALONE]

pytestmark = pytest.mark.xdist_group('equine recipes')


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('data')
    (folder / 'synthetic').mkdir()
    write_world(folder / 'synthetic' / 'equine', seed=0, size=42)
    (folder / 'horse').symlink_to(folder / 'synthetic' / 'equine')
    return folder


@pytest.fixture(scope='module')
def trained(data: Path) -> Path:
    """Work directory of a short training by our script."""
    output = run(data, 'train', CONFIG, '--work-dir', 'ours', '--cfg-options',
                 *SHORT)
    assert 'Warning' not in output and 'WARNING' not in output
    for phase in ('phase 1 of 3', 'phase 2 of 3: thawed stem, stage1',
                  'phase 3 of 3: frozen stem, stage1', 'pipeline 2 of 2'):
        assert phase in output
    return data / 'ours'


def weights(folder: Path, epoch: int = 3) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / f'epoch_{epoch}.pth')['state_dict']


@pytest.mark.parametrize('phase', [1, 2])
def test_run_resumed_after_a_phase_ends_with_the_same_bits(
        data: Path, trained: Path, phase: int) -> None:
    again = data / f'resumed_{phase}'
    again.mkdir()
    name = f'epoch_{phase}.pth'
    shutil.copy(trained / name, again)
    (again / 'last_checkpoint').write_text(str(again / name))
    run(data, 'train', CONFIG, '--work-dir', again.name, '--resume',
        '--cfg-options', *SHORT)
    for name, value in weights(trained).items():
        assert torch.equal(weights(again)[name], value), name


def test_what_a_training_leaves(data: Path, trained: Path) -> None:
    assert len(losses(trained)) == 12
    run_afresh(data, 'test', CONFIG, trained / 'epoch_3.pth',
               '--work-dir', 'ours', '--show-dir', 'shown', '--cfg-options',
               *ALONE)
    assert list(trained.glob('*/shown/*'))
    report, *_ = sorted(trained.glob('*/keypoints.json'))
    assert {'lf_hoof', 'PCK@0.2'} <= set(report.read_text().split('"'))
    output = run_afresh(data, 'monitor_training', trained,
                        '--out-dir', 'watched')
    assert 'coco/AP' in output and 'phase' in output
    page = (data / 'watched' / 'report.html').read_text()
    assert page.count('<img') and 'http' not in page.replace('www.w3.org', '')
    assert (data / 'watched' / 'curves.png').stat().st_size > 10_000


def test_predict_draw_and_export(data: Path, trained: Path) -> None:
    checkpoint = trained / 'epoch_3.pth'
    labels = data / 'horse/annotations/horse_test.json'
    run(data, 'predict', CONFIG, checkpoint, data /
        'horse/test', '--out', 'points.csv')
    with (data / 'points.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 * len(NAMES)
    assert [row['keypoint'] for row in rows[:26]] == list(NAMES)
    run_afresh(data, 'visualize', CONFIG, checkpoint, labels,
               '--ann', '--out', 'compared')
    assert {'worst.jpg', 'best.jpg', 'errors.csv'} <= {
        path.name for path in (data / 'compared').iterdir()}


def test_full_network_starts_from_published_weights(data: Path) -> None:
    """A file such as AP-10K's: 17 points, the old name of the head."""
    model = Config.fromfile(RTMPOSE).model
    model.head.out_channels = 17
    state = {key.replace('head.', 'keypoint_head.', 1) if
             key.startswith('head.') else key: value
             for key, value in MODELS.build(model).state_dict().items()}
    torch.save(dict(state_dict=state, meta={}), data / 'ap10k.pth')
    small = ['train_cfg.max_epochs=1', 'train_dataloader.batch_size=4',
             'train_dataloader.num_batch_per_epoch=2', *ALONE,
             'val_dataloader=None', 'val_cfg=None', 'val_evaluator=None',
             'default_hooks.checkpoint.save_best=None']
    output = run(data, 'train', RTMPOSE, '--work-dir', 'full', '--cfg-options',
                 *small, 'pretrained=ap10k.pth')
    assert '15 points by name' in output and '9 of 9    100%' in output
    stem = 'backbone.stem.0.conv.weight'  # always frozen
    assert torch.equal(weights(data / 'full', 1)[stem], state[stem])
    missing = run(data, 'train', RTMPOSE, '--work-dir', 'none',
                  '--cfg-options', *small, code=1)
    assert 'tools/download_checkpoints.py' in missing.splitlines()[-1]


def test_real_photographs_from_labels_to_pictures(
        data: Path, real_data: Path) -> None:
    source = real_data / 'horse10' / 'test_horse10.json'
    run(data, 'convert_dataset', 'coco', source, '--out',
        'real/horse', '--split', '0.67,0.33,0')
    labels = data / 'real/horse/annotations/horse_train.json'
    run(data, 'verify_dataset', '--ann-file', labels)
    count = len(json.loads(labels.read_text())['images'])
    files = [f'{part}_dataloader.dataset.{key}' for part in ('train', 'val')
             for key in ('data_root=real/horse', 'data_prefix.img=train',
                         'ann_file=annotations/horse_train.json')]
    options = [*files, 'train_cfg.max_epochs=2', 'train_cfg.val_interval=2',
               f'train_dataloader.batch_size={count}', *ALONE]
    run_afresh(data, 'browse_dataset', CONFIG, '--out-dir', 'seen',
               '--cfg-options', *options)
    assert list((data / 'seen').glob('*.jpg')) or list(
        (data / 'seen').glob('*.png'))
    run(data, 'train', CONFIG, '--work-dir', 'real/run', '--cfg-options',
        *options)
    run(data, 'visualize', CONFIG,
        data / 'real/run/epoch_2.pth', labels, '--ann', '--out',
        'real/pictures')
    assert (data / 'real/pictures/worst.jpg').is_file()
