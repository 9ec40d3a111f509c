# The plain network with the better recipe on the published data: its 1,546
# images are found again among its 98,944 rows and augmented afresh.
_base_ = [
    '_base_/direction-cnn.py', '../_base_/schedules/adamw_cosine_60e.py'
]
data_root = '{{$MMPOSE_EXT_DATA:data}}/tagged_dataset'
ann_file = 'rat_images_augmented_and_tagged.npz'

train_dataloader = dict(
    dataset=dict(ann_file=ann_file, data_root=data_root, repeat=64))
val_dataloader = dict(dataset=dict(ann_file=ann_file, data_root=data_root))
test_dataloader = {
    **_base_.val_dataloader, 'dataset': dict(
        type='mmpose_ext.DirectionDataset',
        ann_file=ann_file,
        data_root=data_root,
        split='test',
        test_mode=True)
}
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='mmpose_ext.ResumableEarlyStoppingHook',
        monitor='dir/head_mae_deg',
        rule='less',
        patience=15),
]
