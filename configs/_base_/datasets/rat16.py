# Rat of 16 points.
# Left is blue, right orange.
_points = [
    # name, the same point of the other side, body, RGB
    ('EarL', 'EarR', 'upper', (51, 153, 255)),
    ('EarR', 'EarL', 'upper', (255, 128, 0)),
    ('Snout', '', 'upper', (0, 200, 83)),
    ('SpineF', '', 'upper', (0, 200, 83)),
    ('SpineM', '', 'upper', (0, 200, 83)),
    ('Tail(base)', '', 'lower', (0, 200, 83)),
    ('Tail(mid)', '', 'lower', (0, 200, 83)),
    ('Tail(end)', '', 'lower', (0, 200, 83)),
    ('ForepawL', 'ForepawR', 'upper', (51, 153, 255)),
    ('ForelimbL', 'ForelimbR', 'upper', (51, 153, 255)),
    ('ForepawR', 'ForepawL', 'upper', (255, 128, 0)),
    ('ForelimbR', 'ForelimbL', 'upper', (255, 128, 0)),
    ('HindpawL', 'HindpawR', 'lower', (51, 153, 255)),
    ('HindlimbL', 'HindlimbR', 'lower', (51, 153, 255)),
    ('HindpawR', 'HindpawL', 'lower', (255, 128, 0)),
    ('HindlimbR', 'HindlimbL', 'lower', (255, 128, 0)),
]
_links = [(0, 1), (1, 2), (0, 2), (0, 3), (3, 4), (4, 5), (5, 6), (6, 7),
          (8, 9), (3, 9), (10, 11), (11, 3), (12, 13), (13, 5), (14, 15),
          (15, 5)]

dataset_info = dict(
    dataset_name='rat16',
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
