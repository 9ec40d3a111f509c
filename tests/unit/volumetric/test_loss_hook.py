"""Losses learn of skeleton and labels before the first step."""
from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from torch import nn
from torch.utils.data import ConcatDataset, Dataset, Subset

from mmpose_ext.registry import HOOKS, MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.training import SeededDataset
from mmpose_ext.volumetric.body_plan import BodyPlan
from mmpose_ext.volumetric.bone_losses import (
    DannceBoneLengthLoss,
    DannceSymmetryLoss,
)
from mmpose_ext.volumetric.loss_hook import DannceLossHook, training_labels
from mmpose_ext.volumetric.mix_sampler import DannceMixSampler
from mmpose_ext.volumetric.pose_losses import PoseLoss
from mmpose_ext.volumetric.skeletons import build_metainfo

NAMES = ('head', 'kneeL', 'kneeR')


class LabelledToy(Dataset):
    """Poses of a size, without pictures."""

    chunk_length = num_individuals = 1
    recordings = (SimpleNamespace(cameras=range(4)), )

    def __init__(self, size: float, count: int = 4,
                 names: tuple[str, ...] = NAMES) -> None:
        self.data_root = f'size{size:g}'
        self.metainfo = build_metainfo('toy', names, [(0, 1), (0, 2)])
        self.poses = np.zeros((count, 3, 3))
        self.poses[:, 1, 0] = self.poses[:, 2, 1] = size

    def __len__(self) -> int:
        return len(self.poses)

    def __getitem__(self, index: int) -> dict:
        return dict(index=index)

    def labelled_poses(self) -> np.ndarray:
        return self.poses


class Refiner(nn.Module):
    """Wants to know the skeleton alone."""

    def prepare(self, plan: BodyPlan) -> None:
        self.plan = plan


def model_with(**parts: nn.Module) -> nn.Module:
    model = nn.Module()
    model.head = nn.ModuleDict(parts)
    return model


def runner_of(model: nn.Module, dataset: Dataset) -> SimpleNamespace:
    lines: list[str] = []
    return SimpleNamespace(
        model=model, cfg=Config(), lines=lines,
        logger=SimpleNamespace(info=lines.append),
        train_dataloader=SimpleNamespace(
            dataset=dataset, batch_size=6,
            sampler=DannceMixSampler.__new__(DannceMixSampler)))


def run(model: nn.Module, dataset: Dataset) -> list[str]:
    runner = runner_of(model, dataset)
    hook = HOOKS.build(dict(type='mmpose_ext.DannceLossHook'))
    assert isinstance(hook, DannceLossHook)
    hook.before_train(runner)
    return runner.lines


def test_every_part_is_told_what_it_asks_for():
    model = model_with(bones=DannceBoneLengthLoss('labels'),
                       sides=DannceSymmetryLoss(), plain=PoseLoss(),
                       refiner=Refiner(), other=nn.Linear(2, 2))
    lines = run(model, LabelledToy(10.))
    assert lines == ['head.bones: 2 bones, 10 to 10 mm, from 4 labels',
                     'head.sides: 1 pairs of bones']
    assert model.head['refiner'].plan.names == NAMES


def test_a_model_without_such_parts_needs_no_labels():
    assert run(model_with(other=nn.Linear(2, 2)), [1, 2]) == []


@pytest.mark.parametrize('wrap', [
    SeededDataset, lambda data: Subset(data, [0, 1]),
    lambda data: ConcatDataset([data, Subset(SeededDataset(data), [0])])])
def test_wrapped_data_sets_are_found(wrap):
    plan, labels, file = training_labels(wrap(LabelledToy(10.)), 'config')
    assert plan.link_names == ('head-kneeL', 'head-kneeR')
    assert labels.shape == (4, 3, 3) and file == 'size10'


def test_labels_of_all_parts_are_joined():
    _, labels, file = training_labels(
        ConcatDataset([LabelledToy(10.), LabelledToy(20., 3)]), 'config')
    assert labels[:, 1, 0].tolist() == [10.] * 4 + [20.] * 3
    assert file == 'size10, size20'


def test_other_data_sets_are_an_error():
    with pytest.raises(DataError, match='labelled poses, found list'):
        run(model_with(sides=DannceSymmetryLoss()), [1, 2])


def test_unlike_skeletons_are_an_error():
    other = LabelledToy(5., names=('head', 'footL', 'footR'))
    with pytest.raises(DataError, match='size5: skeleton'):
        training_labels(ConcatDataset([LabelledToy(10.), other]), 'config')


def test_an_average_of_the_model_keeps_its_buffers():
    """Stock averages pair buffers by their order, which must not change."""
    model = model_with(bones=DannceBoneLengthLoss('labels'),
                       norm=nn.BatchNorm1d(3))
    runner = runner_of(model, LabelledToy(10.))
    runner._resume, runner.iter = False, 0
    ema = EMAHook(momentum=.5)
    ema.before_run(runner)
    run(model, LabelledToy(10.))
    model.head['norm'].running_mean.fill_(7.)
    for _ in range(2):
        ema.ema_model.update_parameters(model)
    average = ema.ema_model.module.head['norm']
    assert torch.equal(average.running_mean, torch.full((3, ), 7.))
    assert list(model.state_dict()) == list(
        ema.ema_model.module.state_dict())


@pytest.mark.parametrize('loss, setting', [
    ('Consistency', 'data_preprocessor.copies'),
    ('Temporal', 'dataset.chunk_length'),
    ('PairRepulsion', 'dataset.num_individuals')])
def test_a_loss_that_would_always_be_0_is_refused(loss, setting):
    """It compares copies, frames or animals, and there is one of them."""
    many = {'data_preprocessor.copies': dict(copies=2),
            'dataset.chunk_length': dict(chunk_length=3),
            'dataset.num_individuals': dict(num_individuals=2)}
    for found in ({}, many[setting]):
        model = model_with(some=MODELS.build(dict(
            type=f'mmpose_ext.Dannce{loss}Loss')))
        copies = found.get('copies', 1)
        model.data_preprocessor = SimpleNamespace(
            copies=SimpleNamespace(labelled=1, unlabelled=copies))
        dataset = LabelledToy(10.)
        vars(dataset).update(found)
        if found:
            run(model, dataset)
        else:
            with pytest.raises(DataError, match=f'{setting}: expected 2 or '
                               'more, for model.head.some compares'):
                run(model, dataset)


def test_runs_of_frames_need_a_sampler_that_keeps_them_together():
    model = model_with(motion=MODELS.build(dict(
        type='mmpose_ext.DannceTemporalLoss')))
    runner = runner_of(model, LabelledToy(10.))
    runner.train_dataloader.sampler = object()
    with pytest.raises(DataError, match='sampler: expected .*MixSampler'):
        DannceLossHook().before_train(runner)


def test_a_batch_that_tears_runs_of_frames_is_refused_before_training():
    dataset = LabelledToy(10.)
    dataset.chunk_length = 4
    with pytest.raises(DataError, match='multiple of chunk_length=4, found 6'):
        run(nn.Module(), dataset)


def test_a_network_for_other_cameras_is_refused_before_training():
    model = MODELS.build(dict(
        type='mmpose_ext.DannceEstimator',
        data_preprocessor=dict(
            type='mmpose_ext.VolumetricDataPreprocessor',
            grid=dict(vmin=-40., vmax=40., nvox=8)),
        backbone=dict(type='mmpose_ext.DannceUNet', num_views=3,
                      size=(4, 4)),
        head=dict(type='mmpose_ext.DannceExpectationHead', in_channels=4,
                  num_keypoints=3)))
    with pytest.raises(DataError, match='expected 3 views of 3, found 12'):
        run(model, LabelledToy(10.))
