# 16 synthetic pairs of mice, 48,000 frames, to tell apart four kinds of
# windows: two CPU-minutes.
# Make the data by `python tools/synthesize.py behavior`.
_base_ = ['_base_/small.py', '../_base_/schedules/adamw_warm_10e.py']
data_root = '{{$MMPOSE_EXT_DATA:data}}/synthetic/behavior'
split_by = dict(method='filter', train='train/', val='val/', test='test/')
data = dict(data_root=data_root, split_by=split_by)

train_dataloader = dict(
    sampler=dict(epoch_fraction=0.08),  # 110 steps of 4 x 32 windows
    dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = dict(dataset=data)
