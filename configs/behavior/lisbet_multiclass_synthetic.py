# Six behaviours of the synthetic mice, finetuned from the tiny network:
# --cfg-options load_from=work_dirs/lisbet_tiny_synthetic/best_....pth
_base_ = ['_base_/supervised.py', '../_base_/schedules/adamw_warm_10e.py']
split_by = dict(method='filter', train='train/', val='val/', test='test/')
data = dict(
    data_root='{{$MMPOSE_EXT_DATA:data}}/synthetic/behavior',
    split_by=split_by)

train_cfg = dict(max_epochs=5)
param_scheduler = [
    _base_.param_scheduler[0], {**_base_.param_scheduler[1], 'T_max': 5}
]
train_dataloader = dict(
    batch_size=128,
    sampler=dict(epoch_fraction=.3),  # 113 steps
    dataset=data)
val_dataloader = dict(batch_size=256, dataset=dict(stride=5, **data))
test_dataloader = dict(batch_size=256, dataset=data)
auto_scale_lr = dict(base_batch_size=128)
