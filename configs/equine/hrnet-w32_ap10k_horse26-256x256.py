# From AP-10K's weights, in three phases as rtmpose-m_ap10k, with the slower
# rates that a network without normalisation in its head needs.
_base_ = ['_base_/hrnet-w32.py']
pretrained = 'checkpoints/hrnet_w32_ap10k_256x256-18aac840_20211029.pth'

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmpose_ext.StageWiseOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.01, fused=True),
    paramwise_cfg=dict(
        stage_lrs=dict(
            stem=0.05, layer1=0.05, stage2=0.1, stage3=0.2, stage4=0.5,
            head=1.0),
        norm_decay_mult=0.,
        bias_decay_mult=0.))
param_scheduler = [
    dict(type='mmpose_ext.WarmupLR', start_factor=1e-3, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.05, by_epoch=True,
         convert_to_iter_based=True),
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmpose_ext.HorseTransferHook'),
    dict(type='mmpose_ext.StageLRHook'),
    dict(
        type='mmpose_ext.GradualUnfreezeHook',
        always_frozen=['stem', 'layer1'],
        phases=[
            dict(begin=0., trainable=['head', 'stage4']),
            dict(begin=1 / 3, trainable=['+stage3']),
            dict(begin=1 / 2, trainable=['+stage2']),
            dict(begin=2 / 3, norm_eval=True),
        ]),
    dict(
        type='mmpose_ext.PhasedPipelineHook',
        switches=[dict(begin=i / 3, pipeline=pipeline)
                  for i, pipeline in enumerate(_base_.pipelines)]),
    dict(type='mmpose_ext.AutoEMAHook'),
]
