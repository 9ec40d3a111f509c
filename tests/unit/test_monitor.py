"""The monitor's command, on logs as MMEngine writes them."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import pytest

from mmpose_ext.monitor import run_monitor

ROOT = Path(__file__).resolve().parents[2]


def write_run(work_dir: Path, epochs: int, planned: int = 5,
              loss: str = '0.5', name: str = '20260101_000000') -> Path:
    folder = work_dir / name / 'vis_data'
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for epoch in range(1, epochs + 1):
        lines.append(
            f'{{"lr": 0.001, "loss": {loss}, "time": 0.2, "data_time": 0.01, '
            f'"epoch": {epoch}, "iter": {10 * epoch}, "step": {10 * epoch}}}')
        lines.append(f'{{"coco/AP": {epoch / 10}, "step": {epoch}}}')
    path = folder / 'scalars.json'
    path.write_text('\n'.join(lines) + '\n')
    (folder / 'config.py').write_text(
        f'train_cfg = dict(max_epochs={planned})\n'
        'train_dataloader = dict(batch_size=8)\n')
    return path


def test_table_and_pictures_are_written(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_run(tmp_path / 'horse', 3)
    assert run_monitor('', [str(tmp_path / 'horse')]) == 0
    printed = capsys.readouterr().out
    rows = dict(line.split('  ', 1) for line in printed.splitlines()
                if '  ' in line.strip())
    rows = {label: text.strip() for label, text in rows.items()}
    assert rows['epoch'] == '3 / 5'
    assert rows['iteration'] == '30 / 50'
    assert rows['time left'] == '4 s'
    assert rows['metric'] == 'coco/AP'
    assert rows['best'] == '0.3 at epoch 3'
    assert rows['images a second'] == '40'
    assert rows['waiting for data'] == '5% of the time'
    out = tmp_path / 'horse' / 'monitor'
    assert {path.name for path in out.iterdir()} == {'curves.png',
                                                     'report.html'}
    assert cv2.imread(str(out / 'curves.png')).shape[1] == 14 * 150
    assert '3 / 5' in (out / 'report.html').read_text()


def test_json_is_strict_and_alone_on_the_output(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_run(tmp_path, 3, loss='NaN')
    assert run_monitor('', [str(tmp_path), '--json']) == 3

    def refuse(word: str) -> None:
        raise AssertionError(word)

    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert found['fatal'] is True and found['loss'] is None
    assert found['best'] == {'name': 'coco/AP', 'x': 3, 'value': .3}
    assert found['verdicts'][0]['fatal'] is True
    assert not (tmp_path / 'monitor').exists()


def test_runs_are_compared_side_by_side(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for parent, epochs in (('a', 3), ('b', 5)):
        write_run(tmp_path / parent / 'run', epochs)
    words = [str(tmp_path / 'a' / 'run'), '--compare',
             str(tmp_path / 'b' / 'run'), '--out-dir', str(tmp_path / 'out')]
    assert run_monitor('', words) == 0
    printed = capsys.readouterr().out
    assert printed.split()[:3] == ['run', 'run', '(2)']
    assert (tmp_path / 'out' / 'compare.png').is_file()
    assert (tmp_path / 'out' / 'report.html').read_text().count(
        'data:image/png') == 2
    assert run_monitor('', [*words, '--json']) == 0
    found = json.loads(capsys.readouterr().out)
    assert [run['epoch'] for run in found] == [3, 5]


def test_fatal_verdict_is_the_exit_code_and_stands_in_the_page(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_run(tmp_path, 2, loss='Infinity')
    assert run_monitor('', [str(tmp_path)]) == 3
    assert 'FATAL loss not finite' in capsys.readouterr().out
    assert 'class="fatal"' in (tmp_path / 'monitor' /
                               'report.html').read_text()


def test_broken_line_is_a_warning(tmp_path: Path,
                                  capsys: pytest.CaptureFixture) -> None:
    path = write_run(tmp_path, 3)
    path.write_text('broken\n' + path.read_text())
    assert run_monitor('', [str(tmp_path)]) == 0
    assert 'line 1 is no record' in ' '.join(
        capsys.readouterr().out.split())


@pytest.mark.parametrize('words', [[], ['--metric', 'coco/AR'],
                                   ['--out-dir', '{file}']])
def test_data_that_does_not_fit_is_one_line(
        tmp_path: Path, words: list[str],
        capsys: pytest.CaptureFixture) -> None:
    if words:
        file = write_run(tmp_path, 3)
        words = [word.format(file=file) for word in words]
    assert run_monitor('', [str(tmp_path), *words]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith('error: ') and printed.count('\n') == 1


@pytest.mark.parametrize('words', [[], ['x', '--follow', '0'],
                                   ['x', '--follow', 'nan']])
def test_wrong_usage_is_two(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run_monitor('', words)
    assert stop.value.code == 2


def test_following_ends_with_the_training(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = write_run(tmp_path, 2)
    whole = write_run(tmp_path / 'other', 5).read_text()

    def train_on() -> None:
        time.sleep(.3)
        path.write_text(whole)

    thread = threading.Thread(target=train_on)
    thread.start()
    assert run_monitor('', [str(tmp_path), '--follow', '0.1']) == 0
    thread.join()
    printed = capsys.readouterr().out
    assert 'finished' in printed and '5 / 5' in printed


def test_following_ends_when_interrupted(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path, 2)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr('mmpose_ext.monitor.time.sleep', interrupt)
    assert run_monitor('', [str(tmp_path), '--follow', '60']) == 0
    assert (tmp_path / 'monitor' / 'curves.png').is_file()


def test_command_is_quick_and_imports_neither_torch_nor_mmpose(
        tmp_path: Path) -> None:
    path = write_run(tmp_path, 300, planned=300)
    assert len(path.read_text().splitlines()) == 600
    program = (
        'import resource, runpy, sys\n'
        f'sys.argv = ["tools/monitor_training.py", {str(tmp_path)!r}]\n'
        'try:\n'
        f'    runpy.run_path({str(ROOT / "tools" / "monitor_training.py")!r},'
        ' run_name="__main__")\n'
        'except SystemExit as stop:\n'
        '    assert not stop.code, stop.code\n'
        'heavy = {"torch", "mmengine", "mmpose", "mmcv"} & set(sys.modules)\n'
        'assert not heavy, heavy\n'
        'print(resource.getrusage(resource.RUSAGE_SELF).ru_utime)\n')
    answer = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True,
        cwd=ROOT, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert answer.returncode == 0, answer.stderr
    # 1.3 s when measured alone; a loaded machine takes longer
    assert float(answer.stdout.splitlines()[-1]) < 4
