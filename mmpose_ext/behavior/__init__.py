"""Self-supervised transformer on pose tracks, and what it is for.

Importing the package registers its classes.
"""
from __future__ import annotations

from mmpose_ext.behavior.convolutional import LisbetTCN
from mmpose_ext.behavior.datasets import LisbetWindowDataset
from mmpose_ext.behavior.estimator import (
    LisbetClassBalanceHook,
    LisbetModel,
)
from mmpose_ext.behavior.head import LisbetFrameHead, LisbetWindowHead
from mmpose_ext.behavior.losses import (
    LisbetBinaryLoss,
    LisbetClassLoss,
    LisbetMultilabelLoss,
)
from mmpose_ext.behavior.metric import LisbetMetric
from mmpose_ext.behavior.network import LisbetTransformer
from mmpose_ext.behavior.predictive import (
    LisbetContrastTask,
    LisbetForecastTask,
    LisbetMaskedTask,
)
from mmpose_ext.behavior.predictive_head import (
    LisbetContrastHead,
    LisbetForecastHead,
    LisbetReconstructionHead,
)
from mmpose_ext.behavior.preprocessor import (
    LisbetPreprocessor,
    LisbetStandardizeHook,
)
from mmpose_ext.behavior.pretext import (
    LisbetConsistencyTask,
    LisbetOrderTask,
    LisbetShiftTask,
    LisbetWarpTask,
)
from mmpose_ext.behavior.recurrent import LisbetLSTM
from mmpose_ext.behavior.report import LisbetReportHook
from mmpose_ext.behavior.samplers import LisbetStreamSampler
from mmpose_ext.behavior.tasks import LisbetFrameTask
from mmpose_ext.behavior.visualizer import (
    LisbetVisualizationHook,
    LisbetVisualizer,
)

__all__ = [
    'LisbetBinaryLoss', 'LisbetClassBalanceHook', 'LisbetClassLoss',
    'LisbetConsistencyTask', 'LisbetContrastHead', 'LisbetContrastTask',
    'LisbetForecastHead', 'LisbetForecastTask', 'LisbetFrameHead',
    'LisbetFrameTask', 'LisbetLSTM', 'LisbetMaskedTask', 'LisbetMetric',
    'LisbetModel', 'LisbetMultilabelLoss', 'LisbetOrderTask',
    'LisbetPreprocessor', 'LisbetReconstructionHead', 'LisbetReportHook',
    'LisbetShiftTask', 'LisbetStandardizeHook', 'LisbetStreamSampler',
    'LisbetTCN', 'LisbetTransformer', 'LisbetVisualizationHook',
    'LisbetVisualizer', 'LisbetWarpTask', 'LisbetWindowDataset',
    'LisbetWindowHead'
]
