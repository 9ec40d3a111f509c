# Transformer, windows and evaluation of the self-supervised tasks, for pairs
# of mice with the seven keypoints of CalMS21.
_base_ = ['../../_base_/default_runtime.py']
custom_imports = dict(imports=['mmpose_ext.behavior'])

tasks = ['cons', 'order', 'shift', 'warp']
model = dict(
    type='mmpose_ext.LisbetModel',
    data_preprocessor=dict(
        type='mmpose_ext.LisbetPreprocessor',
        individuals=2,
        keypoints=7,
        axes=2,
        # how bodies are bent and move, and where the other one is, seen from
        # each: absolute places take ten times as many steps
        features=('position', 'velocity', 'pose', 'motion', 'partner'),
        body_axis=(6, 0),  # tail to nose
        missing='mask',
        standardize=True),
    backbone=dict(type='mmpose_ext.LisbetTransformer', in_channels=136),
    heads={task: dict(type='mmpose_ext.LisbetWindowHead') for task in tasks})

train_dataloader = dict(
    batch_size=32,  # windows of each task
    num_workers=0,  # a batch is a few gathers: workers would be slower
    sampler=dict(
        type='mmpose_ext.DrawSampler', shuffle=True, epoch_fraction=1.),
    collate_fn=dict(type='mmpose_ext.pass_batch'),
    dataset=dict(
        type='mmpose_ext.LisbetWindowDataset', split='train', tasks=tasks))
val_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type='mmpose_ext.DrawSampler', shuffle=False),
    collate_fn=dict(type='mmpose_ext.pass_batch'),
    dataset=dict(
        type='mmpose_ext.LisbetWindowDataset',
        split='val',
        tasks=tasks,
        stride=30,
        test_mode=True))
test_dataloader = {
    **val_dataloader, 'dataset': {**val_dataloader['dataset'], 'split': 'test'}
}
val_evaluator = dict(type='mmpose_ext.LisbetMetric')
test_evaluator = val_evaluator

visualizer = dict(type='mmpose_ext.LisbetVisualizer')
# accuracies of single batches say little
log_processor = dict(mean_pattern=r'.*(loss|time|grad_norm|acc_).*')
default_hooks = dict(
    visualization=dict(type='mmpose_ext.LisbetVisualizationHook'),
    checkpoint=dict(
        interval=1, max_keep_ckpts=2, save_best='lisbet/mean_acc',
        rule='greater'))
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmpose_ext.LisbetStandardizeHook'),
    dict(type='mmpose_ext.LisbetReportHook'),
]
