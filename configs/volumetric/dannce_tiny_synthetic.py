# A small network on synthetic rats before four cameras, from nothing: about
# five minutes on a CPU core.
# Make the data by `python tools/synthesize.py volumetric`.
_base_ = ['_base_/dannce.py']
data_root = '{{$MMPOSE_EXT_DATA:data}}/synthetic/volumetric'

model = dict(
    data_preprocessor=dict(
        grid=dict(vmin=-125., vmax=125., nvox=24), num_views=4,
        interpolation='bilinear',  # a voxel is larger than a pixel
        # five minutes are short: what the tests ask for, and other light
        augment=dict(
            _delete_=True, rotate='any', com_jitter_mm=10., brightness=0.1,
            contrast=0.1)),
    backbone=dict(num_views=4, size=(16, 32, 64, 128), norm='batch'),
    head=dict(
        in_channels=16,
        # learns faster from nothing than the expected position alone
        volume_loss=dict(type='mmpose_ext.DannceLikelihoodLoss',
                         loss_weight=4.)))
pipeline = [_base_.pipeline[0],
            {**_base_.pipeline[1], 'reach_mm': 135.}, _base_.pipeline[2]]

_data = dict(data_root=data_root, skeleton='rat23', pipeline=pipeline,
             split='all')
train_dataloader = dict(
    batch_size=2,  # many small steps
    num_workers=0, persistent_workers=False,  # the pictures are in memory
    dataset=dict(**_data, recordings='train_*'))
val_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(**_data, recordings=['val']))
# another rat, each time point in four turned volumes
test_dataloader = {
    **_base_.val_dataloader, 'num_workers': 0, 'persistent_workers': False,
    'dataset': {**_base_.val_dataloader['dataset'], **_data,
                'recordings': ['test'], 'turns': (0., 90., 180., 270.)}}
test_evaluator = _base_.val_evaluator

train_cfg = dict(by_epoch=True, max_epochs=10, val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=2.5e-3))
auto_scale_lr = dict(base_batch_size=2)
default_hooks = dict(checkpoint=dict(interval=5))
