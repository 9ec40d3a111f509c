"""Published sizes, equal to the plain network, any size of volume."""
import logging

import pytest
import torch
from torch import nn

from mmpose_ext.storage import DataError
from mmpose_ext.training.stages import find_stages
from mmpose_ext.volumetric import convolutions
from mmpose_ext.volumetric.network import SIZES, DannceUNet
from mmpose_ext.volumetric.reference import (
    PlainUNet,
    plain_soft_argmax,
)

SMALL = (8, 16, 24)


def count(network, keypoints):
    head = nn.Conv3d(network.out_channels[-1], keypoints, 1)
    return sum(p.numel() for m in (network, head) for p in m.parameters())


def pair(norm='layer', widths=SMALL, channels=6, **settings):
    torch.manual_seed(0)
    ours = DannceUNet(channels // 3, size=widths, norm=norm, **settings)
    plain = PlainUNet(channels, widths, norm)
    plain.load_state_dict(ours.state_dict())
    return ours, plain


def gradients(network, volumes):
    torch.manual_seed(1)
    features = network(volumes)
    sum((feature * torch.randn(feature.shape, dtype=feature.dtype)).mean()
        for feature in features).backward()
    return {name: p.grad for name, p in network.named_parameters()}


@pytest.mark.parametrize('settings, keypoints, published', [
    (dict(), 23, 5_615_155), (dict(norm='batch'), 23, 5_617_943),
    (dict(norm='instance'), 23, 5_615_127), (dict(), 22, 5_615_122),
    (dict(size='full'), 23, 22_424_627)])
def test_published_number_of_parameters(settings, keypoints, published):
    with torch.device('meta'):
        assert count(DannceUNet(**settings), keypoints) == published


@pytest.mark.parametrize('nvox', [16, 32])
def test_compressed_network_equals_the_plain_one(nvox):
    ours, plain = pair(widths=SIZES['compressed'], channels=18)
    volumes = torch.rand(1, 18, nvox, nvox, nvox) * 2 - 1
    with torch.no_grad():
        for one, other in zip(ours(volumes), plain(volumes), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


@pytest.mark.parametrize('norm', ['layer', 'batch', 'instance'])
@pytest.mark.parametrize('widths, nvox', [((8, 16), 8), ((4, 6, 8), 24),
                                          ((2, 3, 4, 5, 6), 32)])
def test_gradients_equal_those_of_the_plain_network(norm, widths, nvox,
                                                    monkeypatch):
    for limit in ('_SMALLEST', '_SMALLEST_PLANE', '_SMALLEST_BESIDE_SLOW'):
        monkeypatch.setattr(convolutions, limit, 0)
    ours, plain = pair(norm, widths)
    ours.double(), plain.double()
    volumes = torch.rand(2, 6, nvox, nvox, nvox, dtype=torch.float64)
    found, wanted = gradients(ours, volumes), gradients(plain, volumes)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-10,
                                   rtol=1e-6, msg=name)


def test_plain_soft_argmax_finds_a_single_voxel():
    axis = torch.linspace(-1, 1, 3)
    grid = torch.cartesian_prod(axis, axis, axis)
    logits = torch.full((1, 1, 27), -1e4)
    logits[..., 5] = 0
    torch.testing.assert_close(
        plain_soft_argmax(logits.view(1, 1, 3, 3, 3), grid)[0, 0], grid[5])


@pytest.mark.parametrize('settings', [
    dict(), dict(residual=True), dict(norm_upsampling=True),
    dict(norm='group'),
    dict(stem=dict(type='mmpose_ext.DannceViewPoolingStem', width=4))])
def test_checkpointing_changes_no_gradient(settings):
    torch.manual_seed(0)
    volumes = torch.rand(1, 6, 16, 16, 16)
    network = DannceUNet(2, size=SMALL, **settings)
    wanted = gradients(network, volumes)
    network.zero_grad()
    network.checkpointing = True
    torch.testing.assert_close(gradients(network, volumes), wanted)


def test_residual_and_normalised_upsampling_add_what_they_need():
    with torch.device('meta'):
        plain = count(DannceUNet(), 23)
        residual = count(DannceUNet(residual=True), 23) - plain
        upsampling = count(DannceUNet(norm_upsampling=True), 23) - plain
    pairs = [(18, 32), (32, 64), (64, 128), (128, 256), (256, 128),
             (128, 64), (64, 32)]
    assert residual == sum(a * b + b + 2 for a, b in pairs)
    assert upsampling == 3 * 2


def test_features_come_coarsest_first():
    network = DannceUNet(2, size=(8, 16, 24, 32))
    assert network.out_channels == (24, 16, 8)
    shapes = [f.shape for f in network(torch.zeros(2, 6, 16, 16, 16))]
    assert shapes == [(2, 24, 4, 4, 4), (2, 16, 8, 8, 8), (2, 8, 16, 16, 16)]


def test_weights_begin_uniform_within_the_limits_of_xavier():
    logging.disable(logging.INFO)
    network = DannceUNet(2, size=SMALL)
    network.init_weights()
    logging.disable(logging.NOTSET)
    for name, parameter in network.named_parameters():
        if '.conv' not in name:
            continue
        if name.endswith('bias'):
            assert not parameter.any()
        else:
            taps = parameter[0, 0].numel()
            limit = (6 / (sum(parameter.shape[:2]) * taps))**.5
            assert .9 * limit < parameter.abs().max() <= limit


def test_stages_are_named_in_the_order_of_the_data():
    estimator = nn.Module()
    estimator.backbone = DannceUNet(
        2, size=SMALL, stem=dict(type='mmpose_ext.DannceViewPoolingStem'))
    estimator.head = nn.Conv3d(8, 2, 1)
    assert [stage.name for stage in find_stages(estimator)] == [
        'stem', 'enc1', 'enc2', 'enc3', 'dec2', 'dec1', 'head']


def test_masked_view_does_not_count():
    torch.manual_seed(0)
    network = DannceUNet(2, size=(4, 8))
    volumes = torch.rand(2, 6, 4, 4, 4)
    mask = torch.tensor([[True, False], [True, True]])
    found = network(volumes, mask)[0]
    other = volumes.clone()
    other[0, 3:] = 9.
    torch.testing.assert_close(network(other, mask)[0], found)
    assert not torch.allclose(network(volumes)[0][0], found[0])


def test_half_precision_trains():
    network = DannceUNet(2, size=SMALL)
    with torch.autocast('cpu', torch.bfloat16):
        features = network(torch.rand(1, 6, 16, 16, 16))
    features[-1].float().square().mean().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize('channels, nvox', [(9, 16), (7, 16), (6, 18)])
def test_volumes_that_do_not_fit_are_refused(channels, nvox):
    with pytest.raises(DataError, match='DannceUNet'):
        DannceUNet(2, size=SMALL)(torch.zeros(1, channels, nvox, nvox, nvox))


@pytest.mark.parametrize('size', ['huge', (8, ), (8, 0)])
def test_sizes_that_cannot_be_are_refused(size):
    with pytest.raises(DataError, match='backbone.size'):
        DannceUNet(2, size=size)
