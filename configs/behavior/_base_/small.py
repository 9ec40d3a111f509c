# The small network of the original, 32 x 4, on windows of 64 frames that look
# as far ahead as back.
_base_ = ['lisbet.py']
window = dict(window_size=64, window_offset=31)

model = dict(
    window_offset=31,
    backbone=dict(
        embed_dims=32,
        num_layers=4,
        num_heads=4,
        hidden_channels=128,
        max_length=64),
    heads={
        task: dict(in_channels=32, hidden_channels=128)
        for task in _base_.tasks
    })
train_dataloader = dict(dataset=window)
val_dataloader = dict(dataset=window)
test_dataloader = dict(dataset=window)
