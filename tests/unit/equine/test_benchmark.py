"""What a model costs, and what it is compared with."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.structures import PoseDataSample

from mmpose_ext.equine.benchmark import (
    bare_training,
    stock_config,
    without_weights,
)
from mmpose_ext.registry import MODELS
from mmpose_ext.training.benchmark_figures import (
    Session,
    count_complexity,
    open_session,
)
from tests.unit.equine.trained_files import ROOT, write_coco

CONFIGS = ROOT / 'configs/equine'
FULL = {name: f'{name}_ap10k_horse26-256x256.py'
        for name in ('rtmpose-m', 'hrnet-w32')}


def data_config(folder: Path, name: str = 'rtmpose-m_tiny_synthetic.py',
                batch_size: int = 2) -> Config:
    """A config that trains on four small pictures."""
    path = write_coco(folder, 4)
    config = Config.fromfile(CONFIGS / name)
    loader = config.train_dataloader
    loader.batch_size = batch_size
    loader.dataset.update(data_root='', ann_file=str(path),
                          data_prefix=dict(img=str(folder)))
    return config


@pytest.mark.parametrize('name, parameters, macs', [
    ('rtmpose-m', 13.963e6, 2.596e9), ('hrnet-w32', 28.536e6, 10.248e9)])
def test_sizes_are_the_published_ones(name: str, parameters: float,
                                      macs: float) -> None:
    init_default_scope('mmpose')
    config = Config.fromfile(CONFIGS / FULL[name])
    model = MODELS.build(config.model)
    sample = PoseDataSample(metainfo=dict(img_shape=(256, 256)))
    batch = dict(inputs=[torch.zeros(3, 256, 256, dtype=torch.uint8)],
                 data_samples=[sample])
    runner: Any = SimpleNamespace(model=model)
    found = count_complexity(Session(runner, batch, 1))
    assert found['parameters'] == pytest.approx(parameters, rel=1e-3)
    assert found['macs'] == pytest.approx(macs, rel=.01)


@pytest.mark.parametrize('name', sorted(
    path.name for path in CONFIGS.glob('*.py')))
def test_stock_configs_hold_nothing_of_ours(name: str) -> None:
    config = Config.fromfile(CONFIGS / name)
    before = config.pretty_text
    stock = stock_config(config)
    for key in ('train_dataloader', 'optim_wrapper', 'param_scheduler',
                'custom_hooks', 'visualizer', 'model'):
        assert 'mmpose_ext.' not in str(stock[key]), key
    assert 'PhotometricDistortion' in str(stock.train_dataloader)
    assert config.pretty_text == before
    # what both train is the same, but for the mean over a batch
    config.model.head.loss.type = stock.model.head.loss.type
    assert stock.model == config.model
    assert stock.train_dataloader.batch_size == (
        config.train_dataloader.batch_size)


def test_nothing_is_frozen_or_loaded() -> None:
    config = without_weights(Config.fromfile(CONFIGS / FULL['rtmpose-m']))
    assert config.pretrained is None
    hooks = str(config.custom_hooks)
    assert 'Unfreeze' not in hooks and 'Transfer' not in hooks
    assert 'AutoEMAHook' in hooks


@pytest.mark.parametrize('name', ['rtmpose-m_tiny_synthetic.py', None])
def test_the_bare_loop_has_the_loss_of_the_head(tmp_path: Path,
                                                name: str | None) -> None:
    config = data_config(tmp_path, name or FULL['hrnet-w32'], 1)
    if name is None:  # a thin network with heatmaps
        config.model.backbone.extra = dict(
            stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK',
                        num_blocks=(1, ), num_channels=(4, )),
            stage2=dict(num_modules=1, num_branches=2, block='BASIC',
                        num_blocks=(1, 1), num_channels=(32, 4)),
            stage3=dict(num_modules=1, num_branches=3, block='BASIC',
                        num_blocks=(1, 1, 1), num_channels=(32, 4, 4)),
            stage4=dict(num_modules=1, num_branches=4, block='BASIC',
                        num_blocks=(1, 1, 1, 1), num_channels=(32, 4, 4, 4)))
    with open_session(without_weights(config)) as session:
        model: Any = session.runner.model.train()
        losses: list[float] = []
        loss_module = model.head.loss_module
        loss_module.register_forward_hook(
            lambda module, given, loss: losses.append(float(loss)))
        data = model.data_preprocessor(session.batch, True)
        model(**data, mode='loss')
        step = bare_training(session.runner, session.batch)
        step()
        step()
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[2] != losses[1]  # it learns


@pytest.mark.slow
def test_the_command_compares_with_stock(tmp_path: Path) -> None:
    """In a process of its own: a Runner leaves traces in one."""
    config = data_config(tmp_path / 'in')
    config.dump(str(tmp_path / 'c.py'))
    out = tmp_path / 'f.json'
    subprocess.run(
        [sys.executable, ROOT / 'tools/benchmark.py', tmp_path / 'c.py',
         '--iterations', '8', '--seconds', '.1', '--against-stock', '--json',
         out], check=True, env=dict(os.environ, OMP_NUM_THREADS='1'),
        cwd=tmp_path, capture_output=True, timeout=300)
    figures = json.loads(out.read_text())
    assert figures['complexity']['parameters'] > 1e6
    assert figures['inference']['ratio'] > 0
    stock = figures['against_stock']
    for part in ('loading', 'training'):
        ours, other = stock[part]['ours'], stock[part]['stock']
        assert stock[part]['ratio'] == pytest.approx(
            ours['per_cpu_second'] / other['per_cpu_second'])
    assert not (tmp_path / 'work_dirs').exists()
