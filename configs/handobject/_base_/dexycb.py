# Data, evaluation and run of every hand-object model.
# Where the data lie: data/README.md; the index is made by
# `python tools/convert_dataset.py dexycb data/dexycb --out data/dexycb/index`.
_base_ = ['../../_base_/default_runtime.py']
custom_imports = dict(imports=['mmpose_ext.handobject'])

codec = dict(type='mmpose_ext.HandObjectLabel', input_size=(224, 224))
_load = [dict(type='LoadImage'),
         # a hand's box and half of it about
         dict(type='GetBBoxCenterScale', padding=1.5)]
_view = dict(type='mmpose_ext.HandObjectTopdownView', input_size=224)
_end = [dict(type='GenerateTarget', encoder=codec),
        dict(type='mmpose_ext.HandObjectPackInputs')]
train_pipeline = [
    *_load,
    dict(type='mmpose_ext.HandObjectRandomBBoxTransform',
         shift_factor=0.1, scale_factor=(0.8, 1.25), rotate_factor=30),
    _view,
    dict(type='PhotometricDistortion'),
    dict(type='mmpose_ext.HandObjectOcclusion', prob=0.3),
    *_end]
test_pipeline = [*_load, _view, *_end]

data_root = '{{$MMPOSE_EXT_DATA:data}}/dexycb'
_loading = dict(num_workers=2, persistent_workers=True)
train_dataloader = dict(
    **_loading,
    batch_size=32,
    sampler=dict(type='mmpose_ext.DrawSampler', shuffle=True),
    dataset=dict(
        type='mmpose_ext.HandObjectDataset', data_root=data_root,
        ann_file='index/s0_train.npz', pipeline=train_pipeline))
val_dataloader = dict(
    **_loading,
    batch_size=64,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='mmpose_ext.HandObjectDataset', data_root=data_root,
        ann_file='index/s0_val.npz', pipeline=test_pipeline,
        test_mode=True))
test_dataloader = {
    **val_dataloader,
    'dataset': {**val_dataloader['dataset'], 'ann_file': 'index/s0_test.npz'}}
val_evaluator = dict(
    type='mmpose_ext.HandObjectMetric',
    mean_pose_from=f'{data_root}/index/s0_train.npz')
test_evaluator = val_evaluator

visualizer = dict(type='mmpose_ext.HandObjectVisualizer')
auto_scale_lr = dict(base_batch_size=32)
default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=2, rule='less',
                    save_best='hand/MPJPE'))
custom_hooks = [*_base_.custom_hooks,
                dict(type='mmpose_ext.StageLRHook'),
                dict(type='mmpose_ext.CheckpointSanityHook'),
                dict(type='mmpose_ext.HandObjectCollapseMonitorHook')]
