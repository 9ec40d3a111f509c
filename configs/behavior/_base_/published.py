# The original's sampling and input to the letter, shortcuts included: raw
# coordinates of which each axis fills [0, 1], 0 where a point is missing and
# where there is no frame. For its weights, and for comparison.
_base_ = ['lisbet.py']
data = dict(
    scale='per_axis', missing='zero', frame_gaps='ignore', padding='zero',
    parity=dict(seed=1991))

model = dict(
    data_preprocessor=dict(
        _delete_=True, type='mmpose_ext.LisbetPreprocessor'),
    backbone=dict(in_channels=28, identical_layers=True))
train_dataloader = dict(
    sampler=dict(
        _delete_=True,
        type='mmpose_ext.LisbetStreamSampler',
        epoch_fraction=1.),
    dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = dict(dataset=data)
custom_hooks = [
    hook for hook in _base_.custom_hooks
    if hook['type'] != 'mmpose_ext.LisbetStandardizeHook'
]
