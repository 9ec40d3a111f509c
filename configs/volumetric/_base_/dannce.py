# Volumes of six views, and the expected position of a rat's 23 keypoints.
_base_ = ['../../_base_/default_runtime.py']
custom_imports = dict(imports=['mmpose_ext.volumetric'])

model = dict(
    type='mmpose_ext.DannceEstimator',
    data_preprocessor=dict(
        type='mmpose_ext.VolumetricDataPreprocessor',
        grid=dict(vmin=-120., vmax=120., nvox=80),  # mm about the middle
        num_views=6,
        augment=dict(
            rotate='any', mirror=0.5, com_jitter_mm=20., view_draw='replace',
            brightness=0.05, hue=0.05)),
    backbone=dict(type='mmpose_ext.DannceUNet', num_views=6),
    head=dict(
        type='mmpose_ext.DannceExpectationHead',
        in_channels=32, num_keypoints=23,
        loss=dict(type='mmpose_ext.DannceL1Loss')))

# half of the volume and the largest shift of its middle
pipeline = [
    dict(type='mmpose_ext.DannceLoadFrames'),
    dict(type='mmpose_ext.DannceCropToVolume', reach_mm=140.),
    dict(type='mmpose_ext.DanncePackInputs')]
_loading = dict(batch_size=4, num_workers=2, persistent_workers=True)
train_dataloader = dict(
    **_loading,
    sampler=dict(type='mmpose_ext.DrawSampler', shuffle=True),
    dataset=dict(
        type='mmpose_ext.VolumetricPoseDataset',
        split='train', pipeline=pipeline, cache=dict(megabytes=4096)))
val_dataloader = dict(
    **_loading,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='mmpose_ext.VolumetricPoseDataset',
        split='val', pipeline=pipeline, test_mode=True))
val_evaluator = dict(type='mmpose_ext.VolumetricMetric')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-4, fused=True),
    clip_grad=dict(max_norm=35.))
param_scheduler = [
    dict(type='mmpose_ext.WarmupLR', by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.01, by_epoch=True,
         convert_to_iter_based=True)]
auto_scale_lr = dict(base_batch_size=4)
visualizer = dict(type='mmpose_ext.VolumetricPoseVisualizer')
default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=2, rule='less',
                    save_best='volumetric/MPJPE'),
    visualization=dict(type='mmpose_ext.VolumetricVisualizationHook'))
custom_hooks = [
    *_base_.custom_hooks,
    # load_from of another skeleton or another number of cameras
    dict(type='mmpose_ext.DannceTransferHook'),
    # looks whether batches fit, and tells losses of skeleton and labels
    dict(type='mmpose_ext.DannceLossHook'),
    dict(type='mmpose_ext.CheckpointSanityHook')]
