# s-DANNCE on two rats together: 20 labelled time points, 400 without labels.
# Make the data by `python tools/synthesize.py volumetric`; start from step 1,
# --cfg-options load_from=work_dirs/dannce_tiny_synthetic/epoch_10.pth
# Without it 20 labels do not suffice (52 mm instead of 22).
_base_ = ['dannce_synthetic-pairs.py', '_base_/second_step.py']

model = dict(
    data_preprocessor=dict(copies=_base_._copies),
    head=dict(
        **_base_._small_head,
        refiner=dict(**_base_._graph, skeleton='rat23'),
        pose_losses=dict(
            bones=dict(**_base_._bones, loss_weight=2.),
            consistency=dict(**_base_._consistency, loss_weight=0.5))))
train_dataloader = dict(
    batch_size=2,
    sampler=dict(_delete_=True, **_base_._mix),
    dataset=dict(unlabelled='all'))

auto_scale_lr = dict(base_batch_size=2)
custom_hooks = [*_base_.custom_hooks, _base_._ramps]
