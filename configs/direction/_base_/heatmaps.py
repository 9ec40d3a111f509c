# A map of each point at half the image's size in place of two linear layers:
# 99,427 parameters, about a third of the error, at twice the cost.
_base_ = ['direction-cnn.py']
model = dict(
    backbone=dict(type='mmpose_ext.DirectionUNet'),
    head=dict(
        _delete_=True,
        type='mmpose_ext.DirectionHeatmapHead',
        in_channels=32,
        # the spread of a map becomes its honest uncertainty
        loss=dict(type='mmpose_ext.DirectionLikelihoodLoss'),
        angle_loss=dict(type='mmpose_ext.DirectionAngleLoss'),
        decoder=_base_.codec))
