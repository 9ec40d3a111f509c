# Mouse of 14 points.
# Left is blue, right orange.
_points = [
    # name, the same point of the other side, body, RGB
    ('Snout', '', 'upper', (0, 200, 83)),
    ('EarL', 'EarR', 'upper', (51, 153, 255)),
    ('EarR', 'EarL', 'upper', (255, 128, 0)),
    ('SpineF', '', 'upper', (0, 200, 83)),
    ('SpineM', '', 'upper', (0, 200, 83)),
    ('Tail(base)', '', 'lower', (0, 200, 83)),
    ('ForShdL', 'ForeShdR', 'upper', (51, 153, 255)),
    ('ForepawL', 'ForepawR', 'upper', (51, 153, 255)),
    ('ForeShdR', 'ForShdL', 'upper', (255, 128, 0)),
    ('ForepawR', 'ForepawL', 'upper', (255, 128, 0)),
    ('HindShdL', 'HindShdR', 'lower', (51, 153, 255)),
    ('HindpawL', 'HindpawR', 'lower', (51, 153, 255)),
    ('HindShdR', 'HindShdL', 'lower', (255, 128, 0)),
    ('HindpawR', 'HindpawL', 'lower', (255, 128, 0)),
]
_links = [(0, 1), (0, 2), (1, 2), (0, 3), (3, 4), (4, 5), (3, 6), (6, 7),
          (3, 8), (8, 9), (4, 10), (10, 11), (4, 12), (12, 13)]

dataset_info = dict(
    dataset_name='mouse14',
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
