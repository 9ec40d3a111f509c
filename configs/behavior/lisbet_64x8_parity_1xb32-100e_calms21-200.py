# What `betman train_model --task_ids=cons,order,shift,warp --epochs=100
# --train_sample=0.05` did with the documented 64 x 8 model: 482,244 weights.
_base_ = [
    '_base_/published.py', '../_base_/schedules/adamw_restarts_100e.py'
]
seed = 1234  # of the documented command
data = dict(
    data_root='{{$MMPOSE_EXT_DATA:data}}/calms21_unlabeled',
    split_by=dict(method='dev_ratio', ratio=.05, seed=seed),
    parity=dict(seed=seed))

randomness = dict(seed=seed)
train_dataloader = dict(sampler=dict(epoch_fraction=.05), dataset=data)
val_dataloader = dict(dataset=dict(stride=300, **data))
test_dataloader = dict(dataset=dict(split='val', stride=300, **data))
