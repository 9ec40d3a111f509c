"""Skeletons and tiles: sides, what is left out, and where pixels land."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.volumetric.pose_drawing import (
    PoseStyle,
    crop_matrix,
    cut_tile,
    draw_pose,
    draw_segments,
    move_pixels,
    side_colors,
    write_numbers,
)

STYLE = PoseStyle.from_names(('Snout', 'EarL', 'EarR'), [(0, 1), (0, 2)])


def blank(height: int = 60, width: int = 80) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def test_sides_have_colours_of_their_own():
    canvas = blank()
    points = np.array([[40., 10], [20, 40], [60, 40]])
    draw_pose(canvas, points, STYLE, 4)
    colors = [tuple(canvas[int(y), int(x)].tolist()) for x, y in points]
    assert len(set(colors)) == 3
    assert colors == list(STYLE.point_colors)
    # a link has the colour of the side that it leads to
    assert canvas[25, 30].tolist() == list(colors[1])
    assert [name for name, _ in side_colors(STYLE)] == ['left', 'right',
                                                        'middle']


def test_a_skeleton_without_sides_names_none():
    style = PoseStyle.from_names(('a', 'b'), [(0, 1)])
    assert [name for name, _ in side_colors(style)] == ['middle']


@pytest.mark.parametrize('lost', [np.nan, np.inf, 1e9, -1e300])
def test_points_that_are_nowhere_are_left_out(lost):
    canvas = blank()
    draw_pose(canvas, np.full((3, 2), lost), STYLE)
    draw_segments(canvas, np.full((1, 2), lost), np.zeros((1, 2)),
                  (0, 0, 255))
    assert (canvas == 128).all()


def test_what_is_nearer_hides_what_is_further_away():
    """Both orders, so that the order of the keypoints cannot be why."""
    points = np.array([[40., 30], [40, 30], [5, 5]])
    for near in (0, 1):
        canvas, depth = blank(), np.array([9., 9, 9])
        depth[near] = 1
        draw_pose(canvas, points, STYLE, 4, depth)
        assert canvas[30, 40].tolist() == list(STYLE.point_colors[near])


@pytest.mark.parametrize('side', [(16., 16.), (64., 64.), (200., 120.)])
def test_a_tile_shows_each_pixel_where_its_matrix_says(side):
    """Enlarged, kept and reduced; the centroid of a blob is the judge."""
    rows, columns = np.mgrid[:160, :220]
    place, corner = np.array([100.3, 70.6]), np.array([92.4, 61.7])
    if side[0] > 100:
        corner = np.array([8., 17.])
    blob = 255 * np.exp(-((columns - place[0])**2
                          + (rows - place[1])**2) / 8)
    picture = np.repeat(np.rint(blob).astype(np.uint8)[..., None], 3, -1)
    matrix = crop_matrix(corner, np.array(side), (64, 64))
    tile = cut_tile(picture, matrix, (64, 64))[..., 0].astype(float)
    tile[tile < 34] = 0  # of the ground beyond the picture
    found = np.array([(tile.sum(0) * np.arange(64)).sum(),
                      (tile.sum(1) * np.arange(64)).sum()]) / tile.sum()
    np.testing.assert_allclose(found, move_pixels(matrix, place), atol=.15)


def test_a_part_keeps_its_shape_in_a_tile_of_another():
    matrix = crop_matrix(np.zeros(2), np.array([100., 50.]), (40, 40))
    ends = move_pixels(matrix, np.array([[-.5, -.5], [99.5, 49.5]]))
    np.testing.assert_allclose(ends, [[-.5, 9.5], [39.5, 29.5]])


def test_a_part_beside_the_picture_is_ground():
    matrix = crop_matrix(np.array([500., 500.]), np.full(2, 20.), (16, 16))
    tile = cut_tile(blank(), matrix, (16, 16))
    assert tile.shape == (16, 16, 3)
    assert len(np.unique(tile.reshape(-1, 3), axis=0)) == 1


def test_each_of_several_animals_has_its_number_above_it():
    poses = np.array([[[20., 50], [30, 55]], [[60, 50], [70, np.nan]]])
    canvas = blank()
    write_numbers(canvas, poses)
    drawn = np.argwhere((canvas != blank()).any(-1))
    assert drawn[:, 0].max() < 50
    left = drawn[:, 1] < 42
    for side, middle in ((left, 25), (~left, 60)):
        assert abs(drawn[side, 1].mean() - middle) < 4


@pytest.mark.parametrize('poses', [
    np.array([[[20., 50], [30, 55]]]), np.full((2, 3, 2), np.nan)])
def test_a_single_animal_and_unknown_ones_have_no_number(poses):
    canvas = blank()
    write_numbers(canvas, poses)
    assert (canvas == blank()).all()
