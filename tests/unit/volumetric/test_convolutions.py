"""Fewer multiplications, the same convolution."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmpose_ext.volumetric import convolutions
from mmpose_ext.volumetric.convolutions import (
    convolve,
    is_planewise,
    project,
)
from mmpose_ext.volumetric.norms import build_norm


@pytest.fixture(autouse=True)
def always(monkeypatch):
    for limit in ('_SMALLEST', '_SMALLEST_PLANE', '_SMALLEST_BESIDE_SLOW'):
        monkeypatch.setattr(convolutions, limit, 0)


def layer(channels, width, dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Conv3d(channels, width, 3, padding=1, dtype=dtype)


def all_gradients(y, *leaves):
    torch.manual_seed(1)
    above = torch.randn(y.shape, dtype=y.dtype)
    return torch.autograd.grad((y * above).sum(), leaves)


@pytest.mark.parametrize('shape', [(2, 3, 4, 5, 6), (1, 18, 8, 8, 8),
                                   (3, 1, 12, 1, 3)])
def test_result_and_gradients_are_those_of_the_plain_sum(shape):
    conv = layer(shape[1], 5)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    found, wanted = convolve(x, conv), conv(x)
    torch.testing.assert_close(found, wanted)
    leaves = (x, conv.weight, conv.bias)
    torch.testing.assert_close(all_gradients(found, *leaves),
                               all_gradients(wanted, *leaves))


@pytest.mark.parametrize('kind', ['layer', 'batch', 'instance', 'group'])
def test_norm_before_it_may_be_joined(kind):
    conv, norm = layer(8, 5), build_norm(kind, 8).double()
    x = torch.randn(2, 8, 8, 4, 4, dtype=torch.float64, requires_grad=True)
    found, wanted = convolve(x, conv, norm), conv(F.relu(norm(x)))
    torch.testing.assert_close(found, wanted)
    leaves = (x, conv.weight, conv.bias, *norm.parameters())
    torch.testing.assert_close(all_gradients(found, *leaves),
                               all_gradients(wanted, *leaves))


@pytest.mark.parametrize('frozen', ['x', 'weight', 'bias', 'norm'])
def test_what_is_frozen_gets_no_gradient_and_the_rest_the_same(frozen):
    conv, norm = layer(3, 4), build_norm('layer', 3).double()
    x = torch.randn(1, 3, 4, 4, 4, dtype=torch.float64, requires_grad=True)
    parts = dict(x=[x], weight=[conv.weight], bias=[conv.bias],
                 norm=list(norm.parameters()))
    for part in parts.pop(frozen):
        part.requires_grad_(False)
    leaves = [leaf for part in parts.values() for leaf in part]
    torch.testing.assert_close(
        all_gradients(convolve(x, conv, norm), *leaves),
        all_gradients(conv(F.relu(norm(x))), *leaves))


def test_rounding_stays_small_in_single_precision():
    conv = layer(64, 32, torch.float32)
    x = torch.randn(1, 64, 16, 16, 16)
    wanted = conv.double()(x.double())
    found = convolve(x, conv.float())
    assert (found - wanted).abs().max() < 2e-5 * wanted.abs().max()


@pytest.mark.parametrize('depth', [4, 6])
def test_depth_that_four_does_not_divide_is_done_as_usual(depth):
    conv = layer(2, 3)
    x = torch.randn(1, 2, depth, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(convolve(x, conv), conv(x))


def test_sample_does_not_depend_on_the_others_of_its_batch():
    conv = layer(4, 4, torch.float32)
    x = torch.randn(3, 4, 8, 8, 8)
    torch.testing.assert_close(
        convolve(x, conv)[1:2], convolve(x[1:2], conv), atol=0, rtol=0)


def test_half_precision_is_left_to_the_library():
    x = torch.zeros(1, 2, 4, 4, 4)
    assert is_planewise(x)
    assert not is_planewise(x.bfloat16())
    assert not is_planewise(x.to('meta'))
    with torch.autocast('cpu', torch.bfloat16):
        assert not is_planewise(x)
        assert convolve(x, layer(2, 3, torch.float32)).dtype == torch.bfloat16


def test_projection_is_a_convolution_of_one_voxel():
    conv = nn.Conv3d(5, 3, 1, dtype=torch.float64)
    x = torch.randn(2, 5, 4, 3, 2, dtype=torch.float64, requires_grad=True)
    found, wanted = project(x, conv), conv(x)
    assert found.is_contiguous()
    torch.testing.assert_close(found, wanted)
    leaves = (x, conv.weight, conv.bias)
    torch.testing.assert_close(all_gradients(found, *leaves),
                               all_gradients(wanted, *leaves))


@pytest.mark.parametrize('shape, width, pays', [
    ((1, 32, 64, 64, 64), 32, True),
    ((4, 16, 32, 32, 32), 16, False),  # little work a plane
    ((2, 256, 8, 8, 8), 256, False),  # kernels larger than planes
    ((1, 16, 32, 32, 32), 16, True),  # beside the library's slow kernel
    ((1, 16, 8, 8, 8), 16, False)])
def test_planes_are_left_to_the_library_where_it_is_faster(shape, width, pays,
                                                           monkeypatch):
    monkeypatch.undo()
    with torch.device('meta'):
        x = torch.empty(shape)
        conv = nn.Conv3d(shape[1], width, 3, padding=1)
    assert convolutions._pays(x, conv) == pays
