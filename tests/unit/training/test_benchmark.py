"""The stopwatch, and a Runner measured in turns with something else."""
from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import nn

from mmpose_ext.registry import MODELS
from mmpose_ext.training import benchmark

BATCH, WIDTH, SAMPLES = 4, 8, 400
RUNNER_MS, BARE_MS = 8., 2.


def busy(milliseconds: float) -> None:
    """Use the CPU for a while; sleeping takes no CPU time."""
    end = time.process_time() + milliseconds / 1e3
    while time.process_time() < end:
        pass


@MODELS.register_module()
class BusyModel(BaseModel):
    """A known number of operations, and a known time."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, bias=False)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)

    def forward(self, inputs: torch.Tensor, mode: str = 'tensor') -> object:
        if mode == 'loss':
            busy(RUNNER_MS)
            return dict(loss=self.conv(inputs).square().mean())
        return self.conv(inputs)


class Images(torch.utils.data.Dataset):

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> dict:
        return dict(inputs=torch.zeros(3, WIDTH, WIDTH))


@pytest.fixture
def config() -> Config:
    return Config(dict(
        default_scope='mmengine',
        model=dict(type='mmpose_ext.BusyModel'),
        train_dataloader=dict(
            batch_size=BATCH,
            num_workers=2,
            persistent_workers=True,
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='default_collate'),
            dataset=Images()),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=.1)),
        val_dataloader=dict(batch_size=1, dataset='never built',
                            sampler=dict(type='DefaultSampler')),
        val_cfg=dict(),
        val_evaluator=dict(type='never built'),
        log_level='ERROR'))


def test_stopwatch_counts_cpu_time_and_not_waiting() -> None:
    watch = benchmark.Stopwatch()
    for _ in range(2):
        with watch.timing(3):
            busy(30)
            time.sleep(.05)
    rates = watch.rate(samples=5)
    assert rates['cpu_ms'] == pytest.approx(10, rel=.3)
    assert rates['ms'] >= 26
    assert rates['per_cpu_second'] == pytest.approx(
        5e3 / rates['cpu_ms'])
    assert rates['per_second'] == pytest.approx(5e3 / rates['ms'])


def test_operations_and_parameters_are_counted(config: Config) -> None:
    with benchmark.open_session(config) as session:
        assert session.batch['inputs'].shape == (BATCH, 3, WIDTH, WIDTH)
        found = benchmark.count_complexity(session)
    macs = 5 * 3 * 9 * (WIDTH - 2)**2
    assert found == dict(parameters=135 + 6, trainable=135, macs=macs,
                         flops=2 * macs)


def test_runner_is_measured_in_turns(config: Config, tmp_path: Path) -> None:
    order = []

    def make_bare(runner: object, batch: dict) -> object:
        assert len(batch['inputs']) == BATCH

        def step() -> None:
            order.append(runner.iter)
            busy(BARE_MS)

        return step

    # more iterations than an epoch of 100
    with benchmark.open_session(config) as session:
        found = benchmark.measure_training(session, 120, make_bare)
    block = 120 // benchmark.ROUNDS
    # warm-up of one, then a block, at the end of each block of the Runner
    ends = sorted(set(order))
    assert len(ends) == benchmark.ROUNDS + 1
    assert {b - a for a, b in zip(ends, ends[1:], strict=False)} == {block}
    assert len(order) == len(ends) * (block + 1)
    assert found['bare']['cpu_ms'] == pytest.approx(BARE_MS, rel=.2)
    assert found['runner']['cpu_ms'] > RUNNER_MS
    assert found['overhead_ms'] == pytest.approx(
        found['runner']['cpu_ms'] - found['bare']['cpu_ms'] -
        found['preprocessing_ms'])
    assert found['ratio'] == pytest.approx(
        found['bare']['cpu_ms'] / found['runner']['cpu_ms'])


def test_loading_is_measured_without_the_model(config: Config) -> None:
    with benchmark.open_session(config) as session:
        found = benchmark.measure_loading(session, 150)
    assert found['cpu_ms'] < RUNNER_MS / 2
    assert found['per_second'] == pytest.approx(BATCH * 1e3 / found['ms'])


def test_turns_give_latencies() -> None:
    found = benchmark.measure_by_turns(
        dict(slow=lambda: busy(8), fast=lambda: busy(2)),
        dict(slow=16, fast=1), .2)
    assert found['slow']['median_ms'] > 1.5 * found['fast']['median_ms']
    assert found['slow']['p95_ms'] >= found['slow']['median_ms']
    assert found['slow']['per_cpu_second'] == pytest.approx(2000, rel=.2)


def test_memory_covers_what_was_used() -> None:
    before = benchmark.peak_memory()['process']
    block = torch.ones(2**20 * 40)  # 160 MiB
    assert benchmark.peak_memory()['process'] >= min(
        before, block.nbytes / 2**20)


def test_figures_are_published(tmp_path: Path,
                               capsys: pytest.CaptureFixture[str]) -> None:
    figures = dict(a=dict(b=1.5, c=2000), d='cpu')
    parser = argparse.ArgumentParser()
    benchmark.add_common_arguments(parser)
    benchmark.publish(figures, parser.parse_args(['--json']).json)
    assert json.loads(capsys.readouterr().out) == figures
    path = tmp_path / 'f.json'
    benchmark.publish(figures, parser.parse_args(['--json', str(path)]).json)
    assert json.loads(path.read_text()) == figures
    lines = capsys.readouterr().out.split('\n')
    assert [line.split() for line in lines[:3]] == [
        ['a.b', '1.5'], ['a.c', '2,000'], ['d', 'cpu']]
