"""Volumetric 3D pose from several calibrated cameras."""
from __future__ import annotations

from mmpose_ext.volumetric.bone_losses import (
    DannceBoneLengthLoss,
    DannceBoneVectorLoss,
    DannceJointAngleLoss,
    DannceSymmetryLoss,
)
from mmpose_ext.volumetric.com_datasets import ComImageDataset
from mmpose_ext.volumetric.com_metric import ComMetric
from mmpose_ext.volumetric.com_network import ComUNet
from mmpose_ext.volumetric.com_peaks import ComSharedHeatmap
from mmpose_ext.volumetric.datasets import VolumetricPoseDataset
from mmpose_ext.volumetric.estimator import DannceEstimator
from mmpose_ext.volumetric.group_losses import (
    DannceConsistencyLoss,
    DanncePairRepulsionLoss,
    DannceSeparationLoss,
    DannceTemporalLoss,
)
from mmpose_ext.volumetric.head import DannceExpectationHead, DannceMaxHead
from mmpose_ext.volumetric.loss_hook import DannceLossHook
from mmpose_ext.volumetric.losses import (
    DannceHuberLoss,
    DannceL1Loss,
    DannceL2Loss,
)
from mmpose_ext.volumetric.metric import VolumetricMetric
from mmpose_ext.volumetric.mix_sampler import DannceMixSampler
from mmpose_ext.volumetric.network import DannceUNet
from mmpose_ext.volumetric.pose_graph import DanncePoseGraph
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
from mmpose_ext.volumetric.volume_losses import (
    DannceGaussianLoss,
    DannceGaussianRegLoss,
    DannceLikelihoodLoss,
    DannceVarianceLoss,
)

__all__ = [
    'ComImageDataset', 'ComMetric', 'ComSharedHeatmap', 'ComUNet',
    'ComVisualizer', 'DannceBoneLengthLoss', 'DannceBoneVectorLoss',
    'DannceConsistencyLoss', 'DannceCropToVolume', 'DannceEstimator',
    'DannceExpectationHead', 'DannceGaussianLoss', 'DannceGaussianRegLoss',
    'DannceHuberLoss', 'DannceJointAngleLoss', 'DannceL1Loss', 'DannceL2Loss',
    'DannceLikelihoodLoss', 'DannceLoadFrames', 'DannceLossHook',
    'DannceMaxHead', 'DannceMixSampler', 'DanncePackInputs',
    'DanncePairRepulsionLoss', 'DanncePoseGraph', 'DannceSeparationLoss',
    'DannceSymmetryLoss', 'DannceTemporalLoss', 'DannceTransferHook',
    'DannceUNet', 'DannceVarianceLoss', 'DannceViewPoolingStem',
    'VolumetricDataPreprocessor', 'VolumetricMetric', 'VolumetricPoseDataset',
    'VolumetricPoseVisualizer', 'VolumetricVisualizationHook'
]
