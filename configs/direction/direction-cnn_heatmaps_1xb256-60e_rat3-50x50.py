# As the plain one, with a map for each point: about a third of the error and
# an honest uncertainty, at twice the cost.
_base_ = ['direction-cnn_1xb256-60e_rat3-50x50.py']
model = dict(
    backbone=dict(type='mmpose_ext.DirectionUNet'),
    head=dict(
        _delete_=True,
        type='mmpose_ext.DirectionHeatmapHead',
        in_channels=32,
        loss=dict(type='mmpose_ext.DirectionLikelihoodLoss'),
        angle_loss=dict(type='mmpose_ext.DirectionAngleLoss'),
        decoder=_base_.codec))
