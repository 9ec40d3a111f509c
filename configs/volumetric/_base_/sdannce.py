# Step 2 of training: from a DANNCE model to s-DANNCE, with time points that
# nobody labelled. What it learns from them is that bones keep their lengths,
# and that copies of a moment in other volumes agree.
_base_ = ['dannce.py']

model = dict(
    # each animal of a time point in two volumes, turned by other angles
    data_preprocessor=dict(copies=2),
    head=dict(
        in_channels=(128, 64, 32),  # of all levels of the decoder
        refiner=dict(type='mmpose_ext.DanncePoseGraph', skeleton='rat23'),
        pose_losses=dict(
            bones=dict(type='mmpose_ext.DannceBoneLengthLoss',
                       priors='labels'),
            consistency=dict(type='mmpose_ext.DannceConsistencyLoss'))))

train_dataloader = dict(
    batch_size=2,
    sampler=dict(_delete_=True, type='mmpose_ext.DannceMixSampler',
                 mix=(1, 1)),
    dataset=dict(unlabelled='equal'))

auto_scale_lr = dict(base_batch_size=2)
custom_hooks = [
    *_base_.custom_hooks,
    # measures the bones, and tells the losses of the skeleton
    dict(type='mmpose_ext.DannceLossHook'),
    dict(type='mmpose_ext.LossWeightHook', schedules=[
        dict(loss=f'head.pose_losses.{name}', until=.2)
        for name in ('bones', 'consistency')])]
