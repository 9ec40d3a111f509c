"""From a photograph to joints in its own camera's frame."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmpose_ext.handobject.inference import HandObjectInferencer
from mmpose_ext.handobject.photographs import Photograph
from mmpose_ext.storage import DataError
from tests.unit.handobject.drawn_scenes import MATRIX, photograph
from tests.unit.handobject.tiny_model import (
    DEPTH,
    CentreModel,
    save_checkpoint,
    write_config,
)

Array = np.ndarray
BOX = np.array([400., 260, 520, 360])  # about (460, 310), off the middle


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp('model')
    config = write_config(folder)
    return config, save_checkpoint(config, folder / 'm.pth')


@pytest.fixture
def inferencer(trained: tuple[Path, Path]) -> HandObjectInferencer:
    config, weights = trained
    return HandObjectInferencer(Config.fromfile(config), weights, 'cpu')


@pytest.fixture
def centring(inferencer: HandObjectInferencer) -> HandObjectInferencer:
    model: Any = CentreModel()
    inferencer.model = model
    return inferencer


def find_in(inferencer: HandObjectInferencer, image: Any,
            **known: Any) -> dict[str, Any]:
    """What is found in one photograph."""
    found, = inferencer.predict([Photograph(image, **known)])
    return found


def pixel_of(points: Array, matrix: Array) -> Array:
    return cv2.projectPoints(np.asarray(points, np.float64), np.zeros(3),
                             np.zeros(3), np.asarray(matrix),
                             None)[0][:, 0]


@pytest.mark.parametrize('side', ['right', 'left'])
def test_what_the_crop_shows_is_brought_back_to_the_photograph(
        centring: HandObjectInferencer, side: str) -> None:
    """The crop's middle is the box's, in pixels and in space."""
    found = find_in(centring, photograph(), box=BOX, matrix=MATRIX, side=side)
    np.testing.assert_allclose(found['keypoints'], np.tile((460, 310),
                                                           (21, 1)), atol=.6)
    np.testing.assert_allclose(
        pixel_of(found['joints_cam'], MATRIX), found['keypoints'], atol=1e-2)
    assert np.linalg.norm(found['joints_cam'][0]) == pytest.approx(
        DEPTH, rel=1e-3)
    np.testing.assert_array_equal(found['joints'], 0)
    # a rotation of the mesh itself, left hands included
    assert np.linalg.det(found['object_rotations'][4]) == pytest.approx(1)
    assert found['metric_depth'] and found['side'] == side
    np.testing.assert_array_equal(found['camera_matrix'], MATRIX)
    np.testing.assert_array_equal(found['bbox'], BOX)


def test_left_hands_reach_the_network_mirrored(
        centring: HandObjectInferencer,
        monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Array] = []
    step = centring.model.test_step

    def look(batch: dict[str, Any]) -> Any:
        seen.extend(part.numpy() for part in batch['inputs'])
        return step(batch)

    monkeypatch.setattr(centring.model, 'test_step', look, raising=False)
    image = photograph()
    image[:, 460:] = 0
    for side in ('right', 'left'):
        find_in(centring, image, box=BOX, matrix=MATRIX, side=side)
    right, left = (part[0].mean(0) for part in seen)
    assert right[:20].mean() > 80 > right[-20:].mean()
    assert left[:20].mean() < 80 < left[-20:].mean()


def test_a_real_network_answers_for_each_image(
        inferencer: HandObjectInferencer, tmp_path: Path) -> None:
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), photograph())
    several = list(inferencer.predict([
        Photograph(image, BOX, MATRIX) for image in (photograph(), path)]))
    assert len(several) == 2
    alone = find_in(inferencer, path, box=BOX, matrix=MATRIX)
    for name, shape in (
            ('keypoints', (21, 2)), ('joints_cam', (21, 3)),
            ('joints', (21, 3)), ('keypoint_scores', (21, )),
            ('keypoints_cam_coarse', (21, 3)),
            ('object_rotations', (21, 3, 3)), ('contact_scores', (21, ))):
        assert alone[name].shape == shape
        for one in several:
            np.testing.assert_allclose(one[name], alone[name], atol=2e-3)
    assert alone['photograph'].name == ''
    np.testing.assert_allclose(
        pixel_of(alone['joints_cam'], MATRIX), alone['keypoints'], atol=.05)


def test_without_a_camera_one_is_guessed_and_depth_is_not_trusted(
        inferencer: HandObjectInferencer) -> None:
    found = find_in(inferencer, photograph())
    assert found['metric_depth'] is False
    np.testing.assert_array_equal(
        found['camera_matrix'], [[768, 0, 319.5], [0, 768, 239.5], [0, 0, 1]])
    np.testing.assert_array_equal(found['bbox'], [-.5, -.5, 639.5, 479.5])


def test_a_wrong_focal_length_leaves_what_is_about_the_wrist(
        centring: HandObjectInferencer) -> None:
    """The documented promise: only distances from the camera change."""
    right = find_in(centring, photograph(), box=BOX, matrix=MATRIX)
    wrong = find_in(centring, photograph(), box=BOX)
    np.testing.assert_allclose(wrong['joints'], right['joints'], atol=1e-6)
    np.testing.assert_allclose(wrong['keypoints'], right['keypoints'],
                               atol=.6)


def test_workers_give_the_same(inferencer: HandObjectInferencer,
                               tmp_path: Path) -> None:
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), photograph())
    photographs = [Photograph(path, BOX, MATRIX, number=number)
                   for number in range(3)]
    here = list(inferencer.predict(photographs, 2))
    there = list(inferencer.predict(photographs, 2, workers=1))
    assert [one['photograph'].number for one in there] == [0, 1, 2]
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one['joints_cam'], other['joints_cam'])


@pytest.mark.parametrize(('arguments', 'where', 'found'), [
    (dict(box=(700, 0, 800, 50)), 'bbox', 'x 700 to 800'),
    (dict(matrix=MATRIX * [[.4], [.4], [1]]), 'camera', 'cx 127.2'),
    (dict(side='both'), 'side', "'both'"),
])
def test_what_does_not_fit_is_one_error(
        inferencer: HandObjectInferencer, arguments: dict, where: str,
        found: str) -> None:
    with pytest.raises(DataError) as caught:
        find_in(inferencer, photograph(), **arguments)
    assert caught.value.where == where and found in caught.value.found


def test_a_missing_picture_is_one_error(
        inferencer: HandObjectInferencer) -> None:
    with pytest.raises(DataError) as caught:
        find_in(inferencer, Path('nothing.jpg'))
    assert caught.value.file == 'nothing.jpg'


def test_weights_of_another_model_are_one_error(
        trained: tuple[Path, Path]) -> None:
    config = Config.fromfile(trained[0])
    config.model.head.embed_dims = 24
    with pytest.raises(DataError) as caught:
        HandObjectInferencer(config, trained[1])
    assert caught.value.where == 'weights'


def test_a_config_without_a_test_is_one_error(
        trained: tuple[Path, Path]) -> None:
    config = Config.fromfile(trained[0])
    config.pop('test_dataloader')
    with pytest.raises(DataError) as caught:
        HandObjectInferencer(config, trained[1])
    assert caught.value.where == 'test_dataloader.dataset.pipeline'
