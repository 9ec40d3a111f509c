"""Every tiny config in a process of its own, and the page made of it."""
from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mmpose_ext import benchmark_all
from mmpose_ext.benchmark_page import render_page
from mmpose_ext.layout import project_root


def rates(per_cpu_second: float) -> dict[str, float]:
    return dict(per_cpu_second=per_cpu_second,
                per_second=per_cpu_second / 2)


FIGURES: dict[str, Any] = dict(
    config='c.py', unit='stripes', batch_size=4, axes=['batch', 'processes'],
    machine=dict(device='cpu', precision='float32', threads=1, torch='2.x'),
    complexity=dict(parameters=12345, trainable=1, flops=3_210_000, macs=1),
    loading=rates(98765.), training=dict(runner=rates(123.4), ratio=.876),
    inference=dict(ours=rates(4.321), ratio=2.),
    peak_memory_mib=dict(process=654.3))
SCALING: dict[str, Any] = dict(
    batch=dict(label='stripes a batch', values={
        str(value): {name: rates(cost * value) for name, cost in dict(
            training=10., preparing=200., inference=40.).items()}
        for value in (1, 4, 16)}),
    processes=dict(label='processes', values={
        '1': dict(rates(100.), load=.5), '2': dict(rates(90.), load=1.5)}))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Commands that would be run; they find `FIGURES` and `SCALING`."""
    seen: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess:
        seen_words = command[1:]
        out = command[-1]
        seen.append(seen_words)
        if 'sdannce' in seen_words[1]:
            return subprocess.CompletedProcess(
                command, 1, '', 'a log\nerror: no | rats\n')
        figures = dict(scaling=SCALING) if '--scaling' in command else FIGURES
        Path(out).write_text(json.dumps(figures))
        return subprocess.CompletedProcess(command, 0, '', '')

    monkeypatch.setattr(benchmark_all.subprocess, 'run', run)
    monkeypatch.setenv('MMPOSE_EXT_DATA', str(tmp_path))
    for family in benchmark_all.family_names():
        (tmp_path / 'synthetic' / family).mkdir(parents=True)
    return seen


def test_every_tiny_config_is_a_row_and_one_that_fails_says_so(
        calls: list[list[str]], tmp_path: Path) -> None:
    page = tmp_path / 'docs' / 'page.md'
    page.parent.mkdir()
    figures = tmp_path / 'figures.json'
    code = benchmark_all.run_benchmark('', [
        '--all', '--markdown', str(page), '--json', str(figures),
        '--seconds', '3'])
    assert code == 1
    configs = sorted((project_root() / 'configs').glob(
        '*/*_tiny_synthetic.py'))
    measured = [words[1] for words in calls if '--scaling' not in words]
    assert sorted(measured) == sorted(map(str, configs))
    assert all(words[2:4] == ['--seconds', '3'] for words in calls)
    text = page.read_text()
    rows = [line for line in text.split('\n') if line.startswith('| `')]
    assert len(rows) == len(configs)
    assert '| `sdannce` | failed: no / rats |' in text
    assert ('| `hot` | stripes | 12,345 | 3.21 | 98,800 (49,400) | 123 (61.7)'
            ' | 0.88 | 4.32 (2.16) | 2.00 | 654 |') in rows
    assert len({row.count('|') for row in rows}) == 1
    assert 'a GPU was not at hand' in text
    assert '2 train 45 stripes a second, 90 a CPU-second' in text
    for family in benchmark_all.family_names():
        picture = page.parent / 'images' / f'benchmark_{family}.png'
        assert f'(images/{picture.name})' in text
        assert 5_000 < picture.stat().st_size < 60_000
    found = json.loads(figures.read_text())
    assert set(found) == {'machine', 'configs', 'scaling'}
    assert found['machine']['cores'] >= 1


def test_curves_are_of_the_config_that_depends_on_most(
        calls: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    measure = benchmark_all.measure_apart

    def with_axes(config: Path, options: list[str]) -> dict[str, Any]:
        found = measure(config, options)
        if config.name.startswith('dannce'):
            found['axes'] = ['voxels', *FIGURES['axes']]
        return found

    monkeypatch.setattr(benchmark_all, 'measure_apart', with_axes)
    results = benchmark_all.measure_all(['volumetric'], [])
    assert results.scaling['volumetric']['config'] == (
        'configs/volumetric/dannce_tiny_synthetic.py')
    assert results.failed


def test_a_quick_look_has_no_curves(
        calls: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark_all.run_benchmark('', [
        '--all', '--quick', '--family', 'direction']) == 0
    assert len(calls) == 1
    assert '--iterations' in calls[0] and '--scaling' not in calls[0]
    page = capsys.readouterr().out
    assert '`direction-cnn`' in page and 'depends on' not in page


def test_data_that_is_missing_is_synthesised(
        calls: list[list[str]], tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[list[str]] = []
    monkeypatch.setattr(benchmark_all, 'run_synthesize',
                        lambda _, words: made.append(words))
    (tmp_path / 'synthetic' / 'equine').rmdir()
    benchmark_all.measure_all(['direction', 'equine'], [], False)
    assert made == [['equine']]


def test_a_page_needs_a_folder(capsys: pytest.CaptureFixture[str],
                               tmp_path: Path) -> None:
    assert benchmark_all.run_benchmark('', [
        '--all', '--markdown', str(tmp_path / 'no' / 'page.md')]) == 1
    assert capsys.readouterr().err.startswith('error: ')


@pytest.mark.parametrize(('words', 'told'), [
    ([], 'the following arguments are required: config'),
    (['no.py'], "No such file or directory: 'no.py'"),
    (['--all', '--family', 'zebra'], 'zebra')])
def test_wrong_usage_is_told_in_a_line(
        words: list[str], told: str,
        capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        benchmark_all.run_benchmark('', words)
    assert caught.value.code == 2
    error = capsys.readouterr().err.strip().split('\n')[-1]
    assert 'error:' in error and told in error


def test_a_gpu_is_named_with_its_memory() -> None:
    figures = dict(
        FIGURES, machine=dict(FIGURES['machine'], device='NVIDIA H'),
        peak_memory_mib=dict(process=1000., gpu=2000.))
    page = render_page(dict(machine=benchmark_all.describe_host(),
                            configs={'c.py': figures}, scaling={}))
    assert 'Networks ran on NVIDIA H' in page
    assert '1,000 and 2,000 of the GPU |' in page
