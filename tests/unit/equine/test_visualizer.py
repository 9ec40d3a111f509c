"""Colours, rings, legend: checked on the pixels."""
from __future__ import annotations

import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_ext.equine.horse26 import NAMES, SKELETON
from mmpose_ext.equine.visualizer import (
    LEFT,
    MIDDLE,
    RIGHT,
    HorsePoseVisualizer,
    Pen,
    draw_comparison,
    draw_error_table,
    draw_legend,
    draw_poses,
    keypoint_colors,
    link_colors,
)

GREEN = (0, 130, 0)  # BGR


def canvas(height: int = 300, width: int = 400) -> np.ndarray:
    return np.full((height, width, 3), GREEN, np.uint8)


def spread() -> np.ndarray:
    """Points (1, 26, 2) that are 50 px or more apart."""
    x, y = np.meshgrid(np.arange(7) * 55. + 30, np.arange(4) * 70. + 40)
    return np.stack([x, y], -1).reshape(-1, 2)[None, :26]


def pixel(image: np.ndarray, place: np.ndarray) -> list[int]:
    x, y = np.rint(place).astype(int)
    return image[y, x].tolist()


def test_sides_have_their_colours_at_the_points() -> None:
    points = spread()
    drawn = draw_poses(canvas(), points)
    for name, place in zip(NAMES, points[0], strict=True):
        side = (LEFT if name.startswith('l') else
                RIGHT if name.startswith('r') else MIDDLE)
        np.testing.assert_allclose(pixel(drawn, place), side, atol=2)


def test_left_is_blue_and_right_is_orange() -> None:
    blue, green, red = LEFT
    assert blue > green > red
    blue, green, red = RIGHT
    assert red > green > blue


def test_a_link_takes_the_side_that_it_leads_to() -> None:
    by_link = dict(zip(SKELETON, link_colors(), strict=True))
    assert by_link[6, 10] == LEFT and by_link[6, 11] == RIGHT
    assert by_link[5, 6] == MIDDLE and by_link[10, 12] == LEFT


def test_the_data_sets_own_colours_are_rgb_in_its_file() -> None:
    assert keypoint_colors('dataset')[0] == (107, 107, 255)
    assert link_colors('dataset')[5] == keypoint_colors('dataset')[5]


def test_a_low_score_is_a_ring_and_an_absent_point_nothing() -> None:
    points, scores = spread(), np.ones((1, 26))
    scores[0, 25] = .2
    points[0, 9] = np.nan
    drawn = draw_poses(canvas(), points, scores, pen=Pen(radius=8))
    assert pixel(drawn, points[0, 25]) == list(GREEN)
    ring = points[0, 25] + (8 * 1.15, 0)
    np.testing.assert_allclose(pixel(drawn, ring), RIGHT, atol=40)
    alone = np.full((1, 26, 2), np.nan)
    np.testing.assert_array_equal(draw_poses(canvas(), alone), canvas())


def test_thickness_follows_the_size_of_the_horse() -> None:
    def painted(scale: int) -> float:
        image = canvas(300 * scale, 400 * scale)
        drawn = draw_poses(image, spread() * scale)
        return float((drawn != image).any(-1).mean())

    assert painted(4) == pytest.approx(painted(2), rel=.25)


def test_points_far_outside_harm_nothing() -> None:
    points = spread()
    points[0, 3] = (1e9, -1e9)
    assert draw_poses(canvas(), points,
                      pen=Pen(show_scores=True)).shape == (300, 400, 3)


def test_the_picture_itself_stays_as_it_is() -> None:
    image = canvas()
    draw_poses(image, spread(), boxes=np.array([[5, 5, 90, 80]]))
    np.testing.assert_array_equal(image, canvas())


def test_boxes_have_their_corners_where_they_say() -> None:
    drawn = draw_poses(canvas(), np.empty((0, 26, 2)),
                       boxes=np.array([[50, 60, 150, 140]]))
    rows, columns = np.nonzero((drawn != canvas()).any(-1))
    assert abs(columns.min() - 50) <= 1 and abs(columns.max() - 150) <= 1
    assert abs(rows.min() - 60) <= 1 and abs(rows.max() - 140) <= 1


@pytest.mark.parametrize('width', [150, 400, 2000])
def test_the_legend_shows_each_colour_and_fits(width: int) -> None:
    band = draw_legend(width)
    assert band.shape[1] == width and band.shape[0] < 80
    for color in (LEFT, RIGHT, MIDDLE):
        assert (np.abs(band.astype(int) - color).max(-1) < 60).any()
    assert (band[:, -1] == band[0, 0]).all()


def test_a_comparison_has_the_truth_on_the_left() -> None:
    truth, found = spread(), spread() + (12, 0)
    drawn = draw_comparison(canvas(), truth, found, height=600)
    assert drawn.shape == (600, 2 * 800 + 4, 3)
    place = (truth[0, 0] + .5) * 2 - .5
    np.testing.assert_allclose(pixel(drawn, place), MIDDLE, atol=2)
    place = (found[0, 0] + .5) * 2 - .5 + (804, 0)
    # a line in red leads from here to the truth
    assert pixel(drawn, place - (12, 0))[2] > 200


def test_a_comparison_leaves_out_points_without_a_truth() -> None:
    truth, found = spread(), spread() + (12, 0)
    truth[0, 3] = np.nan
    without = found.copy()
    without[0, 3] = np.nan
    np.testing.assert_array_equal(
        draw_comparison(canvas(), truth, found, height=300),
        draw_comparison(canvas(), truth, without, height=300))


def test_bars_are_as_long_as_the_errors() -> None:
    errors = np.full(26, np.nan)
    errors[[1, 2]] = 2, 4
    table = draw_error_table(errors, 10, 540)

    def length(color: tuple[int, int, int]) -> int:
        return int((table == color).all(-1).any(0).sum())

    assert length(LEFT) * 2 == pytest.approx(length(RIGHT), abs=2)
    assert not (table == MIDDLE).all(-1).any()


def test_mmposes_visualizer_draws_in_rgb() -> None:
    points, scores = spread(), np.full((1, 26), .9)
    image = np.ascontiguousarray(canvas()[..., ::-1])
    visualizer = HorsePoseVisualizer()
    sample = PoseDataSample(
        gt_instances=InstanceData(
            keypoints=points, keypoints_visible=np.ones((1, 26))),
        pred_instances=InstanceData(
            keypoints=points, keypoint_scores=scores))
    drawn = visualizer.add_datasample('a', image, sample, draw_bbox=False)
    assert drawn.shape == (300, 800, 3)  # truth and prediction
    for shift in (0, 400):
        np.testing.assert_allclose(
            pixel(drawn, points[0, 1] + (shift, 0)), LEFT[::-1], atol=2)
