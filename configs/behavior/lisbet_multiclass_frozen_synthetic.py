# As lisbet_multiclass_synthetic, the backbone as it was loaded: only the head
# learns.
_base_ = ['lisbet_multiclass_synthetic.py']
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmpose_ext.CheckpointSanityHook'),
    dict(type='mmpose_ext.FreezeHook', patterns=['backbone']),
]
