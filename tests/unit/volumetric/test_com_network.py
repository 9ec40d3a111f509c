from __future__ import annotations

import pytest
import torch

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.com_network import ComUNet

TINY = (8, 16, 32)


def test_published_parameter_count() -> None:
    parts = ComUNet(), MODELS.build(dict(
        type='mmpose.HeatmapHead', in_channels=32, out_channels=1,
        deconv_out_channels=None))
    assert sum(p.numel() for part in parts
               for p in part.parameters()) == 7_760_133


@pytest.mark.parametrize('size', [(150, 240), (37, 5), (16, 16), (1, 1)])
def test_features_have_the_size_of_the_image(size: tuple[int, int]) -> None:
    features, = ComUNet(TINY)(torch.rand(2, 3, *size))
    assert features.shape == (2, 8, *size)


def test_padding_does_not_move_what_is_seen() -> None:
    """Without padding and with, far from where it is."""
    torch.manual_seed(0)
    network = ComUNet(TINY, norm='batch').eval()
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        whole, = network(image)
        part, = network(image[..., :62, :93])
    torch.testing.assert_close(part[..., :20, :40], whole[..., :20, :40])


@pytest.mark.parametrize('norm', ['layer', 'batch', 'instance', 'group'])
def test_norms(norm: str) -> None:
    """Those of a sample look at no other sample."""
    torch.manual_seed(0)
    network = ComUNet(TINY, norm=norm)
    images = torch.rand(3, 3, 32, 40)
    both, = network(images)
    both.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all()
               for p in network.parameters())
    alone, = network(images[:1])
    assert torch.allclose(alone, both[:1], atol=1e-5) == (norm != 'batch')


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(DataError, match='norm'):
        ComUNet(TINY, norm='none')
    with pytest.raises(ValueError, match='widths'):
        ComUNet((8, ))
