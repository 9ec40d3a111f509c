"""What ours is compared with is the same network and the same step."""
from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from mmpose_ext.behavior.benchmark import (
    BareTransformer,
    bare_network,
    bare_training,
    embedding_steps,
    set_window_size,
)
from mmpose_ext.behavior.network import LisbetTransformer
from mmpose_ext.registry import MODELS
from mmpose_ext.training.benchmark_figures import count_operations

from .window_batches import SMALL, batch_of, small_head

TASKS = ('cons', 'order', 'warp')


def build(**backbone: Any) -> Any:
    torch.manual_seed(0)
    return MODELS.build(dict(
        type='mmpose_ext.LisbetModel', backbone={**SMALL, **backbone},
        heads={task: small_head() for task in TASKS}))


@pytest.mark.parametrize('positions', ['learned', 'none'])
def test_bare_network_is_the_same_network(positions: str) -> None:
    model = build(positions=positions)
    bare = bare_network(model)
    assert isinstance(bare.backbone, BareTransformer)
    windows = torch.randn(3, 12, 8)
    torch.testing.assert_close(bare.backbone(windows)[0],
                               model.backbone(windows)[0], rtol=1e-5,
                               atol=1e-5)
    assert sum(p.numel() for p in bare.parameters()) == sum(
        p.numel() for p in model.parameters())


def test_bare_step_learns_what_a_step_of_the_runner_does() -> None:
    model = build()
    settings = dict(type='SGD', lr=.1)
    inputs, samples = batch_of(TASKS)
    for sample in samples:
        sample.set_metainfo(dict(windows=5))
    batch = dict(inputs=inputs, data_samples=samples)
    runner = SimpleNamespace(model=model, cfg=Config(
        dict(optim_wrapper=dict(optimizer=settings))))
    networks: list[Any] = []
    bare = copy.deepcopy
    with pytest.MonkeyPatch.context() as patch:
        # to look at the copy that learns
        patch.setattr('mmpose_ext.behavior.benchmark.bare_network',
                      lambda whole: networks.append(bare(whole))
                      or networks[0])
        step = bare_training(runner, batch)
    step()
    model.train_step(batch, OptimWrapper(
        torch.optim.SGD(model.parameters(), lr=.1)))
    for one, other in zip(model.parameters(), networks[0].parameters(),
                          strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_both_embed_the_same_frame() -> None:
    model = build()
    ours, bare = embedding_steps(model, 3, 12)
    found = []
    with pytest.MonkeyPatch.context() as patch:
        # to look at what is embedded, and by what
        patch.setattr(LisbetTransformer, 'forward_token',
                      lambda self, windows, token: found.append(
                          (windows.shape, token)))
        ours()
    bare()
    assert found == [((3, 12, 8), 11 - model.window_offset)]
    assert model.training


def test_operations_of_the_transformer_are_counted() -> None:
    backbone = build().backbone
    batch, frames, features = 3, 12, SMALL['in_channels']
    width, layers = backbone.embed_dims, backbone.transformer_encoder.layers
    hidden = layers[0].linear1.out_features
    found = count_operations(
        backbone, lambda network: network(
            torch.zeros(batch, frames, features)))
    layer = 2 * frames * (4 * width**2 + 2 * width * hidden)
    layer += 2 * 2 * frames**2 * width  # scores, and what they weigh
    expected = batch * (2 * frames * features * width + len(layers) * layer)
    assert found == pytest.approx(expected, rel=.1)


def test_windows_of_another_size_look_as_far_ahead_as_back() -> None:
    config = Config(dict(
        model=dict(backbone=dict()),
        train_dataloader=dict(dataset=dict(window_size=64))))
    set_window_size(config, 16)
    assert config.train_dataloader.dataset == dict(
        window_size=16, window_offset=7)
    assert config.model.window_offset == 7
    assert config.model.backbone.max_length == 16
