# A mouse before four cameras: 90 time points to learn from, 30 to test.
# About eight minutes on one CPU core.
# Make the data by `python tools/convert_dataset.py anipose DIR --out
# data/mouse_4cam`, DIR being a session with videos and calibration.toml.
_base_ = ['_base_/dannce.py']
data_root = '{{$MMPOSE_EXT_DATA:data}}/mouse_4cam'

model = dict(
    data_preprocessor=dict(
        # the tip of the tail is 96 mm away
        grid=dict(vmin=-106., vmax=106., nvox=40), num_views=4, mono=True,
        interpolation='bilinear',  # a voxel is larger than a pixel
        # one camera fixed in each channel; infrared has no hue
        augment=dict(view_draw=None, com_jitter_mm=10., mirror=0., hue=0.,
                     contrast=0.1)),
    backbone=dict(num_views=4, view_channels=1, size=(16, 32, 64, 128),
                  norm='batch'),
    head=dict(
        in_channels=16, num_keypoints=15,
        # learns faster from nothing than the expected position alone
        volume_loss=dict(type='mmpose_ext.DannceLikelihoodLoss',
                         loss_weight=2.)))
pipeline = [_base_.pipeline[0],
            {**_base_.pipeline[1], 'reach_mm': 117.}, _base_.pipeline[2]]

# The mouse hardly moves: a test turns the volumes and moves their middles, so
# that the mean pose is no answer.
_data = dict(data_root=data_root, recordings='.', pipeline=pipeline,
             split_by=dict(train=[[0, 90]], test=[[90, 120]]))
_test = dict(turns=(0., 90., 180., 270.), com_jitter_mm=10.)
train_dataloader = dict(num_workers=0, persistent_workers=False,
                        dataset=dict(**_data))
# nothing is chosen by its score: validation only shows the course
val_dataloader = dict(num_workers=0, persistent_workers=False,
                      dataset=dict(**_data, **_test, split='test'))
test_dataloader = {
    **_base_.val_dataloader, 'num_workers': 0, 'persistent_workers': False,
    'dataset': {**_base_.val_dataloader['dataset'],
                **val_dataloader['dataset']}}
test_evaluator = _base_.val_evaluator

train_cfg = dict(by_epoch=True, max_epochs=12, val_interval=6)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
default_hooks = dict(checkpoint=dict(interval=6, save_best=None))
