"""Poses in Python are those of the command and of MMPose."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.structures import PoseDataSample

from mmpose_ext import Inferencer
from mmpose_ext.storage import DataError
from tests.unit.equine.trained_files import (
    ROOT,
    load_config,
    picture,
    save_checkpoint,
    write_coco,
    write_folder,
)

CONFIG = ROOT / 'configs/equine/rtmpose-m_tiny_synthetic.py'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that nobody trained, with its config."""
    path = save_checkpoint(tmp_path_factory.mktemp('model') / 'model.pth')
    content = torch.load(path)
    content['meta']['cfg'] = Config.fromfile(
        CONFIG, format_python_code=False).pretty_text
    torch.save(content, path)
    return path


@pytest.fixture(scope='module')
def inferencer(checkpoint: Path) -> Inferencer:
    return Inferencer(checkpoint, device='cpu')


def assert_same(found: PoseDataSample,
                wanted: list[PoseDataSample]) -> None:
    """One sample of a picture holds those of its horses."""
    assert len(found.pred_instances) == len(wanted)
    for i, other in enumerate(wanted):
        for name, tolerance in (('keypoints', 1e-3),
                                ('keypoint_scores', 1e-4)):
            np.testing.assert_allclose(
                found.pred_instances[name][i], other.pred_instances[name][0],
                atol=tolerance)


def test_samples_equal_mmposes_inference_topdown(inferencer: Inferencer,
                                                 tmp_path: Path) -> None:
    from mmpose.apis import inference_topdown
    samples = list(inferencer(write_coco(tmp_path, 3), batch_size=3))
    assert [len(sample.pred_instances) for sample in samples] == [1, 1, 2]
    assert [sample.img_id for sample in samples] == [10, 11, 12]
    for sample in samples:
        assert sample.ori_shape == (90, 120)
        assert_same(sample, inference_topdown(
            inferencer.model, sample.img_path, sample.pred_instances.bboxes))


def test_mmposes_own_model_and_inferencer_find_the_same(
        inferencer: Inferencer, checkpoint: Path, tmp_path: Path) -> None:
    from mmpose.apis import MMPoseInferencer, inference_topdown, init_model
    path = write_folder(tmp_path / 'in', 1) / 'a0.png'
    sample, = inferencer(path)
    theirs = init_model(load_config(), str(checkpoint), 'cpu')
    assert_same(sample, inference_topdown(theirs, str(path)))
    stock = MMPoseInferencer(
        pose2d=str(CONFIG), pose2d_weights=str(checkpoint), device='cpu',
        det_model='whole_image')
    found, = next(stock(str(path), return_vis=False))['predictions'][0]
    np.testing.assert_allclose(
        sample.pred_instances.keypoints[0], found['keypoints'], atol=.05)


def test_every_form_of_input_gives_the_same(inferencer: Inferencer,
                                            tmp_path: Path) -> None:
    folder = write_folder(tmp_path / 'in')
    wanted = list(inferencer(folder))
    assert [Path(sample.img_path).name for sample in wanted] == [
        'B1.PNG', 'a0.png', 'c2.jpg']
    files = [sample.img_path for sample in wanted]
    for inputs in (files, iter(map(Path, files)), map(cv2.imread, files),
                   [folder], [files[0], cv2.imread(files[1]), files[2]]):
        samples = list(inferencer(inputs, 2))
        assert [sample.img_id for sample in samples] == [1, 2, 3]
        for one, other in zip(wanted, samples, strict=True):
            assert_same(one, [other])
    alone, = inferencer(cv2.imread(files[0]))
    assert_same(alone, wanted[:1])
    assert alone.img_path is None


def test_boxes_may_be_given_for_all_pictures_or_for_each(
        inferencer: Inferencer) -> None:
    pictures = [picture(0), picture(1)]
    box, other = [10, 12, 90, 72], [30, 5, 80, 45]
    both = list(inferencer(pictures, bboxes=[box, other]))
    assert [len(sample.pred_instances) for sample in both] == [2, 2]
    each = list(inferencer(pictures, bboxes=([box], np.array([other]))))
    assert [sample.pred_instances.bboxes.tolist() for sample in each] == [
        [box], [other]]
    np.testing.assert_allclose(each[1].pred_instances.keypoints[0],
                               both[1].pred_instances.keypoints[1], atol=1e-3)
    none, = inferencer(pictures[0], bboxes=np.empty((0, 4)))
    assert none.pred_instances.keypoints.shape == (0, 26, 2)


@pytest.mark.parametrize('bboxes', [
    [[1, 2, 3]], [[5, 5, 5, 9]], [[0, 0, np.nan, 1]], [['a', 0, 1, 1]], [],
    np.zeros(4), iter([])])
def test_boxes_that_are_none(inferencer: Inferencer, bboxes: Any) -> None:
    with pytest.raises(DataError, match='bboxes'):
        list(inferencer(picture(0), bboxes=bboxes))


def test_no_more_than_a_batch_is_read_ahead(inferencer: Inferencer) -> None:
    read = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal read
        while True:
            read += 1
            yield picture(0)

    samples = inferencer(endless(), batch_size=2)
    assert read == 0
    for done in range(1, 4):
        next(samples)
        assert read == (done + 1) // 2 * 2


@pytest.mark.parametrize('inputs', [
    np.zeros((9, 9, 3)), np.zeros((9, 9), np.uint8), [], 3,
    np.zeros((0, 9, 3), np.uint8), [picture(0)[..., :2]], 'none.png',
    ['none.png']])
def test_what_is_no_picture_is_one_clear_error(inferencer: Inferencer,
                                               inputs: Any) -> None:
    with pytest.raises(DataError, match='inputs|none.png'):
        list(inferencer(inputs))


def test_damaged_picture_is_named_after_those_before_it(
        inferencer: Inferencer, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / 'in')
    (folder / 'b.png').write_bytes(b'no picture')
    samples = inferencer(folder)
    names = [Path(next(samples).img_path).name for _ in range(2)]
    assert names == ['B1.PNG', 'a0.png']
    with pytest.raises(DataError, match='b.png'):
        next(samples)
    assert len(list(inferencer(folder, skip_unreadable=True))) == 3


def test_written_file_has_what_the_samples_have(
        inferencer: Inferencer, tmp_path: Path) -> None:
    source = write_coco(tmp_path / 'coco', 2)
    out = inferencer.write(source, tmp_path / 'out.json', batch_size=2)
    written = json.loads(out.read_text())
    points = np.array([row['keypoints'] for row in written]).reshape(
        -1, 26, 3)[..., :2]
    found = np.concatenate([sample.pred_instances.keypoints
                            for sample in inferencer(source)])
    np.testing.assert_allclose(points, found, atol=.05)
    with pytest.raises(ValueError, match='not allowed with'):
        inferencer.write(source, out, bbox_file='a', det_config='b')


def test_options_that_exclude_each_other(inferencer: Inferencer) -> None:
    with pytest.raises(ValueError, match='bbox_file'):
        inferencer(['a.png'], bbox_file='boxes.csv')
