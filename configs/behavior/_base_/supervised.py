# Which behaviour a frame shows, by the small network: from scratch, or from
# weights of the self-supervised tasks by `--cfg-options load_from=...`.
_base_ = ['small.py']
labelled = dict(tasks=['multiclass'], annotation_format='auto')

model = dict(
    heads=dict(
        _delete_=True,
        multiclass=dict(
            type='mmpose_ext.LisbetFrameHead',
            num_classes=6,
            in_channels=32,
            hidden_channels=128)))
train_dataloader = dict(dataset=labelled)
val_dataloader = dict(dataset=dict(stride=1, **labelled))
test_dataloader = dict(dataset=dict(stride=1, **labelled))
default_hooks = dict(
    checkpoint=dict(save_best='lisbet/multiclass_macro_f1'))
custom_hooks = [
    *_base_.custom_hooks, dict(type='mmpose_ext.LisbetClassBalanceHook')
]
