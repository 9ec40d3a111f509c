# LISBET's: five epochs of warm-up, then cosine restarts after 10, 20, 40 and
# 80 epochs, all of it in whole epochs. The last epoch of the warm-up is the
# first of the cosine.
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.01, fused=True))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=6),
    dict(
        type='CosineRestartLR',
        periods=[10, 20, 40, 80],
        restart_weights=[1, 1, 1, 1],
        eta_min=0.,
        by_epoch=True,
        begin=5,
        end=155),
]
auto_scale_lr = dict(base_batch_size=32)
