"""Where the heads put the points."""
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_ext.direction.head import (
    DirectionHeatmapHead,
    DirectionRegressionHead,
)

CODEC = dict(type='mmpose_ext.CenteredRegressionLabel', input_size=(50, 50))


def samples(count, split):
    """Labels of a batch, in one data sample or one each."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.rand(count, 3, 2, generator=generator) - .5
    weights = torch.ones(count, 3)
    weights[0, 1] = 0
    parts = range(count) if split else [slice(None)]
    found = []
    for part in parts:
        if isinstance(part, int):
            part = slice(part, part + 1)
        sample = PoseDataSample()
        sample.gt_instance_labels = InstanceData(
            keypoint_labels=labels[part], keypoint_weights=weights[part])
        found.append(sample)
    return found


def heatmap_head():
    head = DirectionHeatmapHead(3, CODEC)
    with torch.no_grad():
        head.final_layer.weight.copy_(torch.eye(3)[..., None, None])
        head.final_layer.bias.zero_()
    return head


@pytest.mark.parametrize('side', [25, 50])
def test_a_sharp_peak_is_found_at_the_centre_of_its_cell(side):
    feats = torch.zeros(1, 3, side, side)
    cells = [(0, 0), (side - 1, 3), (10, side // 2)]
    for channel, (column, row) in enumerate(cells):
        feats[0, channel, row, column] = 1000.
    points, sigma = heatmap_head().estimate((feats, ))
    step = 50 / side
    expected = torch.tensor(
        [[(c + .5) * step - .5, (r + .5) * step - .5] for c, r in cells])
    torch.testing.assert_close(points[0], expected, atol=1e-4, rtol=0)
    assert (sigma < .1).all()


def test_spread_of_a_gaussian_map_is_its_sigma():
    line = (torch.arange(50) - 24.5)
    square = line[:, None]**2 + line[None]**2
    feats = (-square / (2 * 4.**2)).expand(1, 3, 50, 50)
    points, sigma = heatmap_head().estimate((feats, ))
    torch.testing.assert_close(points[0], torch.full((3, 2), 24.5))
    torch.testing.assert_close(sigma[0], torch.full((3, ), 4.), rtol=.01,
                               atol=0)


@pytest.mark.parametrize('make', [
    lambda: DirectionRegressionHead(
        2, (3, 3), CODEC, angle_loss=dict(
            type='mmpose_ext.DirectionAngleLoss')),
    lambda: DirectionHeatmapHead(2, CODEC)])
def test_packed_batch_gives_the_same_loss(make):
    torch.manual_seed(0)
    head, feats = make(), (torch.randn(4, 2, 3, 3), )
    one = head.loss(feats, samples(4, split=False))
    each = head.loss(feats, samples(4, split=True))
    assert one.keys() == each.keys()
    for key, value in one.items():
        torch.testing.assert_close(value, each[key])


def test_predict_gives_what_mmpose_expects():
    head = DirectionRegressionHead(2, (3, 3), CODEC)
    found = head.predict((torch.zeros(2, 2, 3, 3), ), samples(2, split=True))
    assert len(found) == 2
    assert found[0].keypoints.shape == (1, 3, 2)
    assert found[0].keypoint_scores.shape == (1, 3)
    assert (found[0].keypoint_scores == 1).all()


def test_likelihood_needs_sigma():
    head = DirectionRegressionHead(
        2, (3, 3), CODEC,
        loss=dict(type='mmpose_ext.DirectionLikelihoodLoss'))
    with pytest.raises(ValueError, match='predict_sigma'):
        head.loss((torch.zeros(2, 2, 3, 3), ), samples(2, split=False))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('head', [
    heatmap_head(), DirectionRegressionHead(3, (50, 50), CODEC)])
def test_mixed_precision_moves_no_point(head, dtype):
    """Nor the loss: only what the backbone gives is rounded."""
    feats = torch.randn(2, 3, 50, 50).to(dtype)
    with torch.autocast('cpu', dtype):
        points, sigma = head.estimate((feats, ))
        loss = head.loss((feats, ), samples(2, False))['loss_points']
    wanted, _ = head.estimate((feats.float(), ))
    assert points.dtype == sigma.dtype == torch.float32
    assert torch.equal(points, wanted)
    assert torch.equal(loss, head.loss(
        (feats.float(), ), samples(2, False))['loss_points'])
