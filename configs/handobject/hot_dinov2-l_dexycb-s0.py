# DINOv2-L; embeddings and half of the blocks stay frozen.
# For a GPU there is hot_dinov2-l_bf16_dexycb-s0.py.
_base_ = ['_base_/three_stages.py']

custom_hooks = [
    *_base_.custom_hooks,
    _base_.loss_schedule,
    dict(type='mmpose_ext.GradualUnfreezeHook', phases=_base_.phases,
         always_frozen=[f'layer{depth}' for depth in range(13)]),
    dict(type='mmpose_ext.AutoEMAHook'),
    # every second block is computed twice and not kept
    dict(type='mmpose_ext.ActivationCheckpointHook', ratio=0.5)]
