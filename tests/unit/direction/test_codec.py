"""Between pixels and labels."""
import numpy as np
import pytest
import torch
from mmpose.codecs import RegressionLabel

from mmpose_ext.direction.codec import CenteredRegressionLabel


@pytest.fixture
def codec():
    return CenteredRegressionLabel((50, 50))


def test_published_numbers(codec):
    """(p - 25) / 25: the first pixel is -1, the last one .96."""
    encoded = codec.encode(np.array([[[0., 0.], [49., 25.], [25., 49.]]]))
    np.testing.assert_allclose(
        encoded['keypoint_labels'], [[[-1, -1], [.96, 0], [0, .96]]],
        atol=1e-7)


def test_relation_to_mmpose(codec):
    points = np.random.default_rng(0).uniform(0, 49, (4, 3, 2))
    theirs = RegressionLabel((50, 50)).encode(points)['keypoint_labels']
    ours = codec.encode(points)['keypoint_labels']
    np.testing.assert_allclose(ours, 2 * theirs - 1, atol=1e-6)


def test_decode_inverts(codec):
    points = np.random.default_rng(1).uniform(0, 49, (2, 3, 2))
    decoded, scores = codec.decode(codec.encode(points)['keypoint_labels'])
    np.testing.assert_allclose(decoded, points, atol=1e-5)
    np.testing.assert_array_equal(scores, np.ones((2, 3)))


def test_half_size_follows_the_image():
    wide = CenteredRegressionLabel((80, 40))
    np.testing.assert_allclose(
        wide.to_labels(np.array([40., 0.])), [0., -1.])


def test_hidden_and_outside_points_weigh_nothing(codec):
    points = np.array([[[10., 10.], [np.nan, np.nan], [60., 10.]]])
    encoded = codec.encode(points, np.array([[1., 0., 1.]]))
    np.testing.assert_array_equal(encoded['keypoint_weights'], [[1, 0, 0]])
    assert np.isfinite(encoded['keypoint_labels']).all()


def test_tensors_as_arrays(codec):
    points = torch.tensor([[3., 4.]])
    np.testing.assert_allclose(
        codec.to_labels(points).numpy(), codec.to_labels(points.numpy()))
