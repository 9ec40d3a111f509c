"""The behaviour family by its real command lines, on tiny data."""
from __future__ import annotations

import csv
import itertools
import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mmpose_ext.commands import run_command, run_convert, run_verify
from mmpose_ext.compat.checkpoints import load_checkpoint
from mmpose_ext.storage import read_movement_netcdf
from mmpose_ext.synthesis.behavior import write_world

from .commands import PACKAGED, ROOT, losses, run

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

_run = itertools.count()
pytestmark = pytest.mark.xdist_group('recipes')


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('data')
    write_world(folder / 'synthetic' / 'behavior', size=6, frames=FRAMES)
    return folder


@pytest.fixture(scope='module')
def trained(data: Path) -> Path:
    """Work directory of a short training by our script."""
    output = run(data, ROOT / 'tools/train.py', TINY, '--work-dir', 'ours',
                 '--cfg-options', *SHORT)
    assert 'Warning' not in output and 'WARNING' not in output
    return data / 'ours'


@pytest.fixture(scope='module')
def best(trained: Path) -> Path:
    checkpoint, = trained.glob('best_*.pth')
    return checkpoint


@pytest.fixture
def here(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The state of a shell in the folder of the data.

    Most commands are called in this process: to start them would take most
    of the time.
    """
    monkeypatch.chdir(data)
    monkeypatch.setenv('MMPOSE_EXT_DATA', str(data))
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(deterministic)


def call(command: str, *words: str | Path) -> None:
    """Do what ``tools/<command>.py`` does."""
    assert run_command(command, '', [*map(str, words)]) == 0


def train(config: Path, work_dir: Path, *options: str) -> Path:
    """Train by MMPose's script; the work directory."""
    call_script(PACKAGED, config, '--work-dir', work_dir, '--cfg-options',
                *SHORT, *options)
    return work_dir


def call_script(script: Path, *words: str | Path) -> None:
    """Run a script, whose options come last, as this process's program."""
    argv = sys.argv
    # MMEngine shares what has one name between runs of a process
    name = f'run{next(_run)}'
    sys.argv = [str(script), *map(str, words), f'experiment_name={name}',
                f'visualizer.name={name}']
    try:
        runpy.run_path(str(script), run_name='__main__')
    finally:
        sys.argv = argv


def weights(work_dir: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(work_dir / 'epoch_1.pth')['state_dict']


def history(work_dir: Path) -> list[dict[str, str]]:
    with (work_dir / 'history.csv').open(newline='') as stream:
        return list(csv.DictReader(stream))


def test_packaged_script_does_the_same(data: Path, trained: Path) -> None:
    run(data, PACKAGED, TINY, '--work-dir', 'packaged', '--cfg-options',
        *SHORT)
    assert losses(trained) == losses(data / 'packaged')
    assert len(losses(trained)) == 5


@pytest.mark.dist
def test_torchrun_on_two_cpu_processes(data: Path, trained: Path) -> None:
    """The same global batch gives the same weights, to rounding."""
    run(data, '-m', 'torch.distributed.run', '--nproc_per_node=2',
        '--master_port=29521', ROOT / 'tools/train.py', TINY, '--launcher',
        'pytorch', '--work-dir', 'two', '--cfg-options', *SHORT,
        'train_dataloader.batch_size=4')
    one, two = weights(trained), weights(data / 'two')
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(
            two[name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_what_a_training_leaves(trained: Path, best: Path) -> None:
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


@pytest.mark.usefixtures('here')
def test_a_test_prints_chance_beside_accuracy(
        trained: Path, best: Path) -> None:
    call_script(TEST, TINY, best, '--work-dir', trained, '--cfg-options')
    log = max(trained.glob('*/*.log')).read_text()
    for task in TASKS:
        assert f'lisbet/{task}_acc: ' in log
        assert f'lisbet/{task}_acc_trivial: ' in log
    assert 'WARNING' not in log
    assert set(json.loads((trained / 'report.json').read_text())) == {
        'val', 'test'}


@pytest.mark.usefixtures('here')
def test_augmentations_of_the_original_from_the_command_line(
        trained: Path) -> None:
    """They need no quotes: a list of its items is taken for the text."""
    option = f'train_dataloader.dataset.augmentation={SEED_LINE}'
    folder = train(TINY, Path('augmented'), option)
    assert "'blk_perm_id:p=0.3:frac=0.2'" in (folder / TINY.name).read_text()
    plain, changed = weights(trained), weights(folder)
    assert any(not torch.equal(plain[name], changed[name]) for name in plain)


@pytest.mark.usefixtures('here')
def test_a_typo_in_an_augmentation_is_refused() -> None:
    option = 'train_dataloader.dataset.augmentation=' + SEED_LINE.replace(
        'all_perm_ax', 'all_perm_axe')
    with pytest.raises(ValueError, match="did you mean 'all_perm_ax'"):
        train(TINY, Path('typo'), option)
    assert not list(Path('typo').glob('*.pth'))


@pytest.mark.usefixtures('here')
def test_from_embeddings_to_pictures_of_motifs(data: Path,
                                               best: Path) -> None:
    recordings = data / 'synthetic/behavior/test'
    call('predict', TINY, best, recordings, '--out', 'embeddings', '--csv')
    assert Path('embeddings/embedding_map.png').stat().st_size > 10_000
    call('segment_motifs', TINY, 'embeddings', '--out', 'motifs',
         '--min-states', '2', '--max-states', '4', '--iterations', '4',
         '--jobs', '1')
    call('select_prototypes', TINY, 'motifs', '--out', 'prototypes',
         '--min-states', '2', '--max-states', '4', '--bout-threshold', '0.1')
    for folder, table in (('motifs', 'hmm3'),
                          ('prototypes', 'hmmbest_2_4')):
        name = f'machineAnnotation_{table}.csv'
        tables = sorted(Path(folder).glob(f'*/{name}'))
        assert len(tables) == 2
        assert len(tables[0].read_text().splitlines()) == FRAMES + 1
        call('visualize', TINY, folder, recordings, '--out',
             f'{folder}_drawn', '--table', table, '--examples', '2')
        assert list(Path(f'{folder}_drawn').rglob('*.png'))


@pytest.mark.usefixtures('here')
def test_finetuning_of_a_frozen_network(data: Path, best: Path) -> None:
    folder = train(FROZEN, Path('behaviours'), f'load_from={best}')
    start, end = load_checkpoint(best)['state_dict'], weights(folder)
    parts = [name for name in end if name.startswith('backbone.')]
    assert parts and all(torch.equal(start[name], end[name])
                         for name in parts)
    assert 'multiclass_train_score' in history(folder)[0]
    named, = folder.glob('best_*.pth')
    call_script(TEST, FROZEN, named, '--work-dir', folder, '--cfg-options')
    assert 'f1_macro' in (folder / 'evaluation_report.yml').read_text()
    call('predict', FROZEN, named, data / 'synthetic/behavior/test', '--out',
         'annotations')
    tables = sorted(Path('annotations').glob('*/*.csv'))
    assert tables and list(Path('annotations').rglob('*.png'))


@pytest.mark.usefixtures('here')
def test_exports(best: Path) -> None:
    pytest.importorskip('onnxruntime')
    call('export_onnx', TINY, best, '--out', 'model.onnx')
    call('export_embedder', TINY, best, '--out', 'embedder.pth')
    recording = Path('synthetic/behavior/test/dyad_200000/tracking.nc')
    call('predict', 'embedder.py', 'embedder.pth', recording, '--out', 'by')
    assert list(Path('by').rglob('embedding.nc'))


@pytest.mark.usefixtures('here')
def test_the_documented_model_as_the_original_trains_it() -> None:
    folder = train(
        PARITY, Path('parity'), 'train_dataloader.batch_size=2',
        'train_dataloader.num_batch_per_epoch=2',
        *(f'{part}_dataloader.dataset.{option}'
          for part in ('train', 'val', 'test')
          for option in ('data_root=synthetic/behavior',
                         'split_by.ratio=0.34', 'stride=10')),
        f'train_dataloader.dataset.augmentation={SEED_LINE}')
    assert sum(map(torch.numel, weights(folder).values())) > 482_000


BACKBONES = dict(
    LSTM=['type=mmpose_ext.LisbetLSTM', 'in_channels=136'],
    TCN=['type=mmpose_ext.LisbetTCN', 'in_channels=136'])


@pytest.mark.usefixtures('here')
@pytest.mark.parametrize('name', BACKBONES)
def test_other_networks(name: str) -> None:
    settings = dict(item.split('=') for item in BACKBONES[name])
    folder = train(TINY, Path(name), 'model.backbone._delete_=True', *(
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


@pytest.mark.usefixtures('here')
def test_all_other_tasks_beside_one(data: Path) -> None:
    config = data / 'together.py'
    config.write_text(TOGETHER.format(
        small=str(CONFIGS / '_base_/small.py'),
        schedule=str(ROOT / 'configs/_base_/schedules/adamw_warm_10e.py')))
    folder = train(config, Path('together'))
    row, = history(folder)
    for task in ('cons', 'masked', 'forecast', 'contrast'):
        for figure in ('train_loss', 'dev_score'):
            assert np.isfinite(float(row[f'{task}_{figure}']))


@pytest.mark.usefixtures('here')
def test_real_flies_from_film_to_pictures(real_data: Path) -> None:
    clip = real_data / 'two_animals/clip.slp'
    if not clip.is_file():
        pytest.skip(f'no {clip}')
    assert run_convert('', ['sleap', str(clip), '--out', 'two_animals']) == 0
    assert run_verify('', [str(FLIES)]) == 0
    tracks, = Path('two_animals').rglob('*.nc')
    assert len(read_movement_netcdf(tracks).individuals) == 2
    folder = train(FLIES, Path('flies'), 'train_cfg.val_interval=1',
                   'val_dataloader.dataset.stride=30')
    named, = folder.glob('best_*.pth')
    call('predict', FLIES, named, 'two_animals', '--out', 'fly_embeddings',
         '--stride', '2')
    assert Path('fly_embeddings/embedding_map.png').stat().st_size > 10_000
    call('segment_motifs', FLIES, 'fly_embeddings', '--out', 'fly_motifs',
         '--max-states', '3', '--iterations', '3', '--jobs', '1')
    call('visualize', FLIES, 'fly_motifs', 'two_animals', '--out',
         'fly_pictures', '--examples', '2')
    assert list(Path('fly_pictures').rglob('ethogram*.png'))
