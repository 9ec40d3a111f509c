"""The exported graphs against torch and against MMPose's codecs."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.codecs import MSRAHeatmap, SimCCLabel

from mmpose_ext.commands import run_command
from mmpose_ext.equine.export_onnx import (
    PoseGraph,
    decode_heatmap,
    decode_simcc,
)
from mmpose_ext.equine.horse26 import NAMES
from mmpose_ext.onnx_files import compare, export
from mmpose_ext.storage import DataError
from tests.unit.equine.trained_files import ROOT, save_checkpoint

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

TINY = str(ROOT / 'configs/equine/rtmpose-m_tiny_synthetic.py')
FULL = dict(rtmpose='rtmpose-m_ap10k_horse26-256x256.py',
            hrnet='hrnet-w32_ap10k_horse26-256x256.py')


def build(name: str) -> Any:
    from mmpose.apis import init_model
    init_default_scope('mmpose')
    torch.manual_seed(0)
    config = Config.fromfile(ROOT / 'configs/equine' / name)
    config.pretrained = None
    return init_model(config, None, 'cpu')


def properties(path: Path) -> dict[str, str]:
    return {entry.key: entry.value
            for entry in onnx.load(str(path)).metadata_props}


def test_simcc_is_decoded_as_mmpose_does() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 26, 512, generator=generator)
    y = torch.rand(2, 26, 512, generator=generator)
    x[0, 3] = -1  # no response: not there
    codec = SimCCLabel((256, 256), sigma=(5.66, 5.66), normalize=False)
    places, scores = decode_simcc(x, y, 2.)
    for i in range(2):
        wanted, wanted_scores = codec.decode(x[i:i + 1].numpy(),
                                             y[i:i + 1].numpy())
        np.testing.assert_allclose(places[i], wanted[0])
        np.testing.assert_allclose(scores[i], wanted_scores[0])
    assert places[0, 3].tolist() == [-.5, -.5]


def test_heatmaps_are_decoded_as_mmpose_does() -> None:
    """Also where the maximum lies on or beside an edge."""
    maps = torch.rand(2, 26, 16, 12, generator=torch.Generator(
    ).manual_seed(0)) * .5
    for k, (x, y) in enumerate([(0, 0), (1, 1), (2, 2), (11, 15), (10, 14),
                                (0, 7), (5, 0), (1, 7), (5, 1), (11, 7),
                                (5, 15), (6, 8)]):
        maps[:, k, y, x] = 1
    codec = MSRAHeatmap(input_size=(48, 64), heatmap_size=(12, 16), sigma=2)
    places, scores = decode_heatmap(maps, codec.scale_factor)
    for i in range(2):
        wanted, wanted_scores = codec.decode(maps[i].numpy())
        np.testing.assert_allclose(places[i], wanted[0], atol=1e-5)
        np.testing.assert_allclose(scores[i], wanted_scores[0])


@pytest.mark.slow
@pytest.mark.parametrize('family', FULL)
@pytest.mark.parametrize('decode', [False, True])
def test_full_size_graphs_compute_what_torch_does(
        tmp_path: Path, family: str, decode: bool) -> None:
    graph = PoseGraph(build(FULL[family]), decode)
    path = tmp_path / 'm.onnx'
    export(graph, path)
    found = compare(graph, path)
    assert max(found.values()) < 1e-4
    shapes = {output.name: [axis.dim_value or axis.dim_param
                            for axis in output.type.tensor_type.shape.dim]
              for output in onnx.load(str(path)).graph.output}
    assert shapes == (
        dict(keypoints=['B', 26, 2], scores=['B', 26]) if decode else
        dict(simcc_x=['B', 26, 512], simcc_y=['B', 26, 512])
        if family == 'rtmpose' else dict(heatmap=['B', 26, 64, 64]))


@pytest.mark.parametrize('opset', [17, 18])
def test_the_command_exports_and_checks(
        tmp_path: Path, opset: int,
        capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = save_checkpoint(tmp_path / 'm.pth')
    path = tmp_path / 'm.onnx'
    assert run_command('export_onnx', '', [
        TINY, str(checkpoint), '--out', str(path), '--opset',
        str(opset), '--batch', '1']) == 0
    assert 'largest differences' in capsys.readouterr().out
    assert [entry.version for entry in onnx.load(str(path)).opset_import
            if entry.domain == ''] == [opset]
    given, = onnxruntime.InferenceSession(str(path)).get_inputs()
    assert (given.name, given.shape) == ('input', [1, 3, 128, 128])
    meta = properties(path)
    assert json.loads(meta['keypoint_names']) == list(NAMES)
    assert json.loads(meta['mean']) == [123.675, 116.28, 103.53]
    assert json.loads(meta['std']) == [58.395, 57.12, 57.375]
    assert json.loads(meta['input_size']) == [128, 128]
    assert json.loads(meta['simcc_split_ratio']) == 2
    assert len(json.loads(meta['skeleton'])) == 25


def test_the_file_alone_gives_the_points_of_mmpose(tmp_path: Path) -> None:
    """From the metadata and a picture, without MMPose, to its result."""
    import cv2
    from mmpose.apis import inference_topdown

    from mmpose_ext.equine.inference import load_model
    from tests.unit.equine.trained_files import load_config, picture
    model: Any = load_model(load_config(), save_checkpoint(
        tmp_path / 'm.pth'))
    model.test_cfg = dict(flip_test=False)
    path = tmp_path / 'm.onnx'
    export(PoseGraph(model, decode=True), path)
    meta = {key: json.loads(value) for key, value in properties(path).items()
            if value[0] in '[0123456789'}
    image = picture(3, 128, 128)
    width, height = meta['input_size']
    side = 128 * meta['bbox_padding']
    # the crop's pixel 0 lies at the corner of the enlarged box
    scale = width / side
    matrix = np.array([[scale, 0, width / 2 - 64 * scale],
                       [0, scale, height / 2 - 64 * scale]])
    crop = cv2.warpAffine(image, matrix, (width, height),
                          flags=cv2.INTER_LINEAR)[..., ::-1]
    normed = (crop - np.array(meta['mean'])) / meta['std']
    points, _ = onnxruntime.InferenceSession(str(path)).run(
        None, {'input': normed.transpose(2, 0, 1)[None].astype(np.float32)})
    found = points[0] / scale + 64 - side / 2
    wanted = inference_topdown(model, image)[0].pred_instances.keypoints[0]
    gaps = np.linalg.norm(found - wanted, axis=-1)
    assert np.median(gaps) < .1


def test_what_the_graph_cannot_decode_is_one_error() -> None:
    model = build('rtmpose-m_tiny_synthetic.py')
    model.head.decoder.use_dark = True
    with pytest.raises(DataError, match='DARK'):
        PoseGraph(model, decode=True)
    assert PoseGraph(model).outputs == ('simcc_x', 'simcc_y')
