# A small transformer on synthetic hands, from nothing: five CPU-minutes.
# Make the data by `python tools/synthesize.py handobject`.
_base_ = ['_base_/hot.py']
data_root = '{{$MMPOSE_EXT_DATA:data}}/synthetic/handobject'

codec = dict(input_size=(128, 128))
_models = f'{data_root}/models'
_dims = 96
model = dict(
    # patches want pretrained weights; convolutions learn from nothing
    backbone=dict(
        _delete_=True, type='ResNet', depth=18, stem_channels=16,
        base_channels=16, out_indices=(1, 2, 3)),
    head=dict(
        in_channels=[32, 64, 128], input_size=codec['input_size'],
        embed_dims=_dims, num_layers=2, num_heads=4,
        feedforward_channels=2 * _dims, dropout=0., upsample=2,
        sigma_reparam=dict(gamma_init='spectral', weight_std=None),
        decoder=codec,
        losses=dict(
            grasp=dict(loss_weight=0.5),
            object_rotation=dict(
                models_dir=_models, distance='chord', loss_weight=4.),
            object_points=dict(models_dir=_models))))

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
    batch_size=8,  # many steps; workers would cost more than they bring
    num_workers=0, persistent_workers=False,
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

train_cfg = dict(by_epoch=True, max_epochs=13, val_interval=13)
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
