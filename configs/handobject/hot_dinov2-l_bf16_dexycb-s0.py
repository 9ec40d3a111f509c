# In bfloat16, which needs a GPU, but no scaling of losses; batches of 64 in
# two halves.
_base_ = ['hot_dinov2-l_dexycb-s0.py']
optim_wrapper = dict(
    type='AmpOptimWrapper', dtype='bfloat16', loss_scale=1.0,
    accumulative_counts=2)
