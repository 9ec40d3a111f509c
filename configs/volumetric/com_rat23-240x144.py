# The full-size network: six views of 1920 x 1200 px, of which the middle 1152
# rows are reduced eight times. 150 to 200 labelled time points are enough.
# The recordings, each a folder with videos and a *dannce.mat, lie in
# data/rat23.
_base_ = ['_base_/com.py', '../_base_/schedules/adamw_cosine_60e.py']
data_root = '{{$MMPOSE_EXT_DATA:data}}/rat23'

_frames = dict(
    data_root=data_root, recordings='*', factor=8, crop=(0, 24, 1920, 1152),
    split_by=dict(method='blocks', fractions=(.8, .1, .1), gap=1))
train_dataloader = dict(batch_size=24, dataset=dict(**_frames))  # 4 x 6 views
val_dataloader = dict(dataset=dict(**_frames))
test_dataloader = {
    **_base_.val_dataloader, 'dataset': {
        **_base_.val_dataloader['dataset'], **_frames, 'split': 'test'}}
test_evaluator = _base_.val_evaluator

train_cfg = dict(val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=3e-4))  # of 7.8 million parameters
auto_scale_lr = dict(base_batch_size=24)
default_hooks = dict(checkpoint=dict(
    interval=5, max_keep_ckpts=2, save_best='com/mm_median', rule='less'))
