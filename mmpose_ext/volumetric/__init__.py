"""Volumetric 3D pose from several calibrated cameras."""
from __future__ import annotations

from mmpose_ext.volumetric.com_datasets import ComImageDataset
from mmpose_ext.volumetric.com_metric import ComMetric
from mmpose_ext.volumetric.com_network import ComUNet
from mmpose_ext.volumetric.datasets import VolumetricPoseDataset
from mmpose_ext.volumetric.estimator import DannceEstimator
from mmpose_ext.volumetric.head import DannceExpectationHead, DannceMaxHead
from mmpose_ext.volumetric.losses import (
    DannceGaussianLoss,
    DannceL1Loss,
    DannceL2Loss,
    DannceLikelihoodLoss,
)
from mmpose_ext.volumetric.metric import VolumetricMetric
from mmpose_ext.volumetric.network import DannceUNet
from mmpose_ext.volumetric.preprocessor import VolumetricDataPreprocessor
from mmpose_ext.volumetric.stem import DannceViewPoolingStem
from mmpose_ext.volumetric.transfer import DannceTransferHook
from mmpose_ext.volumetric.transforms import (
    DannceCropToVolume,
    DannceLoadFrames,
    DanncePackInputs,
)
from mmpose_ext.volumetric.visualizer import (
    ComVisualizer,
    VolumetricPoseVisualizer,
    VolumetricVisualizationHook,
)

__all__ = [
    'ComImageDataset', 'ComMetric', 'ComUNet', 'ComVisualizer',
    'DannceCropToVolume', 'DannceEstimator', 'DannceExpectationHead',
    'DannceGaussianLoss', 'DannceL1Loss', 'DannceL2Loss',
    'DannceLikelihoodLoss', 'DannceLoadFrames', 'DannceMaxHead',
    'DanncePackInputs',
    'DannceTransferHook', 'DannceUNet', 'DannceViewPoolingStem',
    'VolumetricDataPreprocessor', 'VolumetricMetric', 'VolumetricPoseDataset',
    'VolumetricPoseVisualizer', 'VolumetricVisualizationHook'
]
