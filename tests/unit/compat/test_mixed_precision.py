"""``--amp`` on a CPU: bfloat16, nothing scaled, and arrays of float32."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmpose.utils.tensor_utils import to_numpy
from torch import nn

import mmpose_ext.training  # noqa: F401  registers the constructors
from mmpose_ext.compat.mixed_precision import CpuAmpOptimWrapper

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason='MMEngine has its own on a GPU')
SETTINGS = dict(type='AmpOptimWrapper', loss_scale='dynamic',
                optimizer=dict(type='SGD', lr=.5))


class Model(nn.Module):
    """One layer, which is the stage ``head``."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)
        nn.init.constant_(self.head.weight, .5)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x)


@pytest.mark.parametrize('constructor', [
    'DefaultOptimWrapperConstructor',
    'mmpose_ext.GroupedOptimWrapperConstructor',
    'mmpose_ext.StageWiseOptimWrapperConstructor'])
def test_steps_are_those_of_full_precision(constructor):
    """Two batches a step, gradients clipped."""
    weights = []
    for changes in ({}, dict(type='OptimWrapper')):
        settings = dict(SETTINGS, constructor=constructor, **changes,
                        accumulative_counts=2, clip_grad=dict(max_norm=.25))
        if changes:
            del settings['loss_scale']
        model = Model()
        wrapper = build_optim_wrapper(model, settings)
        assert isinstance(wrapper, CpuAmpOptimWrapper) is not bool(changes)
        wrapper.initialize_count_status(model, 0, 4)
        for step in range(4):
            with wrapper.optim_context(model):
                found = model(torch.full((2, 4), 1. + step))
                loss = found.float().square().mean()
            wrapper.update_params(loss)
        assert found.dtype == (torch.float32 if changes else torch.bfloat16)
        weights.append(model.head.weight.detach().clone())
    assert weights[0].dtype == torch.float32
    torch.testing.assert_close(*weights, rtol=1e-2, atol=1e-2)
    assert (weights[0] - .5).abs().min() > .05


def test_a_checkpoint_fits_a_gpu_and_back():
    wrapper = build_optim_wrapper(Model(), SETTINGS)
    state = wrapper.state_dict()
    assert 'loss_scaler' not in state  # a GPU would refuse an empty one
    wrapper.load_state_dict(dict(state, loss_scaler=dict(scale=2.**16)))


@pytest.mark.parametrize('dtype', ['float16', torch.float16, 'int8'])
def test_other_types_are_one_error(dtype):
    with pytest.raises(ValueError, match=r'optim_wrapper\.dtype: expected '
                       'bfloat16 on a CPU'):
        build_optim_wrapper(Model(), dict(SETTINGS, dtype=dtype))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_arrays_are_of_float32(dtype):
    values = torch.tensor([[1.5, 2.]], dtype=dtype)
    found, pair = to_numpy(values), to_numpy((values, values), unzip=True)
    assert found.dtype == pair[0][0].dtype == np.float32
    assert found.tolist() == [[1.5, 2.]]
    assert to_numpy(torch.tensor([3])).dtype == np.int64
