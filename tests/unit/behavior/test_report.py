"""What a training leaves behind: history, report, pictures, weights."""
from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.runner import Runner

import mmpose_ext.behavior  # noqa: F401
from mmpose_ext.behavior.report import (
    LisbetReportHook,
    read_history,
    write_history,
)

from .track_files import wander, write_events, write_record

CLASSES = dict(
    multiclass=dict(type='mmpose_ext.LisbetFrameHead', in_channels=8,
                    hidden_channels=8, num_classes=3,
                    loss=dict(type='mmpose_ext.LisbetClassLoss',
                              class_weight=None)))
WINDOWS = {
    task: dict(type='mmpose_ext.LisbetWindowHead', in_channels=8,
               hidden_channels=8) for task in ('order', 'cons')}


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three records with two behaviours."""
    folder = tmp_path_factory.mktemp('records')
    for i in range(3):
        write_record(folder / f'r{i}', wander(120, seed=i))
        write_events(folder / f'r{i}' / 'annotations.csv', [
            ('attack', .5, 1.4), ('rest', 2., 3.1)])
    return folder


def config_of(data: Path, work_dir: Path, heads: dict,
              epochs: int = 2) -> Config:
    dataset = dict(
        type='mmpose_ext.LisbetWindowDataset', data_root=str(data),
        tasks=list(heads), window_size=16, annotation_format='auto')
    loader = dict(batch_size=16, num_workers=0,
                  collate_fn=dict(type='mmpose_ext.pass_batch'))
    evaluation = dict(
        loader, sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(dataset, stride=5, test_mode=True))
    metric = dict(type='mmpose_ext.LisbetMetric')
    return Config(dict(
        default_scope='mmpose', work_dir=str(work_dir),
        model=dict(
            type='mmpose_ext.LisbetModel', heads=heads,
            data_preprocessor=dict(type='mmpose_ext.LisbetPreprocessor',
                                   keypoints=3),
            backbone=dict(
                type='mmpose_ext.LisbetTransformer', in_channels=12,
                embed_dims=8, num_layers=1, num_heads=2, hidden_channels=8,
                max_length=16)),
        train_dataloader=dict(
            loader, dataset=dataset, sampler=dict(
                type='mmpose_ext.DrawSampler', epoch_fraction=.3)),
        val_dataloader=evaluation, test_dataloader=evaluation,
        val_evaluator=metric, test_evaluator=metric,
        train_cfg=dict(by_epoch=True, max_epochs=epochs, val_interval=1),
        val_cfg=dict(), test_cfg=dict(),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=.1)),
        custom_hooks=[dict(type='mmpose_ext.LisbetReportHook')],
        default_hooks=dict(
            checkpoint=dict(type='mmpose_ext.ResumableCheckpointHook',
                            interval=1),
            logger=dict(type='LoggerHook', interval=1)),
        log_level='ERROR', randomness=dict(seed=0),
        experiment_name=work_dir.name))


def train(data: Path, work_dir: Path, heads: dict, **changes: object):
    config = config_of(data, work_dir, heads)
    for name, value in changes.items():
        config[name] = value
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def test_training_leaves_history_report_and_weights(data: Path,
                                                    tmp_path: Path) -> None:
    runner = train(data, tmp_path, WINDOWS)
    with (tmp_path / 'history.csv').open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ['epoch', 'step', *(
        f'{task}_{part}_{what}' for task in ('cons', 'order')
        for part in ('dev', 'train') for what in ('loss', 'score'))]
    assert [row['epoch'] for row in rows] == ['1', '2']
    assert int(rows[1]['step']) == runner.iter
    report = json.loads((tmp_path / 'report.json').read_text())['val']
    tasks = report['figures']['tasks']
    assert set(tasks) == {'order', 'cons'}
    assert float(rows[1]['cons_dev_loss']) == pytest.approx(
        tasks['cons']['main']['loss'], rel=1e-4)
    assert report['data']['records'] == 3
    assert report['weights'] == 'last checkpoint, epoch_2.pth'
    text = (tmp_path / 'report.md').read_text()
    assert '| order |' in text and '| cons |' in text
    for name in ('curves.png', 'confusion.png'):
        assert cv2.imread(str(tmp_path / name)).std() > 3
    weights = torch.load(tmp_path / 'model_weights.pt', weights_only=True)
    assert all(torch.equal(value, weights[name]) for name, value
               in runner.model.state_dict().items())


def test_test_of_behaviours_leaves_the_originals_report(
        data: Path, tmp_path: Path) -> None:
    train(data, tmp_path, CLASSES)
    config = config_of(data, tmp_path, CLASSES)
    config.load_from = str(tmp_path / 'epoch_2.pth')
    config.experiment_name += '_test'
    runner = Runner.from_cfg(config)
    figures = runner.test()
    found = yaml.safe_load(
        (tmp_path / 'evaluation_report.yml').read_text())
    assert set(found) == {'mode', 'f1_macro', 'accuracy_macro', 'per_class'}
    assert found['mode'] == 'multiclass'
    assert found['f1_macro'] == pytest.approx(
        figures['lisbet/multiclass_macro_f1'])
    assert set(found['per_class']) == {'f1', 'precision', 'recall'}
    assert list(found['per_class']['f1']) == ['attack', 'rest', 'other']
    report = json.loads((tmp_path / 'report.json').read_text())
    assert set(report) == {'val', 'test'}
    assert report['test']['weights'].endswith('epoch_2.pth')
    assert '### multiclass' in (tmp_path / 'report.md').read_text()


def test_history_goes_on_when_resumed(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / 'whole', WINDOWS)
    train(data, tmp_path / 'parts', WINDOWS, train_cfg=dict(
        by_epoch=True, max_epochs=1, val_interval=1))
    config = config_of(data, tmp_path / 'parts', WINDOWS)
    config.resume, config.experiment_name = True, 'parts_again'
    Runner.from_cfg(config).train()
    whole, parts = (read_history(tmp_path / name / 'history.csv')
                    for name in ('whole', 'parts'))
    assert [row['epoch'] for row in parts] == ['1', '2']
    assert [row['step'] for row in parts] == [row['step'] for row in whole]


def test_history_without_validation_has_a_row_an_epoch(
        data: Path, tmp_path: Path) -> None:
    train(data, tmp_path, WINDOWS, val_dataloader=None, val_cfg=None,
          val_evaluator=None)
    rows = read_history(tmp_path / 'history.csv')
    assert [row['epoch'] for row in rows] == ['1', '2']
    assert float(rows[0]['order_train_loss']) > 0
    assert not (tmp_path / 'report.json').exists()


def test_file_that_cannot_be_written_is_a_warning(
        data: Path, tmp_path: Path) -> None:
    (tmp_path / 'report.json').mkdir()
    (tmp_path / 'history.csv').mkdir()
    train(data, tmp_path, WINDOWS)
    assert (tmp_path / 'curves.png').is_file()


def test_columns_that_come_later_are_kept(tmp_path: Path) -> None:
    write_history(tmp_path / 'h.csv', [
        dict(epoch=1, step=5, a_train_loss=.5),
        dict(epoch=2, step=9, a_train_loss=.25, a_dev_loss=.125)])
    assert read_history(tmp_path / 'h.csv') == [
        dict(epoch='1', step='5', a_dev_loss='', a_train_loss='0.5'),
        dict(epoch='2', step='9', a_dev_loss='0.125', a_train_loss='0.25')]
    (tmp_path / 'h.csv').write_text('nonsense\n1\n')
    assert read_history(tmp_path / 'h.csv') == []
    assert read_history(tmp_path / 'none.csv') == []


def test_hook_comes_last() -> None:
    assert LisbetReportHook.priority == 'LOWEST'
