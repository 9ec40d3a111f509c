from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.commands import run_verify
from mmpose_ext.direction.verify_dataset import accepts
from mmpose_ext.storage import write_npz
from tests.unit.direction.data_files import arrays_of, write_config


def verify(*words: object) -> int:
    return run_verify('', [str(word) for word in words])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_npz(tmp_path / 'rats.npz', **arrays_of())
    return tmp_path / 'rats.npz'


def test_sound_data_pass(tmp_path: Path, file: Path, capsys) -> None:
    config = write_config(tmp_path / 'c.py', file)
    assert verify(config) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == 'no problems'
    assert 'train_dataloader.dataset: 30 rows in 30 groups of 1' in lines
    assert not [line for line in lines if line.startswith('warning')]
    assert verify('--ann-file', file) == 0


def test_findings_as_json(tmp_path: Path, file: Path, capsys) -> None:
    assert verify(write_config(tmp_path / 'c.py', file), '--json') == 0
    found = json.loads(capsys.readouterr().out)
    assert found['problems'] == found['warnings'] == []
    images = arrays_of()['images']
    images[4] = 90
    write_npz(file, **arrays_of(images=images))
    assert verify('--ann-file', file, '--json') == 1
    problem, = json.loads(capsys.readouterr().out)['problems']
    assert problem['where'] == 'images[4]'
    assert problem['file'] == str(file)


def test_one_broken_loader_does_not_hide_another(tmp_path: Path, file: Path,
                                                 capsys) -> None:
    config = write_config(tmp_path / 'c.py', file)
    text = config.read_text() + (
        "train_dataloader['dataset']['ann_file'] = 'gone.npz'\n"
        "val_dataloader['dataset']['split_by'] = dict(fractions=[1, 1, 1])\n"
        "test_dataloader['dataset']['ann_flie'] = 'x'\n")
    config.write_text(text)
    assert verify(config) == 1
    errors = [line for line in capsys.readouterr().out.splitlines()
              if line.startswith('error: ')]
    assert len(errors) == 3
    assert 'gone.npz: file' in errors[0]
    assert 'split_by.fractions' in errors[1]
    assert 'ann_flie' in errors[2]


def test_one_damaged_file_is_one_problem(tmp_path: Path, file: Path,
                                         capsys) -> None:
    write_npz(file, **arrays_of(locs_neck=None))
    assert verify(write_config(tmp_path / 'c.py', file)) == 1
    out = capsys.readouterr().out
    assert out.count('error: ') == 1 and 'locs_neck' in out


def test_several_problems_of_one_file(tmp_path: Path, file: Path,
                                      capsys) -> None:
    images = arrays_of()['images']
    images[4], images[7] = 90, images[8]
    write_npz(file, **arrays_of(images=images))
    assert verify('--ann-file', file) == 1
    out = capsys.readouterr().out
    assert 'images[4]' in out and 'rows 4' in out
    assert 'images[8]' in out and '7 and 8' in out


def test_copies_of_one_source_are_no_problem(file: Path) -> None:
    arrays = arrays_of()
    arrays['images'][7] = arrays['images'][8]
    arrays['source_id'][7] = 8
    write_npz(file, **arrays)
    assert verify('--ann-file', file) == 0


def test_odd_labels_are_warnings(file: Path, capsys) -> None:
    arrays = arrays_of()
    arrays['locs_head'][3] = .7 * arrays['locs_neck'][3] + (
        .3 * arrays['locs_base'][3])
    write_npz(file, **arrays)
    assert verify('--ann-file', file) == 0
    out = capsys.readouterr().out
    assert 'warning: ' in out and 'rows 3' in out and 'turn' in out


def test_swapped_ends_are_a_warning(file: Path, capsys) -> None:
    arrays = arrays_of()
    arrays['locs_base'], arrays['locs_head'] = (arrays['locs_head'],
                                                arrays['locs_base'])
    write_npz(file, **arrays)
    assert verify('--ann-file', file) == 0
    assert 'swapped' in capsys.readouterr().out


def test_unusual_length_is_a_warning(file: Path, capsys) -> None:
    arrays = arrays_of()
    arrays['locs_base'][6] = arrays['locs_neck'][6] + [1.5, 0]
    write_npz(file, **arrays)
    assert verify('--ann-file', file) == 0
    line, = [line for line in capsys.readouterr().out.splitlines()
             if 'length base-neck' in line]
    assert line.startswith('warning') and line.endswith('1.5 px; rows 6')


def test_loaders_that_split_differently_leak(tmp_path: Path, file: Path,
                                             capsys) -> None:
    config = write_config(tmp_path / 'c.py', file)
    config.write_text(config.read_text() + (
        "val_dataloader['dataset']['split_by'] = dict(seed=1)\n"))
    assert verify(config) == 1
    out = capsys.readouterr().out
    assert 'use the same split_by' in out and 'val_dataloader' in out


def test_group_that_is_a_whole_part_is_a_warning(tmp_path: Path, file: Path,
                                                 capsys) -> None:
    write_npz(file, **arrays_of(session=np.arange(40) // 5))
    assert verify(write_config(tmp_path / 'c.py', file)) == 0
    assert 'several groups in each part' in capsys.readouterr().out


def test_config_without_data_sets(tmp_path: Path, file: Path,
                                  capsys) -> None:
    config = tmp_path / 'c.py'
    config.write_text(
        "custom_imports = dict(imports=['mmpose_ext.direction'])\n")
    assert verify(config) == 1
    assert 'DirectionDataset' in capsys.readouterr().out


def test_accepts_what_is_or_was_meant_to_be_a_data_set(
        tmp_path: Path, file: Path) -> None:
    assert accepts(file)
    (tmp_path / 'broken.npz').write_bytes(b'PK')
    assert accepts(tmp_path / 'broken.npz')
    write_npz(tmp_path / 'other.npz', poses=np.zeros(3))
    assert not accepts(tmp_path / 'other.npz')
    assert not accepts(tmp_path / 'labels.json')
