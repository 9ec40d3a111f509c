# The numbers of the original's recipe, for comparisons: right angles alone,
# Adam at a fixed rate, and its shift of the pixels' origin.
_base_ = ['dannce_compressed_1xb4-100e_rat23-6cam-80vox.py']
model = dict(
    data_preprocessor=dict(
        peer_compat=True,  # samples one pixel to the lower right
        augment=dict(_delete_=True, rotate='right_angles',
                     com_jitter_mm=20., view_draw='replace')))
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4, eps=1e-7))
param_scheduler = None
