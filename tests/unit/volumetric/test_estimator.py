"""The estimator in its three modes, with a backbone of one layer."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError

SIDE, VIEWS, KEYPOINTS = 8, 2, 4


@MODELS.register_module(force=True)
class DannceOneLayer(nn.Module):
    """Stands for a network: one convolution, and views left out."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv3d(3 * VIEWS, 5, 1)

    def forward(self, volumes: Tensor,
                view_mask: Tensor | None = None) -> tuple[Tensor, ...]:
        if view_mask is not None:
            mask = view_mask.repeat_interleave(3, 1)
            volumes = volumes * mask[:, :, None, None, None]
        return (self.layer(volumes), )


MODEL = dict(
    type='mmpose_ext.DannceEstimator',
    backbone=dict(type='mmpose_ext.DannceOneLayer'),
    head=dict(type='mmpose_ext.DannceExpectationHead', in_channels=5,
              num_keypoints=KEYPOINTS))


def batch(individuals: tuple[int, ...] = (1, 2)
          ) -> tuple[dict[str, Tensor], list[PoseDataSample]]:
    count = sum(individuals)
    generator = torch.Generator().manual_seed(0)
    inputs = dict(
        volumes=torch.randn((count, 3 * VIEWS, SIDE, SIDE, SIDE),
                            generator=generator),
        centres=torch.zeros(count, 3),
        axes=torch.eye(3).repeat(count, 1, 1),
        offsets=torch.arange(SIDE) * 10. - 35,
        view_mask=torch.ones(count, VIEWS, dtype=torch.bool))
    samples = []
    for number in individuals:
        sample = PoseDataSample(
            metainfo=dict(grid_centres=np.zeros((number, 3))))
        sample.gt_instance_labels = InstanceData(
            keypoints=torch.ones(number, KEYPOINTS, 3))
        samples.append(sample)
    return inputs, samples


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return MODELS.build(MODEL)


def test_tensor_mode_gives_logits(model):
    inputs, samples = batch()
    logits = model(inputs, samples, mode='tensor')
    assert logits.shape == (3, KEYPOINTS, SIDE, SIDE, SIDE)


def test_loss_mode_logs_the_error_and_trains_every_parameter(model):
    losses = model(*batch(), mode='loss')
    total, logged = model.parse_losses(losses)
    assert logged['loss'] == losses['loss_points']
    assert logged['mpjpe_mm'] > 0
    total.backward()
    assert all(parameter.grad is not None
               for parameter in model.parameters())


def test_predict_mode_gives_each_sample_its_individuals(model):
    inputs, samples = batch((2, 1))
    found = model(inputs, samples, mode='predict')
    assert [sample.pred_instances.keypoints.shape for sample in found] == [
        (2, KEYPOINTS, 3), (1, KEYPOINTS, 3)]
    for sample in found:
        assert sample.pred_instances.keypoint_scores.shape == (
            len(sample.pred_instances), KEYPOINTS)
        assert (sample.pred_instances.spread_mm > 0).all()


def test_views_that_are_masked_reach_the_backbone(model):
    inputs, samples = batch()
    whole = model(inputs, samples, mode='tensor')
    inputs['view_mask'][:, 1] = False
    masked = model(inputs, samples, mode='tensor')
    assert not torch.allclose(whole, masked)
    del inputs['view_mask']
    torch.testing.assert_close(model(inputs, samples, mode='tensor'), whole)


@pytest.mark.parametrize('name', ['train_cfg', 'test_cfg'])
def test_a_setting_that_nothing_reads_is_an_error(name):
    with pytest.raises(DataError, match=f'model.{name}.*flip_test'):
        MODELS.build({**MODEL, name: dict(flip_test=True)})


@pytest.mark.parametrize('together', [False, True])
def test_a_graph_between_animals_needs_them_turned_alike(together):
    def build():
        MODELS.build(dict(
            MODEL, head=dict(
                type='mmpose_ext.DannceExpectationHead', in_channels=(5, ),
                num_keypoints=23, refiner=dict(
                    type='mmpose_ext.DanncePoseGraph', skeleton='rat23',
                    hidden=8, layers=1, fuse_channels=8,
                    between_animals=True)),
            data_preprocessor=dict(
                type='mmpose_ext.VolumetricDataPreprocessor',
                grid=dict(vmin=-40., vmax=40., nvox=8),
                augment=dict(rotate='any', together=together))))

    if together:
        build()
    else:
        with pytest.raises(DataError, match='together: expected True'):
            build()


@pytest.mark.parametrize('part, change, message', [
    ('head', dict(in_channels=8), r'in_channels: expected the last of '
     r'\(8, 4\).* found \(8,\)'),
    ('head', dict(in_channels=(16, 8, 4)), 'in_channels'),
    ('backbone', dict(num_views=3), '3 views of 3, found 6'),
    ('data_preprocessor', dict(mono=True), '2 views of 3, found 2'),
    ('data_preprocessor', dict(grid=dict(vmin=-40., vmax=40., nvox=6)),
     'a multiple of 4, found 6'),
    (None, {}, None)])
def test_parts_that_do_not_fit_together_are_refused_at_once(part, change,
                                                            message):
    parts = dict(
        type='mmpose_ext.DannceEstimator',
        data_preprocessor=dict(
            type='mmpose_ext.VolumetricDataPreprocessor', num_views=VIEWS,
            grid=dict(vmin=-40., vmax=40., nvox=8)),
        backbone=dict(type='mmpose_ext.DannceUNet', num_views=VIEWS,
                      size=(4, 8, 8)),
        head=dict(type='mmpose_ext.DannceExpectationHead', in_channels=4,
                  num_keypoints=KEYPOINTS))
    if part is None:
        MODELS.build(parts)
        return
    parts[part].update(change)
    with pytest.raises(DataError, match=message):
        MODELS.build(parts)
