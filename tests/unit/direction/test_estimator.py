"""Symmetries, angles and confidence of the estimator."""
import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

from mmpose_ext.direction.angles import direction_angles
from mmpose_ext.direction.estimator import describe
from mmpose_ext.geometry.symmetries import transform_image, transform_points

CODEC = dict(type='mmpose_ext.CenteredRegressionLabel', input_size=(50, 50))


def build(test_cfg=None):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='mmpose_ext.DirectionEstimator',
            data_preprocessor=dict(
                type='mmpose.PoseDataPreprocessor', mean=[127.5], std=[255.]),
            backbone=dict(type='mmpose_ext.DirectionUNet'),
            head=dict(
                type='mmpose_ext.DirectionHeatmapHead',
                in_channels=32,
                decoder=CODEC),
            test_cfg=test_cfg)).eval()


@torch.no_grad()
def test_d4_is_equivariant_to_the_symmetries():
    """However bad the network: turning the image turns the answer."""
    model = build(dict(tta='d4'))
    images = torch.rand(3, 1, 50, 50) - .5
    plain = model.estimate(images)
    for symmetry in range(8):
        turned = model.estimate(transform_image(images, symmetry))
        torch.testing.assert_close(
            turned.points,
            transform_points(plain.points, symmetry, 50),
            atol=1e-3,
            rtol=0)
        torch.testing.assert_close(
            turned.scores, plain.scores, atol=1e-4, rtol=0)


@torch.no_grad()
def test_disagreement_lowers_the_score():
    images = torch.rand(3, 1, 50, 50) - .5
    alone = build().estimate(images)
    together = build(dict(tta='d4')).estimate(images)
    assert (together.scores < alone.scores + 1e-6).float().mean() > .5


def test_angles_are_those_of_the_points():
    points = torch.rand(50, 3, 2) * 49
    found = describe(points, torch.zeros(50, 3))
    expected = direction_angles(points.numpy(), min_length=0.)
    for i, name in enumerate(('body', 'head', 'turn')):
        np.testing.assert_allclose(
            found.angles[:, i].numpy(), expected[name], atol=1e-4)
    assert (found.angle_conf == 1).all()


def test_confidence_falls_with_sigma_and_with_short_heads():
    points = torch.tensor([[[0., 0.], [10., 0.], [20., 0.]],
                           [[0., 0.], [10., 0.], [12., 0.]]])
    sure = describe(points, torch.full((2, 3), .2)).angle_conf
    unsure = describe(points, torch.full((2, 3), 2.)).angle_conf
    assert (unsure < sure).all()
    assert sure[1] < sure[0]


@pytest.mark.parametrize('test_cfg', [dict(tta='d5'), dict(flip_test=True)])
def test_unknown_test_settings_are_refused(test_cfg):
    with pytest.raises(ValueError, match='model.test_cfg'):
        build(test_cfg)
