# Parts of step 2 that configs of s-DANNCE put where they belong.
_mix = dict(type='mmpose_ext.DannceMixSampler', mix=(1, 1))
_bones = dict(type='mmpose_ext.DannceBoneLengthLoss', priors='labels')
_consistency = dict(type='mmpose_ext.DannceConsistencyLoss')
# what needs no labels comes in over the first fifth of the training
_ramps = dict(type='mmpose_ext.LossWeightHook', schedules=[
    dict(loss=f'head.pose_losses.{name}', until=.2)
    for name in ('bones', 'consistency')])

# of small networks; what nobody labelled comes twice, in other volumes
_copies = dict(labelled=1, unlabelled=2)
_graph = dict(type='mmpose_ext.DanncePoseGraph', hidden=64, fuse_channels=64,
              dropout=0.2)
_small_head = dict(
    in_channels=(64, 32, 16),  # of all levels of the decoder
    initial_loss=dict(type='mmpose_ext.DannceL1Loss'))
