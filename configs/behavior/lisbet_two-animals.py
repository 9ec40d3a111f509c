# A courting pair of flies, a minute of one film: two CPU-minutes, to look at.
# python tools/convert_dataset.py sleap clip.slp --out data/two_animals
_base_ = ['_base_/small.py', '../_base_/schedules/adamw_warm_10e.py']
data = dict(
    data_root='{{$MMPOSE_EXT_DATA:data}}/two_animals',
    # One recording, of which the flies stand still for two thirds: each third
    # has a part that validates.
    split_by=dict(method='block', fractions=(.7, .3, 0.), blocks=3),
    window_size=32,
    window_offset=15,
    select=dict(keypoints=[
        'head', 'thorax', 'abdomen', 'wingL', 'wingR', 'eyeL', 'eyeR']),
    task_settings=dict(
        cons=dict(min_gap=64),
        order=dict(max_delay=30),
        shift=dict(max_delay=30)))

model = dict(
    window_offset=15,
    data_preprocessor=dict(body_axis=(2, 0)),  # abdomen to head
    backbone=dict(max_length=32))
train_cfg = dict(max_epochs=20, val_interval=2)
param_scheduler = [
    _base_.param_scheduler[0], {**_base_.param_scheduler[1], 'T_max': 20}
]
train_dataloader = dict(
    dataset=dict(augmentation='rotation,mirror:p=0.5', **data))
val_dataloader = dict(dataset=dict(stride=1, **data))
test_dataloader = dict(dataset=dict(split='val', stride=1, **data))
