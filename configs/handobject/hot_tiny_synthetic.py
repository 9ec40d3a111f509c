# A small transformer on synthetic hands, from nothing: five CPU-minutes.
# Make the data by `python tools/synthesize.py handobject`.
_base_ = ['_base_/hot.py']
data_root = '{{$MMPOSE_EXT_DATA:data}}/synthetic/handobject'

codec = dict(input_size=(128, 128))
_dims = 96
model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=_dims, depth=4, num_heads=4),
        img_size=128, patch_size=16, stem='conv', mlp_ratio=2.,
        layer_scale=1., drop_path=0., init_cfg=None),
    head=dict(
        in_channels=_dims, input_size=codec['input_size'], embed_dims=_dims,
        num_layers=2, num_heads=4, feedforward_channels=2 * _dims, dropout=0.,
        decoder=codec,
        losses=dict(
            object_rotation=dict(models_dir=f'{data_root}/models'),
            object_points=dict(models_dir=f'{data_root}/models'))))

_encode = dict(type='GenerateTarget', encoder={**_base_.codec, **codec})
_view = {**_base_._view, 'input_size': 128}
train_pipeline = [
    *_base_._load,
    dict(type='mmpose_ext.HandObjectRandomBBoxTransform',
         shift_factor=0.08, scale_factor=(0.85, 1.2), rotate_factor=30),
    _view, _encode, _base_._end[1]]  # fingers are told apart by colour
test_pipeline = [*_base_._load, _view, _encode, _base_._end[1]]
# subjects that are met for the first time
train_dataloader = dict(
    batch_size=16,
    dataset=dict(data_root=data_root, ann_file='index/s1_train.npz',
                 pipeline=train_pipeline, cache=dict(megabytes=1024)))
val_dataloader = dict(
    dataset=dict(data_root=data_root, ann_file='index/s1_val.npz',
                 pipeline=test_pipeline))
test_dataloader = dict(
    dataset=dict(data_root=data_root, ann_file='index/s1_test.npz',
                 pipeline=test_pipeline))
val_evaluator = dict(mean_pose_from=f'{data_root}/index/s1_train.npz')
test_evaluator = val_evaluator

train_cfg = dict(by_epoch=True, max_epochs=16, val_interval=8)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmpose_ext.StageWiseOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1.5e-3, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=5.))
param_scheduler = [
    dict(type='mmpose_ext.WarmupLR', by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.01, by_epoch=True,
         convert_to_iter_based=True)]
custom_hooks = [*_base_.custom_hooks, dict(type='mmpose_ext.AutoEMAHook')]
