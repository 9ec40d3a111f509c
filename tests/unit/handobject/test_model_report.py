"""The report counts what is there and finds what no loss reaches."""
from __future__ import annotations

import json

import cv2
import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmpose_ext.commands import run_command
from mmpose_ext.handobject.model_report import (
    describe,
    render,
    report_model,
    without_weights,
)
from mmpose_ext.storage import DataError

from .batches import LOSSES
from .small_run import write_run


@pytest.fixture(scope='module')
def config_path(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp('report'))


@pytest.fixture(scope='module')
def report(config_path):
    """Of a model whose contact branch has no loss, two blocks of three
    frozen, and which lacks a file."""
    config = Config.fromfile(config_path)
    config.model.head.losses.penetration = dict(
        type='mmpose_ext.HandObjectPenetrationLoss', fields='none.npz')
    config.custom_hooks.append(dict(
        type='mmpose_ext.LossWeightHook',
        schedules=[dict(loss='head.losses.penetration')]))
    del config.model.head.losses['contact']
    config.model.backbone.arch.depth = 3
    config.custom_hooks.append(dict(
        type='mmpose_ext.FreezeHook', patterns=['backbone.blocks.0',
                                                'backbone.blocks.1']))
    return report_model(config)


def test_what_no_loss_reaches_is_found(report):
    missing = report['without_gradient']
    assert missing and all(name.startswith('head.contact.')
                           for name in missing)
    assert 'no loss reaches: head.contact.' in render(report)
    assert 'gradient_norm' not in report['components']['head.contact']
    assert report['components']['head.hand']['gradient_norm'] > 0
    assert report['not_in_optimizer'] == []
    assert not [name for name in report['zero_gradient']
                if not name.startswith('head.refiner')]


def test_what_hooks_freeze_is_frozen(report):
    blocks = report['components']['backbone.blocks']
    assert blocks['trainable'] * 3 == blocks['parameters']
    assert report['total']['trainable'] == (
        report['total']['parameters'] - 2 * blocks['trainable'])


def test_losses_are_those_of_the_config(report):
    assert set(report['losses']) == {
        'loss', *(f'loss_{name}' for name in LOSSES if name != 'contact')}


def test_losses_without_files_are_left_out_and_named(report):
    assert report['losses_left_out'] == ['penetration']
    assert 'files are not there: penetration' in render(report)


def test_sizes_are_added_up():
    model = nn.Module()
    model.backbone = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
    model.backbone[0].requires_grad_(False)
    model.head = nn.Linear(5, 1).bfloat16()
    found = describe(model)
    assert found['components'] == {
        'backbone.0': dict(parameters=16, trainable=0, mebibytes=64 / 2**20,
                           dtypes=dict(float32=16)),
        'backbone.1': dict(parameters=25, trainable=25,
                           mebibytes=100 / 2**20, dtypes=dict(float32=25)),
        'head': dict(parameters=6, trainable=6, mebibytes=12 / 2**20,
                     dtypes=dict(bfloat16=6))}
    assert found['total']['parameters'] == 47
    assert found['total']['dtypes'] == dict(float32=41, bfloat16=6)
    text = render(dict(found))
    assert 'float32 bfloat16' in text and '53.2%' in text
    assert 'no loss reaches' not in text  # no step was made


def test_weights_of_files_are_left_out(config_path):
    config = Config.fromfile(config_path)
    config.load_from = 'missing.pth'
    config.model.backbone.init_cfg = dict(type='Pretrained',
                                          checkpoint='missing.pth')
    config.model.head.init_cfg = [dict(type='Normal', layer='Linear')]
    changed = without_weights(config)
    assert changed.load_from is None
    assert 'init_cfg' not in changed.model.backbone
    assert changed.model.head.init_cfg
    assert config.model.backbone.init_cfg.type == 'Pretrained'
    assert changed.filename == config.filename


def test_the_front_door(config_path, tmp_path, capsys):
    out = tmp_path / 'out'
    assert run_command('model_report', 'text', [
        str(config_path), '--no-step', '--out', str(out)]) == 0
    said = capsys.readouterr().out
    assert 'head.queries' in said and 'written' in said
    figures = json.loads((out / 'model_report.json').read_text())
    assert figures['total']['parameters'] == sum(
        part['parameters'] for part in figures['components'].values())
    assert 'losses' not in figures
    picture = cv2.imread(str(out / 'model_report.png'))
    assert picture.shape[1] > 600 and picture.std() > 10


def test_a_data_set_that_is_missing_is_told(config_path):
    config = Config.fromfile(config_path)
    config.train_dataloader.dataset.ann_file = 'index/none.npz'
    with pytest.raises(DataError, match='none.npz: file: expected an index'):
        report_model(config)
    assert torch.is_grad_enabled()
