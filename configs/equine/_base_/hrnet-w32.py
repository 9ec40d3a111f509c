_base_ = ['horse26-256x256.py']
# MMPoseInferencer asks for these two
data_mode = 'topdown'
dataset_type = 'mmpose_ext.HorsePoseDataset'
codec = dict(
    type='MSRAHeatmap', input_size=(256, 256), heatmap_size=(64, 64), sigma=2)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        type='HRNet',
        in_channels=3,
        extra=dict(
            stage1=dict(
                num_modules=1, num_branches=1, block='BOTTLENECK',
                num_blocks=(4, ), num_channels=(64, )),
            stage2=dict(
                num_modules=1, num_branches=2, block='BASIC',
                num_blocks=(4, 4), num_channels=(32, 64)),
            stage3=dict(
                num_modules=4, num_branches=3, block='BASIC',
                num_blocks=(4, 4, 4), num_channels=(32, 64, 128)),
            stage4=dict(
                num_modules=3, num_branches=4, block='BASIC',
                num_blocks=(4, 4, 4, 4), num_channels=(32, 64, 128, 256)))),
    head=dict(
        type='HeatmapHead',
        in_channels=32,
        out_channels=26,
        deconv_out_channels=None,
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=codec),
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True))

# strongest first; a phase of the training takes one each
_load = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale')]
_crop = dict(type='TopdownAffine', input_size=codec['input_size'])
_end = [dict(type='GenerateTarget', encoder=codec),
        dict(type='PackPoseInputs')]
pipelines = [[*_load, *strength['box'], _crop, *strength['pixels'], *_end]
             for strength in _base_.augmentations]
train_dataloader = dict(dataset=dict(
    pipeline=pipelines[0], cache=dict(side=codec['input_size'][0])))
val_dataloader = dict(
    dataset=dict(pipeline=[*_load, _crop, dict(type='PackPoseInputs')]))
test_dataloader = val_dataloader
