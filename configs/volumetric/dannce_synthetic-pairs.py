# Two rats together, of which 20 time points are labelled; the labels alone.
# What s-DANNCE is compared with: it takes the same steps from the same start.
# Make the data by `python tools/synthesize.py volumetric`; start from step 1,
# --cfg-options load_from=work_dirs/dannce_tiny_synthetic/epoch_10.pth
_base_ = ['dannce_tiny_synthetic.py']

_pairs = dict(num_individuals=2,
              recording_settings=dict(com_file='com3d.mat'))
train_dataloader = dict(
    batch_size=1,  # a sample is two volumes, one a rat
    dataset=dict(recordings='pair_[0-9]*', **_pairs))
val_dataloader = dict(dataset=dict(recordings=['pair_val'], **_pairs))
# other rats, each time point in four turned volumes
test_dataloader = dict(dataset=dict(recordings=['pair_test'], **_pairs))

# 20 labelled time points of other rats choose no checkpoint: the last is it
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=20)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
auto_scale_lr = dict(base_batch_size=1)
default_hooks = dict(checkpoint=dict(interval=10))
