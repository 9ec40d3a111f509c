# The numbers of the original's recipe, for comparisons: four copies of one
# time point a batch, lengths relative to the ears' distance.
_base_ = ['sdannce_compressed_1xb2-40e_rat23-6cam-80vox.py']
model = dict(
    data_preprocessor=dict(
        peer_compat=True,  # samples one pixel to the lower right
        augment=dict(_delete_=True, rotate='right_angles',
                     com_jitter_mm=20., view_draw='replace'),
        copies=4),
    head=dict(
        # in voxels of 3 mm, as published
        loss=dict(type='mmpose_ext.DannceL1Loss', loss_weight=1 / 3),
        refiner=dict(norm='batch'),
        pose_losses=dict(
            bones=dict(priors='rat23', mask=['Snout-SpineF'],
                       relative_to='EarL-EarR', reference_weight=0.),
            # from successive differences to deviations from the mean
            consistency=dict(loss_weight=0.16))))
train_dataloader = dict(
    batch_size=1, sampler=dict(_delete_=True, type='mmpose_ext.DrawSampler',
                               shuffle=True))
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4, eps=1e-7))
param_scheduler = [
    dict(type='MultiStepLR', milestones=[20, 35], gamma=0.5, by_epoch=True)]
