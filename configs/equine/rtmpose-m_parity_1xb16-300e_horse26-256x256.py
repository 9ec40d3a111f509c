# The published recipe with its intended numbers: early layers frozen, middle
# ones at 1e-4, the last stage and the head at 1e-3, one augmentation for the
# whole run. Unlike as published they hold to the end: eta_min_ratio keeps the
# rates apart, freezing is freezing, norms and biases do not decay.
_base_ = ['_base_/rtmpose-m.py']
pretrained = 'checkpoints/rtmpose-m_simcc-ap10k_pt-aic-coco_210e-256x256-' \
    '7a041aa1_20230206.pth'

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmpose_ext.StageWiseOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=4e-3, weight_decay=0.05),
    paramwise_cfg=dict(
        # stem and stage1 are frozen below
        stage_lrs=dict(stage2=0.025, stage3=0.025, stage4=0.25, head=0.25),
        norm_decay_mult=0.,
        bias_decay_mult=0.))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-5, by_epoch=False, begin=0,
         end=1000),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.05, begin=1,
         by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(dynamic_intervals=None)
auto_scale_lr = dict(base_batch_size=256)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmpose_ext.HorseTransferHook', parts=['backbone']),
    dict(type='mmpose_ext.StageLRHook'),
    dict(type='mmpose_ext.FreezeHook',
         patterns=['backbone.stem', 'backbone.stage1']),
    dict(type='EMAHook', ema_type='mmpose_ext.LerpExpMomentumEMA',
         momentum=2e-4, update_buffers=True, priority=49),
]
