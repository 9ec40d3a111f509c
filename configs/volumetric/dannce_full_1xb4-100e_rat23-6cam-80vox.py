# Twice the channels, four times the parameters.
_base_ = ['dannce_compressed_1xb4-100e_rat23-6cam-80vox.py']
model = dict(
    backbone=dict(size='full', checkpointing=True),
    head=dict(in_channels=64))
