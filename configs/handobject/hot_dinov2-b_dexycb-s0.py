# DINOv2-B: a quarter of L's weights, for one small GPU.
_base_ = ['_base_/three_stages.py']

model = dict(
    backbone=dict(
        arch='base',
        init_cfg=dict(
            checkpoint='checkpoints/vit-base-p14_dinov2-pre_3rdparty_'
            '20230426-ba246503.pth')),
    head=dict(in_channels=768))
custom_hooks = [
    *_base_.custom_hooks,
    _base_.loss_schedule,
    dict(type='mmpose_ext.GradualUnfreezeHook', phases=_base_.phases,
         always_frozen=[f'layer{depth}' for depth in range(7)]),
    dict(type='mmpose_ext.AutoEMAHook')]
