"""Directions in Python are those of the command and of MMPose."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmpose_ext import Inferencer
from mmpose_ext.commands import run_command
from mmpose_ext.direction.angles import direction_angles
from mmpose_ext.direction.crops import cut_crop
from mmpose_ext.direction.inference import load_tagger
from mmpose_ext.storage import DataError, write_npz

ROOT = Path(__file__).resolve().parents[3]
CONFIG = ROOT / 'configs/direction/direction-cnn_1xb256-60e_rat3-50x50.py'
# MMPose's own way to a crop that is the whole picture
PIPELINE = [
    dict(type='LoadImage', color_type='grayscale'),
    dict(type='GetBBoxCenterScale', padding=1.),
    dict(type='TopdownAffine', input_size=(50, 50)),
    dict(type='PackPoseInputs'),
]


@pytest.fixture(scope='module')
def config() -> Config:
    return Config.fromfile(CONFIG, format_python_code=False)


@pytest.fixture(scope='module')
def checkpoint(config: Config,
               tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that nobody trained, with its config."""
    from mmpose.apis import init_model
    torch.manual_seed(0)
    model = init_model(config.copy(), None, 'cpu')
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, .1)
            module.running_var.uniform_(.5, 2)
    path = tmp_path_factory.mktemp('model') / 'model.pth'
    torch.save(dict(state_dict=model.state_dict(),
                    meta=dict(cfg=config.pretty_text)), path)
    return path


@pytest.fixture(scope='module')
def inferencer(checkpoint: Path) -> Inferencer:
    return Inferencer(checkpoint, device='cpu')


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 50, 50), np.uint8)


def points_of(samples: Any) -> np.ndarray:
    return np.concatenate([sample.pred_instances.keypoints
                           for sample in samples])


def test_samples_hold_what_the_tagger_finds(
        inferencer: Inferencer, config: Config, checkpoint: Path,
        images: np.ndarray) -> None:
    tags = load_tagger(config, checkpoint).tag(images)
    samples = list(inferencer(images))
    assert inferencer.family == 'direction'
    np.testing.assert_allclose(points_of(samples), tags.points, atol=1e-4)
    angles = direction_angles(tags.points)
    for i, sample in enumerate(samples):
        found = sample.pred_instances
        assert found.keypoint_scores.shape == (1, 3)
        np.testing.assert_allclose(found.angle_conf, tags.angle_conf[i])
        for name in ('body', 'head', 'turn'):
            np.testing.assert_allclose(
                found[f'{name}_angle'], angles[name][i], atol=1e-4)
        assert (sample.img_path, sample.frame) == (None, i)


def test_every_form_of_input_gives_the_same(
        inferencer: Inferencer, images: np.ndarray, tmp_path: Path) -> None:
    wanted = points_of(inferencer(images))
    write_npz(tmp_path / 'a.npz', images=images)
    folder = tmp_path / 'folder'
    folder.mkdir()
    for i, image in enumerate(images):
        cv2.imwrite(str(folder / f'{i}.png'), image)
    inputs: Any
    for inputs in (list(images), tmp_path / 'a.npz', str(folder),
                   [images[:2], images[2], images[3:]],
                   [tmp_path / 'a.npz']):
        for size in (None, 2):
            np.testing.assert_allclose(
                points_of(inferencer(inputs, size)), wanted, atol=1e-4)
    np.testing.assert_allclose(points_of(inferencer(iter(images))), wanted,
                               atol=1e-4)
    assert len(points_of([*inferencer(images[0])])) == 1
    assert [sample.frame for sample in inferencer(folder)] == [*range(5)]


def test_averaging_over_symmetries_is_an_option_of_the_object(
        checkpoint: Path, images: np.ndarray) -> None:
    careful = Inferencer(checkpoint, device='cpu', tta='d4')
    tags = load_tagger(careful.config, checkpoint, tta='d4').tag(images)
    np.testing.assert_allclose(points_of(careful(images)), tags.points,
                               atol=1e-4)
    with pytest.raises(ValueError, match='tta'):
        Inferencer(checkpoint, tta='d5')


def test_full_frames_are_cropped_and_frames_without_an_animal_are_empty(
        inferencer: Inferencer, tmp_path: Path) -> None:
    folder = tmp_path / 'frames'
    folder.mkdir()
    image = np.random.default_rng(1).integers(0, 256, (120, 160), np.uint8)
    for i in range(4):
        cv2.imwrite(str(folder / f'{i}.png'), image)
    table = tmp_path / 'centres.csv'
    table.write_text('frame,x,y\n0,60,50\n1,nan,nan\n3,80.5,70\n')
    samples = list(inferencer(folder, 2, crop=table))
    assert [len(s.pred_instances) for s in samples] == [1, 0, 0, 1]
    assert [s.frame for s in samples] == [0, 1, 2, 3]
    for sample, centre in ((samples[0], (60, 50)), (samples[3], (80.5, 70))):
        crop, origin = cut_crop(image, np.array(centre), 50, 50)
        alone, = inferencer(crop)
        np.testing.assert_allclose(
            sample.pred_instances.keypoints,
            alone.pred_instances.keypoints + origin, atol=1e-3)


def test_written_file_is_that_of_the_command(
        checkpoint: Path, images: np.ndarray, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    write_npz(tmp_path / 'in.npz', images=images)
    inferencer = Inferencer(checkpoint, device='cpu', tta='d4')
    ours = inferencer.write(tmp_path / 'in.npz', tmp_path / 'ours.csv',
                            convention='compass', smooth='median:3')
    theirs = tmp_path / 'theirs.csv'
    assert run_command('predict', '', [
        str(CONFIG), str(checkpoint), str(tmp_path / 'in.npz'), '--out',
        str(theirs), '--tta', 'd4', '--convention', 'compass', '--smooth',
        'median:3', '--device', 'cpu']) == 0
    assert ours.read_text() == theirs.read_text()
    with pytest.raises(ValueError, match='smooth'):
        inferencer.write(tmp_path / 'in.npz', ours, smooth='harder')
    with pytest.raises(DataError, match='none.npz'):
        inferencer.write(tmp_path / 'none.npz', ours)


def test_no_more_than_a_batch_is_read_ahead(inferencer: Inferencer,
                                            images: np.ndarray) -> None:
    read = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal read
        while True:
            read += 1
            yield images[0]

    samples = inferencer(endless(), batch_size=3)
    assert read == 0
    for done in range(1, 8):
        next(samples)
        assert read == (done + 2) // 3 * 3


@pytest.mark.parametrize('images', [
    np.zeros((50, 50)), np.zeros((40, 50), np.uint8),
    np.zeros((0, 50, 50), np.uint8), np.zeros((2, 50, 50, 3), np.uint8),
    [], [np.zeros((50, 50))], [[0]], 3, None, 'none.npz', ['none.npz']])
def test_what_is_no_crop_is_one_clear_error(inferencer: Inferencer,
                                            images: Any) -> None:
    with pytest.raises(DataError, match='inputs|none.npz'):
        list(inferencer(images))


def test_damaged_item_is_named_after_those_before_it(
        inferencer: Inferencer, images: np.ndarray) -> None:
    samples = inferencer([images[0], images[1], images[2] / 2])
    assert [next(samples).frame for _ in range(2)] == [0, 1]
    with pytest.raises(DataError, match=r'inputs\[2\].*float64'):
        next(samples)


def test_damaged_picture_of_a_folder_is_named(
        inferencer: Inferencer, images: np.ndarray, tmp_path: Path) -> None:
    for i, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f'{i}.png'), image)
    (tmp_path / '3.png').write_bytes(b'no picture')
    with pytest.raises(DataError, match='3.png'):
        list(inferencer(tmp_path))


def test_weights_of_another_model_are_refused(checkpoint: Path) -> None:
    with pytest.raises(DataError, match='weights'):
        Inferencer(checkpoint, 'direction-cnn_live_1xb256-60e_rat3-50x50')


def test_mmposes_own_functions_find_the_same(
        checkpoint: Path, config: Config, inferencer: Inferencer,
        images: np.ndarray, tmp_path: Path) -> None:
    from mmpose.apis import inference_topdown, init_model
    config = config.copy()
    config.test_dataloader.dataset.pipeline = PIPELINE
    config.model.test_cfg = {}
    model = init_model(config, str(checkpoint), 'cpu')
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), images[0])
    theirs, = inference_topdown(model, str(path))
    ours, = inferencer(images[0])
    for name in ('keypoints', 'head_angle', 'angle_conf'):
        np.testing.assert_allclose(
            ours.pred_instances[name], theirs.pred_instances[name],
            atol=1e-3)
