"""The exported graph against torch."""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmpose_ext.onnx_files import compare, export
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric import export_onnx

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

MODEL = dict(
    type='mmpose_ext.DannceEstimator',
    data_preprocessor=dict(
        type='mmpose_ext.VolumetricDataPreprocessor',
        grid=dict(vmin=-60., vmax=60., nvox=16)),
    backbone=dict(type='mmpose_ext.DannceUNet', num_views=2, size=(4, 8)),
    head=dict(type='mmpose_ext.DannceExpectationHead', in_channels=4,
              num_keypoints=3))
CONFIG = Config(dict(
    model=MODEL, default_scope='mmpose',
    test_dataloader=dict(dataset=dict(skeleton='rat23')),
    custom_imports=dict(imports=['mmpose_ext.volumetric'])))


def build(kind: str = 'Expectation', **settings: object) -> nn.Module:
    init_default_scope('mmpose')
    torch.manual_seed(0)
    head = dict(MODEL['head'], type=f'mmpose_ext.Dannce{kind}Head',
                **settings)
    model = MODELS.build(dict(MODEL, head=head))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=.3)
    # far from the even volume, whose middle any graph would give
    nn.init.normal_(model.head.final_layer.weight, std=20)
    return model.eval()


def arguments_for(tmp_path: Path, **changes: object) -> argparse.Namespace:
    torch.save(dict(state_dict=build().state_dict(), meta=dict(
        dataset_meta=dict(keypoint_id2name={0: 'a', 1: 'b', 2: 'c'}))),
        tmp_path / 'm.pth')
    parser = argparse.ArgumentParser()
    export_onnx.add_arguments(parser)
    arguments = parser.parse_args(
        [str(tmp_path / 'm.pth'), '--out', str(tmp_path / 'm.onnx')])
    vars(arguments).update(changes)
    return arguments


@pytest.mark.slow
@pytest.mark.parametrize('kind, batch', [('Expectation', 3), ('Max', 1)])
def test_graph_computes_what_the_model_predicts(tmp_path, kind, batch):
    model = build(kind)
    graph = export_onnx.VolumeGraph(model)
    path = tmp_path / 'm.onnx'
    export(graph, path, batch)
    volumes, centres, axes = graph.example(batch)
    session = onnxruntime.InferenceSession(str(path))
    points, scores, spread = session.run(None, dict(
        volumes=volumes.numpy(), centres=centres.numpy(),
        axes=axes.numpy()))
    inputs = dict(volumes=volumes, centres=centres, axes=axes,
                  offsets=graph.offsets)
    with torch.no_grad():
        feats = model.extract_feat(inputs)
        wanted = model.head.estimate(feats, model.head(feats), inputs)
    np.testing.assert_allclose(points, wanted.points, atol=1e-3)
    np.testing.assert_allclose(scores, wanted.scores, atol=1e-5)
    np.testing.assert_allclose(spread, wanted.spread, atol=1e-3)
    assert np.ptp(points.reshape(-1, 3), 0).max() > 1  # not all alike


@pytest.mark.slow
@pytest.mark.parametrize('between', [False, True])
def test_refined_poses_are_exported(tmp_path, between):
    skeleton = tmp_path / 'three.json'
    skeleton.write_text(json.dumps(dict(
        names=['a', 'b', 'c'], edges=[[0, 1], [1, 2]])))
    refiner = dict(type='mmpose_ext.DanncePoseGraph', skeleton=str(skeleton),
                   hidden=4, layers=1, fuse_channels=4,
                   between_animals=between)
    model = build(in_channels=(4, ), refiner=refiner)
    graph = export_onnx.VolumeGraph(model)
    path = tmp_path / 'm.onnx'
    export(graph, path, 3)
    found = compare(graph, path, 3)
    assert all(found[name] <= most
               for name, most in graph.limits.items())
    example = graph.example(3)
    assert len(example) == 3 + between
    points = graph(*example)[0]
    model.head.refiner = None
    assert (graph(*example[:3])[0] - points).abs().max() > 1
    if between:  # who is with whom counts
        model.head.refiner = build(
            in_channels=(4, ), refiner=refiner).head.refiner
        alone = graph(*example[:3], torch.arange(3))[0]
        apart = (alone - points).abs().amax((1, 2))
        assert apart[:2].min() > 1e-3 and apart[2] < 1e-3


@pytest.mark.slow
def test_command_writes_a_file_that_explains_itself(tmp_path, capsys):
    assert export_onnx.run(CONFIG, arguments_for(tmp_path)) == 0
    assert 'largest differences' in capsys.readouterr().out
    graph = onnx.load(str(tmp_path / 'm.onnx'))
    meta = {entry.key: entry.value for entry in graph.metadata_props}
    assert json.loads(meta['grid']) == dict(vmin=-60, vmax=60, nvox=16)
    assert json.loads(meta['keypoint_names']) == ['a', 'b', 'c']
    assert meta['views'] == '2'
    assert json.loads(meta['sampling']) == dict(
        interpolation='nearest', padding='border', peer_compat=False)


def test_another_model_is_named(tmp_path):
    config = CONFIG.copy()
    config.model = dict(
        type='TopdownPoseEstimator', backbone=dict(
            type='ResNet', depth=18), head=dict(
                type='HeatmapHead', in_channels=512, out_channels=1,
                decoder=dict(type='MSRAHeatmap', input_size=(32, 32),
                             heatmap_size=(8, 8), sigma=1)))
    torch.save(MODELS.build(config.model).state_dict(), tmp_path / 'm.pth')
    with pytest.raises(DataError, match='DannceEstimator, or an estimator'):
        export_onnx.build_graph(config, argparse.Namespace(
            checkpoint=tmp_path / 'm.pth'))
