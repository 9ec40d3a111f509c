# A mouse of 22 keypoints before six cameras, voxels of 1.9 mm.
# The recordings, each a folder with videos, a *dannce.mat and a com3d.mat,
# lie in data/mouse22.
_base_ = ['_base_/dannce.py']
data_root = '{{$MMPOSE_EXT_DATA:data}}/mouse22'

model = dict(
    data_preprocessor=dict(
        grid=dict(vmin=-60., vmax=60., nvox=64),
        augment=dict(com_jitter_mm=10.)),
    head=dict(num_keypoints=22))
pipeline = [_base_.pipeline[0],
            {**_base_.pipeline[1], 'reach_mm': 70.}, _base_.pipeline[2]]
_data = dict(
    data_root=data_root, recordings='*', skeleton='mouse22',
    recording_settings=dict(com_file='com3d.mat', com_median_window=31),
    pipeline=pipeline)
train_dataloader = dict(dataset=dict(**_data))
val_dataloader = dict(dataset=dict(**_data))
test_dataloader = {
    **_base_.val_dataloader, 'dataset': {
        **_base_.val_dataloader['dataset'], **_data, 'split': 'test'}}
test_evaluator = _base_.val_evaluator
train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=10)
