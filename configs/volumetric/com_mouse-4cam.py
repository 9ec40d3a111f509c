# A mouse before four cameras, 90 time points to learn from and 30 to test:
# about two minutes of CPU time.
# Make the data by `python tools/convert_dataset.py anipose DIR --out
# data/mouse_4cam`, DIR being a session with videos and calibration.toml.
_base_ = ['_base_/com.py', '../_base_/schedules/adamw_cosine_60e.py']
data_root = '{{$MMPOSE_EXT_DATA:data}}/mouse_4cam'

_size = (160, 128)  # an eighth of the frames
codec = dict(input_size=_size, heatmap_size=_size, sigma=3.)
model = dict(
    backbone=dict(widths=(8, 16, 32, 64), norm='batch'),
    head=dict(in_channels=8, decoder=codec))

_crop = {**_base_._crop, 'input_size': _size}
_target = dict(type='GenerateTarget', encoder={**_base_.codec, **codec})
_test = [*_base_._load, _crop, _base_._pack]
_frames = dict(
    data_root=data_root, recordings='.', factor=8,
    split_by=dict(train=[[0, 90]], test=[[90, 120]]))
train_dataloader = dict(
    dataset=dict(
        **_frames, pipeline=[
            *_base_._load, *_base_.augmentation, _crop, _target,
            _base_._pack]))
# nothing is chosen by its score: validation only shows the course
val_dataloader = dict(
    dataset=dict(**_frames, split='test', pipeline=_test))
test_dataloader = {
    **_base_.val_dataloader, 'dataset': {
        **_base_.val_dataloader['dataset'],
        **val_dataloader['dataset']}}
test_evaluator = _base_.val_evaluator

train_cfg = dict(max_epochs=10, val_interval=5)
param_scheduler = [
    _base_.param_scheduler[0], {**_base_.param_scheduler[1], 'T_max': 10}]
auto_scale_lr = dict(base_batch_size=16)
default_hooks = dict(checkpoint=dict(interval=5, max_keep_ckpts=2))
