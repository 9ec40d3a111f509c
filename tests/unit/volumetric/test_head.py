"""Heads: points of volumes whose answer is known."""
from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.head import voxel_of

SIDE, STEP = 16, 7.5
OFFSETS = torch.arange(SIDE) * STEP + STEP / 2 - 60


def build_head(kind: str, keypoints: int = 3, channels: int = 4,
               **settings: object) -> nn.Module:
    torch.manual_seed(0)
    head = MODELS.build(dict(
        type=f'mmpose_ext.Dannce{kind}Head', in_channels=channels,
        num_keypoints=keypoints, **settings))
    head.init_weights()
    return head


def grids(count: int) -> dict[str, Tensor]:
    """Grids at other places, turned about z, every second one mirrored."""
    angle = torch.linspace(.2, 3, count)
    axes = torch.eye(3).repeat(count, 1, 1)
    axes[:, 0, 0] = axes[:, 1, 1] = angle.cos()
    axes[:, 0, 1], axes[:, 1, 0] = -angle.sin(), angle.sin()
    axes[::2] = axes[::2] @ torch.diag(torch.tensor([1., -1., 1.]))
    centres = 100 * torch.arange(count).float()[:, None] + torch.tensor(
        [1., 2., 3.])
    return dict(centres=centres, axes=axes, offsets=OFFSETS)


def samples_of(*targets: Tensor) -> list[PoseDataSample]:
    samples = []
    for target in targets:
        sample = PoseDataSample(
            metainfo=dict(grid_centres=np.zeros((len(target), 3))))
        sample.gt_instance_labels = InstanceData(keypoints=target)
        samples.append(sample)
    return samples


@pytest.mark.parametrize('kind', ['Expectation', 'Max'])
def test_a_lit_voxel_is_found_in_the_world(kind):
    """Whatever the grid's place, turn and mirroring; always in absolute mm."""
    head = build_head(kind, keypoints=2, channels=2)
    with torch.no_grad():
        head.final_layer.weight.copy_(
            torch.eye(2)[:, :, None, None, None])
        head.final_layer.bias.zero_()
    inputs = grids(3)
    feats = torch.full((3, 2, SIDE, SIDE, SIDE), -60.)
    places = [[(2, 3, 4), (15, 0, 7)], [(8, 8, 8), (0, 0, 0)],
              [(5, 14, 1), (9, 2, 15)]]
    wanted = np.zeros((3, 2, 3))
    for volume, points in enumerate(places):
        for keypoint, (y, x, z) in enumerate(points):
            feats[volume, keypoint, y, x, z] = 60
            local = OFFSETS[[x, y, z]].double()
            wanted[volume, keypoint] = (
                inputs['centres'][volume].double()
                + inputs['axes'][volume].double() @ local)
    samples = samples_of(torch.zeros(1, 2, 3), torch.zeros(2, 2, 3))
    found = head.predict((feats, ), inputs, samples)
    assert [len(item.keypoints) for item in found] == [1, 2]
    points = np.concatenate([item.keypoints for item in found])
    np.testing.assert_allclose(points, wanted, atol=1e-4)
    for item in found:
        np.testing.assert_allclose(item.keypoint_scores, 1)
        np.testing.assert_allclose(item.spread_mm, 0, atol=1e-3)


def test_spread_tells_a_wide_volume_from_a_narrow_one():
    head = build_head('Expectation', keypoints=2, channels=2)
    with torch.no_grad():
        head.final_layer.weight.copy_(torch.eye(2)[:, :, None, None, None])
    y, x, z = torch.meshgrid(OFFSETS, OFFSETS, OFFSETS, indexing='ij')
    square = y**2 + x**2 + z**2
    feats = torch.stack([-square / (2 * 9**2), -square / (2 * 14**2)])[None]
    inputs = grids(1)
    inputs['axes'] = inputs['axes'] * 1.1  # mm are those of the world
    found, = head.predict((feats, ), inputs,
                          samples_of(torch.zeros(1, 2, 3)))
    # three axes of equal sigma
    np.testing.assert_allclose(
        found.spread_mm[0], 1.1 * np.sqrt(3) * np.array([9, 14]), rtol=2e-3)
    assert found.keypoint_scores[0, 0] > found.keypoint_scores[0, 1]


def test_loss_and_mpjpe_are_those_of_the_prediction():
    head = build_head('Expectation')
    feats = (torch.randn(3, 4, SIDE, SIDE, SIDE), )
    inputs, target = grids(3), 30 * torch.randn(3, 3, 3) + 100
    target[0, 1, 2] = target[2, 0] = math.nan
    samples = samples_of(target[:2], target[2:])
    losses = head.loss(feats, inputs, samples)
    points = np.concatenate(
        [item.keypoints for item in head.predict(feats, inputs, samples)])
    error = points - target.numpy()
    assert set(losses) == {'loss_points', 'mpjpe_mm'}
    assert losses['loss_points'].item() == pytest.approx(
        np.nanmean(np.abs(error)), rel=1e-5)
    assert losses['mpjpe_mm'].item() == pytest.approx(
        np.nanmean(np.linalg.norm(error, axis=-1)), rel=1e-5)
    assert not losses['mpjpe_mm'].requires_grad


@pytest.mark.parametrize('kind', ['Expectation', 'Max'])
def test_a_batch_without_labels_teaches_nothing_and_breaks_nothing(kind):
    head = build_head(kind)
    samples = samples_of(torch.full((2, 3, 3), math.nan))
    losses = head.loss((torch.randn(2, 4, SIDE, SIDE, SIDE), ), grids(2),
                       samples)
    assert 'mpjpe_mm' not in losses
    total = sum(losses.values())
    total.backward()
    assert total.item() == 0
    for parameter in head.parameters():
        assert not parameter.grad.any()


def test_another_skeleton_is_named():
    head = build_head('Expectation')
    with pytest.raises(DataError, match='num_keypoints.*same skeleton'):
        head.loss((torch.randn(1, 4, SIDE, SIDE, SIDE), ), grids(1),
                  samples_of(torch.zeros(1, 5, 3)))


@pytest.mark.parametrize('kind', ['Expectation', 'Max'])
def test_volumes_learn_where_the_keypoint_is(kind):
    """Free logits, pulled by the head's loss alone."""
    settings = {} if kind == 'Max' else dict(
        volume_loss=dict(type='mmpose_ext.DannceLikelihoodLoss'))
    head = build_head(kind, channels=3, **settings)
    nn.init.dirac_(head.final_layer.weight)  # logits pass unchanged
    nn.init.zeros_(head.final_layer.bias)
    logits = nn.Parameter(torch.full((1, 3, SIDE, SIDE, SIDE), -4.))
    inputs = grids(1)
    target = inputs['centres'][:, None] + torch.tensor(
        [[20., -11, 3], [-32, 4, 17], [0, 0, 0]])
    samples = samples_of(target)
    optimizer = torch.optim.Adam([logits], lr=.2)
    for _ in range(60):
        optimizer.zero_grad()
        losses = head.loss((logits, ), inputs, samples)
        sum(value for name, value in losses.items()
            if name.startswith('loss')).backward()
        optimizer.step()
    found, = head.predict((logits, ), inputs, samples)
    error = np.linalg.norm(found.keypoints - target.numpy(), axis=-1)
    # MAX can be off by half a voxel along every axis
    assert error.max() < (STEP / 2 * 3**.5 + .01 if kind == 'Max' else 1.)


@pytest.mark.parametrize('kind', ['Expectation', 'Max'])
def test_autocast_keeps_points_in_float32(kind):
    head = build_head(kind)
    feats, inputs = (torch.randn(1, 4, SIDE, SIDE, SIDE), ), grids(1)
    samples = samples_of(torch.zeros(1, 3, 3))
    exact, = head.predict(feats, inputs, samples)
    with torch.autocast('cpu', torch.bfloat16):
        found, = head.predict(feats, inputs, samples)
        losses = head.loss(feats, inputs, samples)
    assert found.keypoints.dtype == np.float32
    assert all(value.dtype == torch.float32 for value in losses.values())
    if kind == 'Expectation':
        np.testing.assert_allclose(
            found.keypoints, exact.keypoints, atol=.1)


def test_the_voxel_of_a_label_is_the_nearest():
    logits = torch.arange(SIDE**3).float().view(1, 1, SIDE, SIDE, SIDE)
    logits = logits.repeat(1, 4, 1, 1, 1)
    local = torch.tensor([[[-60., -56, 3.], [59.9, 0.1, -59.9],
                           [60.1, 0, 0], [math.nan, 0, 0]]])
    found, inside = voxel_of(logits, local, OFFSETS)
    assert inside.tolist() == [[True, True, False, False]]
    wanted = []
    for x, y, z in local[0, :2].tolist():
        place = [int(np.abs(OFFSETS.numpy() - value).argmin())
                 for value in (y, x, z)]
        wanted.append(np.ravel_multi_index(place, (SIDE, ) * 3))
    assert found[0, :2].tolist() == wanted


def test_max_begins_with_nearly_empty_voxels():
    head = build_head('Max')
    assert (head.final_layer.bias == -4).all()
    head = build_head('Expectation')
    assert not head.final_layer.bias.any()
