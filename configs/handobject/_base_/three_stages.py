# The seasons of a training: the hand, then the objects, then all together,
# then physics. An epoch is 50,000 frames, an eighth of s0.
_base_ = ['hot.py']
_fields = f'{_base_.data_root}/distance_fields.npz'

model = dict(
    head=dict(
        losses=dict(
            # keeps hands from looking all alike while little is learnt
            variance=dict(type='mmpose_ext.HandObjectVarianceMatchLoss',
                          loss_weight=0.02),
            penetration=dict(type='mmpose_ext.HandObjectPenetrationLoss',
                             loss_weight=10., fields=_fields))))
phases = [
    dict(begin=0., trainable=['head.neck', 'head.queries', 'head.hand',
                              'head.refiner']),
    dict(begin=1 / 6, trainable=['head.neck', 'head.queries', 'head.object',
                                 'head.contact']),
    dict(begin=1 / 3, trainable=['backbone', 'head'], lr_scale=0.5),
    dict(begin=3 / 4, lr_scale=0.1)]
loss_schedule = dict(
    type='mmpose_ext.LossWeightHook',
    schedules=[
        dict(loss='head.losses.penetration', begin=3 / 4, until=4 / 5),
        dict(loss='head.losses.variance', start=1., end=0.25, begin=1 / 3,
             until=3 / 4)])

train_dataloader = dict(sampler=dict(epoch_fraction=1 / 8))
train_cfg = dict(by_epoch=True, max_epochs=120, val_interval=5)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmpose_ext.StageWiseOptimWrapperConstructor',
    # the decoder's rate; DINOv2's last block a tenth of it, others less
    optimizer=dict(type='AdamW', lr=4e-5, weight_decay=0.05, fused=True),
    paramwise_cfg=dict(layer_decay=0.85, head_lr_mult=10.),
    clip_grad=dict(max_norm=1.0))
# phases scale it; within one it is constant
param_scheduler = [dict(type='mmpose_ext.WarmupLR', by_epoch=False)]
