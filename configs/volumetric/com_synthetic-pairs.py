# Two rats of other coats, a map each: the small network of one rat on the
# recordings of pairs. Make the data by `python tools/synthesize.py
# volumetric`.
_base_ = ['com_tiny_synthetic.py']

model = dict(head=dict(out_channels=2))

# of each rat: a file has the points of both
_pairs = dict(recording_settings=dict(num_keypoints=23))
train_dataloader = dict(dataset=dict(**_pairs, recordings='pair_[0-9]*'))
val_dataloader = dict(dataset=dict(**_pairs, recordings=['pair_val']))
test_dataloader = dict(dataset=dict(**_pairs, recordings=['pair_test']))

# 20 labelled time points of four views are few: they come more often
train_cfg = dict(max_epochs=80, val_interval=20)
param_scheduler = [
    _base_.param_scheduler[0], {**_base_.param_scheduler[1], 'T_max': 80}]
default_hooks = dict(checkpoint=dict(interval=20))
