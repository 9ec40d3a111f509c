# Weights that fit any number of cameras in any order: each view passes the
# same convolution, and what they say is pooled.
_base_ = ['dannce_compressed_1xb4-100e_rat23-6cam-80vox.py']
model = dict(
    data_preprocessor=dict(
        num_views=None,
        augment=dict(view_draw=None, view_dropout=0.2)),
    backbone=dict(stem=dict(type='mmpose_ext.DannceViewPoolingStem')))
