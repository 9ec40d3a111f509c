"""Photographs and indices to samples, as the command would write them."""
from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmpose_ext.commands import run_command
from mmpose_ext.handobject.inferencer import PhotographInferencer, load
from mmpose_ext.handobject.prediction_files import read_predictions
from mmpose_ext.storage import DataError

from .drawn_scenes import MATRIX, photograph
from .sample_index import write_sample
from .tiny_model import save_checkpoint, write_config

Array = np.ndarray
BOX = (400., 260., 520., 360.)
OTHER = (200., 160., 330., 300.)


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, a folder of two pictures, a config and weights."""
    root = tmp_path_factory.mktemp('inferencer')
    write_sample(root, frames=5, hands=.8)
    save_checkpoint(write_config(root, root), root / 'm.pth')
    (root / 'pictures').mkdir()
    for name in 'ab':
        cv2.imwrite(str(root / 'pictures' / f'{name}.png'), photograph())
    return root


@pytest.fixture(scope='module')
def model(root: Path) -> PhotographInferencer:
    return load(Config.fromfile(root / 'tiny.py'), root / 'm.pth', 'cpu')


def predict(root: Path, out: Path, source: str, *words: object) -> Any:
    """Columns that the command writes."""
    assert run_command('predict', '', [
        str(root / 'tiny.py'), str(root / 'm.pth'), str(root / source),
        '--out', str(out), '--device', 'cpu', *map(str, words)]) == 0
    return read_predictions(out)


def joints(samples: Any) -> Array:
    return np.concatenate([sample.pred_instances.keypoints_cam
                           for sample in samples])


def test_an_index_gives_what_the_command_writes(
        root: Path, model: PhotographInferencer, tmp_path: Path) -> None:
    wanted = predict(root, tmp_path / 'out', 'index/s1_train.npz')
    samples = list(model(root / 'index' / 's1_train.npz'))
    assert [sample.img_id for sample in samples] == (
        wanted.columns['id'].tolist())
    for name in ('keypoints', 'keypoint_scores', 'keypoints_cam',
                 'object_rotations', 'object_translations', 'object_scores',
                 'grasped_scores', 'contact_scores'):
        np.testing.assert_array_equal(np.concatenate([
            sample.pred_instances[name] for sample in samples]),
            wanted.columns[name], name)
    assert all(sample.metric_depth for sample in samples)
    assert [sample.side for sample in samples] == (
        wanted.columns['side'].tolist())


def test_a_folder_gives_what_the_command_writes(
        root: Path, model: PhotographInferencer, tmp_path: Path) -> None:
    left, top, right, bottom = BOX
    wanted = predict(
        root, tmp_path / 'out', 'pictures', '--bbox', left, top,
        right - left, bottom - top, '--camera', 610, 600, 318, 247, '--side',
        'left')
    samples = list(model(root / 'pictures', bboxes=BOX, side='left',
                         camera=(610, 600, 318, 247)))
    np.testing.assert_array_equal(joints(samples),
                                  wanted.columns['keypoints_cam'])
    assert [Path(sample.img_path).name for sample in samples] == [
        'a.png', 'b.png']
    sample = samples[1]
    assert (sample.img_id, sample.side) == (1, 1)
    np.testing.assert_array_equal(sample.bbox, BOX)
    np.testing.assert_allclose(sample.camera_matrix, MATRIX)
    found = sample.pred_instances
    assert found.keypoints.shape == (1, 21, 2)
    np.testing.assert_array_equal(
        found.joints, found.keypoints_cam - found.keypoints_cam[:, :1])
    assert all(isinstance(value, np.ndarray) for value in found.values())


def test_pixels_and_files_with_boxes_of_their_own(
        root: Path, model: PhotographInferencer) -> None:
    """One hand a box; cameras and sides by picture too."""
    path = root / 'pictures' / 'a.png'
    mixed = list(model(
        iter([photograph(), path]), 2,
        bboxes=[[OTHER, BOX], [BOX]], camera=iter([None, MATRIX]),
        side=[('left', 'right'), 'left']))
    assert [sample.img_path for sample in mixed] == [None, None, str(path)]
    assert [sample.img_id for sample in mixed] == [0, 1, 2]
    assert [sample.side for sample in mixed] == [1, 0, 1]
    assert [sample.metric_depth for sample in mixed] == [False, False, True]
    alone = [
        *model(photograph(), bboxes=OTHER, side='left'),
        *model(photograph(), bboxes=[BOX]),
        *model(str(path), bboxes=np.array(BOX), camera=MATRIX, side='left')]
    np.testing.assert_allclose(joints(mixed), joints(alone), atol=2e-3)


def test_boxes_and_a_file_with_a_camera_may_be_those_of_all(
        root: Path, model: PhotographInferencer, tmp_path: Path) -> None:
    path = tmp_path / 'camera.json'
    path.write_text('{"fx": 610, "fy": 600, "cx": 318, "cy": 247}')
    found = list(model(np.stack([photograph()] * 2), camera=path,
                       bboxes=np.array([BOX, OTHER])))
    assert [tuple(sample.bbox) for sample in found] == [BOX, OTHER] * 2
    whole, = model(photograph())
    np.testing.assert_array_equal(whole.bbox, [-.5, -.5, 639.5, 479.5])


def test_an_endless_stream_is_read_a_batch_at_a_time(
        model: PhotographInferencer) -> None:
    given = []

    def stream() -> Iterator[Array]:
        for number in count():
            given.append(number)
            yield photograph()

    samples = model(stream(), 2, bboxes=([BOX] for _ in count()))
    assert not given
    for wanted in (2, 2, 4):
        next(samples)
        assert len(given) == wanted


def test_a_damaged_picture_is_named_when_its_turn_comes(
        root: Path, model: PhotographInferencer, tmp_path: Path) -> None:
    whole = (root / 'pictures' / 'a.png').read_bytes()
    for name, content in (('a', whole), ('b', whole[:len(whole) // 2]),
                          ('c', whole)):
        (tmp_path / f'{name}.png').write_bytes(content)
    samples = model(tmp_path)
    next(samples)
    with pytest.raises(DataError) as caught:
        next(samples)
    assert caught.value.file == str(tmp_path / 'b.png')


GOOD = photograph()


@pytest.mark.parametrize(('inputs', 'options', 'told'), [
    ([], {}, 'inputs: .*none'),
    ([GOOD, None], {}, r'inputs\[1\]: image: .*NoneType'),
    ([GOOD, GOOD / 2.], {}, r'inputs\[1\]: image: .*float64'),
    ([GOOD, GOOD[..., :2]], {}, r'inputs\[1\]: image: .*\(480, 640, 2\)'),
    (GOOD[..., 0], {}, r'inputs: image: .*\(480, 640\)'),
    ([GOOD, 'no.png'], {}, 'no.png'),
    ([GOOD, GOOD], dict(bboxes=[[BOX]]),
     r'bboxes: inputs\[1\]: expected an entry .* no more'),
    ([GOOD, GOOD], dict(bboxes=[[BOX], [BOX[:3]]]),
     r'bboxes\[1\]: boxes: .*shape \(1, 3\)'),
    ([GOOD, GOOD], dict(bboxes=[[BOX], [(700, 0, 800, 50)]]),
     r'inputs\[1\]: bbox: .*x 700 to 800'),
    ([GOOD, GOOD], dict(side=['left', ('left', 'right')]),
     r'side\[1\]: sides: expected 1'),
    ([GOOD, GOOD], dict(side=['left', 'both']), "inputs.1.: side: .*'both'"),
    ([GOOD, GOOD], dict(camera=iter([MATRIX, MATRIX[:2]])),
     r'camera\[1\]: .*shape \(2, 3\)'),
    ([GOOD, GOOD], dict(camera=[MATRIX, ('a', 1, 1, 1)]), r'camera\[1\]'),
])
def test_what_does_not_fit_is_named_when_its_turn_comes(
        model: PhotographInferencer, inputs: Any, options: dict[str, Any],
        told: str) -> None:
    seen = 0
    with pytest.raises(DataError, match=told):
        for _ in model(inputs, **options):
            seen += 1
    assert seen == (isinstance(inputs, list) and len(inputs) == 2)


@pytest.mark.parametrize(('source', 'options', 'kind', 'told'), [
    ('nothing', {}, DataError, 'nothing'),
    ('nothing.npz', {}, DataError, 'nothing.npz'),
    ('empty', {}, DataError, 'empty: folder'),
    ('pictures', dict(bboxes=(1, 2, 3)), DataError, r'shape \(3,\)'),
    ('pictures', dict(camera='no.json'), DataError, 'no.json'),
    ('pictures', dict(data_root='a'), ValueError, 'data_root: expected an'),
    ('index/s1_train.npz', dict(side='left'), ValueError, 'side: expected'),
    ('pictures', dict(pace=1), TypeError, 'pace'),
])
def test_wrong_options_are_errors_at_once(
        root: Path, model: PhotographInferencer, source: str,
        options: dict[str, Any], kind: type[Exception], told: str) -> None:
    (root / 'empty').mkdir(exist_ok=True)
    with pytest.raises(kind, match=told):
        model(root / source, **options)
