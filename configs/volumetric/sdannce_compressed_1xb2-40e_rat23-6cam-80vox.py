# Rats of 23 keypoints before six cameras, voxels of 3 mm; step 2 of two. Give
# it what step 1, dannce_compressed_1xb4-100e_rat23-6cam-80vox.py, has learnt:
# --cfg-options load_from=work_dirs/.../best_volumetric_MPJPE_epoch_95.pth
# For two animals: num_individuals=2 in each data set.
_base_ = ['_base_/sdannce.py']
data_root = '{{$MMPOSE_EXT_DATA:data}}/rat23'

_data = dict(
    data_root=data_root, recordings='*', skeleton='rat23',
    recording_settings=dict(com_file='com3d.mat', com_median_window=31))
train_dataloader = dict(dataset=dict(**_data))
val_dataloader = dict(dataset=dict(**_data))
test_dataloader = {
    **_base_.val_dataloader, 'dataset': {
        **_base_.val_dataloader['dataset'], **_data, 'split': 'test'}}
test_evaluator = _base_.val_evaluator

train_cfg = dict(by_epoch=True, max_epochs=40, val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=3e-4))  # of weights that know much
