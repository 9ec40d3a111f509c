# 26 points of a horse. The sigmas follow AP-10K's by position in the list,
# as in published results; horse26_anatomical.py has them by anatomy.
_points = [
    # name, the same point of the other side, body, sigma, weight, RGB
    ('nose', '', 'upper', .025, 1.0, (255, 107, 107)),
    ('l_eye', 'r_eye', 'upper', .025, 1.0, (78, 205, 196)),
    ('r_eye', 'l_eye', 'upper', .025, 1.0, (69, 183, 209)),
    ('l_ear', 'r_ear', 'upper', .035, 0.8, (150, 206, 180)),
    ('r_ear', 'l_ear', 'upper', .035, 0.8, (255, 234, 167)),
    ('neck', '', 'upper', .079, 1.2, (223, 230, 233)),
    ('withers', '', 'upper', .072, 1.5, (162, 155, 254)),
    ('back', '', 'upper', .079, 1.2, (253, 121, 168)),
    ('tail_base', '', 'upper', .079, 1.0, (253, 203, 110)),
    ('tail_end', '', 'upper', .089, 0.7, (225, 112, 85)),
    ('l_elbow', 'r_elbow', 'upper', .072, 1.3, (116, 185, 255)),
    ('r_elbow', 'l_elbow', 'upper', .072, 1.3, (9, 132, 227)),
    ('l_knee', 'r_knee', 'lower', .062, 1.1, (85, 239, 196)),
    ('r_knee', 'l_knee', 'lower', .062, 1.1, (0, 184, 148)),
    ('lf_fetlock', 'rf_fetlock', 'lower', .062, 1.0, (250, 177, 160)),
    ('rf_fetlock', 'lf_fetlock', 'lower', .062, 1.0, (225, 112, 85)),
    ('lf_hoof', 'rf_hoof', 'lower', .107, 1.0, (250, 177, 160)),
    ('rf_hoof', 'lf_hoof', 'lower', .107, 1.0, (225, 112, 85)),
    ('l_hip', 'r_hip', 'lower', .087, 1.3, (162, 155, 254)),
    ('r_hip', 'l_hip', 'lower', .087, 1.3, (108, 92, 231)),
    ('l_hock', 'r_hock', 'lower', .062, 1.1, (85, 239, 196)),
    ('r_hock', 'l_hock', 'lower', .062, 1.1, (0, 184, 148)),
    ('lh_fetlock', 'rh_fetlock', 'lower', .062, 1.0, (250, 177, 160)),
    ('rh_fetlock', 'lh_fetlock', 'lower', .062, 1.0, (225, 119, 85)),
    ('lh_hoof', 'rh_hoof', 'lower', .107, 1.0, (253, 121, 168)),
    ('rh_hoof', 'lh_hoof', 'lower', .107, 1.0, (214, 48, 49)),
]
_links = [(0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (5, 6), (6, 7), (7, 8),
          (8, 9), (6, 10), (6, 11), (10, 12), (11, 13), (12, 14), (13, 15),
          (14, 16), (15, 17), (7, 18), (7, 19), (18, 20), (19, 21), (20, 22),
          (21, 23), (22, 24), (23, 25)]

dataset_info = dict(
    dataset_name='horse26',
    keypoint_info={
        i: dict(name=name, id=i, color=list(color), type=body, swap=swap)
        for i, (name, swap, body, _, _, color) in enumerate(_points)
    },
    skeleton_info={
        i: dict(
            link=(_points[a][0], _points[b][0]),
            id=i,
            color=list(_points[a][-1]))
        for i, (a, b) in enumerate(_links)
    },
    joint_weights=[point[4] for point in _points],
    sigmas=[point[3] for point in _points])
del _points, _links
