# The three stages on synthetic hands, small. Before it:
# `python -m mmpose_ext.handobject.build_distance_fields
# data/synthetic/handobject/models
# --out data/synthetic/handobject/distance_fields.npz`.
_base_ = ['hot_tiny_synthetic.py']

model = dict(
    head=dict(
        losses=dict(
            variance=dict(type='mmpose_ext.HandObjectVarianceMatchLoss',
                          loss_weight=0.02),
            penetration=dict(
                type='mmpose_ext.HandObjectPenetrationLoss', loss_weight=10.,
                fields=f'{_base_.data_root}/distance_fields.npz'))))
train_cfg = dict(max_epochs=24)
param_scheduler = [dict(type='mmpose_ext.WarmupLR', by_epoch=False)]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmpose_ext.LossWeightHook', schedules=[
        dict(loss='head.losses.penetration', begin=3 / 4, until=5 / 6),
        dict(loss='head.losses.variance', start=1., end=0.25, begin=1 / 3,
             until=3 / 4)]),
    dict(type='mmpose_ext.GradualUnfreezeHook', phases=[
        dict(begin=0., trainable=['backbone', 'head.neck', 'head.queries',
                                  'head.hand', 'head.refiner']),
        dict(begin=1 / 6, trainable=['head.neck', 'head.queries',
                                     'head.object', 'head.contact']),
        dict(begin=1 / 3, trainable=['backbone', 'head'], lr_scale=0.5),
        dict(begin=3 / 4, lr_scale=0.1)])]
