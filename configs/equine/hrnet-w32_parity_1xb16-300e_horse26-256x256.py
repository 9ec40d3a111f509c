# The published recipe: one rate for all layers, no decay, one augmentation
# for the whole run. Unlike as published the weights are really loaded.
_base_ = ['_base_/hrnet-w32.py']
pretrained = 'checkpoints/hrnet_w32_ap10k_256x256-18aac840_20211029.pth'

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=5e-4, weight_decay=0.))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-5, by_epoch=False, begin=0,
         end=1000),
    dict(type='CosineAnnealingLR', eta_min=2.5e-5, begin=1, by_epoch=True,
         convert_to_iter_based=True),
]
train_cfg = dict(dynamic_intervals=None)
auto_scale_lr = dict(base_batch_size=256)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmpose_ext.HorseTransferHook', parts=['backbone']),
    dict(type='mmpose_ext.StageLRHook'),
    dict(type='EMAHook', ema_type='mmpose_ext.LerpExpMomentumEMA',
         momentum=2e-4, update_buffers=True, priority=49),
]
