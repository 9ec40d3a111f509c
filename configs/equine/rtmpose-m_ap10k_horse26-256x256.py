# From AP-10K's weights, in three phases: head and last stage, then stage by
# stage, then all but the first layers with mild augmentation. The phases are
# fractions of the run: they follow train_cfg.max_epochs.
_base_ = ['_base_/rtmpose-m.py']
pretrained = 'checkpoints/rtmpose-m_simcc-ap10k_pt-aic-coco_210e-256x256-' \
    '7a041aa1_20230206.pth'

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmpose_ext.StageWiseOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, fused=True),
    paramwise_cfg=dict(
        stage_lrs=dict(
            stem=0.05, stage1=0.05, stage2=0.1, stage3=0.1, stage4=0.5,
            head=1.0),
        norm_decay_mult=0.,
        bias_decay_mult=0.))
param_scheduler = [
    dict(type='mmpose_ext.WarmupLR', start_factor=1e-5, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.05, by_epoch=True,
         convert_to_iter_based=True),
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmpose_ext.HorseTransferHook'),
    dict(type='mmpose_ext.StageLRHook'),
    dict(
        type='mmpose_ext.GradualUnfreezeHook',
        always_frozen=['backbone.stem', 'backbone.stage1'],
        phases=[
            dict(begin=0., trainable=['head', 'backbone.stage4']),
            dict(begin=1 / 3, trainable=['+backbone.stage3']),
            dict(begin=1 / 2, trainable=['+backbone.stage2']),
            dict(begin=2 / 3, norm_eval=True),
        ]),
    dict(
        type='mmpose_ext.PhasedPipelineHook',
        switches=[dict(begin=i / 3, pipeline=pipeline)
                  for i, pipeline in enumerate(_base_.pipelines)]),
    dict(type='mmpose_ext.AutoEMAHook'),
]
