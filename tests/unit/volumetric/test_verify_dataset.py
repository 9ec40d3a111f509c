"""What is told of a recording, and the exit codes."""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmpose_ext.commands import run_verify
from mmpose_ext.storage.label3d import write_label3d
from tests.unit.volumetric.recording_files import (
    make_record,
    project,
    write_recording,
)

FRAMES = 24
CONFIG = '''
default_scope = 'mmpose'
custom_imports = dict(imports=['mmpose_ext.volumetric'])
data = dict(
    type='mmpose_ext.VolumetricPoseDataset', data_root={root!r},
    recordings='*', skeleton='rat16', {more})
train_dataloader = dict(dataset=dict(split='train', **data))
test_dataloader = dict(dataset=dict(split='test', **data))
model = {model}
'''


@pytest.fixture(scope='module')
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('verify')
    write_recording(folder / 'monday', FRAMES, chunk=FRAMES)
    return folder


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / 'data')
    return tmp_path / 'data'


@pytest.fixture
def verify(capsys: pytest.CaptureFixture) -> Callable[..., Any]:
    def run(*words: object) -> tuple[int, str]:
        code = run_verify('', [str(word) for word in words])
        return code, capsys.readouterr().out
    return run


def label_file(root: Path, **changes: Any) -> Path:
    made = replace(make_record(root / 'monday', FRAMES), **changes)
    write_label3d(made.source, made)
    return made.source


def write_config(root: Path, model: dict | None = None,
                 more: str = '') -> Path:
    path = root.parent / 'config.py'
    path.write_text(CONFIG.format(root=str(root), model=model or {},
                                  more=more))
    return path


def test_sound_recording_is_described_and_passes(
        root: Path, verify: Callable) -> None:
    code, text = verify('--ann-file', label_file(root), '--skeleton', 'rat16')
    assert code == 0 and text.endswith('no problems\n')
    for part in ('24 time points, 24 labelled', 'Camera2', '96 x 72',
                 '0 to 23', '0.000', 'EarL-EarR 16.0', 'vol_size'):
        assert part in text


def test_json_has_every_figure(root: Path, verify: Callable) -> None:
    code, text = verify('--ann-file', label_file(root), '--skeleton', 'rat16',
                        '--json')
    content = json.loads(text)
    figures = content['recordings']['monday']
    assert code == 0 and content['problems'] == []
    assert figures['bones_mm']['EarL-EarR']['median'] == pytest.approx(16)
    assert figures['com_to_centroid_mm']['largest'] == pytest.approx(3**.5)
    made = make_record(root, FRAMES)
    steps = np.linalg.norm(np.diff(made.com[:, 0], axis=0), axis=1)
    assert figures['com_step_mm']['median'] == pytest.approx(
        np.median(steps))
    extent = abs(made.points - made.com).max()
    assert figures['extent_mm'] == pytest.approx(extent)
    apart = made.points - made.com
    furthest = max(np.hypot(apart[..., 0], apart[..., 1]).max(),
                   abs(apart[..., 2]).max())
    assert figures['suggested_vol_size_mm'] == pytest.approx(
        2.4 * furthest, abs=.06)


@pytest.mark.parametrize('labelled', [True, False])
def test_skeleton_of_the_folder_need_not_fit(
        root: Path, verify: Callable, labelled: bool) -> None:
    (root / 'monday' / 'recording.json').write_text('{"skeleton": "s.json"}')
    (root / 'monday' / 's.json').write_text(json.dumps(
        dict(names=list('abcdefgh'), edges=[['a', 'b']])))
    none = {} if labelled else dict(
        points=np.zeros((0, 0, 3)), pixels=None,
        label_ids=np.zeros(0, int), label_frames=np.zeros((0, 3), int))
    code, text = verify('--ann-file', label_file(root, **none))
    assert code == labelled
    assert ('expected 8 keypoints, found 16' in text) == labelled


def test_damage_is_one_line_and_exit_code_1(root: Path,
                                            verify: Callable) -> None:
    path = root / 'monday' / 'label3d_dannce.mat'
    path.write_bytes(path.read_bytes()[:2000])
    code, text = verify('--ann-file', path)
    assert code == 1 and text.count('error:') == 1


def test_swapped_labels_are_found_by_their_bones(root: Path,
                                                 verify: Callable) -> None:
    points = make_record(root, FRAMES).points
    points[7, [2, 13]] = points[7, [13, 2]]
    calibrations = make_record(root).calibrations
    path = label_file(root, points=points,
                      pixels=project(calibrations, points))
    code, text = verify('--ann-file', path, '--skeleton', 'rat16')
    assert code == 1
    assert 'sampleID 71, bone EarR-Snout' in text
    assert 'swapped or misplaced' in text


def test_missing_labels_are_counted_by_keypoint(root: Path,
                                                verify: Callable) -> None:
    points = make_record(root, FRAMES).points
    points[:5, 2], points[3, 0] = np.nan, np.nan
    _, text = verify('--ann-file', label_file(root, points=points,
                                              pixels=None),
                     '--skeleton', 'rat16')
    assert 'not labelled: EarL 1, Snout 5' in text


def test_jump_of_the_middle_is_a_warning(root: Path,
                                         verify: Callable) -> None:
    com = make_record(root, FRAMES).com
    com[9] += 60.
    path = label_file(root, com=com)
    code, text = verify('--ann-file', path)
    assert code == 0 and 'warning:' in text and 'sampleID 91, 101' in text
    assert verify('--ann-file', path, '--strict')[0] == 1


def test_config_is_checked_with_its_splits(root: Path,
                                           verify: Callable) -> None:
    code, text = verify(write_config(root))
    assert code == 0 and 'train_dataloader.dataset: 19 samples' in text
    code, text = verify(write_config(root, more=(
        'split_by=dict(train=[[0, 20]], test=[[20, 30]])')))
    assert code == 1 and 'at least 30 samples' in text


@pytest.mark.parametrize(('model', 'told'), [
    (dict(head=dict(num_keypoints=22)), 'model.head.num_keypoints'),
    (dict(backbone=dict(num_views=6)), 'model.backbone.num_views'),
    (dict(data_preprocessor=dict(grid=dict(vmin=-30., vmax=30.))),
     '24 poses that leave it'),
    (dict(data_preprocessor=dict(grid=dict(vol_size=60.))), 'enlarge'),
])
def test_network_that_does_not_fit_is_a_problem(
        root: Path, verify: Callable, model: dict, told: str) -> None:
    code, text = verify(write_config(root, model))
    assert code == 1 and told in text and text.count('error:') == 1


def test_fitting_network_passes(root: Path, verify: Callable) -> None:
    model = dict(head=dict(num_keypoints=16), backbone=dict(num_views=3),
                 data_preprocessor=dict(grid=dict(vol_size=140.)))
    assert verify(write_config(root, model))[0] == 0


def test_tested_training_data_is_a_warning(root: Path,
                                           verify: Callable) -> None:
    path = write_config(root)
    path.write_text(path.read_text().replace("split='test'",
                                             "split='all'"))
    code, text = verify(path)
    assert code == 0 and '19 of 24' in text


def test_config_without_recordings_is_named(root: Path,
                                            verify: Callable) -> None:
    path = root.parent / 'config.py'
    path.write_text('custom_imports = '
                    "dict(imports=['mmpose_ext.volumetric'])")
    assert verify(path)[0] == 1


def test_wrong_usage_is_exit_code_2(root: Path, verify: Callable) -> None:
    with pytest.raises(SystemExit) as caught:
        verify('--ann-file', label_file(root), '--pixel-origin', '3')
    assert caught.value.code == 2


def test_published_files_pass(real_data: Path, verify: Callable) -> None:
    code, text = verify('--ann-file', real_data / 'label3d' /
                        'rat_social_dannce.mat', '--skeleton', 'rat23')
    assert code == 0 and '8 labelled' in text
