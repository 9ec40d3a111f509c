# Two rats that the network need not tell apart: one map for both, whose
# peaks are matched between the views and followed over time.
_base_ = ['com_synthetic-pairs.py']

_codec = {
    **_base_.model.head.decoder, 'type': 'mmpose_ext.ComSharedHeatmap',
    'num_individuals': 2}
model = dict(head=dict(out_channels=1, decoder=_codec))

_target = dict(type='GenerateTarget', encoder=_codec)
train_dataloader = dict(
    dataset=dict(
        shared_map=True, pipeline=[
            *_base_._load, *_base_.augmentation, _base_._crop, _target,
            _base_._pack]))
val_dataloader = dict(dataset=dict(shared_map=True))
test_dataloader = dict(dataset=dict(shared_map=True))
val_evaluator = dict(shared_map=True)
test_evaluator = dict(shared_map=True)
