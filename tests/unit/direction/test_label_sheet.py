from __future__ import annotations

import numpy as np

from mmpose_ext.direction.label_sheet import draw_label_sheet, draw_labels

IMAGE = np.full((50, 50), 128, np.uint8)
POINTS = np.array([[10., 10.], [25., 25.], [40., 25.]])


def color_at(tile: np.ndarray, point: np.ndarray) -> list[int]:
    x, y = np.rint((point + .5) * tile.shape[0] / 50 - .5).astype(int)
    return tile[y, x].tolist()


def test_points_lie_where_they_are() -> None:
    tile = draw_labels(IMAGE, POINTS)
    assert tile.shape == (200, 200, 3)
    colors = [color_at(tile, point) for point in POINTS]
    assert colors == [[255, 153, 51], [0, 255, 0], [0, 128, 255]]


def test_points_without_weight_are_hollow_and_without_arrow() -> None:
    tile = draw_labels(IMAGE, POINTS, np.array([1, 1, 0]))
    assert color_at(tile, POINTS[2]) == [128] * 3
    ring = tile[90:115, 150:175].astype(int)
    assert (np.ptp(ring, -1) > 60).sum() >= 6
    assert color_at(tile, np.array([32.5, 25])) == [128] * 3
    assert color_at(tile, np.array([17.5, 17.5])) != [128] * 3


def test_unknown_points_are_not_drawn() -> None:
    points = np.where([[True], [False], [False]], POINTS, np.nan)
    tile = draw_labels(IMAGE, points)
    assert color_at(tile, POINTS[0]) != [128] * 3
    assert (tile[60:] == 128).all()


def test_sheet_shows_every_image() -> None:
    images = np.stack([IMAGE] * 5)
    sheet = draw_label_sheet(images, np.stack([POINTS] * 5), side=100)
    green = (sheet == [0, 255, 0]).all(-1)
    columns = [green[:, 104 * i:104 * (i + 1)].any() for i in range(3)]
    assert all(columns)
    assert 2 * 100 <= sheet.shape[0] < 2 * 120
    assert 3 * 100 <= sheet.shape[1] < 3 * 120
