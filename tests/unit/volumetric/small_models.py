"""Configs and untrained weights of small models for recordings."""
from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import save_checkpoint

from mmpose_ext.registry import DATASETS, MODELS

from .recording_files import write_recording

CONFIG = '''
default_scope = 'mmpose'
custom_imports = dict(imports=['mmpose_ext.volumetric'])
grid = dict(vmin=-60., vmax=60., nvox=16)
model = dict(
    type='mmpose_ext.DannceEstimator',
    data_preprocessor=dict(
        type='mmpose_ext.VolumetricDataPreprocessor', grid=grid),
    backbone=dict(
        type='mmpose_ext.DannceUNet', num_views=3, size=(4, 4, 4, 4)),
    head=dict(
        type='mmpose_ext.DannceExpectationHead', in_channels=4,
        num_keypoints=16))
test_dataloader = dict(dataset=dict(
    type='mmpose_ext.VolumetricPoseDataset', data_root={root!r},
    recordings=['day'], skeleton='rat16', test_mode=True,
    pipeline=[
        dict(type='mmpose_ext.DannceLoadFrames'),
        dict(type='mmpose_ext.DannceCropToVolume', **{crop}),
        dict(type='mmpose_ext.DanncePackInputs')]))
'''
CROP = dict(reach_mm=60.)


def write_pose_model(root: Path) -> dict[str, Path]:
    """A recording, a config and weights; ``recording``, ``config`` ..."""
    recording = write_recording(root / 'day')
    path = root / 'config.py'
    path.write_text(CONFIG.format(root=str(root), crop=CROP))
    config = Config.fromfile(path)
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    data = DATASETS.build(config.test_dataloader.dataset)
    save_checkpoint(
        dict(state_dict=model.state_dict(),
             meta=dict(dataset_meta=data.metainfo)), str(root / 'a.pth'))
    return dict(root=root, recording=recording, config=path,
                checkpoint=root / 'a.pth')
