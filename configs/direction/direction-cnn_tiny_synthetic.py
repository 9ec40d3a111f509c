# 160 synthetic images, 700 steps of 64: about two minutes on two CPU cores.
# Make the data by `python tools/synthesize.py direction`.
_base_ = [
    '_base_/heatmaps.py', '../_base_/schedules/adamw_cosine_60e.py'
]
data_root = '{{$MMPOSE_EXT_DATA:data}}/synthetic/direction'
# of 360 images: 200 validate, because fewer tell too little
split_by = dict(fractions=(4 / 9, 5 / 9, 0.0))

train_cfg = dict(max_epochs=10)
param_scheduler = [_base_.param_scheduler[0],
                   {**_base_.param_scheduler[1], 'T_max': 10}]
train_dataloader = dict(
    batch_size=64,
    dataset=dict(
        ann_file='rats.npz',
        data_root=data_root,
        split_by=split_by,
        repeat=28))  # 160 x 28 / 64 = 70 steps an epoch
val_dataloader = dict(
    dataset=dict(
        ann_file='rats.npz', data_root=data_root, split_by=split_by))
# 2,000 images of other animals, with exact truth
test_dataloader = {
    **_base_.val_dataloader, 'dataset': dict(
        type='mmpose_ext.DirectionDataset',
        ann_file='unseen.npz',
        data_root=data_root,
        split='all',
        test_mode=True)
}
auto_scale_lr = dict(base_batch_size=64)
