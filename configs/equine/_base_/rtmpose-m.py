_base_ = ['horse26-256x256.py']

# MMPoseInferencer asks for these two
data_mode = 'topdown'
dataset_type = 'mmpose_ext.HorsePoseDataset'
codec = dict(
    type='SimCCLabel',
    input_size=(256, 256),
    sigma=(5.66, 5.66), simcc_split_ratio=2.0, normalize=False, use_dark=False)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        _scope_='mmdet',
        type='CSPNeXt',
        arch='P5',
        expand_ratio=0.5,
        deepen_factor=0.67,
        widen_factor=0.75,
        out_indices=(4, ),
        channel_attention=True,
        norm_cfg=dict(type='BN'),  # synchronised by sync_bn, trains on CPUs
        act_cfg=dict(type='SiLU')),
    head=dict(
        type='RTMCCHead',
        in_channels=768,
        out_channels=26,
        input_size=codec['input_size'],
        in_featuremap_size=(8, 8),
        simcc_split_ratio=codec['simcc_split_ratio'],
        final_layer_kernel_size=7,
        gau_cfg=dict(
            hidden_dims=256, s=128, expansion_factor=2, dropout_rate=0.,
            drop_path=0., act_fn='SiLU', use_rel_bias=False, pos_enc=False),
        loss=dict(
            type='mmpose_ext.HorseKLDiscretLoss', use_target_weight=True,
            beta=10.,
            label_softmax=True),
        decoder=codec),
    test_cfg=dict(flip_test=True))

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
