from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmpose_ext.commands import run_command
from mmpose_ext.equine.browse_dataset import (
    TARGET,
    UNTRAINED,
    SeenSample,
    draw_sample,
    iter_seen,
)
from mmpose_ext.equine.horse26 import FLIP_INDICES
from mmpose_ext.storage import DataError
from tests.unit.equine.labelled_horses import write_split

CODECS = dict(
    simcc="dict(type='SimCCLabel', input_size=(128, 128), sigma=(4., 4.), "
    'simcc_split_ratio=2.)',
    heatmap="dict(type='MSRAHeatmap', input_size=(128, 128), "
    'heatmap_size=(32, 32), sigma=2.)')
CONFIG = """
custom_imports = dict(imports=['mmpose_ext.equine'])
default_scope = 'mmpose'
codec = {codec}
load = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale')]
crop = dict(type='TopdownAffine', input_size=(128, 128))
train_pipeline = [
    *load, dict(type='RandomFlip', prob=1.0),
    dict(type='RandomBBoxTransform', shift_factor=.1, rotate_factor=40,
         scale_factor=(.8, 1.2)), crop,
    dict(type='GenerateTarget', encoder=codec), dict(type='PackPoseInputs')]
mild = [*load, crop, dict(type='GenerateTarget', encoder=codec),
        dict(type='PackPoseInputs')]
train_dataloader = dict(
    batch_size=4, num_workers=2, persistent_workers=True,
    sampler=dict(type='mmpose_ext.DrawSampler', shuffle=True),
    dataset=dict(
        type='mmpose_ext.HorsePoseDataset', data_root={root!r},
        ann_file='annotations/horse_train.json',
        data_prefix=dict(img='train/'), pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=4, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmpose_ext.HorsePoseDataset', data_root={root!r},
        ann_file='annotations/horse_train.json', test_mode=True,
        data_prefix=dict(img='train/'),
        pipeline=[*load, crop, dict(type='PackPoseInputs')]))
custom_hooks = [dict(type='mmpose_ext.PhasedPipelineHook', switches=[
    dict(begin=0., pipeline=train_pipeline),
    dict(begin=.5, pipeline=mild)])]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_split(tmp_path, 'train', count=6)
    for name, codec in CODECS.items():
        (tmp_path / f'{name}.py').write_text(
            CONFIG.format(codec=codec, root=str(tmp_path)))
    return tmp_path


def seen(path: Path, *arguments: Any) -> list[SeenSample]:
    config = Config.fromfile(path)
    init_default_scope('mmpose')
    return list(iter_seen(config, *arguments))


@pytest.mark.parametrize(('codec', 'tolerance'), [('simcc', .6),
                                                  ('heatmap', 2.1)])
def test_targets_decode_to_the_points(folder: Path, codec: str,
                                      tolerance: float) -> None:
    for sample in seen(folder / f'{codec}.py', 'train', 4):
        inside = ((sample.points > 2) & (sample.points < 125)).all(1)
        trained = inside & (sample.visibility > 0)
        assert (sample.weights[trained] == 1).all()
        assert (sample.weights[sample.visibility == 0] == 0).all()
        assert sample.targets is not None
        away = np.abs(sample.targets - sample.points)[trained]
        assert away.max() < tolerance


def test_flipped_points_are_those_of_the_other_side(folder: Path) -> None:
    for sample in seen(folder / 'simcc.py', 'train', 4):
        assert sample.flipped
        order = list(FLIP_INDICES)
        np.testing.assert_array_equal(sample.visibility,
                                      sample.labels[order, 2])
        np.testing.assert_array_equal(sample.sources,
                                      sample.labels[order, :2])
    for sample in seen(folder / 'simcc.py', 'train', 4, 2):
        assert not sample.flipped
        np.testing.assert_array_equal(sample.visibility,
                                      sample.labels[:, 2])


def test_outline_is_the_part_that_is_cut_out(folder: Path) -> None:
    """Cutting the outline out of the photograph gives the crop again."""
    for sample in seen(folder / 'simcc.py', 'train', 4):
        outline = sample.crop_outline()
        assert outline is not None
        corners = np.float32([[0, 0], [128, 0], [128, 128]]) - .5
        matrix = cv2.getAffineTransform(np.float32(outline[:3]), corners)
        photograph = cv2.imread(str(sample.path))
        crop = cv2.warpAffine(photograph, matrix, (128, 128))
        # OpenCV interpolates at 1/32 px, so that edges differ a little
        assert np.abs(crop.astype(int) - sample.crop).mean() < 1.5


def test_the_unaugmented_outline_is_the_box_and_a_quarter(
        folder: Path) -> None:
    for sample in seen(folder / 'simcc.py', 'val', 4):
        x1, y1, x2, y2 = sample.box
        half = 1.25 * max(x2 - x1, y2 - y1) / 2
        outline = sample.crop_outline()
        assert outline is not None
        # MMPose's affine maps the corner pixel's centre to the box's edge
        expected = np.array([(x1 + x2) / 2 - half, (y1 + y2) / 2 - half])
        np.testing.assert_allclose(outline[0], expected, atol=2)
        np.testing.assert_allclose(outline[2], expected + 2 * half, atol=2)
        assert sample.targets is None


def test_two_points_tell_no_outline(folder: Path) -> None:
    sample = seen(folder / 'simcc.py', 'val', 1)[0]
    sample.visibility[2:] = 0
    assert sample.crop_outline() is None
    assert draw_sample(sample).shape[0] == 320


def test_marks_of_targets_and_weights(folder: Path) -> None:
    sample = seen(folder / 'simcc.py', 'train', 1)[0]

    def count(color: tuple[int, int, int], sample: SeenSample) -> int:
        crop = draw_sample(sample)[:, -320:].astype(int)
        return int((np.abs(crop - color).max(-1) < 60).sum())

    bare = replace(sample, targets=None)
    assert count(TARGET, sample) > count(TARGET, bare) + 50
    ignored = replace(bare, weights=0 * bare.weights)
    assert count(UNTRAINED, ignored) > count(UNTRAINED, bare) + 50


def test_draws_are_those_of_every_browsing(folder: Path) -> None:
    first = seen(folder / 'simcc.py', 'train', 5)
    again = seen(folder / 'simcc.py', 'train', 5)
    assert len({sample.path for sample in first}) == 5
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.crop, other.crop)


@pytest.mark.parametrize('arguments', [('train', 3, 3), ('train', 3, 0),
                                       ('val', 3, 2), ('test', 3)])
def test_what_the_config_has_not_is_one_error(folder: Path,
                                              arguments) -> None:
    with pytest.raises(DataError):
        seen(folder / 'simcc.py', *arguments)


def test_the_command_writes_sheets(folder: Path, capsys) -> None:
    out = folder / 'pictures'
    words = [str(folder / 'heatmap.py'), '--out-dir', str(out)]
    assert run_command('browse_dataset', '', [*words, '--number', '5']) == 0
    assert run_command('browse_dataset', '',
                       [*words, '--split', 'val', '--number', '2']) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        'train_phase1_000.png', 'val_000.png']
    sheet = cv2.imread(str(out / 'train_phase1_000.png'))
    assert sheet.shape[0] > 3 * 320 and sheet.std() > 20
    assert str(out / 'val_000.png') in capsys.readouterr().out


def test_a_file_in_the_way_is_an_error(folder: Path, capsys) -> None:
    (folder / 'out').write_text('')
    assert run_command('browse_dataset', '', [
        str(folder / 'simcc.py'), '--out-dir', str(folder / 'out')]) == 1
    assert 'a folder or nothing' in capsys.readouterr().err
