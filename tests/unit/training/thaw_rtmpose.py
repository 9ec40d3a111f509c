"""Trains a thin RTMPose of MMPose's own parts through four phases.

Run by a test as one process or as several: ``thaw_rtmpose.py FOLDER
[--launcher pytorch]``. Each process writes ``<processes>_<rank>.pth``.
"""
from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import InstanceData, PixelData  # noqa: F401
from mmpose.structures import PoseDataSample
from torch import Tensor

from mmpose_ext.registry import DATASETS
from mmpose_ext.training import bare_model

KEYPOINTS, SIDE = 5, 64
STAGES = ('stem', 'stage1', 'stage2', 'stage3', 'stage4', 'head')


@DATASETS.register_module()
class NoiseDataset(torch.utils.data.Dataset):
    """Images of noise, each with labels of its own."""

    metainfo = dict(dataset_name='noise')

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict:
        generator = torch.Generator().manual_seed(index)
        labels = torch.rand(2, KEYPOINTS, 2 * SIDE, generator=generator)
        labels = (8 * labels).softmax(-1)
        sample = PoseDataSample(
            gt_instance_labels=InstanceData(
                keypoint_x_labels=labels[:1], keypoint_y_labels=labels[1:],
                keypoint_weights=torch.ones(1, KEYPOINTS)))
        image = torch.randint(256, (3, SIDE, SIDE), generator=generator)
        return dict(inputs=image.to(torch.uint8), data_samples=sample)


class PhaseWatch(Hook):
    """Notes which stages each epoch changes, and counts the wrappers."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.moved: list[list[str]] = []
        self.gathered: list[list[str]] = []
        self.wrappers: list[int] = []

    def before_run(self, runner: Runner) -> None:
        self.last = runner.model

    def before_train_epoch(self, runner: Runner) -> None:
        self.wrappers.append(runner.model is not self.last)
        self.last = runner.model
        self.before = self._copy(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        changed = {key for key, value in self._copy(runner).items()
                   if not torch.equal(value, self.before[key])}
        statistics = {key for key in changed if 'running' in key}
        self.moved.append(self._stages(changed - statistics))
        self.gathered.append(self._stages(statistics))

    @staticmethod
    def _copy(runner: Runner) -> dict[str, Tensor]:
        return {key: value.clone() for key, value in
                bare_model(runner.model).state_dict().items()
                if 'tracked' not in key}

    @staticmethod
    def _stages(keys: set[str]) -> list[str]:
        return sorted({next((stage for stage in STAGES if f'.{stage}.' in key),
                            'head') for key in keys})


def model() -> dict[str, Any]:
    norm = dict(type='BN')
    codec = dict(type='SimCCLabel', input_size=(SIDE, SIDE), sigma=(3., 3.),
                 simcc_split_ratio=2., normalize=False, use_dark=False)
    return dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[128.] * 3,
                               std=[60.] * 3),
        backbone=dict(
            type='CSPNeXt', arch='P5', deepen_factor=.1, widen_factor=.125,
            out_indices=(4, ), norm_cfg=norm, act_cfg=dict(type='SiLU')),
        head=dict(
            type='RTMCCHead', in_channels=128, out_channels=KEYPOINTS,
            input_size=(SIDE, SIDE), in_featuremap_size=(2, 2),
            simcc_split_ratio=2., final_layer_kernel_size=1,
            gau_cfg=dict(hidden_dims=32, s=16, expansion_factor=2,
                         dropout_rate=0., drop_path=0., act_fn='SiLU',
                         use_rel_bias=False, pos_enc=False),
            loss=dict(type='KLDiscretLoss', use_target_weight=True, beta=1.,
                      label_softmax=True),
            decoder=codec))


def config(folder: Path, processes: int) -> Config:
    return Config(dict(
        model=model(),
        train_dataloader=dict(
            batch_size=4 // processes, num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='mmpose_ext.NoiseDataset')),
        train_cfg=dict(by_epoch=True, max_epochs=4),
        optim_wrapper=dict(
            clip_grad=dict(max_norm=10.),
            optimizer=dict(type='SGD', lr=.01, momentum=.9)),
        custom_hooks=[dict(
            type='mmpose_ext.GradualUnfreezeHook',
            always_frozen=['stem', 'stage1'],
            phases=[dict(begin=0., trainable=['head', 'backbone.stage4']),
                    dict(begin=.25, trainable=['+stage3', '+stage2'],
                         step_epochs=1),
                    dict(begin=.75, trainable=['head'])])],
        default_hooks=dict(checkpoint=None, logger=None),
        sync_bn='torch',
        model_wrapper_cfg=dict(
            type='mmpose_ext.AnyDeviceDistributedDataParallel'),
        launcher='pytorch' if processes > 1 else 'none',
        randomness=dict(seed=3),
        visualizer=dict(type='Visualizer', vis_backends=[]),
        default_scope='mmpose',
        experiment_name=f'thaw{processes}',
        work_dir=str(folder / f'run{processes}')))


def main() -> None:
    torch.set_num_threads(1)
    folder, rank = Path(sys.argv[1]), os.environ['RANK']
    processes = int(os.environ['WORLD_SIZE'])
    runner = Runner.from_cfg(config(folder, processes))
    watch = PhaseWatch()
    runner.register_hook(watch)
    runner.train()
    torch.save(
        dict(moved=watch.moved, gathered=watch.gathered,
             rebuilt=sum(watch.wrappers),
             state=bare_model(runner.model).state_dict()),
        folder / f'{processes}_{rank}.pth')


if __name__ == '__main__':
    main()
