"""Hands and the objects that they hold, from one photograph."""
from __future__ import annotations

from mmpose_ext.handobject.codec import HandObjectLabel
from mmpose_ext.handobject.collapse_monitor import (
    HandObjectCollapseMonitorHook,
)
from mmpose_ext.handobject.datasets import HandObjectDataset
from mmpose_ext.handobject.estimator import HandObjectEstimator
from mmpose_ext.handobject.head import HandObjectHead
from mmpose_ext.handobject.losses import (
    HandObjectAbsoluteLoss,
    HandObjectBoneLoss,
    HandObjectDepthLoss,
    HandObjectDiversityHingeLoss,
    HandObjectJointLimitLoss,
    HandObjectManoLoss,
    HandObjectMapLoss,
    HandObjectPixelLoss,
    HandObjectRelativeLoss,
    HandObjectRootDepthLoss,
    HandObjectUncertaintyLoss,
    HandObjectVarianceMatchLoss,
)
from mmpose_ext.handobject.mano import HandObjectManoLayer
from mmpose_ext.handobject.metric import HandObjectMetric
from mmpose_ext.handobject.network import HandObjectVit
from mmpose_ext.handobject.object_losses import (
    HandObjectCentreLoss,
    HandObjectCentreMapLoss,
    HandObjectContactLoss,
    HandObjectGraspLoss,
    HandObjectPenetrationLoss,
    HandObjectPointLoss,
    HandObjectPresenceLoss,
    HandObjectRotationLoss,
)
from mmpose_ext.handobject.transforms import (
    HandObjectOcclusion,
    HandObjectPackInputs,
    HandObjectRandomBBoxTransform,
    HandObjectTopdownView,
)
from mmpose_ext.handobject.visualizer import HandObjectVisualizer

__all__ = [
    'HandObjectAbsoluteLoss', 'HandObjectBoneLoss', 'HandObjectCentreLoss',
    'HandObjectCentreMapLoss', 'HandObjectCollapseMonitorHook',
    'HandObjectContactLoss', 'HandObjectDataset', 'HandObjectDepthLoss',
    'HandObjectDiversityHingeLoss', 'HandObjectEstimator',
    'HandObjectGraspLoss', 'HandObjectHead', 'HandObjectJointLimitLoss',
    'HandObjectLabel', 'HandObjectManoLayer', 'HandObjectManoLoss',
    'HandObjectMapLoss', 'HandObjectMetric', 'HandObjectOcclusion',
    'HandObjectPackInputs', 'HandObjectPenetrationLoss', 'HandObjectPixelLoss',
    'HandObjectPointLoss', 'HandObjectPresenceLoss',
    'HandObjectRandomBBoxTransform', 'HandObjectRelativeLoss',
    'HandObjectRootDepthLoss', 'HandObjectRotationLoss',
    'HandObjectTopdownView', 'HandObjectUncertaintyLoss',
    'HandObjectVarianceMatchLoss', 'HandObjectVisualizer', 'HandObjectVit'
]
