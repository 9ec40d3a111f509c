# Rat of 20 markers, as in Rat 7M. HeadL has no counterpart.
# Left is blue, right orange.
_points = [
    # name, the same point of the other side, body, RGB
    ('HeadF', '', 'upper', (0, 200, 83)),
    ('HeadB', '', 'upper', (0, 200, 83)),
    ('HeadL', '', 'upper', (0, 200, 83)),
    ('SpineF', '', 'upper', (0, 200, 83)),
    ('SpineM', '', 'upper', (0, 200, 83)),
    ('SpineL', '', 'lower', (0, 200, 83)),
    ('Offset1', '', 'upper', (0, 200, 83)),
    ('Offset2', '', 'upper', (0, 200, 83)),
    ('HipL', 'HipR', 'lower', (51, 153, 255)),
    ('HipR', 'HipL', 'lower', (255, 128, 0)),
    ('ElbowL', 'ElbowR', 'upper', (51, 153, 255)),
    ('ArmL', 'ArmR', 'upper', (51, 153, 255)),
    ('ShoulderL', 'ShoulderR', 'upper', (51, 153, 255)),
    ('ShoulderR', 'ShoulderL', 'upper', (255, 128, 0)),
    ('ElbowR', 'ElbowL', 'upper', (255, 128, 0)),
    ('ArmR', 'ArmL', 'upper', (255, 128, 0)),
    ('KneeR', 'KneeL', 'lower', (255, 128, 0)),
    ('KneeL', 'KneeR', 'lower', (51, 153, 255)),
    ('ShinL', 'ShinR', 'lower', (51, 153, 255)),
    ('ShinR', 'ShinL', 'lower', (255, 128, 0)),
]
_links = [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 6), (3, 12), (3, 13),
          (4, 5), (5, 7), (5, 8), (5, 9), (6, 7), (8, 17), (9, 16), (17, 18),
          (16, 19), (10, 11), (12, 10), (13, 14), (14, 15)]

dataset_info = dict(
    dataset_name='rat7m',
    keypoint_info={
        i: dict(name=name, id=i, color=list(color), type=body, swap=swap)
        for i, (name, swap, body, color) in enumerate(_points)
    },
    skeleton_info={
        i: dict(
            link=(_points[a][0], _points[b][0]),
            id=i,
            # of the side, where both ends are on one or one is in the middle
            color=list(_points[b if _points[b][1] else a][-1]))
        for i, (a, b) in enumerate(_links)
    },
    joint_weights=[1.] * len(_points),
    sigmas=[.05] * len(_points))
del _points, _links
