"""Horse pose: 26 points of a horse in a picture.

Importing the package registers its classes.
"""
from __future__ import annotations

from mmpose_ext.equine.datasets import HorsePoseDataset
from mmpose_ext.equine.losses import HorseKLDiscretLoss
from mmpose_ext.equine.metric import HorseCocoMetric, HorseKeypointMetric
from mmpose_ext.equine.transfer import HorseTransferHook
from mmpose_ext.equine.transforms import (
    HorseBlur,
    HorseCoarseDropout,
    HorseGaussNoise,
    HorseOcclusion,
    HorsePhotometricDistortion,
    HorseRandomFlip,
)
from mmpose_ext.equine.visualizer import HorsePoseVisualizer

__all__ = [
    'HorseBlur', 'HorseCoarseDropout', 'HorseCocoMetric',
    'HorseGaussNoise', 'HorseKLDiscretLoss', 'HorseKeypointMetric',
    'HorseOcclusion', 'HorsePhotometricDistortion', 'HorsePoseDataset',
    'HorsePoseVisualizer', 'HorseRandomFlip', 'HorseTransferHook'
]
