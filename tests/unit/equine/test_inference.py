"""The poses are those that MMPose's own inference gives."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmpose_ext.equine import inference
from mmpose_ext.equine.horse26 import NAMES
from mmpose_ext.equine.inference import (
    estimate_poses,
    load_detector,
    load_model,
)
from mmpose_ext.equine.sources import Picture, open_source
from mmpose_ext.storage import DataError
from tests.unit.equine.trained_files import (
    META,
    load_config,
    picture,
    save_checkpoint,
    write_coco,
    write_folder,
)


@pytest.fixture(scope='module')
def config() -> Config:
    return load_config()


@pytest.fixture(scope='module')
def model(config: Config, tmp_path_factory: pytest.TempPathFactory
          ) -> nn.Module:
    path = save_checkpoint(tmp_path_factory.mktemp('model') / 'm.pth')
    return load_model(config, path)


def test_poses_equal_mmposes_inference_topdown(model: nn.Module,
                                               tmp_path: Path) -> None:
    from mmpose.apis import inference_topdown
    source = open_source(write_coco(tmp_path / 'coco', 4))
    found = list(estimate_poses(model, source, batch_size=3))
    assert [len(poses.keypoints) for poses in found] == [1, 1, 1, 2]
    for poses in found:
        wanted = inference_topdown(model, poses.image, poses.picture.boxes)
        for i, sample in enumerate(wanted):
            instances = sample.pred_instances
            np.testing.assert_allclose(poses.keypoints[i],
                                       instances.keypoints[0], atol=1e-3)
            np.testing.assert_allclose(poses.scores[i],
                                       instances.keypoint_scores[0],
                                       rtol=1e-4)


def test_the_whole_picture_equals_mmposes_default_from_a_file(
        model: nn.Module, tmp_path: Path) -> None:
    from mmpose.apis import inference_topdown
    folder = write_folder(tmp_path / 'in')
    for poses in estimate_poses(model, open_source(folder)):
        wanted, = inference_topdown(model, str(poses.picture.path))
        np.testing.assert_allclose(
            poses.keypoints, wanted.pred_instances.keypoints, atol=1e-3)


@pytest.mark.parametrize('batch_size', [1, 2, 5, 100])
def test_batches_do_not_change_the_result(model: nn.Module, tmp_path: Path,
                                          batch_size: int) -> None:
    source = open_source(write_coco(tmp_path / 'coco', 5))
    alone = list(estimate_poses(model, source, 1))
    together = list(estimate_poses(model, source, batch_size))
    assert [p.picture.name for p in together] == [
        p.picture.name for p in alone]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-3)


def test_no_more_pictures_than_a_batch_are_read_ahead(
        model: nn.Module) -> None:
    read = 0

    def pictures() -> Iterator[tuple[Picture, np.ndarray]]:
        nonlocal read
        for i in range(50):
            read += 1
            box = np.array([[0, 0, 120, 90]], np.float32)
            # every second shows no horse
            yield Picture(str(i), i, Path(str(i)), boxes=box[:i % 2],
                          box_scores=np.ones(i % 2)), picture(i)

    stream = estimate_poses(model, pictures(), 4)
    for done in range(1, 20):
        poses = next(stream)
        assert read - done < 4
        assert poses.keypoints.shape == (1 - done % 2, 26, 2)


@pytest.mark.parametrize('name', ['horse26', 'horse_pose'])
def test_both_names_of_the_data_set_are_accepted(config: Config, name: str,
                                                 tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / 'm.pth', dict(META, dataset_name=name))
    meta: object = load_model(config, path).dataset_meta
    assert isinstance(meta, dict) and meta['dataset_name'] == name


def test_weights_alone_take_the_configs_meta(config: Config,
                                             tmp_path: Path) -> None:
    model = load_model(config, save_checkpoint(tmp_path / 'm.pth', None))
    meta: object = model.dataset_meta
    assert isinstance(meta, dict)
    assert tuple(meta['keypoint_id2name'].values()) == NAMES


@pytest.mark.parametrize('meta', [
    dict(META, dataset_name='ap10k'),
    dict(META, keypoint_id2name=dict(enumerate(reversed(NAMES))))])
def test_other_points_are_refused(config: Config, tmp_path: Path,
                                  meta: dict) -> None:
    with pytest.raises(DataError, match='dataset_meta'):
        load_model(config, save_checkpoint(tmp_path / 'm.pth', meta))


def test_weights_of_another_model_are_refused(config: Config,
                                              tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / 'm.pth')
    other = config.copy()
    other.model.head.out_channels = 17
    with pytest.raises(DataError, match='weights'):
        load_model(other, path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match='truncated'):
        load_model(config, path)
    with pytest.raises(DataError, match='no such'):
        load_model(config, tmp_path / 'none.pth')


def test_mmcv_lite_cannot_detect_and_says_so(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, 'is_placeholder', lambda name: True)
    with pytest.raises(DataError, match='full mmcv.*--bbox-file'):
        load_detector(Path('d.py'), Path('d.pth'), torch.device('cpu'), .5)
    with pytest.raises(DataError, match='--det-checkpoint'):
        load_detector(Path('d.py'), None, torch.device('cpu'), .5)


def test_a_detector_gives_the_horses_above_the_threshold(
        monkeypatch: pytest.MonkeyPatch) -> None:
    import mmdet.apis
    from mmengine.structures import InstanceData
    from mmpose.structures import PoseDataSample
    detector = nn.Identity()
    detector.dataset_meta = dict(classes=('dog', 'horse'))
    sample = PoseDataSample(pred_instances=InstanceData(
        bboxes=torch.arange(12.).reshape(3, 4),
        labels=torch.tensor([1, 0, 1]), scores=torch.tensor([.9, .9, .1])))
    monkeypatch.setattr(inference, 'is_placeholder', lambda name: False)
    monkeypatch.setattr(mmdet.apis, 'init_detector',
                        lambda *args, **kwargs: detector)
    monkeypatch.setattr(mmdet.apis, 'inference_detector',
                        lambda model, image: sample)
    detect = load_detector(Path('d.py'), Path('d.pth'), torch.device('cpu'),
                           .5)
    boxes, scores = detect(picture(0))
    np.testing.assert_array_equal(boxes, [[0, 1, 2, 3]])
    np.testing.assert_allclose(scores, [.9])
    detector.dataset_meta = dict(classes=('dog', 'cat'))
    with pytest.raises(DataError, match='horse'):
        load_detector(Path('d.py'), Path('d.pth'), torch.device('cpu'), .5)


def test_points_are_read_in_the_order_of_their_numbers(
        tmp_path: Path) -> None:
    config = load_config()
    turned = dict(META, keypoint_id2name={
        i: NAMES[i] for i in reversed(range(len(NAMES)))})
    load_model(config, save_checkpoint(tmp_path / 'm.pth', turned))
    wrong = dict(META, keypoint_id2name={
        len(NAMES) - 1 - i: name for i, name in enumerate(NAMES)})
    with pytest.raises(DataError, match='dataset_meta'):
        load_model(config, save_checkpoint(tmp_path / 'm.pth', wrong))
    short = dict(META, keypoint_id2name=dict(enumerate(NAMES[:25])))
    with pytest.raises(DataError, match='dataset_meta'):
        load_model(config, save_checkpoint(tmp_path / 'm.pth', short))
