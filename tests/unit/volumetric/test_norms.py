"""One norm for a whole sample, as its formula reads, without its cost."""
import pytest
import torch

from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.norms import (
    ScalarLayerNorm3d,
    build_norm,
    norm_and_relu,
)
from mmpose_ext.volumetric.reference import PlainLayerNorm

FORMATS = [torch.contiguous_format, torch.channels_last_3d]


def pair(weight=1.7, bias=-.3, dtype=torch.float64):
    ours, plain = ScalarLayerNorm3d(), PlainLayerNorm()
    for norm in (ours, plain):
        norm.to(dtype)
        torch.nn.init.constant_(norm.weight, weight)
        torch.nn.init.constant_(norm.bias, bias)
    return ours, plain


def gradients(norm, x, above, relu):
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    y = norm(x) if not relu else (
        norm(x, relu=True) if isinstance(norm, ScalarLayerNorm3d)
        else torch.relu(norm(x)))
    return y, torch.autograd.grad(
        (y * above).sum(), [x, norm.weight, norm.bias])


@pytest.mark.parametrize('relu', [False, True])
@pytest.mark.parametrize('layout', FORMATS)
def test_norm_is_its_formula_and_so_is_its_gradient(relu, layout):
    torch.manual_seed(0)
    # more than one piece a sample, the last one short
    x = torch.randn(3, 7, 25, 20, 21, dtype=torch.float64) * 3 + 5
    x = x.contiguous(memory_format=layout)
    above = torch.randn_like(x)
    ours, plain = pair()
    found, wanted = (gradients(norm, x, above, relu) for norm in (ours, plain))
    torch.testing.assert_close(found[0], wanted[0])
    assert found[0].is_contiguous(memory_format=layout)
    for one, other in zip(found[1], wanted[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_gradient_is_that_of_finite_differences():
    torch.manual_seed(0)
    norm = pair()[0]
    x = torch.randn(2, 2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(norm, (x, ))
    assert torch.autograd.gradcheck(lambda x: norm(x, relu=True), (x, ))


def test_eps_is_added_to_the_standard_deviation():
    x = torch.tensor([-2e-3, 2e-3] * 4).view(1, 1, 2, 2, 2)
    found = ScalarLayerNorm3d()(x)
    torch.testing.assert_close(found.abs(), torch.full_like(x, 2 / 3))


def test_constant_sample_gives_the_shift_and_no_gradient():
    norm = pair(dtype=torch.float32)[0]
    x = torch.full((2, 3, 4, 4, 4), 7., requires_grad=True)
    y = norm(x)
    torch.testing.assert_close(y, torch.full_like(y, -.3))
    y.square().sum().backward()
    torch.testing.assert_close(x.grad, torch.zeros_like(x), atol=1e-2, rtol=0)


def test_large_mean_costs_no_digits():
    torch.manual_seed(0)
    x = torch.randn(1, 4, 32, 32, 32) + 1e3
    wanted = (x.double() - x.double().mean()) / (
        x.double().std(correction=0) + 1e-3)
    torch.testing.assert_close(
        ScalarLayerNorm3d()(x).double(), wanted, atol=1e-4, rtol=1e-4)


def test_samples_do_not_see_each_other():
    torch.manual_seed(0)
    x = torch.randn(3, 2, 4, 4, 4)
    norm = ScalarLayerNorm3d()
    torch.testing.assert_close(norm(x)[1:2], norm(x[1:2]), atol=0, rtol=0)


def test_half_precision_has_statistics_of_full_precision():
    torch.manual_seed(0)
    x = (torch.randn(1, 8, 32, 32, 32) + 20).bfloat16()
    found = ScalarLayerNorm3d()(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(
        found.float(), PlainLayerNorm()(x.float()), atol=.02, rtol=.01)
    x.requires_grad_()
    ScalarLayerNorm3d()(x, relu=True).sum().backward()
    assert x.grad.isfinite().all()


def test_memory_is_used_again_only_without_a_gradient():
    norm = ScalarLayerNorm3d()
    x = torch.randn(1, 2, 4, 4, 4)
    before = x.clone()
    norm(x, relu=True)
    torch.testing.assert_close(x, before)
    with torch.no_grad():
        assert norm(x, relu=True).data_ptr() == x.data_ptr()


@pytest.mark.parametrize('kind, count', [('layer', 2), ('batch', 32),
                                         ('instance', 0), ('group', 32)])
def test_every_norm_has_its_parameters_and_is_followed_by_relu(kind, count):
    norm = build_norm(kind, 16)
    assert sum(p.numel() for p in norm.parameters()) == count
    x = torch.randn(2, 16, 4, 4, 4)
    wanted = torch.relu(norm(x))
    torch.testing.assert_close(norm_and_relu(norm, x), wanted)


@pytest.mark.parametrize('kind, width', [('spectral', 16), ('group', 12)])
def test_norm_that_cannot_be_is_refused(kind, width):
    with pytest.raises(DataError, match='backbone.norm'):
        build_norm(kind, width)
