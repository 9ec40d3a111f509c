# The same points with the tolerance of the body part: a hoof is no hip.
_base_ = 'horse26.py'
dataset_info = dict(
    dataset_name='horse26_anatomical',
    sigmas=[
        .026, .025, .025, .035, .035,  # nose, eyes, ears
        .079, .079, .089, .079, .107,  # neck, withers, back, tail
        .079, .079, .072, .072,  # elbows, knees
        .062, .062, .062, .062,  # front fetlocks and hooves
        .107, .107, .087, .087,  # hips, hocks
        .087, .087, .089, .089,  # hind fetlocks and hooves
    ])
