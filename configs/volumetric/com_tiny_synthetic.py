# A small network on synthetic rats, from nothing: less than two minutes on
# a CPU core. Make the data by `python tools/synthesize.py volumetric`.
_base_ = ['_base_/com.py', '../_base_/schedules/adamw_cosine_60e.py']
data_root = '{{$MMPOSE_EXT_DATA:data}}/synthetic/volumetric'

_size = (80, 64)  # a quarter of the frames
codec = dict(input_size=_size, heatmap_size=_size, sigma=2.)
model = dict(
    backbone=dict(widths=(8, 16, 24, 32), norm='batch'),
    head=dict(in_channels=8, decoder=codec))

_crop = {**_base_._crop, 'input_size': _size}
_target = dict(type='GenerateTarget', encoder={**_base_.codec, **codec})
_frames = dict(data_root=data_root, factor=4)
train_dataloader = dict(
    dataset=dict(
        **_frames, recordings='train_*', split='all', pipeline=[
            *_base_._load, *_base_.augmentation, _crop, _target,
            _base_._pack]))
_test = [*_base_._load, _crop, _base_._pack]
val_dataloader = dict(
    dataset=dict(
        **_frames, recordings=['val'], split='all', pipeline=_test))
test_dataloader = {
    **_base_.val_dataloader, 'dataset': {
        **_base_.val_dataloader['dataset'], **_frames,
        'recordings': ['test'], 'split': 'all', 'pipeline': _test}}
val_evaluator = dict(threshold_px=12.)  # frames are small
test_evaluator = {**_base_.val_evaluator, **val_evaluator}

train_cfg = dict(max_epochs=6, val_interval=2)
param_scheduler = [
    _base_.param_scheduler[0], {**_base_.param_scheduler[1], 'T_max': 6}]
auto_scale_lr = dict(base_batch_size=16)
default_hooks = dict(checkpoint=dict(
    interval=2, max_keep_ckpts=2, save_best='com/mm_median', rule='less'))
