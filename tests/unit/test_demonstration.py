"""Demos of all families: side by side, each with a log of its own."""
from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mmpose_ext.demonstration import (
    LOG,
    Demonstration,
    Figure,
    find_demos,
    run_side_by_side,
)

# Waits until the other one has started: one after the other they would fail.
MEETING = '''
import pathlib, sys, time
me, other = map(pathlib.Path, sys.argv[1:])
print("\\nRuntime environment:")
print("\\n$ python tools/train.py config.py", flush=True)
me.touch()
for _ in range(300):
    if other.exists():
        break
    time.sleep(.1)
else:
    sys.exit("nobody came")
print("\\nWhat came out:\\n  error 1 mm")
print("\\nAnd then:\\n  error 2 mm")
'''


def test_every_family_has_a_demo_that_says_how_long_it_takes() -> None:
    demos = find_demos()
    assert set(demos) == {'behavior', 'direction', 'equine', 'handobject',
                          'volumetric'}
    assert all(demo.MINUTES > 0 for demo in demos.values())


def test_demos_run_at_the_same_time(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = [str(tmp_path / name) for name in ('one', 'two')]
    commands = {
        name: [sys.executable, '-c', MEETING, *order]
        for name, order in (('first', places), ('second', places[::-1]))}
    assert run_side_by_side(commands, tmp_path / 'out', 2) == []
    told = capsys.readouterr().out
    assert told.count('What came out:\n  error 1 mm\n\nAnd then:\n'
                      '  error 2 mm') == 2
    assert 'tools/train.py' not in told  # that is in the log
    assert 'Runtime' not in told
    assert 'tools/train.py' in (tmp_path / 'out/first' / LOG).read_text()


def test_a_demo_that_fails_is_named_and_shown(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = {
        'bad': [sys.executable, '-c',
                'import sys; print("step 1"); sys.exit("the cause")'],
        'good': [sys.executable, '-c', 'print("\\nfine")']}
    assert run_side_by_side(commands, tmp_path, 1) == ['bad']
    told = capsys.readouterr().out
    assert 'bad: FAILED' in told and 'the cause' in told
    assert 'good: done' in told and 'fine' in told


def test_it_closes_with_the_newest_test_beside_the_trivial_answer(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = tmp_path / 'data' / 'synthetic' / 'direction'
    world.mkdir(parents=True)
    (world / 'made').touch()
    demo = Demonstration(tmp_path, 'direction', 'made')
    for second, error in ((1, 9.), (2, 3.)):
        folder = demo.work_dir / 'pose' / f'20260101_00000{second}'
        folder.mkdir(parents=True)
        (folder / f'{folder.name}.json').write_text(
            json.dumps(dict(error=error, error_trivial=30.)))
    demo.close('Errors', [Figure('all', 'error', 'error_trivial')],
               {'movie': 'movie.mp4'}, test='pose')
    told = capsys.readouterr().out.split('\n')
    assert told[1] == 'Errors:'
    assert told[2].split() == ['all', '3.0', 'mm', 'trivial', 'answer',
                               '30.0', 'mm']
    assert told[3].endswith(str(demo.work_dir / 'movie.mp4'))
