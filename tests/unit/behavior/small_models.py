"""Configs and untrained weights of small models for tracks."""
from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config

from mmpose_ext.registry import MODELS

from .track_files import INDIVIDUALS, KEYPOINTS

CLASSES = ['attack', 'rest', 'other']
CONFIG = """
custom_imports = dict(imports=['mmpose_ext.behavior'])
model = dict(
    type='mmpose_ext.LisbetModel',
    data_preprocessor=dict(
        type='mmpose_ext.LisbetPreprocessor', keypoints=3,
        features=('pose', 'motion'), body_axis=(2, 0)),
    backbone=dict(
        type='mmpose_ext.LisbetTransformer', in_channels=18, embed_dims=8,
        num_layers=1, num_heads=2, hidden_channels=16, max_length=16),
    window_offset=5,
    heads=dict({task}))
test_dataloader = dict(dataset=dict(
    type='mmpose_ext.LisbetWindowDataset', data_root='nowhere',
    tasks='{name}', window_size=16, window_offset=5, data_filter='none',
    annotation_format='auto'))
"""
WINDOW = ("cons=dict(type='mmpose_ext.LisbetWindowHead', in_channels=8, "
          'hidden_channels=8)')
FRAME = ("multiclass=dict(type='mmpose_ext.LisbetFrameHead', in_channels=8, "
         'hidden_channels=None, num_classes=3)')


def write_models(folder: Path) -> None:
    """Write ``window`` and ``frame``, each with ``.py`` and ``.pth``."""
    for name, task, head in (('window', 'cons', WINDOW),
                             ('frame', 'multiclass', FRAME)):
        (folder / f'{name}.py').write_text(CONFIG.format(task=head,
                                                         name=task))
        config = Config.fromfile(folder / f'{name}.py')
        torch.manual_seed(0)
        model = MODELS.build(config.model)
        torch.save(dict(state_dict=model.state_dict(), meta=dict(
            dataset_meta=dict(
                classes=CLASSES, axes=['x', 'y'],
                individuals=list(INDIVIDUALS),
                keypoint_id2name=dict(enumerate(KEYPOINTS))))),
            folder / f'{name}.pth')
