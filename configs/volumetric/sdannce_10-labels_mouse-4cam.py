# Step 2: the same ten labels, and the other 80 time points without theirs.
_base_ = ['dannce_10-labels_mouse-4cam.py']
load_from = 'work_dirs/dannce_10-labels_mouse-4cam/epoch_60.pth'

model = dict(
    data_preprocessor=dict(copies=dict(labelled=1, unlabelled=2)),
    head=dict(
        in_channels=(64, 32, 16),
        refiner=dict(
            type='mmpose_ext.DanncePoseGraph',
            skeleton=f'{_base_.data_root}/skeleton.json', hidden=64,
            fuse_channels=64),
        initial_loss=dict(type='mmpose_ext.DannceL1Loss'),
        pose_losses=dict(
            bones=dict(type='mmpose_ext.DannceBoneLengthLoss',
                       priors='labels', loss_weight=1.),
            consistency=dict(type='mmpose_ext.DannceConsistencyLoss',
                             loss_weight=0.5))))
train_dataloader = dict(
    batch_size=4,
    sampler=dict(_delete_=True, type='mmpose_ext.DannceMixSampler',
                 mix=(1, 1)),
    dataset=dict(unlabelled='all'))
test_evaluator = _base_.val_evaluator

train_cfg = dict(max_epochs=30, val_interval=30)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
auto_scale_lr = dict(base_batch_size=4)
custom_hooks = [
    *_base_.custom_hooks, dict(type='mmpose_ext.DannceLossHook'),
    dict(type='mmpose_ext.LossWeightHook', schedules=[
        dict(loss=f'head.pose_losses.{name}', until=.2)
        for name in ('bones', 'consistency')])]
