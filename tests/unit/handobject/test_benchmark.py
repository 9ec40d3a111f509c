"""Figures of the benchmark are of what they say."""
from __future__ import annotations

import json
import subprocess

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmpose_ext.commands import run_command
from mmpose_ext.handobject import step_cost
from mmpose_ext.handobject.benchmark import HandObjectBenchmark
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.training.benchmark_figures import open_session

from .small_run import write_run


@pytest.fixture(scope='module')
def config_path(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp('benchmark'))


@pytest.fixture(scope='module')
def config(config_path):
    return Config.fromfile(config_path)


def test_operations_are_counted(config):
    with open_session(config) as session:
        found = HandObjectBenchmark().count_complexity(session)
        model = session.runner.model
        linear = [module for module in model.backbone.blocks.modules()
                  if isinstance(module, torch.nn.Linear)]
    tokens = 1 + 4 * 4
    expected = sum(2 * tokens * layer.weight.numel() for layer in linear)
    expected += 2 * 16 * model.backbone.patch_embed.proj.weight.numel()
    # products of attention: two blocks of width 32
    expected += 2 * 2 * 2 * tokens * tokens * 32
    assert found['backbone_flops'] == pytest.approx(expected, rel=.01)
    assert found['flops'] == 2 * found['macs'] > found['backbone_flops']
    assert found['parameters'] == sum(p.numel() for p in model.parameters())
    assert all(value.requires_grad for value in model.parameters())


@pytest.mark.slow
def test_the_front_door(config_path, tmp_path):
    out = tmp_path / 'figures.json'
    assert run_command('benchmark', 'text', [
        str(config_path), '--seconds', '.05', '--iterations', '8',
        '--json', str(out)]) == 0
    found = json.loads(out.read_text())
    for keys in (('pipeline', 'ratio'),
                 ('inference', 'folded', 'per_cpu_second'),
                 ('loading', 'per_second'), ('training', 'ratio'),
                 ('peak_memory_mib', 'process'), ('complexity', 'flops')):
        value = found
        for key in keys:
            value = value[key]
        assert value > 0, keys


class TestStep:

    def test_a_batch_is_one_that_trains(self, config):
        init_default_scope('mmpose')
        batch = step_cost.make_batch(config, 3)
        model = MODELS.build(config.model)
        ready = model.data_preprocessor(batch, True)
        losses = model(**ready, mode='loss')
        model.parse_losses(losses)[0].backward()
        assert ready['inputs'].shape == (3, 3, 64, 64)
        assert all(torch.isfinite(value).all() for value in losses.values())
        missing = [name for name, value in model.named_parameters()
                   if value.grad is None]
        assert not missing

    @pytest.mark.parametrize('ratio', [0., 1.])
    def test_a_step_is_measured(self, config, ratio):
        found = step_cost.measure_step(config, 2, 2, ratio)
        assert 0 < found['forward_cpu_s'] < found['step_cpu_s']
        assert found['peak_mib'] >= found['built_mib'] > 0

    def test_both_are_compared_by_the_front_door(
            self, tmp_path, capsys, monkeypatch):
        seen = []

        def run(command, **_):
            *_, path, batch, repetitions, ratio = command
            model = Config.fromfile(path).model
            seen.append((int(batch), int(repetitions), float(ratio),
                         model.head.type))
            step = 2. if float(ratio) else 1.
            return subprocess.CompletedProcess(command, 0, json.dumps(dict(
                step_cpu_s=step, peak_mib=100 / step)) + '\n', '')

        monkeypatch.setattr(step_cost.subprocess, 'run', run)
        path = write_run(tmp_path, custom_hooks=[dict(
            type='mmpose_ext.ActivationCheckpointHook', ratio=.5)])
        assert run_command('benchmark', 'text', [
            str(path), '--step', '--json', '--batch', '2']) == 0
        found = json.loads(capsys.readouterr().out)['step']
        assert seen == [(2, 3, ratio, 'mmpose_ext.HandObjectHead')
                        for ratio in (0., .5)]
        assert found['batch_size'] == 2
        assert found['checkpointed_share'] == .5
        assert found['losses_left_out'] == []
        assert (found['time_ratio'], found['memory_ratio']) == (2, .5)

    def test_what_fails_there_is_told_here(self, config, monkeypatch):
        monkeypatch.setattr(
            step_cost.subprocess, 'run',
            lambda command, **_: subprocess.CompletedProcess(
                command, 1, '', 'Traceback\nValueError: no heads\n'))
        with pytest.raises(DataError) as caught:
            step_cost.compare_steps(config)
        assert caught.value.where == 'step'
        assert caught.value.expected == 'a step of training'
        assert caught.value.found == 'ValueError: no heads'

    @pytest.mark.slow
    def test_a_process_of_its_own(self, config, tmp_path):
        path = tmp_path / 'config.py'
        path.write_text(step_cost._text_of(config))
        found = step_cost._measure_apart(path, 1, 1, .5)
        assert found['step_cpu_s'] > 0 < found['peak_mib']

    def test_batches_have_samples(self, config_path, capsys):
        assert run_command('benchmark', 'text', [
            str(config_path), '--step', '--batch', '0']) == 1
        assert '--batch: expected at least 1' in capsys.readouterr().err
