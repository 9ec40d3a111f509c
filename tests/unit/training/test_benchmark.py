"""The stopwatch, and a Runner measured in turns with something else."""
from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import nn

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.training import benchmark, benchmark_figures, stopwatch
from mmpose_ext.training.benchmark import Benchmark, ScalingAxis, Work

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
    watch = stopwatch.Stopwatch()
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
    with benchmark_figures.open_session(config) as session:
        assert session.batch['inputs'].shape == (BATCH, 3, WIDTH, WIDTH)
        found = benchmark_figures.count_complexity(session)
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
    with benchmark_figures.open_session(config) as session:
        found = benchmark_figures.measure_training(session, 120, make_bare)
    block = 120 // benchmark_figures.ROUNDS
    # warm-up of one, then a block, at the end of each block of the Runner
    ends = sorted(set(order))
    assert len(ends) == benchmark_figures.ROUNDS + 1
    assert {b - a for a, b in zip(ends, ends[1:], strict=False)} == {block}
    assert len(order) == len(ends) * (block + 1)
    assert found['bare']['cpu_ms'] == pytest.approx(BARE_MS, rel=.2)
    assert found['runner']['cpu_ms'] > RUNNER_MS
    assert found['overhead_ms'] == pytest.approx(
        found['runner']['cpu_ms'] - found['bare']['cpu_ms'] -
        found['preprocessing_ms'])
    assert found['ratio'] == pytest.approx(
        found['bare']['cpu_ms'] / found['runner']['cpu_ms'])
    assert found['peak_memory_mib']['process'] > 0


def test_loading_is_measured_without_the_model(config: Config) -> None:
    with benchmark_figures.open_session(config) as session:
        found = benchmark_figures.measure_loading(session, 150)
    assert found['cpu_ms'] < RUNNER_MS / 2
    assert found['per_second'] == pytest.approx(BATCH * 1e3 / found['ms'])


def test_turns_give_latencies() -> None:
    found = stopwatch.measure_by_turns(
        dict(slow=lambda: busy(8), fast=lambda: busy(2)),
        dict(slow=16, fast=1), .2)
    assert found['slow']['median_ms'] > 1.5 * found['fast']['median_ms']
    assert found['slow']['p95_ms'] >= found['slow']['median_ms']
    assert found['slow']['per_cpu_second'] == pytest.approx(2000, rel=.2)


def test_memory_covers_what_was_used() -> None:
    before = stopwatch.peak_memory()['process']
    block = torch.ones(2**20 * 40)  # 160 MiB
    assert stopwatch.peak_memory()['process'] >= min(
        before, block.nbytes / 2**20)


def test_figures_are_published(tmp_path: Path,
                               capsys: pytest.CaptureFixture[str]) -> None:
    figures = dict(a=dict(b=1.5, c=2000), d='cpu')
    parser = argparse.ArgumentParser()
    Benchmark().add_arguments(parser)
    benchmark.publish(figures, parser.parse_args(['--json']).json)
    assert json.loads(capsys.readouterr().out) == figures
    path = tmp_path / 'f.json'
    benchmark.publish(figures, parser.parse_args(['--json', str(path)]).json)
    assert json.loads(path.read_text()) == figures
    lines = capsys.readouterr().out.split('\n')
    assert [line.split() for line in lines[:3]] == [
        ['a.b', '1.5'], ['a.c', '2,000'], ['d', 'cpu']]


class SlowHook(Hook):
    """Takes as long as the step itself, and more."""

    def before_train_iter(self, *args: object, **kwargs: object) -> None:
        busy(3 * RUNNER_MS)


@pytest.mark.parametrize('slow', [False, True])
def test_what_slows_the_runner_down_shows_in_the_ratio(
        config: Config, slow: bool) -> None:
    with benchmark_figures.open_session(config) as session:
        if slow:
            session.runner.register_hook(SlowHook())
        found = benchmark_figures.measure_training(
            session, 16, benchmark_figures.bare_training)
    # 1 less what the Runner does; a quarter of it with the hook
    assert (found['ratio'] < .3) is slow
    assert (found['ratio'] > .6) is not slow


def test_attention_is_counted_as_products_of_matrices() -> None:
    heads, tokens, width, batch = 2, 7, 12, 3
    attention = nn.MultiheadAttention(width, heads, batch_first=True)
    x = torch.zeros(batch, tokens, width)
    found = benchmark_figures.count_operations(
        attention, lambda module: module(x, x, x, need_weights=False))
    projections = 2 * batch * tokens * width * (3 * width + width)
    products = 2 * 2 * batch * tokens * tokens * width
    assert found == projections + products
    assert attention.in_proj_weight.requires_grad


class BusyBenchmark(Benchmark):
    """A family's, with all that one may say."""

    unit = 'squares'
    batch_sizes = (1, 2)

    def inference(self, session: object) -> dict[str, Work]:
        return dict(ours=Work(lambda: busy(4), 2),
                    bare=Work(lambda: busy(2), 2), one=Work(dict, 1))

    def axes(self, config: Config) -> dict[str, ScalingAxis]:
        def widen(config: Config, value: int) -> None:
            config.train_dataloader.batch_size = 3 * value

        return dict(super().axes(config),
                    width=ScalingAxis('width', (1, 2), widen))

    def measure_more(self, *_: object) -> dict:
        return dict(stripes=7)


def measured(config: Config, *words: str) -> dict:
    parser = argparse.ArgumentParser()
    family = BusyBenchmark()
    family.add_arguments(parser)
    found: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, 'publish',
                      lambda figures, _: found.update(figures))
        family.run(config, parser.parse_args(
            ['--seconds', '.02', '--iterations', '8', *words]))
    return found


def test_figures_have_one_order_and_the_family_s_own_come_last(
        config: Config) -> None:
    found = measured(config)
    assert list(found) == [
        'config', 'unit', 'batch_size', 'axes', 'machine', 'complexity',
        'loading', 'training', 'inference', 'peak_memory_mib', 'stripes']
    assert list(found['complexity']) == ['parameters', 'trainable', 'flops',
                                         'macs']
    assert list(found['training']) == ['runner', 'bare', 'ratio',
                                       'preprocessing_ms', 'overhead_ms']
    assert list(found['inference']) == ['ours', 'bare', 'ratio', 'one']
    assert found['inference']['ratio'] == pytest.approx(.5, rel=.2)
    assert found['axes'] == ['batch', 'width', 'processes']


def test_scaling_is_that_of_the_axes_asked_for(config: Config) -> None:
    found = measured(config, '--scaling', 'width')['scaling']
    assert list(found) == ['width']
    assert found['width']['label'] == 'width'
    values = found['width']['values']
    assert list(values) == ['1', '2']
    for rates in values.values():
        assert set(rates) == {'training', 'preparing', 'inference', 'flops'}
    # a step takes as long with twice the samples
    one, two = (rates['training']['per_cpu_second']
                for rates in values.values())
    assert two / one == pytest.approx(2, rel=.2)
    assert one == pytest.approx(3e3 / RUNNER_MS, rel=.2)


def test_unknown_axis_is_refused(config: Config) -> None:
    with pytest.raises(DataError, match='batch, width, processes.*colour'):
        measured(config, '--scaling', 'colour')


@pytest.mark.parametrize('word', ['0', '-1', 'many'])
def test_there_is_something_to_measure(config: Config, word: str,
                                       capsys: pytest.CaptureFixture[str]
                                       ) -> None:
    with pytest.raises(SystemExit):
        measured(config, f'--iterations={word}')
    assert '--iterations' in capsys.readouterr().err
