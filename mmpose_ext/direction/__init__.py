"""Rat direction tagger: base, neck and head of an animal seen from above.

Importing the package registers its classes.
"""
from __future__ import annotations

from mmpose_ext.direction.codec import CenteredRegressionLabel
from mmpose_ext.direction.datasets import DirectionDataset
from mmpose_ext.direction.estimator import DirectionEstimator
from mmpose_ext.direction.head import (
                                       DirectionHeatmapHead,
                                       DirectionRegressionHead,
)
from mmpose_ext.direction.losses import (
                                       DirectionAngleLoss,
                                       DirectionLikelihoodLoss,
                                       DirectionPointLoss,
)
from mmpose_ext.direction.metric import DirectionMetric
from mmpose_ext.direction.network import DirectionCNN, DirectionUNet
from mmpose_ext.direction.report import DirectionReportHook
from mmpose_ext.direction.transforms import BatchDirectionAugment
from mmpose_ext.direction.visualizer import DirectionVisualizer

__all__ = [
    'BatchDirectionAugment', 'CenteredRegressionLabel', 'DirectionAngleLoss',
    'DirectionCNN', 'DirectionDataset', 'DirectionEstimator',
    'DirectionHeatmapHead', 'DirectionLikelihoodLoss', 'DirectionMetric',
    'DirectionPointLoss', 'DirectionRegressionHead',
    'DirectionReportHook', 'DirectionUNet', 'DirectionVisualizer'
]
