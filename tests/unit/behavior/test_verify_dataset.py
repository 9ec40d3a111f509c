"""The check before training."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.behavior.verify_dataset import accepts
from mmpose_ext.commands import run_verify
from tests.unit.behavior.track_files import (
    wander,
    write_config,
    write_events,
    write_record,
    write_records,
)


def verify(*words: object) -> int:
    return run_verify('', [str(word) for word in words])


def found(capsys, *words: object) -> dict:
    verify(*words, '--json')
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_records(tmp_path / 'data', 8, frames=200)


def test_sound_tracks_pass(tmp_path: Path, root: Path, capsys) -> None:
    config = write_config(tmp_path / 'c.py', root)
    assert verify(config) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == 'no problems'
    assert 'a: 200 frames, 30 fps, 6.7 s' in lines
    assert any(line.startswith('train_dataloader.dataset: 6 records')
               for line in lines)
    assert verify(config, '--strict') == 0


def test_a_lone_file_is_checked(root: Path, capsys) -> None:
    assert verify('--ann-file', root / 'a' / 'tracking.nc') == 0
    assert 'tracking: 200 frames' in capsys.readouterr().out
    (root / 'a' / 'tracking.nc').write_bytes(b'x')
    assert verify('--ann-file', root / 'a' / 'tracking.nc') == 1
    assert accepts(root / 'a' / 'tracking.nc')
    assert not accepts(root / 'a')


def test_warnings_count_if_asked_to(tmp_path: Path, root: Path,
                                    capsys) -> None:
    position = wander(200, seed=4)
    position[60, 0, 1] += 500
    write_record(root / 'e', position)
    config = write_config(tmp_path / 'c.py', root)
    assert verify(config) == 0
    out = capsys.readouterr().out
    assert 'warning: ' in out and "record 'e', frame 60, 61" in out
    assert verify(config, '--strict') == 1


def test_every_damaged_record_is_named(tmp_path: Path, root: Path,
                                       capsys) -> None:
    (root / 'b/tracking.nc').write_bytes(b'x')
    position = wander(200)
    position[:, 1] = np.nan
    write_record(root / 'd', position)
    config = write_config(tmp_path / 'c.py', root)
    assert verify(config) == 1
    errors = [line for line in capsys.readouterr().out.splitlines()
              if line.startswith('error: ')]
    assert len(errors) == 2
    assert 'b/tracking.nc: file' in errors[0]
    assert "record 'd', 'intruder'" in errors[1]


def test_settings_that_are_none_are_problems(tmp_path: Path, root: Path,
                                             capsys) -> None:
    config = write_config(tmp_path / 'c.py', root, dict(
        train=dict(scale='iso'), val=dict(window=3),
        test=dict(split_by=dict(method='half'))))
    problems = found(capsys, config)['problems']
    assert [problem['where'] for problem in problems] == [
        f'{part}_dataloader.dataset' for part in ('train', 'val', 'test')]
    assert "'iso'" in problems[0]['found']
    assert "'window'" in problems[1]['found']
    assert "'half'" in problems[2]['found']


def test_copies_of_a_record_are_a_problem(tmp_path: Path, root: Path,
                                          capsys) -> None:
    write_record(root / 'h', wander(200))
    problem, = found(capsys, write_config(tmp_path / 'c.py', root))[
        'problems']
    assert problem['where'] == "record 'h'"
    assert problem['found'] == "those of record 'a'"


def test_frames_that_train_and_validate_are_told(tmp_path: Path, root: Path,
                                                 capsys) -> None:
    same = write_config(tmp_path / 'c.py', root, dict(
        train=dict(split='all'), val={}))
    warning, = found(capsys, same)['warnings']
    assert warning['where'] == 'val_dataloader.dataset'
    stretches = dict(split_by=dict(method='block', gap=0))
    apart = write_config(tmp_path / 'd.py', root, None, **stretches)
    assert found(capsys, apart)['warnings'] == []


def test_a_record_of_another_unit_is_told(tmp_path: Path, root: Path,
                                          capsys) -> None:
    write_record(root / 'c', wander(200, seed=3) / 100)
    warning, = found(capsys, write_config(tmp_path / 'c.py', root))[
        'warnings']
    assert 'and' in warning['found'] and "'c'" in warning['found']


def test_records_shorter_than_a_window_are_told(tmp_path: Path, root: Path,
                                                capsys) -> None:
    write_record(root / 'c', wander(12))
    config = write_config(tmp_path / 'c.py', root, dict(
        train=dict(split='all')))
    warning, = found(capsys, config)['warnings']
    assert warning['found'] == "1 shorter ones, such as 'c'"


def test_a_class_of_one_part_is_told(tmp_path: Path, root: Path,
                                     capsys) -> None:
    for i, name in enumerate('abcdefgh'):
        write_events(root / name / 'annotations.csv', [
            ('attack', .5, 2), ('mount' if i == 5 else 'sniff', 3, 4)])
    config = write_config(tmp_path / 'c.py', root, tasks='multiclass',
                          annotation_format='auto')
    report = found(capsys, config)
    warning, = report['warnings']
    assert warning['where'] == "class 'mount'"
    assert set(report['classes']['train_dataloader.dataset']) == {
        'attack', 'mount', 'other', 'sniff'}
    assert report['records']['a']['class_frames'] == dict(
        attack=45, other=125, sniff=30)


def test_a_config_without_tracks_is_a_problem(tmp_path: Path, root: Path,
                                              capsys) -> None:
    config = write_config(tmp_path / 'c.py', root, {})
    problem, = found(capsys, config)['problems']
    assert problem['expected'] == 'a mmpose_ext.LisbetWindowDataset'


def test_what_is_missing_is_reported_before_gaps_are_closed(
        tmp_path: Path, root: Path, capsys) -> None:
    position = wander(200)
    position[40:43, 0, 0] = np.nan
    write_record(root / 'a', position)
    config = write_config(tmp_path / 'c.py', root)
    assert found(capsys, config)['records']['a']['longest_gap'] == 3


def test_frames_that_a_file_leaves_out_are_told(tmp_path: Path, root: Path,
                                                capsys) -> None:
    write_record(root / 'a', wander(200),
                 frames=np.r_[np.arange(150), np.arange(155, 205)])
    report = found(capsys, write_config(tmp_path / 'c.py', root))
    warning, = report['warnings']
    assert warning['where'] == "record 'a', time"
    assert report['records']['a']['frames_left_out'] == 5
    assert report['records']['a']['frames'] == 205


@pytest.mark.parametrize(('settings', 'said'), [
    ({}, ''),
    (dict(in_channels=13), 'in_channels: expected 12'),
    (dict(max_length=12), 'max_length'),
    (dict(keypoints=2), 'individuals, keypoints, axes of the data'),
    (dict(window_offset=3), 'window_offset: expected that of the data, 0'),
    (dict(task='cons'), 'heads for the tasks of the data: order')])
def test_a_model_that_cannot_read_the_data_is_a_problem(
        tmp_path: Path, root: Path, capsys, settings: dict,
        said: str) -> None:
    config = write_config(tmp_path / 'c.py', root)
    layout = dict(individuals=2, keypoints=settings.get('keypoints', 3),
                  axes=2)
    made = 4 * layout['keypoints']
    with config.open('a') as file:
        file.write(f'''
model = dict(
    type='mmpose_ext.LisbetModel',
    window_offset={settings.get('window_offset', 0)},
    data_preprocessor=dict(type='mmpose_ext.LisbetPreprocessor', **{layout}),
    backbone=dict(
        type='mmpose_ext.LisbetTransformer', embed_dims=8, num_layers=1,
        num_heads=1, hidden_channels=8,
        in_channels={settings.get('in_channels', made)},
        max_length={settings.get('max_length', 16)}),
    heads=dict({settings.get('task', 'order')}=dict(
        type='mmpose_ext.LisbetWindowHead', in_channels=8)))
''')
    assert verify(config) == (1 if said else 0)
    assert said in capsys.readouterr().out
