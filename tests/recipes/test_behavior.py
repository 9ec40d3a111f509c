"""The behaviour family by its real command lines, on tiny data."""
from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmpose_ext.compat.checkpoints import load_checkpoint
from mmpose_ext.storage import read_movement_netcdf
from mmpose_ext.synthesis.behavior import write_world

from .commands import PACKAGED, ROOT, log_of, losses, run, run_afresh

CONFIGS = ROOT / 'configs/behavior'
TINY = CONFIGS / 'lisbet_tiny_synthetic.py'
FROZEN = CONFIGS / 'lisbet_multiclass_frozen_synthetic.py'
PARITY = CONFIGS / 'lisbet_64x8_parity_1xb32-100e_calms21-200.py'
FLIES = CONFIGS / 'lisbet_two-animals.py'
TEST = PACKAGED.with_name('test.py')
TASKS = ('cons', 'order', 'shift', 'warp')
FRAMES = 400
# 5 steps of 4 x 8 windows
SHORT = ['train_cfg.max_epochs=1', 'train_dataloader.batch_size=8',
         'train_dataloader.sampler.epoch_fraction=0.05',
         'default_hooks.logger.interval=1']
SEED_LINE = ('all_perm_id:p=0.5,all_perm_ax:p=0.7,blk_perm_id:p=0.3:frac=0.2')

pytestmark = pytest.mark.xdist_group('recipes')


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('data')
    write_world(folder / 'synthetic' / 'behavior', size=6, frames=FRAMES)
    return folder


@pytest.fixture(scope='module')
def trained(data: Path) -> Path:
    """Work directory of a short training by our script."""
    output = run(data, 'train', TINY, '--work-dir', 'ours',
                 '--cfg-options', *SHORT)
    assert 'Warning' not in output and 'WARNING' not in output
    return data / 'ours'


@pytest.fixture(scope='module')
def best(trained: Path) -> Path:
    checkpoint, = trained.glob('best_*.pth')
    return checkpoint


def train(here: Path, config: Path, work_dir: str, *options: str) -> Path:
    """Train by MMPose's script; the work directory."""
    run(here, PACKAGED, config, '--work-dir', work_dir, '--cfg-options',
        *SHORT, *options)
    return here / work_dir


def weights(work_dir: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(work_dir / 'epoch_1.pth')['state_dict']


def history(work_dir: Path) -> list[dict[str, str]]:
    with (work_dir / 'history.csv').open(newline='') as stream:
        return list(csv.DictReader(stream))


def test_what_a_training_leaves(trained: Path, best: Path) -> None:
    assert len(losses(trained)) == 5
    names = {path.name for path in trained.iterdir()}
    assert {'epoch_1.pth', 'last_checkpoint', 'report.json', 'report.md',
            'history.csv', 'curves.png', 'confusion.png',
            'model_weights.pt'} <= names
    row, = history(trained)
    assert set(row) == {'epoch', 'step'} | {
        f'{task}_{part}_{figure}' for task in TASKS
        for part in ('train', 'dev') for figure in ('loss', 'score')}
    assert row['epoch'] == '1' and row['step'] == '5'
    assert all(np.isfinite(float(value)) for value in row.values())
    report = json.loads((trained / 'report.json').read_text())
    assert best.name in report['val']['weights']
    for task in TASKS:
        assert f'| {task} |' in (trained / 'report.md').read_text()


def test_a_test_prints_chance_beside_accuracy(
        here: Path, trained: Path, best: Path) -> None:
    run(here, TEST, TINY, best, '--work-dir', trained)
    log = log_of(trained)
    for task in TASKS:
        assert f'lisbet/{task}_acc: ' in log
        assert f'lisbet/{task}_acc_trivial: ' in log
    assert 'WARNING' not in log
    assert set(json.loads((trained / 'report.json').read_text())) == {
        'val', 'test'}


def test_augmentations_of_the_original_from_the_command_line(
        here: Path, trained: Path) -> None:
    """They need no quotes: a list of its items is taken for the text."""
    option = f'train_dataloader.dataset.augmentation={SEED_LINE}'
    folder = train(here, TINY, 'augmented', option)
    assert "'blk_perm_id:p=0.3:frac=0.2'" in (folder / TINY.name).read_text()
    plain, changed = weights(trained), weights(folder)
    assert any(not torch.equal(plain[name], changed[name]) for name in plain)


def test_a_typo_in_an_augmentation_is_refused(here: Path) -> None:
    option = 'train_dataloader.dataset.augmentation=' + SEED_LINE.replace(
        'all_perm_ax', 'all_perm_axe')
    output = run(here, 'train', TINY, '--work-dir', 'typo', '--cfg-options',
                 *SHORT, option, code=1)
    assert "did you mean 'all_perm_ax'" in output.splitlines()[-1]
    assert not list(Path('typo').glob('*.pth'))


def test_from_embeddings_to_pictures_of_motifs(here: Path,
                                               best: Path) -> None:
    recordings = Path('synthetic/behavior/test')
    run(here, 'predict', TINY, best, recordings, '--out', 'embeddings',
        '--csv')
    assert Path('embeddings/embedding_map.png').stat().st_size > 10_000
    run_afresh(here, 'segment_motifs', TINY, 'embeddings', '--out', 'motifs',
               '--min-states', '2', '--max-states', '4', '--iterations', '4',
               '--jobs', '1')
    run(here, 'select_prototypes', TINY, 'motifs', '--out', 'prototypes',
        '--min-states', '2', '--max-states', '4', '--bout-threshold', '0.1')
    for folder, table in (('motifs', 'hmm3'),
                          ('prototypes', 'hmmbest_2_4')):
        name = f'machineAnnotation_{table}.csv'
        tables = sorted(Path(folder).glob(f'*/{name}'))
        assert len(tables) == 2
        assert len(tables[0].read_text().splitlines()) == FRAMES + 1
        run(here, 'visualize', TINY, folder, recordings, '--out',
            f'{folder}_drawn', '--table', table, '--examples', '2')
        assert list(Path(f'{folder}_drawn').rglob('*.png'))


def test_finetuning_of_a_frozen_network(here: Path, best: Path) -> None:
    folder = train(here, FROZEN, 'behaviours', f'load_from={best}')
    start, end = load_checkpoint(best)['state_dict'], weights(folder)
    parts = [name for name in end if name.startswith('backbone.')]
    assert parts and all(torch.equal(start[name], end[name])
                         for name in parts)
    assert 'multiclass_train_score' in history(folder)[0]
    named, = folder.glob('best_*.pth')
    run(here, TEST, FROZEN, named, '--work-dir', folder)
    assert 'f1_macro' in (folder / 'evaluation_report.yml').read_text()
    run(here, 'predict', FROZEN, named, 'synthetic/behavior/test', '--out',
        'annotations')
    tables = sorted(Path('annotations').glob('*/*.csv'))
    assert tables and list(Path('annotations').rglob('*.png'))


def test_exports(here: Path, best: Path) -> None:
    run(here, 'export_embedder', TINY, best, '--out', 'embedder.pth')
    recording = Path('synthetic/behavior/test/dyad_200000/tracking.nc')
    run(here, 'predict', 'embedder.py', 'embedder.pth', recording, '--out',
        'by')
    assert list(Path('by').rglob('embedding.nc'))


def test_the_documented_model_as_the_original_trains_it(
        here: Path) -> None:
    folder = train(
        here, PARITY, 'parity', 'train_dataloader.batch_size=2',
        'train_dataloader.num_batch_per_epoch=2',
        *(f'{part}_dataloader.dataset.{option}'
          for part in ('train', 'val', 'test')
          for option in ('data_root=synthetic/behavior',
                         'split_by.ratio=0.34', 'stride=40')),
        f'train_dataloader.dataset.augmentation={SEED_LINE}')
    assert sum(map(torch.numel, weights(folder).values())) > 482_000


BACKBONES = dict(
    LSTM=['type=mmpose_ext.LisbetLSTM', 'in_channels=136'],
    TCN=['type=mmpose_ext.LisbetTCN', 'in_channels=136'])


@pytest.mark.parametrize('name', BACKBONES)
def test_other_networks(here: Path, name: str) -> None:
    settings = dict(item.split('=') for item in BACKBONES[name])
    folder = train(here, TINY, name, 'model.backbone._delete_=True', *(
        f'model.backbone.{key}={value}' for key, value in settings.items()),
        'model.backbone.embed_dims=32')
    assert not any('attention' in key for key in weights(folder))


TOGETHER = """
_base_ = [{small!r}, {schedule!r}]
tasks = ['cons', 'masked', 'forecast', 'contrast']
data = dict(
    data_root='synthetic/behavior', tasks=tasks,
    split_by=dict(method='filter', train='train/', val='val/', test='test/'))
model = dict(
    weighting='uncertainty',
    heads=dict(
        _delete_=True,
        cons=dict(type='mmpose_ext.LisbetWindowHead', in_channels=32),
        masked=dict(
            type='mmpose_ext.LisbetReconstructionHead', in_channels=32),
        forecast=dict(type='mmpose_ext.LisbetForecastHead', in_channels=32),
        contrast=dict(type='mmpose_ext.LisbetContrastHead', in_channels=32)))
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = dict(dataset=data)
"""


def test_all_other_tasks_beside_one(here: Path) -> None:
    config = here / 'together.py'
    config.write_text(TOGETHER.format(
        small=str(CONFIGS / '_base_/small.py'),
        schedule=str(ROOT / 'configs/_base_/schedules/adamw_warm_10e.py')))
    folder = train(here, config, 'together')
    row, = history(folder)
    for task in ('cons', 'masked', 'forecast', 'contrast'):
        for figure in ('train_loss', 'dev_score'):
            assert np.isfinite(float(row[f'{task}_{figure}']))


def test_real_flies_from_film_to_pictures(
        here: Path, real_data: Path) -> None:
    clip = real_data / 'two_animals/clip.slp'
    if not clip.is_file():
        pytest.skip(f'no {clip}')
    run(here, 'convert_dataset', 'sleap', clip, '--out', 'two_animals')
    run(here, 'verify_dataset', FLIES)
    tracks, = Path('two_animals').rglob('*.nc')
    assert len(read_movement_netcdf(tracks).individuals) == 2
    folder = train(here, FLIES, 'flies', 'train_cfg.val_interval=1',
                   'val_dataloader.dataset.stride=30')
    named, = folder.glob('best_*.pth')
    run(here, 'predict', FLIES, named, 'two_animals', '--out',
        'fly_embeddings', '--stride', '2')
    assert Path('fly_embeddings/embedding_map.png').stat().st_size > 10_000
    run(here, 'segment_motifs', FLIES, 'fly_embeddings', '--out',
        'fly_motifs', '--max-states', '3', '--iterations', '3', '--jobs', '1')
    run(here, 'visualize', FLIES, 'fly_motifs', 'two_animals', '--out',
        'fly_pictures', '--examples', '2')
    assert list(Path('fly_pictures').rglob('ethogram*.png'))
