# Rat of 23 points, as in s-DANNCE's recordings.
# Left is blue, right orange.
_points = [
    # name, the same point of the other side, body, RGB
    ('Snout', '', 'upper', (0, 200, 83)),
    ('EarL', 'EarR', 'upper', (51, 153, 255)),
    ('EarR', 'EarL', 'upper', (255, 128, 0)),
    ('SpineF', '', 'upper', (0, 200, 83)),
    ('SpineM', '', 'upper', (0, 200, 83)),
    ('SpineL', '', 'lower', (0, 200, 83)),
    ('TailBase', '', 'lower', (0, 200, 83)),
    ('ShoulderL', 'ShoulderR', 'upper', (51, 153, 255)),
    ('ElbowL', 'ElbowR', 'upper', (51, 153, 255)),
    ('WristL', 'WristR', 'upper', (51, 153, 255)),
    ('HandL', 'HandR', 'upper', (51, 153, 255)),
    ('ShoulderR', 'ShoulderL', 'upper', (255, 128, 0)),
    ('ElbowR', 'ElbowL', 'upper', (255, 128, 0)),
    ('WristR', 'WristL', 'upper', (255, 128, 0)),
    ('HandR', 'HandL', 'upper', (255, 128, 0)),
    ('HipL', 'HipR', 'lower', (51, 153, 255)),
    ('KneeL', 'KneeR', 'lower', (51, 153, 255)),
    ('AnkleL', 'AnkleR', 'lower', (51, 153, 255)),
    ('FootL', 'FootR', 'lower', (51, 153, 255)),
    ('HipR', 'HipL', 'lower', (255, 128, 0)),
    ('KneeR', 'KneeL', 'lower', (255, 128, 0)),
    ('AnkleR', 'AnkleL', 'lower', (255, 128, 0)),
    ('FootR', 'FootL', 'lower', (255, 128, 0)),
]
_links = [(0, 1), (0, 2), (0, 3), (1, 2), (3, 4), (3, 7), (3, 11), (4, 5),
          (5, 6), (5, 15), (5, 19), (7, 8), (8, 9), (9, 10), (11, 12),
          (12, 13), (13, 14), (15, 16), (16, 17), (17, 18), (19, 20), (20, 21),
          (21, 22)]

dataset_info = dict(
    dataset_name='rat23',
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
