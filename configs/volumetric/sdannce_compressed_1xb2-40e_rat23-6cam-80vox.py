# Rats of 23 keypoints before six cameras, voxels of 3 mm; step 2 of two: from
# a DANNCE model to s-DANNCE, with time points that nobody labelled. What it
# learns from them is that bones keep their lengths, and that copies of a
# moment in other volumes agree. Give it what step 1 has learnt:
# --cfg-options load_from=work_dirs/.../best_volumetric_MPJPE_epoch_95.pth
# For two animals: num_individuals=2 in each data set.
_base_ = ['dannce_compressed_1xb4-100e_rat23-6cam-80vox.py',
          '_base_/second_step.py']

model = dict(
    # each animal of a time point in two volumes, turned by other angles
    data_preprocessor=dict(copies=2),
    head=dict(
        in_channels=(128, 64, 32),  # of all levels of the decoder
        refiner=dict(type='mmpose_ext.DanncePoseGraph', skeleton='rat23'),
        pose_losses=dict(
            bones=_base_._bones, consistency=_base_._consistency)))
train_dataloader = dict(
    batch_size=2,
    sampler=dict(_delete_=True, **_base_._mix),
    dataset=dict(unlabelled='equal'))

train_cfg = dict(max_epochs=40)
optim_wrapper = dict(optimizer=dict(lr=3e-4))  # of weights that know much
auto_scale_lr = dict(base_batch_size=2)
custom_hooks = [*_base_.custom_hooks, _base_._ramps]
