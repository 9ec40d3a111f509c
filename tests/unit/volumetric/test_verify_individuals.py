"""What is told of recordings of several animals."""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmpose_ext.commands import run_verify
from tests.unit.volumetric.pair_files import (
    APART,
    EACH,
    LABELS,
    true_centres,
    write_centres,
    write_pair,
)

CONFIG = '''
default_scope = 'mmpose'
custom_imports = dict(imports=['mmpose_ext.volumetric'])
test_dataloader = dict(dataset=dict(
    type='mmpose_ext.VolumetricPoseDataset', data_root={root!r},
    recordings='.', skeleton='rat16', num_individuals=2, test_mode=True,
    recording_settings={settings!r}))
'''


@pytest.fixture(scope='module')
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp('pair') / 'dyad')


@pytest.fixture
def verify(sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture
           ) -> Callable[..., tuple[int, str]]:
    folder = Path(shutil.copytree(sound, tmp_path / 'dyad'))
    config = tmp_path / 'config.py'
    config.write_text(CONFIG.format(root=str(folder), settings=EACH))

    def run(*words: str, com: np.ndarray | None = None) -> tuple[int, str]:
        if com is not None:
            write_centres(folder, com)
        code = run_verify('', [str(config), *words])
        return code, capsys.readouterr().out
    return run


def test_each_animal_is_described(verify: Callable) -> None:
    code, text = verify()
    assert code == 0 and text.endswith('no problems\n')
    for part in ('8 labelled, 2 animals', 'animal 1: 5 labelled',
                 'animal 2: 6 labelled, middle known at 12',
                 f'nearest animals: {np.linalg.norm(APART):.1f} mm apart',
                 '4 time points without a label have pictures and a middle '
                 'of every animal'):
        assert part in text, text


def test_json_has_the_figures(verify: Callable) -> None:
    _, text = verify('--json')
    figures: dict[str, Any] = json.loads(text)['recordings']['dyad']
    assert [item['file'] for item in figures['animals']] == list(LABELS)
    assert [item['labelled'] for item in figures['animals']] == [5, 6]
    assert figures['unlabelled_usable'] == 4
    assert figures['apart_mm']['median'] == pytest.approx(
        np.linalg.norm(APART))
    assert all(view['median_px'] < 1e-6 for view in figures['views'])


def test_unlabelled_time_points_without_a_middle_do_not_count(
        verify: Callable, sound: Path) -> None:
    com = true_centres(sound)
    com[11, 1] = np.nan  # not labelled there
    _, text = verify(com=com)
    assert '3 time points without a label' in text
    assert 'middle known at 11' in text


def test_exchanged_middles_are_a_warning(
        verify: Callable, sound: Path) -> None:
    com = true_centres(sound)
    com[[10, 11]] = com[[10, 11]][:, ::-1]
    code, text = verify(com=com)
    assert code == 0 and 'warning: ' in text
    assert 'sampleID 101, 111' in text and '2 of 12' in text
    assert verify('--strict')[0] == 1


def test_two_middles_on_one_animal_are_a_warning(
        verify: Callable, sound: Path) -> None:
    com = true_centres(sound)
    com[1, 1] = com[1, 0] + 1
    _, text = verify(com=com)
    assert 'two middles may be of one animal' in text
    assert 'sampleID 11:' in text


def test_configs_for_middles_are_checked_too(
        sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = dict(
        type='mmpose_ext.ComImageDataset', data_root=str(sound),
        recordings='.', pipeline=[], recording_settings=dict(
            label_file=list(LABELS)))
    path = tmp_path / 'com.py'
    for maps, shared, problem in (
            (2, False, ''), (1, False, '2, a map for each animal'),
            (2, True, '1, the map that the animals')):
        place = dict(data, shared_map=shared)
        path.write_text(
            "custom_imports = dict(imports=['mmpose_ext.volumetric'])\n"
            f'train_dataloader = dict(dataset={place!r})\n'
            f'val_dataloader = dict(dataset={place!r})\n'
            f'model = dict(head=dict(out_channels={maps}))\n')
        code = run_verify('', [str(path)])
        text = capsys.readouterr().out
        assert code == bool(problem) and problem in text, text
        assert 'no time point of the training' in text
        assert ('3 of 3' if shared else '8 of 8') in text
        assert 'animal 2: 6 labelled' in text
