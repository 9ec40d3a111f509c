"""What is exported embeds as the whole model did, by itself."""
from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmpose_ext.behavior import export_embedder
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.training import load_whole

from .window_batches import SMALL, embed_windows, small_head

MODEL = dict(
    type='mmpose_ext.LisbetModel', window_offset=2,
    backbone=dict(SMALL, frozen_stages=0,
                  init_cfg=dict(type='Pretrained', checkpoint='gone.pth')),
    heads=dict(cons=small_head(), warp=small_head()),
    weighting='uncertainty', loss_weights=dict(cons=2.),
    data_preprocessor=dict(type='mmpose_ext.LisbetPreprocessor',
                           individuals=2, keypoints=2, axes=2,
                           standardize=True))
CONFIG = Config(dict(
    default_scope='mmpose', model=MODEL, train_cfg=dict(max_epochs=3),
    custom_imports=dict(imports=['mmpose_ext.behavior']),
    test_dataloader=dict(batch_size=4, dataset=dict(
        type='mmpose_ext.LisbetWindowDataset', window_size=12,
        window_offset=2))))


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    model = MODELS.build(CONFIG.model)
    model.data_preprocessor.fit(torch.rand(9, 12, 2, 2, 2))
    torch.save(dict(state_dict=model.state_dict(), meta=dict(
        dataset_meta=dict(individuals=('a', 'b')))), tmp_path / 'whole.pth')
    return tmp_path / 'whole.pth'


def export(checkpoint: Path, out: Path) -> int:
    parser = argparse.ArgumentParser()
    export_embedder.add_arguments(parser)
    return export_embedder.run(CONFIG, parser.parse_args(
        [str(checkpoint), '--out', str(out)]))


def test_embedder_embeds_as_the_model_did(trained: Path) -> None:
    out = trained.with_name('embedder.pth')
    assert export(trained, out) == 0
    whole = MODELS.build(CONFIG.model)
    load_whole(whole, trained, CONFIG)
    config = Config.fromfile(out.with_suffix('.py'))
    embedder = MODELS.build(config.model)
    load_whole(embedder, out, config)
    windows = torch.rand(5, 12, 2, 2, 2)
    torch.testing.assert_close(embed_windows(embedder, windows),
                               embed_windows(whole, windows))
    assert not embedder.heads
    assert config.test_dataloader.dataset.window_size == 12
    assert 'train_cfg' not in config


def test_checkpoint_is_tensors_and_plain_values(trained: Path) -> None:
    out = trained.with_name('embedder.pth')
    export(trained, out)
    content = torch.load(out, weights_only=True)
    assert {name.split('.')[0] for name in content['state_dict']} == {
        'backbone', 'data_preprocessor'}
    meta = content['meta']
    assert meta['window_size'] == 12 and meta['window_offset'] == 2
    assert meta['dataset_meta'] == dict(individuals=['a', 'b'])
    assert meta['model']['type'] == 'mmpose_ext.LisbetModel'


def test_weights_of_another_model_are_refused(trained: Path) -> None:
    torch.save(dict(state_dict=dict(a=torch.ones(1))), trained)
    with pytest.raises(DataError, match='weights'):
        export(trained, trained.with_name('embedder.pth'))
    with pytest.raises(DataError, match='.pth'):
        export(trained, trained.with_name('embedder.onnx'))
    assert list(trained.parent.iterdir()) == [trained]
