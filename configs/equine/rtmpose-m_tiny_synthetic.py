# A thin network of three stages on synthetic horses, from nothing, in three
# phases: two to four minutes on two CPU cores.
# Make the data by `python tools/synthesize.py equine`.
_base_ = ['_base_/rtmpose-m.py']
pretrained = None
data_root = '{{$MMPOSE_EXT_DATA:data}}/synthetic/equine'

codec = dict(input_size=(128, 128), sigma=(4.0, 4.0))
model = dict(
    backbone=dict(
        # input and output channels, blocks, shortcuts, pooling at the end
        arch_ovewrite=[[64, 128, 3, True, False], [128, 256, 6, True, False],
                       [256, 512, 6, True, True]],
        deepen_factor=0.33, widen_factor=0.25, out_indices=(3, )),
    head=dict(
        in_channels=128, input_size=codec['input_size'],
        in_featuremap_size=(8, 8), decoder=codec))

# mild augmentation, at the end without other colours
_crop = dict(type='TopdownAffine', input_size=codec['input_size'])
_end = [dict(type='GenerateTarget', encoder={**_base_.codec, **codec}),
        dict(type='PackPoseInputs')]
_colors = dict(type='mmpose_ext.HorsePhotometricDistortion')
_boxes = [*_base_._load, *_base_.augmentations[2].box, _crop]
_test = [*_base_._load, _crop, _end[1]]
train_dataloader = dict(
    dataset=dict(
        data_root=data_root, cache=dict(side=128),
        pipeline=[*_boxes, _colors, *_end]))
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=_test))
test_dataloader = val_dataloader
_mean_pose = f'{data_root}/annotations/horse_train.json'
val_evaluator = [
    *_base_.val_evaluator[:2],
    {**_base_.val_evaluator[2], 'mean_pose_from': _mean_pose}]
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=32, val_interval=8, dynamic_intervals=None)
optim_wrapper = dict(
    constructor='mmpose_ext.StageWiseOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1.5e-3, weight_decay=0.05, fused=True),
    paramwise_cfg=dict(stage_lrs=dict(head=1.0)))
param_scheduler = [
    dict(type='mmpose_ext.WarmupLR', by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.01, by_epoch=True,
         convert_to_iter_based=True)]
custom_hooks = [
    *_base_.custom_hooks, dict(type='mmpose_ext.HorseTransferHook'),
    dict(type='mmpose_ext.StageLRHook'), dict(type='mmpose_ext.AutoEMAHook'),
    dict(type='mmpose_ext.GradualUnfreezeHook', phases=[
        dict(begin=0., trainable=['head', 'stage2', 'stage3']),
        dict(begin=1 / 6, trainable=['+stem', '+stage1']),
        dict(begin=0.8, trainable=['head', 'stage2', 'stage3'],
             norm_eval=True)]),
    dict(type='mmpose_ext.PhasedPipelineHook', switches=[
        dict(begin=0., pipeline=[*_boxes, _colors, *_end]),
        dict(begin=2 / 3, pipeline=[*_boxes, *_end])])]
default_hooks = dict(checkpoint=dict(interval=8))
