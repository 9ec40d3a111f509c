"""Views in any number and order."""
import pytest
import torch

from mmpose_ext.volumetric.network import DannceUNet
from mmpose_ext.volumetric.stem import DannceViewPoolingStem


@pytest.fixture
def stem():
    torch.manual_seed(0)
    return DannceViewPoolingStem(width=4)


def test_order_of_the_views_does_not_matter(stem):
    views = torch.rand(2, 5, 3, 4, 4, 4)
    turned = views[:, [3, 1, 4, 0, 2]]
    torch.testing.assert_close(stem(turned.flatten(1, 2)),
                               stem(views.flatten(1, 2)))


def test_masked_views_are_as_good_as_absent(stem):
    volumes = torch.rand(2, 9, 4, 4, 4)
    mask = torch.tensor([[True, False, True], [False, True, True]])
    found = stem(volumes, mask)
    torch.testing.assert_close(
        found[:1], stem(volumes[:1, [0, 1, 2, 6, 7, 8]]))
    torch.testing.assert_close(found[1:], stem(volumes[1:, 3:]))
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    assert not stem(volumes, nothing).any()


def test_mean_and_maximum_are_those_of_the_views(stem):
    views = torch.randn(1, 3, 3, 4, 4, 4)
    each = torch.stack([stem(view[None])[0, :4] for view in views[0]])
    found = stem(views.flatten(1, 2))[0]
    torch.testing.assert_close(found[:4], each.mean(0))
    torch.testing.assert_close(found[4:], each.amax(0))


@pytest.mark.parametrize('views', range(1, 9))
def test_one_network_serves_any_number_of_views(views):
    torch.manual_seed(0)
    network = DannceUNet(
        size=(4, 8), stem=dict(type='mmpose_ext.DannceViewPoolingStem'))
    features = network(torch.rand(1, 3 * views, 4, 4, 4))
    assert features[0].shape == (1, 4, 4, 4, 4)
    features[0].sum().backward()
    assert network.stem.conv.weight.grad.isfinite().all()
