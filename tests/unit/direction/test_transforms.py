"""Augmentation moves pixels and labels alike and depends on seeds alone."""
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_ext.direction.transforms import BatchDirectionAugment

CODEC = dict(type='mmpose_ext.CenteredRegressionLabel', input_size=(50, 50))
GEOMETRY_ALONE = dict(
    brightness=0.,
    contrast=(1., 1.),
    gamma=(1., 1.),
    noise=0.,
    blur_prob=0.,
    cutout_prob=0.)


def augment(images, points, seeds, **options):
    module = BatchDirectionAugment(CODEC, **options)
    sample = PoseDataSample()
    sample.gt_instance_labels = InstanceData(
        keypoint_labels=module.codec.to_labels(points),
        keypoint_weights=torch.ones(points.shape[:2]),
        draw_seeds=seeds)
    images, samples = module(images.clone(), [sample])
    labels = samples[0].gt_instance_labels
    return (images, module.codec.to_pixels(labels.keypoint_labels),
            labels.keypoint_weights)


def seeds(count, start=0):
    generator = np.random.default_rng(start)
    return torch.from_numpy(
        generator.integers(-2**62, 2**62, count, dtype=np.int64))


def dots(points):
    """Smooth spots centred on points, on black."""
    line = torch.arange(50.)
    dx = line[None, None, :] - points[:, 0, None, None]
    dy = line[None, :, None] - points[:, 1, None, None]
    return torch.exp(-(dx**2 + dy**2) / (2 * 1.5**2))[:, None] - .5


def test_a_dot_stays_under_its_label():
    """Centroid of the warped dot within a tenth of a pixel."""
    generator = torch.Generator().manual_seed(0)
    points = 15 + 20 * torch.rand(64, 3, 2, generator=generator)
    images, moved, weights = augment(
        dots(points[:, 0]), points, seeds(64), **GEOMETRY_ALONE)
    mass = (images[:, 0] + .5).clamp(min=0)
    line = torch.arange(50.)
    total = mass.sum((1, 2))
    centroid = torch.stack([(mass.sum(1) @ line) / total,
                            (mass.sum(2) @ line) / total], -1)
    inside = ((moved[:, 0] > 7) & (moved[:, 0] < 42)).all(-1)
    assert inside.sum() > 40
    assert (centroid - moved[:, 0])[inside].abs().max() < .1


def test_all_orientations_and_both_sides_come_up():
    points = torch.tensor([[20., 24.5], [24.5, 24.5], [24.5, 20.]])
    points = points.expand(4000, 3, 2)
    _, moved, _ = augment(
        torch.zeros(4000, 1, 50, 50), points, seeds(4000), **GEOMETRY_ALONE)
    first, second = moved[:, 0] - moved[:, 1], moved[:, 2] - moved[:, 1]
    angle = torch.atan2(first[:, 1], first[:, 0])
    counts = torch.histc(angle, 12, -np.pi, np.pi)
    assert counts.min() > 250
    cross = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    assert (cross > 0).float().mean().item() == pytest.approx(.5, abs=.05)
    scale = first.norm(dim=-1) / 4.5
    assert .899 < scale.min() < .91 and 1.09 < scale.max() < 1.101


def test_points_that_leave_weigh_nothing():
    points = torch.tensor([[1., 1.], [25., 25.], [48., 48.]])
    _, moved, weights = augment(
        torch.zeros(200, 1, 50, 50), points.expand(200, 3, 2), seeds(200),
        **GEOMETRY_ALONE)
    outside = ((moved < -.5) | (moved > 49.5)).any(-1)
    assert 0 < outside.sum() < outside.numel()
    np.testing.assert_array_equal(weights == 0, outside)


def test_looks_depend_on_the_seed_alone():
    """Not on the batch around an image."""
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(6, 1, 50, 50, generator=generator) - .5
    points = 10 + 30 * torch.rand(6, 3, 2, generator=generator)
    own = seeds(6)
    whole = augment(images, points, own)
    for i in range(6):
        alone = augment(images[i:i + 1], points[i:i + 1], own[i:i + 1])
        for one, other in zip(whole, alone, strict=True):
            torch.testing.assert_close(one[i:i + 1], other, atol=1e-5,
                                       rtol=0)


def test_greys_stay_in_range_and_change():
    images = torch.rand(32, 1, 50, 50) - .5
    points = torch.full((32, 3, 2), 25.)
    changed, _, _ = augment(
        images, points, seeds(32), rotation=0., flip_prob=0., shift=0.,
        scale=(1., 1.))
    assert changed.min() >= -.5 and changed.max() <= .5
    assert (changed - images).abs().mean((1, 2, 3)).min() > .005


def test_nothing_asked_nothing_changed():
    images = torch.rand(8, 1, 50, 50) - .5
    points = torch.rand(8, 3, 2) * 49
    same, moved, weights = augment(
        images, points, seeds(8), rotation=0., flip_prob=0., shift=0.,
        scale=(1., 1.), **GEOMETRY_ALONE)
    torch.testing.assert_close(same, images, atol=1e-5, rtol=0)
    torch.testing.assert_close(moved, points, atol=1e-4, rtol=0)
    assert (weights == 1).all()


def test_noise_has_the_asked_strength():
    images = torch.zeros(256, 1, 50, 50)
    points = torch.full((256, 3, 2), 25.)
    options = dict(GEOMETRY_ALONE, noise=4.)
    changed, _, _ = augment(
        images, points, seeds(256), rotation=0., flip_prob=0., shift=0.,
        scale=(1., 1.), **options)
    sigma = changed.flatten(1).std(1) * 255
    assert sigma.max().item() == pytest.approx(4., rel=.1)
    assert sigma.mean().item() == pytest.approx(2., rel=.15)


def test_mixed_precision_changes_nothing():
    """A training calls it under autocast."""
    points = 15 + 20 * torch.rand(8, 3, 2)
    images = dots(points[:, 0])
    plain = augment(images, points, seeds(8))
    with torch.autocast('cpu', torch.bfloat16):
        found = augment(images, points, seeds(8))
    assert all(map(torch.equal, found, plain))
