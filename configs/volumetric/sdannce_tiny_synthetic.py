# s-DANNCE on two rats together: 20 labelled time points, 400 without labels.
# Make the data by `python tools/synthesize.py volumetric`; start from step 1,
# --cfg-options load_from=work_dirs/dannce_tiny_synthetic/epoch_10.pth
# Without it 20 labels do not suffice (52 mm instead of 22).
_base_ = ['dannce_synthetic-pairs.py']

model = dict(
    # what nobody labelled comes twice, in other volumes, and should agree
    data_preprocessor=dict(copies=dict(labelled=1, unlabelled=2)),
    head=dict(
        in_channels=(64, 32, 16),  # of all levels of the decoder
        refiner=dict(type='mmpose_ext.DanncePoseGraph', skeleton='rat23',
                     hidden=64, fuse_channels=64, dropout=0.2),
        initial_loss=dict(type='mmpose_ext.DannceL1Loss'),
        pose_losses=dict(
            bones=dict(type='mmpose_ext.DannceBoneLengthLoss',
                       priors='labels', loss_weight=2.),
            consistency=dict(type='mmpose_ext.DannceConsistencyLoss',
                             loss_weight=0.5))))
train_dataloader = dict(
    batch_size=2,
    sampler=dict(_delete_=True, type='mmpose_ext.DannceMixSampler',
                 mix=(1, 1)),
    dataset=dict(unlabelled='all'))

auto_scale_lr = dict(base_batch_size=2)
custom_hooks = [
    *_base_.custom_hooks,
    # measures the bones, and tells the losses of the skeleton
    dict(type='mmpose_ext.DannceLossHook'),
    dict(type='mmpose_ext.LossWeightHook', schedules=[
        dict(loss=f'head.pose_losses.{name}', until=.2)
        for name in ('bones', 'consistency')])]
