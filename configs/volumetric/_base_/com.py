# Where the animal is in each picture: network, augmentation, data layout and
# evaluation. Pictures are reduced frames, and so are the maps.
_base_ = ['../../_base_/default_runtime.py']
custom_imports = dict(imports=['mmpose_ext.volumetric'])

codec = dict(
    type='UDPHeatmap', input_size=(240, 144), heatmap_size=(240, 144),
    sigma=3.75, blur_kernel_size=11)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(type='mmpose_ext.ComUNet'),
    head=dict(
        type='HeatmapHead',
        in_channels=32, out_channels=1, deconv_out_channels=None,
        loss=dict(type='KeypointMSELoss', use_target_weight=True,
                  loss_weight=1000.),  # most of a map is 0
        decoder=codec),
    train_cfg=dict(compute_acc=False),
    test_cfg=dict(flip_test=False))

augmentation = [
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', shift_factor=.15, shift_prob=1.,
         scale_factor=(.8, 1.25), scale_prob=1., rotate_factor=20.,
         rotate_prob=.5),
    dict(type='PhotometricDistortion'),
]
_load = [dict(type='GetBBoxCenterScale', padding=1.)]
_crop = dict(type='TopdownAffine', input_size=codec['input_size'],
             use_udp=True)
_target = dict(type='GenerateTarget', encoder=codec)
_pack = dict(type='PackPoseInputs', meta_keys=(
    'id', 'img_id', 'img_path', 'img_shape', 'input_size', 'input_center',
    'input_scale', 'flip_indices', 'recording', 'recording_index',
    'sample_id', 'view', 'com', 'cameras', 'reduction'))

train_dataloader = dict(
    batch_size=16,
    num_workers=0,  # the pictures are in memory, and small
    sampler=dict(type='mmpose_ext.DrawSampler', shuffle=True),
    dataset=dict(
        type='mmpose_ext.ComImageDataset', split='train',
        pipeline=[*_load, *augmentation, _crop, _target, _pack]))
val_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='mmpose_ext.ComImageDataset', split='val', test_mode=True,
        pipeline=[*_load, _crop, _pack]))
val_evaluator = dict(type='mmpose_ext.ComMetric', threshold_px=30.)
custom_hooks = [
    *_base_.custom_hooks, dict(type='mmpose_ext.ChannelsLastHook')]
visualizer = dict(type='mmpose_ext.ComVisualizer')
default_hooks = dict(
    visualization=dict(type='mmpose_ext.BatchVisualizationHook'))
