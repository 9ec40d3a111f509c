# One real mouse, 116 consecutive frames: four CPU-minutes.
# python tools/convert_dataset.py dlc PROJECT --out data/openfield_mouse
_base_ = ['_base_/heatmaps.py', '../_base_/schedules/adamw_cosine_60e.py']
data_root = '{{$MMPOSE_EXT_DATA:data}}/openfield_mouse'
# Neighbouring frames are alike: whole stretches go to one side, and the last
# fifth tests.
split_by = dict(method='block', fractions=(0.7, 0.1, 0.2))

# The head is 2 px long: its direction has to count for more than its ends.
model = dict(head=dict(angle_loss=dict(loss_weight=2.0)))
# Twelve frames are too few to choose the best weights by: the last ones count.
default_hooks = dict(checkpoint=dict(save_best=None))

train_cfg = dict(max_epochs=14)
param_scheduler = [
    _base_.param_scheduler[0], {**_base_.param_scheduler[1], 'T_max': 14}
]
train_dataloader = dict(
    batch_size=64,
    dataset=dict(
        ann_file='direction.npz',
        data_root=data_root,
        split_by=split_by,
        repeat=96))  # 81 x 96 / 64 = 122 steps an epoch
val_dataloader = dict(
    dataset=dict(
        ann_file='direction.npz', data_root=data_root, split_by=split_by))
test_dataloader = {
    **_base_.val_dataloader, 'dataset': dict(
        type='mmpose_ext.DirectionDataset',
        ann_file='direction.npz',
        data_root=data_root,
        split='test',
        split_by=split_by,
        test_mode=True)
}
auto_scale_lr = dict(base_batch_size=64)
