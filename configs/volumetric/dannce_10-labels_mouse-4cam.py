# Step 1 of two, as if ten of the mouse's 90 time points had been labelled.
# Coarser voxels than dannce_mouse-4cam.py: about three minutes of CPU time.
_base_ = ['dannce_mouse-4cam.py']
model = dict(data_preprocessor=dict(grid=dict(nvox=32)))
train_dataloader = dict(batch_size=2, dataset=dict(num_labels=10))
train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=60)
auto_scale_lr = dict(base_batch_size=2)
default_hooks = dict(checkpoint=dict(interval=60))
