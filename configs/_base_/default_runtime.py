default_scope = 'mmpose'
# A family's config replaces this list by its own package, which is enough:
# dict(imports=['mmpose_ext.direction']).
custom_imports = dict(imports=['mmpose_ext'], allow_failed_imports=False)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # whole or absent, exact on --resume
    checkpoint=dict(type='mmpose_ext.ResumableCheckpointHook', interval=10),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='PoseVisualizationHook', enable=False))
custom_hooks = [
    dict(type='mmpose_ext.ConfigCheckHook'),
    dict(type='mmpose_ext.DeterminismHook'),
    dict(type='SyncBuffersHook'),
]

# Every process sees the statistics of the whole batch, on GPUs and on CPUs.
sync_bn = 'torch'
model_wrapper_cfg = dict(
    type='mmpose_ext.AnyDeviceDistributedDataParallel',
    broadcast_buffers=False,
    find_unused_parameters=False)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
randomness = dict(seed=0)

vis_backends = [
    dict(type='LocalVisBackend'),
    # warns once and does nothing where the package is not installed
    dict(
        type='mmpose_ext.OptionalVisBackend',
        name='tensorboard',
        backend=dict(type='TensorboardVisBackend')),
    # `export WANDB_PROJECT=horse-pose` sends it to Weights & Biases too
    dict(
        type='mmpose_ext.OptionalVisBackend',
        name='wandb',
        enabled_by='WANDB_PROJECT',
        backend=dict(type='WandbVisBackend')),
]
visualizer = dict(
    type='PoseLocalVisualizer', vis_backends=vis_backends, name='visualizer')

log_processor = dict(
    type='mmpose_ext.ShortLogProcessor', window_size=50, num_digits=6)
log_level = 'INFO'
load_from = None
resume = False
backend_args = dict(backend='local')

# train_cfg belongs to the schedule: two bases may not share a key
val_cfg = dict()
test_cfg = dict()
