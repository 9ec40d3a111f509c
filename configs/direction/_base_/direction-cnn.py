# Network, augmentation, data layout and evaluation on 50x50 grey crops.
_base_ = ['../../_base_/default_runtime.py']
custom_imports = dict(imports=['mmpose_ext.direction'])

codec = dict(type='mmpose_ext.CenteredRegressionLabel', input_size=(50, 50))
model = dict(
    type='mmpose_ext.DirectionEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[127.5],
        std=[255.0],
        batch_augments=[
            dict(type='mmpose_ext.BatchDirectionAugment', codec=codec)
        ]),
    backbone=dict(type='mmpose_ext.DirectionCNN'),
    head=dict(
        type='mmpose_ext.DirectionRegressionHead',
        in_channels=64,
        in_size=(3, 3),
        loss=dict(type='mmpose_ext.DirectionPointLoss'),
        angle_loss=dict(type='mmpose_ext.DirectionAngleLoss'),
        decoder=codec),
    test_cfg=dict(tta='d4'))

train_dataloader = dict(
    batch_size=256,
    num_workers=0,  # a batch is one gather of 640 kB: workers would be slower
    sampler=dict(type='mmpose_ext.DrawSampler', shuffle=True),
    collate_fn=dict(type='mmpose_ext.pass_batch'),
    dataset=dict(type='mmpose_ext.DirectionDataset', split='train'))
val_dataloader = dict(
    batch_size=256,
    num_workers=0,
    sampler=dict(type='mmpose_ext.DrawSampler', shuffle=False),
    collate_fn=dict(type='mmpose_ext.pass_batch'),
    dataset=dict(
        type='mmpose_ext.DirectionDataset', split='val', test_mode=True))
val_evaluator = dict(type='mmpose_ext.DirectionMetric')
test_evaluator = val_evaluator

visualizer = dict(type='mmpose_ext.DirectionVisualizer')
default_hooks = dict(
    visualization=dict(type='mmpose_ext.BatchVisualizationHook'),
    checkpoint=dict(
        interval=1,
        max_keep_ckpts=2,
        save_best='dir/head_mae_deg',
        rule='less'))
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='EMAHook',
        ema_type='ExpMomentumEMA',
        momentum=0.04,
        gamma=100,
        interval=4,  # as .01 at every step, at a quarter of the cost
        update_buffers=True),
    dict(type='mmpose_ext.DirectionReportHook'),
]
