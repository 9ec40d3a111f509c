"""``compile`` in a config compiles networks, and nothing else."""
from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import nn


class Model(nn.Module):
    """With one part of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.data_preprocessor = nn.Linear(2, 2)
        self.backbone = nn.Linear(2, 2)
        self.heads = nn.ModuleDict(dict(a=nn.Linear(2, 2)))
        self.loss_module = nn.MSELoss()

    def train_step(self) -> None:
        """Stays as it is."""


def compile_by(settings: Any) -> Model:
    model = Model()
    Runner._maybe_compile(SimpleNamespace(
        cfg=Config(dict(compile=settings)), model=model,
        logger=MMLogger.get_instance('test')), 'train_step')
    return model


@pytest.mark.parametrize('settings', [dict(backend='eager'), dict(), True])
def test_networks_alone_are_compiled(settings):
    model = compile_by(settings)
    compiled = {name for name, part in model.named_modules()
                if part._compiled_call_impl is not None}
    assert compiled == {'backbone'}
    assert 'train_step' not in vars(model)
    assert model.state_dict().keys() == Model().state_dict().keys()


def test_a_copy_computes_with_its_own_weights():
    model = compile_by(dict(backend='eager'))
    other = copy.deepcopy(model)
    nn.init.zeros_(other.backbone.weight)
    nn.init.zeros_(other.backbone.bias)
    assert model.backbone(torch.ones(1, 2)).abs().sum() > 0
    assert other.backbone(torch.ones(1, 2)).abs().sum() == 0


@pytest.mark.parametrize('settings', [None, False])
def test_nothing_is_compiled_unless_asked(settings):
    assert all(part._compiled_call_impl is None
               for part in compile_by(settings).modules())


@pytest.mark.parametrize('settings, message', [
    (dict(backend='inducktor'), 'compile.backend: expected one of .*inductor'),
    (dict(backned='inductor'), 'compile: .*backned')])
def test_settings_that_torch_does_not_know_are_one_error(settings, message):
    with pytest.raises(ValueError, match=message):
        compile_by(settings)
