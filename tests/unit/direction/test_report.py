"""What a run leaves in its folder, checked against the files themselves."""
from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmpose_ext.direction.inference import load_estimator
from mmpose_ext.direction.report import git_state
from mmpose_ext.direction.report_text import render_report
from mmpose_ext.storage import VideoReader, write_npz
from mmpose_ext.synthesis.direction import render_rats

ROOT = Path(__file__).resolve().parents[3]
EPOCHS = 3


def make_config(folder: Path, work_dir: Path) -> Config:
    """A short training of a small network."""
    config = Config.fromfile(
        ROOT / 'configs/direction/_base_/direction-cnn.py')
    config.model.backbone.widths = (4, 4, 8, 8)
    config.model.head.in_channels = 8
    config.model.head.hidden = 16
    for part in ('train', 'val'):
        loader = config[f'{part}_dataloader']
        loader.batch_size = 16
        loader.dataset.update(
            ann_file='rats.npz', data_root=str(folder),
            split_by=dict(fractions=(.5, .5, 0.)))
    config.train_dataloader.dataset.repeat = 8
    config.test_dataloader = config.val_dataloader
    config.optim_wrapper = dict(
        type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-3))
    config.train_cfg = dict(by_epoch=True, max_epochs=EPOCHS)
    config.default_hooks.logger.interval = 1
    # runs of one name share a log
    config.experiment_name = work_dir.name
    config.visualizer = dict(
        type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
    for hook in config.custom_hooks:
        if hook.type == 'mmpose_ext.DirectionReportHook':
            hook.movie = str(folder / 'rats.npz')
    config.work_dir = str(work_dir)
    return config


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('data')
    rats = render_rats(80, seed=0)
    write_npz(
        folder / 'rats.npz',
        images=rats.images,
        locs_base=rats.points[:, 0],
        locs_neck=rats.points[:, 1],
        locs_head=rats.points[:, 2],
        session=rats.session,
        animal=rats.animal)
    return folder


@pytest.fixture(scope='module')
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Work directory after a training and a test."""
    work_dir = tmp_path_factory.mktemp('run')
    Runner.from_cfg(make_config(data, work_dir)).train()
    config = make_config(data, work_dir)
    config.load_from = str(next(work_dir.glob('best_*.pth')))
    Runner.from_cfg(config).test()
    return work_dir


def read_json(path: Path) -> dict:
    return json.loads(path.read_text())


def test_everything_is_there_and_nothing_else_is_left(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert {
        'split.json', 'report.json', 'report.md', 'predictions_val.csv',
        'predictions_test.csv', 'worst.png', 'worst_test.png', 'curves.png',
        'movie.mp4', 'model_weights.pt'
    } <= names
    assert not [name for name in names if name.startswith('.')]


def test_split_names_each_group_once(run: Path, data: Path) -> None:
    split = read_json(run / 'split.json')
    path = data / 'rats.npz'
    assert split['sha256'] == hashlib.sha256(path.read_bytes()).hexdigest()
    sessions = np.load(path)['session'].astype(str)
    assert set(split['groups']) == set(sessions)
    for part in ('train', 'val'):
        rows = np.isin(sessions, [group for group, where in
                                  split['groups'].items() if where == part])
        assert rows.sum() == split['parts'][part] > 0
    assert split['near_duplicates_across_parts'] == 0


def test_figures_are_those_of_the_best_checkpoint(run: Path) -> None:
    log = min(run.glob('*/vis_data/scalars.json'))  # the other is the test's
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    logged = [line['dir/head_mae_deg'] for line in lines
              if 'dir/head_mae_deg' in line]
    assert len(logged) == EPOCHS
    report = read_json(run / 'report.json')
    for part in ('val', 'test'):
        found = report[part]['figures']['angles']['head']['mae_deg']
        assert found == pytest.approx(np.nanmin(logged), rel=1e-4)
        assert 'best' in report[part]['weights']
    assert report['val']['training']['images_per_second'] > 0
    assert report['val']['training']['epochs'] == EPOCHS


def test_predictions_give_the_reports_figures(run: Path) -> None:
    with (run / 'predictions_val.csv').open() as stream:
        rows = list(csv.DictReader(stream))

    def points(suffix: str) -> np.ndarray:
        return np.array([[float(row[f'{name}_{axis}{suffix}'])
                          for axis in 'xy'] for row in rows
                         for name in ('base', 'neck', 'head')]
                        ).reshape(-1, 3, 2)

    found, true = points(''), points('_true')
    section = read_json(run / 'report.json')['val']
    distance = np.linalg.norm(found - true, axis=-1).mean(0)
    for name, value in zip(('base', 'neck', 'head'), distance, strict=True):
        assert section['figures']['points'][name]['mean_px'] == pytest.approx(
            value, abs=1e-2)
    # the floor: noise of .7 px at both ends of a vector
    length = np.median(np.linalg.norm(true[:, 2] - true[:, 1], axis=-1))
    assert section['label_floor_deg']['head'] == pytest.approx(
        np.degrees(.7 * 2**.5 / length), rel=1e-2)
    shown = set(read_json(run / 'split.json')['groups'])
    assert {row['group'] for row in rows} < shown


def test_text_repeats_the_figures(run: Path) -> None:
    report = read_json(run / 'report.json')
    text = (run / 'report.md').read_text()
    assert text == render_report(report)
    for part in ('val', 'test'):
        value = report[part]['figures']['angles']['head']['mae_deg']
        assert f'| head | {value:.1f}°' in text
    assert 'None' not in text and 'nan' not in text


def test_pictures_and_movie_can_be_opened(run: Path) -> None:
    for name in ('worst.png', 'curves.png'):
        assert min(cv2.imread(str(run / name)).shape[:2]) > 300
    with VideoReader(run / 'movie.mp4') as movie:
        assert len(movie) == 80


def test_plain_weights_fit_the_model(run: Path, data: Path) -> None:
    state = torch.load(run / 'model_weights.pt', weights_only=True)
    best = torch.load(next(run.glob('best_*.pth')), weights_only=False)
    assert state.keys() == best['state_dict'].keys()
    for name, value in best['state_dict'].items():
        assert torch.equal(state[name], value)
    load_estimator(make_config(data, run), run / 'model_weights.pt')


def test_failure_to_draw_does_not_lose_the_training(
        data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError('no ink')

    monkeypatch.setattr('mmpose_ext.direction.visualizer.draw_worst', fail)
    monkeypatch.setattr('mmpose_ext.drawing.draw_training_curves', fail)
    config = make_config(data, tmp_path)
    config.train_cfg.max_epochs = 1
    config.custom_hooks[-1].movie = str(tmp_path / 'none.mp4')
    runner = Runner.from_cfg(config)
    runner.train()
    names = {path.name for path in tmp_path.iterdir()}
    assert {'report.json', 'model_weights.pt', 'epoch_1.pth'} <= names
    assert not {'worst.png', 'curves.png', 'movie.mp4'} & names
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert log.count('was not written') == 3 and 'no ink' in log


def test_git_state_is_a_commit_or_none() -> None:
    state = git_state()
    assert state is None or len(state.removesuffix('-dirty')) >= 7
