"""Published sizes, any image size, channels_last."""
import pytest
import torch

from mmpose_ext.direction.head import (
    DirectionHeatmapHead,
    DirectionRegressionHead,
)
from mmpose_ext.direction.network import DirectionCNN, DirectionUNet

CODEC = dict(type='mmpose_ext.CenteredRegressionLabel', input_size=(50, 50))


def count(*modules):
    return sum(p.numel() for m in modules for p in m.parameters())


def test_published_number_of_parameters():
    head = DirectionRegressionHead(64, (3, 3), CODEC)
    assert count(DirectionCNN(), head) == 135_206


def test_live_network_has_the_stated_number_of_parameters():
    head = DirectionRegressionHead(32, (3, 3), CODEC, hidden=64)
    assert count(DirectionCNN((8, 16, 32, 32)), head) == 34_198


def test_map_network_has_the_stated_number_of_parameters():
    head = DirectionHeatmapHead(32, CODEC)
    assert count(DirectionUNet(), head) == 99_427


@pytest.mark.parametrize('size, small, half', [(50, 3, 25), (64, 4, 32),
                                               (81, 5, 40)])
def test_sizes(size, small, half):
    images = torch.zeros(2, 1, size, size)
    assert DirectionCNN()(images)[0].shape == (2, 64, small, small)
    assert DirectionUNet()(images)[0].shape == (2, 32, half, half)


@pytest.mark.parametrize('network', [DirectionCNN, DirectionUNet])
def test_features_are_channels_last(network):
    features = network()(torch.zeros(2, 1, 50, 50))[0]
    assert features.is_contiguous(memory_format=torch.channels_last)


def test_pooling_before_relu_is_the_same():
    torch.manual_seed(0)
    network = DirectionCNN((4, )).eval()
    conv, norm, pool, relu = network.blocks[0]
    images = torch.randn(2, 1, 10, 10)
    torch.testing.assert_close(
        network(images)[0], pool(torch.relu(norm(conv(images)))))
