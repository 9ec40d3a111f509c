from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmpose_ext.commands import run_command
from mmpose_ext.geometry.crop_views import apply_homography, project
from mmpose_ext.handobject.browse_dataset import (
    CROP,
    HEIGHT,
    TARGET,
    SeenSample,
    draw_sample,
    iter_seen,
)
from mmpose_ext.storage import DataError
from mmpose_ext.training import build_serial_loader
from tests.unit.handobject.sample_index import make_columns, write_sample

CONFIG = """
custom_imports = dict(imports=['mmpose_ext.handobject'])
default_scope = 'mmpose'
codec = dict(type='mmpose_ext.HandObjectLabel', input_size=(64, 64))
train_pipeline = [
    dict(type='LoadImage'), dict(type='GetBBoxCenterScale', padding=1.5),
    dict(type='RandomBBoxTransform', rotate_factor=40., rotate_prob=1.),
    dict(type='mmpose_ext.HandObjectTopdownView', input_size=64),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='mmpose_ext.HandObjectPackInputs')]
train_dataloader = dict(
    batch_size=4, num_workers=2, persistent_workers=True,
    sampler=dict(type='mmpose_ext.DrawSampler', shuffle=True),
    dataset=dict(
        type='mmpose_ext.HandObjectDataset', data_root={root!r},
        ann_file='index/s1_train.npz', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=4, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmpose_ext.HandObjectDataset', data_root={root!r},
        ann_file='index/s1_train.npz', test_mode=True,
        pipeline=[step for step in train_pipeline
                  if step['type'] != 'GenerateTarget']))
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('hands')
    write_sample(root, hands=.67)
    (root / 'config.py').write_text(CONFIG.format(root=str(root)))
    return root


def seen(folder: Path, number: int = 8,
         split: str = 'train') -> list[SeenSample]:
    config = Config.fromfile(folder / 'config.py')
    return list(iter_seen(build_serial_loader(config, split), number))


def test_targets_are_the_labels_seen_by_the_crop(folder: Path) -> None:
    columns = make_columns(hands=.67)
    samples = seen(folder)
    assert {sample.mirrored for sample in samples} == {True, False}
    for sample in samples:
        row = int(sample.caption.partition(':')[0])
        np.testing.assert_array_equal(sample.labels.joints,
                                      columns['joints_cam'][row])
        found = project(sample.targets.joints, sample.view_camera)
        np.testing.assert_allclose(found, sample.pixels, atol=1e-2)
        # the outline is where the crop came from
        corners = np.array([[0, 0], [64, 0], [64, 64], [0, 64]]) - .5
        way, _ = cv2.findHomography(sample.outline, corners)
        np.testing.assert_allclose(
            apply_homography(columns['joints_px'][row], way), found,
            atol=.05)
        side = 'left, mirrored' if sample.mirrored else 'right'
        assert side in sample.caption
        assert 'of 21 touch' in sample.caption
        assert len(sample.labels.classes) == columns[
            'object_valid'][row].sum()
        # what lies far outside of the crop is not asked for
        assert set(sample.targets.classes) <= set(sample.labels.classes)
    assert any('*' in sample.caption for sample in samples)


def test_picture_shows_crop_outline_and_targets(folder: Path) -> None:
    bounds = {number: np.array([[-.03, -.02, -.01], [.03, .02, .05]])
              for number in range(21)}
    for sample in seen(folder, 4):
        picture = draw_sample(sample, bounds)
        width = round(160 * HEIGHT / 120)
        assert picture.shape == (HEIGHT, width + 4 + HEIGHT, 3)
        left, right = picture[:, :width], picture[:, width + 4:]
        assert _has(left, CROP)
        assert _has(right, TARGET)
        hidden = draw_sample(replace(
            sample, pixels=np.full((21, 2), np.nan)), bounds)
        changed = (hidden != picture).any(-1)
        assert not changed[:, :width].any()
        for place in (sample.pixels * HEIGHT / 64 + 2).astype(int):
            around = changed[max(place[1] - 6, 0):place[1] + 6,
                             width + 4 + place[0] - 6:width + 10 + place[0]]
            assert around.any() or (place < 0).any() or (
                place >= HEIGHT).any()


def _has(picture: np.ndarray, color: tuple[int, ...]) -> bool:
    distance = np.abs(picture.astype(int) - color).max(-1)
    return bool((distance < 40).sum() > 5)


def test_command_writes_sheets(folder: Path, tmp_path: Path,
                               capsys: Any) -> None:
    out = tmp_path / 'sheets'
    assert run_command('browse_dataset', '', [
        str(folder / 'config.py'), '--out-dir', str(out), '--number',
        '13']) in (0, None)
    names = sorted(path.name for path in out.iterdir())
    assert names == ['train_000.png', 'train_001.png']
    assert capsys.readouterr().out.split() == [
        str(out / name) for name in names]
    picture = cv2.imread(str(out / names[0]))
    assert picture.shape[1] > 2 * HEIGHT


def test_pipeline_without_targets_is_refused(folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        seen(folder, split='val')
    assert caught.value.where == 'pipeline'
    assert caught.value.expected.startswith('GenerateTarget')
    assert caught.value.found == 'no targets'


@pytest.mark.parametrize(('options', 'said'), [
    (['--number', '0'], '--number: expected at least 1, found 0'),
    (['--split', 'test'], 'test_dataloader: expected a data loader')])
def test_wrong_options(folder: Path, tmp_path: Path, capsys: Any,
                       options: list[str], said: str) -> None:
    out = tmp_path / 'sheets'
    assert run_command('browse_dataset', '', [
        str(folder / 'config.py'), '--out-dir', str(out), *options]) == 1
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_file_in_place_of_the_folder(folder: Path, tmp_path: Path,
                                     capsys: Any) -> None:
    out = Path(shutil.copy(folder / 'config.py', tmp_path / 'sheets'))
    assert run_command('browse_dataset', '', [
        str(folder / 'config.py'), '--out-dir', str(out)]) == 1
    assert 'expected a folder or nothing' in capsys.readouterr().err
