# Step 2: the same ten labels, and the other 80 time points without theirs.
_base_ = ['dannce_10-labels_mouse-4cam.py', '_base_/second_step.py']
load_from = 'work_dirs/dannce_10-labels_mouse-4cam/epoch_60.pth'

model = dict(
    data_preprocessor=dict(copies=_base_._copies),
    head=dict(
        **_base_._small_head,
        refiner=dict(**_base_._graph,
                     skeleton=f'{_base_.data_root}/skeleton.json'),
        pose_losses=dict(
            bones=dict(**_base_._bones, loss_weight=1.),
            consistency=dict(**_base_._consistency, loss_weight=0.5))))
train_dataloader = dict(
    batch_size=4,
    sampler=dict(_delete_=True, **_base_._mix),
    dataset=dict(unlabelled='all'))

train_cfg = dict(max_epochs=30, val_interval=30)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
auto_scale_lr = dict(base_batch_size=4)
custom_hooks = [*_base_.custom_hooks, _base_._ramps]
