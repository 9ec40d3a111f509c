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
    measure_inference,
)
from mmpose_ext.registry import MODELS

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


def test_rates_of_embedding_stand_beside_each_other() -> None:
    model = build()
    batch = dict(inputs=torch.zeros(3, 12, 2, 2, 2))
    found = measure_inference(model, SimpleNamespace(batch=batch), .02)
    assert found['ratio'] == pytest.approx(
        found['ours']['per_cpu_second'] / found['bare']['per_cpu_second'])
    assert model.training
