"""The exported graph against torch."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mmpose_ext.behavior import export_onnx
from mmpose_ext.behavior.export_onnx import WindowGraph
from mmpose_ext.onnx_files import compare, export
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError

from .window_batches import SMALL, small_head

pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

HEADS = dict(
    cons=small_head(),
    order=small_head(pooling='attention'),
    multiclass=dict(type='mmpose_ext.LisbetFrameHead', num_classes=3,
                    in_channels=16),
    masked=dict(type='mmpose_ext.LisbetReconstructionHead', in_channels=16,
                out_channels=8),
    contrast=dict(type='mmpose_ext.LisbetContrastHead', in_channels=16))
MODEL = dict(
    type='mmpose_ext.LisbetModel', backbone=SMALL, heads=HEADS,
    window_offset=2,
    data_preprocessor=dict(type='mmpose_ext.LisbetPreprocessor',
                           individuals=2, keypoints=2, axes=2))


def build(**changes: Any) -> Any:
    torch.manual_seed(0)
    return MODELS.build({**MODEL, **changes}).eval()


@pytest.mark.parametrize('raw', [False, True])
@pytest.mark.parametrize('backbone', [
    {}, dict(positions='rotary', causal=True),
    dict(_delete_=True, type='mmpose_ext.LisbetLSTM', in_channels=8,
         embed_dims=16),
    dict(_delete_=True, type='mmpose_ext.LisbetTCN', in_channels=8,
         embed_dims=16, kernel_size=3, dilation_base=2)], ids=str)
def test_graph_computes_what_torch_does(tmp_path: Path, raw: bool,
                                        backbone: dict) -> None:
    backbone = dict(backbone)
    whole = {} if backbone.pop('_delete_', False) else SMALL
    graph = WindowGraph(build(backbone={**whole, **backbone}), 12, raw)
    export(graph, tmp_path / 'm.onnx')
    differences = compare(graph, tmp_path / 'm.onnx')
    assert set(differences) == {'embedding', 'scores_cons', 'scores_order',
                                'scores_multiclass', 'scores_masked'}
    assert max(differences.values()) < 1e-5


def test_metadata_tells_how_to_use_the_graph(tmp_path: Path) -> None:
    graph = WindowGraph(build(), 12, raw=True)
    export(graph, tmp_path / 'm.onnx')
    session = onnxruntime.InferenceSession(str(tmp_path / 'm.onnx'))
    meta = session.get_modelmeta().custom_metadata_map
    assert json.loads(meta['shape']) == [12, 2, 2, 2]
    assert meta['window_offset'] == '2'
    assert json.loads(meta['tasks']) == ['cons', 'order', 'multiclass',
                                         'masked']


def test_window_size_is_that_of_the_data() -> None:
    model = build()
    assert export_onnx.window_size(Config(dict()), model) == 12
    config = Config(dict(val_dataloader=dict(dataset=dict(window_size=9))))
    assert export_onnx.window_size(config, model) == 9
    rotary = build(backbone=dict(SMALL, positions='rotary'))
    with pytest.raises(DataError, match='window_size'):
        export_onnx.window_size(Config(dict()), rotary)
