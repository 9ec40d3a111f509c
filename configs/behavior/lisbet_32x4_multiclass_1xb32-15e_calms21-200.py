# CalMS21, task 1: attack, investigation, mount and other, by finetuning the
# small network on windows that look as far ahead as back.
# python tools/convert_dataset.py calms21 task1.json --out data/calms21_task1
_base_ = ['_base_/supervised.py', '../_base_/schedules/adamw_warm_10e.py']
data = dict(
    data_root='{{$MMPOSE_EXT_DATA:data}}/calms21_task1',
    window_size=200,
    window_offset=99,
    split_by=dict(fractions=(.8, .1, .1)))

model = dict(
    window_offset=99,
    backbone=dict(max_length=200),
    heads=dict(multiclass=dict(num_classes=4)))
train_cfg = dict(max_epochs=15)
param_scheduler = [
    {**_base_.param_scheduler[0], 'end': 500},
    {**_base_.param_scheduler[1], 'T_max': 15},
]
train_dataloader = dict(sampler=dict(epoch_fraction=.2), dataset=data)
val_dataloader = dict(batch_size=256, dataset=dict(stride=10, **data))
test_dataloader = dict(batch_size=256, dataset=data)
# the field reports the mean over the three behaviours
val_evaluator = dict(ignore_classes=['other'])
test_evaluator = val_evaluator
