"""What the originals' guides tell their users to type, as it is typed here.

docs/commands.md has the table; most of its commands are run by the recipes
of the families, the others here.
"""
from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mmengine.config import Config

from mmpose_ext.synthesis import behavior, direction, equine, handobject

from .commands import ROOT, log_of, losses, run

RATS = ROOT / 'configs/direction/direction-cnn_1xb256-60e_rat3-50x50.py'
HORSES = ROOT / 'configs/equine/rtmpose-m_tiny_synthetic.py'
MICE = ROOT / 'configs/behavior/lisbet_tiny_synthetic.py'
HANDS = ROOT / 'configs/handobject/hot_tiny_synthetic.py'
ONCE = ['train_cfg.max_epochs=1', 'default_hooks.logger.interval=1',
        'default_hooks.checkpoint.interval=1']
UNTESTED = ['val_dataloader=None', 'val_cfg=None', 'val_evaluator=None',
            'default_hooks.checkpoint.save_best=None']

pytestmark = pytest.mark.xdist_group('recipes of the seeds')


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('data')
    world = folder / 'synthetic'
    direction.write_world(world / 'direction', size=36)
    equine.write_world(world / 'equine', size=24)
    behavior.write_world(world / 'behavior', size=6, frames=400)
    handobject.write_world(world / 'handobject', size=56)
    return folder


def config_of(work_dir: Path) -> Config:
    """What a run says that it was run with."""
    path, = work_dir.glob('*.py')
    return Config.fromfile(path, import_custom_modules=False)


def test_rats_in_the_published_files(data: Path) -> None:
    published = data / 'tagged_dataset'
    published.mkdir()
    world = data / 'synthetic/direction'
    shutil.copy(world / 'rats.npz',
                published / 'rat_images_augmented_and_tagged.npz')
    shutil.copy(world / 'movie.npz', published / 'rat_movie_db_50pix.npz')
    run(data, 'train', RATS, '--work-dir', 'rats', '--cfg-options', *ONCE,
        'train_dataloader.dataset.repeat=1')
    assert {'report.md', 'curves.png', 'model_weights.pt'} <= {
        path.name for path in (data / 'rats').iterdir()}
    run(data, 'predict', RATS, 'rats/epoch_1.pth',
        'tagged_dataset/rat_movie_db_50pix.npz', '--out', 'angles.csv',
        '--movie', 'tagged.mp4')
    assert (data / 'tagged.mp4').stat().st_size > 10_000


def test_horses_by_the_guide(data: Path) -> None:
    run(data, 'train', HORSES, '--work-dir', 'one', '--cfg-options', *ONCE,
        'train_cfg.val_interval=1',
        'train_dataloader.batch_size=8', 'train_dataloader.num_workers=2',
        'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False')
    run(data, 'train', HORSES, '--work-dir', 'other', '--cfg-options', *ONCE,
        *UNTESTED, 'train_dataloader.batch_size=32',
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'optim_wrapper.optimizer.lr=0.002')
    settings = config_of(data / 'other')
    assert settings.train_dataloader.batch_size == 32
    assert settings.optim_wrapper.optimizer.lr == .002
    # what `tensorboard --logdir` reads
    assert list((data / 'one').rglob('events.out.tfevents.*'))
    run(data, 'monitor_training', 'one', '--compare', 'other',
        '--out-dir', 'watched')
    assert (data / 'watched/compare.png').is_file()
    pictures = data / 'synthetic/equine/test'
    picture = sorted(pictures.iterdir())[0]
    for source, out in ((picture, 'drawn.jpg'), (pictures, 'drawn')):
        run(data, 'visualize', HORSES, 'one/epoch_1.pth', source,
            '--out', out)
    assert (data / 'drawn.jpg').is_file()
    assert len([*(data / 'drawn').iterdir()]) >= len([*pictures.iterdir()])


@pytest.mark.parametrize('augmentation', [
    'all_perm_id', 'all_perm_id:p=0.5', 'all_perm_id:p=0.5,all_perm_ax:p=0.7',
    'blk_perm_id:p=0.3:frac=0.2'])
def test_each_augmentation_that_is_documented(data: Path,
                                              augmentation: str) -> None:
    folder = ''.join(filter(str.isalnum, augmentation))
    run(data, 'train', MICE, '--work-dir', folder, '--cfg-options', *ONCE,
        *UNTESTED, 'train_dataloader.batch_size=4',
        'train_dataloader.num_batch_per_epoch=1', 'randomness.seed=1234',
        f'train_dataloader.dataset.augmentation={augmentation}')
    assert len(losses(data / folder)) == 1


def test_hands_by_the_training_guide(
        data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = data / 'guide.py'
    config.write_text(f"""
_base_ = [{str(HANDS)!r}]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmpose_ext.ActivationCheckpointHook', ratio=.5)]
""")
    monkeypatch.setenv('WANDB_PROJECT', '231nProject_AMT')
    monkeypatch.setenv('WANDB_MODE', 'offline')
    run(data, 'train', config, '--work-dir', 'guide', '--cfg-options', *ONCE,
        'model.head.embed_dims=64', 'model.head.num_layers=2',
        'model.head.refiner.steps=3', 'model.head.losses.uv.loss_weight=8.',
        'model.head.losses.variance.type='
        'mmpose_ext.HandObjectVarianceMatchLoss',
        'model.head.losses.variance.loss_weight=0.05',
        'train_dataloader.batch_size=4', 'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'train_dataloader.sampler.epoch_fraction=0.1',
        'train_dataloader.num_batch_per_epoch=2',
        'optim_wrapper.accumulative_counts=2', 'train_cfg.val_interval=1',
        'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False')
    log = log_of(data / 'guide')
    for part in ('loss_variance', 'hand/MPJPE', 'hand/PA-MPJPE',
                 'hand/PCK2D@5px', 'ActivationCheckpointHook'):
        assert part in log, part
