# MABe22's mouse triplets: behaviours that may meet in a frame. The conversion
# tells how many are labelled; another number here is an error that says so.
# python tools/convert_dataset.py mabe22 FOLDER --out data/mabe22
_base_ = ['_base_/supervised.py', '../_base_/schedules/adamw_warm_10e.py']
data = dict(
    data_root='{{$MMPOSE_EXT_DATA:data}}/mabe22',
    window_size=200,
    window_offset=99,
    tasks=['multilabel'],
    split_by=dict(fractions=(.8, .1, .1)))

model = dict(
    window_offset=99,
    data_preprocessor=dict(individuals=3, keypoints=12, body_axis=(9, 0)),
    # 3 mice of 12 points: 72 places, velocities and bends, 9 for their ways,
    # 156 for who sees whom, 36 for what is known
    backbone=dict(in_channels=417, max_length=200),
    heads=dict(
        _delete_=True,
        multilabel=dict(
            type='mmpose_ext.LisbetFrameHead',
            kind='multilabel',
            num_classes=2,
            in_channels=32,
            hidden_channels=128)))
train_cfg = dict(max_epochs=15)
param_scheduler = [
    {**_base_.param_scheduler[0], 'end': 500},
    {**_base_.param_scheduler[1], 'T_max': 15},
]
train_dataloader = dict(sampler=dict(epoch_fraction=.05), dataset=data)
val_dataloader = dict(batch_size=256, dataset=dict(stride=30, **data))
test_dataloader = dict(batch_size=256, dataset=dict(stride=30, **data))
default_hooks = dict(
    checkpoint=dict(save_best='lisbet/multilabel_macro_f1'))
