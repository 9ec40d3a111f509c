"""The head of s-DANNCE: refined points, and losses that need no labels."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.expectation import place_in_world, softmax_moments
from mmpose_ext.volumetric.head import pose_batch
from tests.unit.volumetric.test_head import OFFSETS, SIDE, STEP, grids

FLIP = [1, 0, 2]


class Shift(nn.Module):
    """A refiner that answers what it is told."""

    def __init__(self, in_channels, num_keypoints, by=0.):
        super().__init__()
        self.by = nn.Parameter(torch.as_tensor(by))
        self.asked: list = []

    def forward(self, feats, mean, offsets, scenes, centres, axes):
        self.asked.append(scenes)
        return self.by.expand_as(mean)


@pytest.fixture(autouse=True)
def shift_refiner():
    MODELS.register_module('DannceShiftForTest', module=Shift, force=True)
    yield
    MODELS.module_dict.pop('DannceShiftForTest')


def build(**settings) -> nn.Module:
    torch.manual_seed(0)
    head = MODELS.build(dict(
        type='mmpose_ext.DannceExpectationHead', in_channels=(8, 4),
        num_keypoints=3, **settings))
    head.init_weights()
    return head


def batch(count: int = 4) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    feats = tuple(
        torch.randn((count, channels, *[side] * 3), generator=generator,
                    requires_grad=True)
        for channels, side in ((8, SIDE // 2), (4, SIDE)))
    inputs = dict(
        grids(count), mirrored=torch.arange(count) % 2 == 0,
        flip_indices=torch.tensor(FLIP),
        samples=torch.arange(count) // 2, copies=torch.arange(count) % 2,
        individuals=torch.zeros(count, dtype=torch.long),
        chunks=torch.arange(count) // 2,
        times=torch.zeros(count, dtype=torch.long))
    return feats, inputs


def samples(targets: Tensor) -> list[PoseDataSample]:
    found = []
    for pair in targets.split(2):
        sample = PoseDataSample(metainfo=dict(
            grid_centres=np.zeros((2, 3))))
        sample.gt_instance_labels = InstanceData(keypoints=pair)
        found.append(sample)
    return found


REFINER = dict(type='mmpose_ext.DannceShiftForTest', by=2.)


def test_refined_points_are_shifted_by_voxels_in_the_grid_s_own_axes():
    head = build(refiner=REFINER)
    feats, inputs = batch()
    logits = head(feats)
    found = head.estimate(feats, logits, inputs)
    mean = softmax_moments(logits, OFFSETS).mean
    torch.testing.assert_close(
        found.initial, place_in_world(mean, inputs['centres'],
                                      inputs['axes']))
    torch.testing.assert_close(
        found.points, place_in_world(mean + 2 * STEP, inputs['centres'],
                                     inputs['axes']))
    # the copies of a time point are scenes of their own
    assert len(set(head.refiner.asked[0].tolist())) == 4


def test_prediction_tells_both_and_without_a_refiner_one():
    feats, inputs = batch()
    targets = samples(torch.zeros(4, 3, 3))
    refined = build(refiner=REFINER).predict(feats, inputs, targets)[1]
    plain = build().predict(feats, inputs, targets)[1]
    np.testing.assert_allclose(refined.initial_keypoints, plain.keypoints)
    apart = refined.keypoints - plain.keypoints
    np.testing.assert_allclose(np.linalg.norm(apart, axis=-1),
                               2 * STEP * 3**.5, rtol=1e-5)
    assert 'initial_keypoints' not in plain


def test_each_loss_is_logged_by_its_name_and_judges_what_it_should():
    head = build(refiner=REFINER,
                 initial_loss=dict(type='mmpose_ext.DannceL1Loss'),
                 pose_losses=dict(agreement=dict(
                     type='mmpose_ext.DannceConsistencyLoss')),
                 volume_penalties=dict(width=dict(
                     type='mmpose_ext.DannceVarianceLoss')))
    feats, inputs = batch()
    logits = head(feats)
    target = head.estimate(feats, logits, inputs).initial.detach()
    losses = head.loss(feats, inputs, samples(target))
    assert {name for name in losses if name.startswith('loss')} == {
        'loss_points', 'loss_initial', 'loss_agreement', 'loss_width'}
    assert losses['loss_initial'] < 1e-4
    torch.testing.assert_close(losses['mpjpe_mm'],
                               torch.tensor(2 * STEP * 3**.5))
    total = sum(value for name, value in losses.items()
                if name.startswith('loss'))
    total.backward()
    assert all(feat.grad is not None for feat in feats[1:])
    assert head.refiner.by.grad.abs() > 0


def test_unlabelled_volumes_teach_by_agreement_alone():
    head = build(pose_losses=dict(agreement=dict(
        type='mmpose_ext.DannceConsistencyLoss')))
    feats, inputs = batch()
    losses = head.loss(feats, inputs, samples(
        torch.full((4, 3, 3), torch.nan)))
    assert losses['loss_points'] == 0 and losses['loss_agreement'] > 0
    assert 'mpjpe_mm' not in losses
    (losses['loss_points'] + losses['loss_agreement']).backward()
    assert feats[-1].grad.isfinite().all() and feats[-1].grad.any()


def test_mirrored_copies_agree_when_their_sides_are_exchanged():
    """A copy in a mirrored volume calls the left ear the right one."""
    points = torch.arange(18.).view(2, 3, 3)
    points[1] = points[0, FLIP]
    inputs = batch(2)[1]
    inputs['mirrored'] = torch.tensor([False, True])
    inputs['samples'] = torch.zeros(2, dtype=torch.long)
    poses = pose_batch(points, points, inputs)
    torch.testing.assert_close(poses.points[0], poses.points[1])
    loss = MODELS.build(dict(type='mmpose_ext.DannceConsistencyLoss'))
    assert loss(poses) == 0
    inputs['mirrored'] = torch.tensor([False, False])
    assert loss(pose_batch(points, points, inputs)) > 0


def test_a_name_that_the_head_uses_itself_is_refused():
    with pytest.raises(DataError, match='pose_losses.*points'):
        build(pose_losses=dict(points=dict(
            type='mmpose_ext.DannceConsistencyLoss')))


def test_a_loss_on_points_before_a_refinement_needs_one():
    with pytest.raises(ValueError, match='no refiner'):
        build(initial_loss=dict(type='mmpose_ext.DannceL1Loss'))
