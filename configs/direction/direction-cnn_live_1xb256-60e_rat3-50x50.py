# 34,198 parameters for live use.
_base_ = ['direction-cnn_1xb256-60e_rat3-50x50.py']
model = dict(
    backbone=dict(widths=(8, 16, 32, 32)),
    head=dict(in_channels=32, hidden=64))
