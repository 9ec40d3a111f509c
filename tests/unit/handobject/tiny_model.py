"""A config with a network of a few thousand weights, and what stands in."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmpose_ext.registry import MODELS

SIDE = 64
DEPTH = .6  # m, where the stand-in puts everything

_TEXT = f'''
default_scope = 'mmpose'
custom_imports = dict(imports=['mmpose_ext.handobject'])
codec = dict(type='mmpose_ext.HandObjectLabel', input_size=({SIDE}, {SIDE}))
model = dict(
    type='mmpose_ext.HandObjectEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[120., 120, 120],
        std=[60., 60, 60], bgr_to_rgb=True),
    backbone=dict(
        type='mmpose_ext.HandObjectVit', img_size={SIDE}, patch_size=16,
        arch=dict(embed_dims=16, depth=1, num_heads=2), layer_scale=1.),
    head=dict(
        type='mmpose_ext.HandObjectHead', in_channels=16,
        input_size=({SIDE}, {SIDE}), embed_dims=16, num_layers=1,
        num_heads=2, refiner=dict(steps=1), decoder=codec))
test_dataloader = dict(
    num_workers=0, batch_size=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmpose_ext.HandObjectDataset', data_root='{{root}}',
        ann_file='index/s1_train.npz', test_mode=True, pipeline=[
            dict(type='LoadImage'),
            dict(type='GetBBoxCenterScale', padding=1.5),
            dict(type='mmpose_ext.HandObjectTopdownView',
                 input_size={SIDE}),
            dict(type='GenerateTarget', encoder=codec),
            dict(type='mmpose_ext.HandObjectPackInputs')]))
'''


def write_config(folder: Path, root: Path | str = '') -> Path:
    """Write the config; its data set lies below `root`."""
    path = folder / 'tiny.py'
    path.write_text(_TEXT.replace('{root}', str(root)))
    return path


def save_checkpoint(config: Path, path: Path) -> Path:
    """Write weights that nobody trained."""
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


class CentreModel:
    """Stands in for a trained model: finds all in the crop's middle.

    Objects look straight ahead of the view; the one of class 4 is there and
    held, and joints of even numbers touch it.
    """

    def test_step(self, batch: dict[str, Any]) -> Sequence[Any]:
        """Fill ``pred_instances`` of a batch."""
        for sample in batch['data_samples']:
            back = np.asarray(sample.view_rotation, np.float64).T
            mesh = np.diag([-1. if sample.mirrored else 1., 1, 1])
            middle = np.full(2, (SIDE - 1) / 2)
            ray = np.linalg.solve(sample.view_camera, [*middle, 1.])
            place = back @ (DEPTH * ray / ray[2])
            pixel = np.linalg.solve(sample.pixel_map, [*middle, 1.])
            scores = np.full((1, 21), .1, np.float32)
            scores[0, 4] = .9
            sample.pred_instances = InstanceData(
                keypoints=np.tile(pixel[:2] / pixel[2], (1, 21, 1)),
                keypoint_scores=np.full((1, 21), .8),
                keypoints_cam=np.tile(place, (1, 21, 1)),
                object_rotations=np.tile(back @ mesh, (1, 21, 1, 1)),
                object_translations=np.tile(place, (1, 21, 1)),
                object_scores=scores, grasped_scores=scores,
                contact_scores=(np.arange(21) % 2 == 0)[None].astype(float))
        return batch['data_samples']
