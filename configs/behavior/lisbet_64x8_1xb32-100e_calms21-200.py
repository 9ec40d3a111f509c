# The documented 64 x 8 model on CalMS21's unlabelled pairs, each epoch a fresh
# twentieth of the frames, with the questions' shortcuts closed.
# python tools/convert_dataset.py calms21 FOLDER --out data/calms21_unlabeled
_base_ = ['_base_/lisbet.py', '../_base_/schedules/adamw_warm_10e.py']
data = dict(
    data_root='{{$MMPOSE_EXT_DATA:data}}/calms21_unlabeled',
    split_by=dict(fractions=(.9, .05, .05)))

train_cfg = dict(max_epochs=100)
optim_wrapper = dict(optimizer=dict(lr=3e-4))
param_scheduler = [
    {**_base_.param_scheduler[0], 'end': 500},
    {**_base_.param_scheduler[1], 'T_max': 100},
]
train_dataloader = dict(sampler=dict(epoch_fraction=.05), dataset=data)
# 30,000 frames of each part: one window a second
val_dataloader = dict(dataset=dict(stride=300, **data))
test_dataloader = dict(dataset=dict(stride=300, **data))
