"""The exported graph against torch."""
from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmpose_ext.commands import run_command
from mmpose_ext.handobject import export_onnx
from mmpose_ext.handobject.sigma_linear import HandObjectSigmaLinear
from mmpose_ext.registry import MODELS

from .batches import SIZE, model_config
from .small_run import write_run

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')


def build(config: dict | None = None) -> nn.Module:
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(config or model_config())
    for name, parameter in model.named_parameters():
        if 'last' in name:  # they begin near 0
            nn.init.normal_(parameter, std=.05)
    return model.eval()


def test_folded_layers_give_what_the_others_give():
    model = build()
    graph = export_onnx.CropGraph(model)
    kinds = [type(module) for module in graph.modules()]
    assert HandObjectSigmaLinear not in kinds
    assert any(isinstance(module, HandObjectSigmaLinear)
               for module in model.modules())  # that one is left alone
    example = graph.example(2)
    with torch.no_grad():
        wanted = export_onnx.outputs_of(model, *example)
        found = graph(*example)
    assert graph.outputs == tuple(wanted)
    for name, value in zip(graph.outputs, found, strict=True):
        torch.testing.assert_close(value, wanted[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('head, missing', [
    (dict(num_objects=0, predict_contact=False, losses={}), 5),
    (dict(predict_contact=False, losses={}), 1)])
def test_outputs_are_what_the_model_has(head, missing):
    config = model_config()
    config['head'].update(head)
    init_default_scope('mmpose')
    graph = export_onnx.CropGraph(MODELS.build(config))
    assert len(graph.outputs) == 9 - missing
    assert len(graph(*graph.example(1))) == 9 - missing


def test_scores_are_those_of_predictions():
    from mmpose_ext.handobject.views import to_instances
    model = build()
    image, camera = export_onnx.CropGraph(model).example(2)
    with torch.no_grad():
        found = export_onnx.outputs_of(model, image, camera)
        prediction = model.head(model.backbone(image), camera)
    view = dict(pixel_map=np.eye(3), view_rotation=np.eye(3), mirrored=False)
    instances = to_instances(prediction, [view, view])
    for row, instance in enumerate(instances):
        for name, field in (
                ('joints', 'keypoints_cam'), ('pixels', 'keypoints'),
                ('joints_coarse', 'keypoints_cam_coarse'),
                ('scores', 'keypoint_scores'),
                *((name, name) for name in (
                    'object_rotations', 'object_translations',
                    'object_scores', 'grasped_scores', 'contact_scores'))):
            np.testing.assert_allclose(
                found[name][row], instance[field][0], rtol=1e-4, atol=1e-4)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('export')
    settings = Config.fromfile(write_run(folder)).model.to_dict()
    # one of each part; the graph of more takes long
    settings['backbone']['arch']['depth'] = 1
    settings['head'].update(num_layers=1, refiner=dict(steps=1))
    config = write_run(folder, settings)
    torch.save(dict(state_dict=build(settings).state_dict(), meta={}),
               folder / 'weights.pth')
    return config, folder / 'weights.pth'


@pytest.mark.slow
def test_the_file_is_enough(trained, tmp_path, capsys):
    config, weights = trained
    out = tmp_path / 'm.onnx'
    assert run_command('export_onnx', 'text', [
        str(config), str(weights), '--out', str(out), '--batch', '2']) == 0
    assert 'largest differences from torch: joints' in (
        capsys.readouterr().out)
    session = onnxruntime.InferenceSession(str(out))
    assert [(item.name, item.shape) for item in session.get_inputs()] == [
        ('image', [2, 3, SIZE, SIZE]), ('camera', [2, 3, 3])]
    assert len(session.get_outputs()) == 9
    words = session.get_modelmeta().custom_metadata_map
    assert json.loads(words['mean']) == [120., 120., 120.]
    assert json.loads(words['bbox_padding']) == 1.5
    assert json.loads(words['mirror_left']) is True
    assert len(json.loads(words['objects'])) == 21
    assert words['joints'].endswith('m')
    # the camera counts: what is seen by a longer lens is further away
    image, camera = export_onnx.CropGraph(build()).example(2)
    first, = session.run(['joints'], dict(image=image.numpy(),
                                          camera=camera.numpy()))
    camera[:, :2] *= 2
    assert not np.allclose(first, session.run(['joints'], dict(
        image=image.numpy(), camera=camera.numpy()))[0])


