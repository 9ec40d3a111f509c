# Data, evaluation and run of every horse model: about 800 labelled pictures
# in data/horse, three phases from strong to mild augmentation.
_base_ = ['../../_base_/default_runtime.py', 'augmentation.py']
custom_imports = dict(imports=['mmpose_ext.equine'])

data_root = '{{$MMPOSE_EXT_DATA:data}}/horse'
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='mmpose_ext.DrawSampler', shuffle=True),
    dataset=dict(
        type='mmpose_ext.HorsePoseDataset',
        data_root=data_root,
        ann_file='annotations/horse_train.json',
        data_prefix=dict(img='train/')))
val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='mmpose_ext.HorsePoseDataset',
        data_root=data_root,
        ann_file='annotations/horse_val.json',
        data_prefix=dict(img='val/'),
        test_mode=True))
# a split of its own: the validation score chose the checkpoint
test_dataloader = {
    **val_dataloader, 'dataset': {
        **val_dataloader['dataset'],
        'ann_file': 'annotations/horse_test.json',
        'data_prefix': dict(img='test/')
    }
}
# the annotations are those of the data set that is evaluated
val_evaluator = [
    dict(type='mmpose_ext.HorseCocoMetric', sigmas='horse26', prefix='coco'),
    # tolerances by anatomy: hooves count as hooves
    dict(type='mmpose_ext.HorseCocoMetric', sigmas='anatomical',
         prefix='coco_anatomical'),
    dict(type='mmpose_ext.HorseKeypointMetric',
         mean_pose_from=f'{data_root}/annotations/horse_train.json'),
]
test_evaluator = val_evaluator

visualizer = dict(type='mmpose_ext.HorsePoseVisualizer')
train_cfg = dict(by_epoch=True, max_epochs=300, val_interval=10,
                 dynamic_intervals=[(200, 5)])  # oftener in the last third
auto_scale_lr = dict(base_batch_size=16)
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=10, max_keep_ckpts=3, save_best='coco/AP',
                    rule='greater'))
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmpose_ext.ChannelsLastHook'),
    dict(type='mmpose_ext.CheckpointSanityHook'),  # of load_from
]
randomness = dict(seed=21)
