# DINOv2 patches, and a decoder whose queries are joints and objects.
_base_ = ['dexycb.py']
_models = f'{_base_.data_root}/models'

model = dict(
    type='mmpose_ext.HandObjectEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        type='mmpose_ext.HandObjectVit',
        arch='large',
        drop_path=0.1,
        init_cfg=dict(
            type='Pretrained', prefix='backbone.',
            checkpoint='checkpoints/vit-large-p14_dinov2-pre_3rdparty_'
            '20230426-f3302d9e.pth')),
    head=dict(
        type='mmpose_ext.HandObjectHead',
        in_channels=1024,
        input_size=_base_.codec.input_size,
        embed_dims=512,
        num_layers=6,
        dropout=0.1,
        refiner=dict(steps=2),
        sigma_reparam=dict(gamma_init='one'),
        decoder=_base_.codec,
        # weights by which a hundredth of the crop is about as bad as 5 mm
        losses=dict(
            uv=dict(type='mmpose_ext.HandObjectPixelLoss', loss_weight=5.),
            maps=dict(type='mmpose_ext.HandObjectMapLoss', loss_weight=0.5),
            dz=dict(type='mmpose_ext.HandObjectDepthLoss', loss_weight=10.),
            rel=dict(type='mmpose_ext.HandObjectRelativeLoss',
                     loss_weight=10.),
            abs=dict(type='mmpose_ext.HandObjectAbsoluteLoss'),
            rho=dict(type='mmpose_ext.HandObjectRootDepthLoss'),
            bone=dict(type='mmpose_ext.HandObjectBoneLoss'),
            limits=dict(type='mmpose_ext.HandObjectJointLimitLoss',
                        loss_weight=0.1),
            spread=dict(type='mmpose_ext.HandObjectUncertaintyLoss',
                        loss_weight=0.05),
            object_centre=dict(type='mmpose_ext.HandObjectCentreLoss',
                               loss_weight=5.),
            object_maps=dict(type='mmpose_ext.HandObjectCentreMapLoss',
                             loss_weight=0.5),
            object_rotation=dict(type='mmpose_ext.HandObjectRotationLoss',
                                 models_dir=_models),
            object_points=dict(type='mmpose_ext.HandObjectPointLoss',
                               loss_weight=10., models_dir=_models),
            presence=dict(type='mmpose_ext.HandObjectPresenceLoss',
                          loss_weight=0.2),
            grasp=dict(type='mmpose_ext.HandObjectGraspLoss',
                       loss_weight=0.2),
            contact=dict(type='mmpose_ext.HandObjectContactLoss',
                         loss_weight=0.5))))
