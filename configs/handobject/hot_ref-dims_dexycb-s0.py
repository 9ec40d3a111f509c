# The dimensions and the training of the original: a decoder as wide as
# DINOv2-L, ten layers of 16 heads, one rate with restarts, batches of 32
# gathered from two, an average of .999. Its losses are this family's.
_base_ = ['_base_/hot.py']

model = dict(
    backbone=dict(drop_path=0., frozen_stages=12),
    head=dict(embed_dims=1024, num_layers=10, num_heads=16))
train_dataloader = dict(batch_size=16, sampler=dict(epoch_fraction=1 / 8))
train_cfg = dict(by_epoch=True, max_epochs=70, val_interval=5)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmpose_ext.StageWiseOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-5, weight_decay=0.05, fused=True),
    paramwise_cfg=dict(layer_decay=1., head_lr_mult=100.),
    accumulative_counts=2,
    clip_grad=dict(max_norm=1.0))
param_scheduler = [
    dict(type='mmpose_ext.WarmupLR', by_epoch=False),
    dict(type='CosineRestartLR', periods=[10, 20, 40],
         restart_weights=[1, 1, 1], eta_min=1e-6, by_epoch=True,
         convert_to_iter_based=True)]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=1e-3,
         update_buffers=True, priority='NORMAL'),
    dict(type='mmpose_ext.ActivationCheckpointHook', ratio=0.5)]
