# The original's own questions, shortcuts included, put to our features: how
# soon its accuracies after 900 steps (.529 .529 .524 .606 for cons, order,
# shift, warp, on tracks of its own) are passed. 200 steps of 4 x 16 windows.
_base_ = ['_base_/small.py', '../_base_/schedules/adamw_warm_10e.py']
data = dict(
    data_root='{{$MMPOSE_EXT_DATA:data}}/synthetic/behavior',
    split_by=dict(method='filter', train='train/', val='val/', test='test/'),
    parity=True,
    padding='zero')

train_cfg = dict(max_epochs=1)
param_scheduler = [
    _base_.param_scheduler[0], {**_base_.param_scheduler[1], 'T_max': 1}
]
train_dataloader = dict(
    batch_size=16,
    num_batch_per_epoch=200,
    sampler=dict(_delete_=True, type='mmpose_ext.LisbetStreamSampler'),
    dataset=data)
# 2,000 held-out windows of each task
val_dataloader = dict(dataset=dict(stride=6, **data))
test_dataloader = dict(dataset=dict(stride=6, **data))
