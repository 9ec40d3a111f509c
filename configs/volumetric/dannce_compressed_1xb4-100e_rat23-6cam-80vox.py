# A rat of 23 keypoints before six cameras, voxels of 3 mm. 250 to 400
# complete poses, spread over the recordings, are recommended.
# The recordings, each a folder with videos, a *dannce.mat and a com3d.mat,
# lie in data/rat23.
_base_ = ['_base_/dannce.py']
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
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=5)
