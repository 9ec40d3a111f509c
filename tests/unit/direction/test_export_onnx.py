"""The exported graph against torch and against numpy."""
from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmpose_ext.direction import export_onnx
from mmpose_ext.direction.angles import wrap
from mmpose_ext.onnx_files import export
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

CODEC = dict(type='mmpose_ext.CenteredRegressionLabel', input_size=(50, 50))
MODEL = dict(
    type='mmpose_ext.DirectionEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[127.5], std=[255.]),
    backbone=dict(type='mmpose_ext.DirectionCNN'),
    head=dict(
        type='mmpose_ext.DirectionRegressionHead',
        in_channels=64,
        in_size=(3, 3),
        decoder=CODEC))


def build(**changes: object) -> nn.Module:
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build({**MODEL, **changes})
    # A network that answers differently for different images.
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.fill_(.25)
    return model.eval()


def images(count: int) -> np.ndarray:
    generator = np.random.default_rng(1)
    small = generator.integers(0, 256, (count, 1, 10, 10), np.uint8)
    return small.repeat(5, -1).repeat(5, -2)


@pytest.mark.parametrize('uint8', [False, True])
@pytest.mark.parametrize('tta', ['none', 'd4'])
def test_graph_computes_what_torch_does(tmp_path: Path, uint8: bool,
                                        tta: str) -> None:
    model = build(test_cfg=dict(tta=tta))
    path = tmp_path / 'm.onnx'
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        export(export_onnx.DirectionGraph(model, uint8), path)
    graph = onnx.load(str(path))
    assert [entry.version for entry in graph.opset_import
            if entry.domain == ''] == [17]
    session = onnxruntime.InferenceSession(str(path))
    assert [node.name for node in session.get_inputs()] == ['image']
    for count in (1, 5):
        batch = images(count)
        normed = (batch / 255 - .5).astype(np.float32)
        points, angles, scores = session.run(
            ['points', 'angles', 'scores'],
            {'image': batch if uint8 else normed})
        with torch.no_grad():
            wanted = model.estimate(torch.from_numpy(normed))
        np.testing.assert_allclose(points, wanted.points, atol=1e-4)
        np.testing.assert_allclose(scores, wanted.scores, atol=1e-4)
        assert np.abs(wrap(angles - wanted.angles.numpy())).max() < 2e-3
    # the images do not all get the same answer
    assert np.ptp(points, 0).max() > .01


def test_metadata_tells_how_to_use_the_graph(tmp_path: Path) -> None:
    export(export_onnx.DirectionGraph(build()), tmp_path / 'm.onnx')
    session = onnxruntime.InferenceSession(str(tmp_path / 'm.onnx'))
    meta = session.get_modelmeta().custom_metadata_map
    assert meta['size'] == '50'
    assert json.loads(meta['normalisation']) == dict(mean=127.5, std=255.)
    assert meta['convention'].startswith('image')


def circle() -> np.ndarray:
    """Vectors all around, the axes and both zeros included."""
    angle = np.radians(np.arange(-180, 181, 1.))
    around = np.stack([np.cos(angle), np.sin(angle)], -1)
    axes = [[1, 0], [-1, 0], [0, 1], [0, -1], [-1, 1e-20], [-1, -1e-20],
            [1, 1e-20], [0, 0], [1e-20, 3], [-1e-20, -3]]
    return np.concatenate([around, 40 * around, .01 * around,
                           axes]).astype(np.float32)


def test_angle_of_the_graph_is_atan2_all_around(tmp_path: Path) -> None:
    vectors = circle()

    class Angle(nn.Module):

        def forward(self, vectors: torch.Tensor) -> torch.Tensor:
            return export_onnx.vector_angle_in_graph(vectors)

    path = str(tmp_path / 'a.onnx')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            Angle(), (torch.from_numpy(vectors), ), path, opset_version=17,
            input_names=['v'],
            **(dict(dynamo=False) if torch.__version__ >= '2.5' else {}))
    found, = onnxruntime.InferenceSession(path).run(None, {'v': vectors})
    wanted = np.arctan2(*vectors.T[::-1].astype(np.float64))
    np.testing.assert_allclose(found, wanted, atol=2e-6)


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    export_onnx.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.save(build().state_dict(), tmp_path / 'c.pth')
    return tmp_path / 'c.pth'


def test_unequal_graph_is_not_kept(checkpoint: Path,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_onnx, 'vector_angle_in_graph',
                        lambda v: torch.atan(v[..., 1] / v[..., 0]))
    place_points(checkpoint)
    out = checkpoint.with_name('m.onnx')
    before = sorted(out.parent.iterdir())
    with pytest.raises(DataError) as caught:
        export_onnx.run(Config(dict(model=MODEL)), parse(
            str(checkpoint), '--out', str(out)))
    assert caught.value.where == 'parity with torch'
    assert sorted(out.parent.iterdir()) == before


def place_points(path: Path) -> None:
    """Weights that place the points far from each other, to the left."""
    model = build()
    with torch.no_grad():
        model.head.layers[-1].bias.copy_(
            torch.tensor([.8, 0., 0., .1, -.8, -.1]))
    torch.save(model.state_dict(), path)


