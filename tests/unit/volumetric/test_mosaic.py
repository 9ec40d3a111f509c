"""Views and the panel in space: where things are drawn."""
from __future__ import annotations

import math

import numpy as np
import pytest

from mmpose_ext.volumetric.mosaic import (
    Mosaic,
    Scene,
    animal_window,
    mean_error,
)
from mmpose_ext.volumetric.pose_drawing import PoseStyle
from mmpose_ext.volumetric.space_panel import (
    SpacePanel,
    place_of_interest,
    round_step,
)
from tests.unit.geometry.camera_rigs import ring

STYLE = PoseStyle.from_names(('Snout', 'EarL', 'EarR'), [(0, 1), (0, 2)])
POSE = np.array([[[0., 0, 20], [-30, 0, 10], [30, 0, 10]]])


def places_of(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Pixels (N, 2) of a colour, x and y."""
    return np.argwhere((picture == color).all(-1))[:, ::-1]


@pytest.mark.parametrize('views, columns, rows', [
    (1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 2, 2), (5, 3, 2), (6, 3, 2),
    (8, 4, 2), (9, 3, 3)])
def test_all_views_find_room(views, columns, rows):
    mosaic = Mosaic(STYLE, views, 50., 0., tile=40)
    assert (mosaic.columns, mosaic.rows) == (columns, rows)
    cameras = ring(views)
    images = [np.zeros((*size[::-1], 3), np.uint8) for size in cameras.sizes]
    drawn = mosaic.draw(Scene(images, cameras, POSE, None, ''), np.zeros(3))
    assert drawn.shape == (mosaic.size[1], mosaic.size[0], 3)


def test_a_pose_is_drawn_where_the_cameras_see_it():
    """The lens included: each view whole, pixel by pixel."""
    cameras = ring(4).resize(.25)
    width, height = cameras.sizes[0]
    images = [np.zeros((height, width, 3), np.uint8)] * 4
    tile = int(max(width, height))
    mosaic = Mosaic(STYLE, 4, 60., 0., tile=tile, whole=True)
    drawn = mosaic.draw(Scene(images, cameras, POSE, None, ''), np.zeros(3))
    pixels, _ = cameras.project(POSE[0])
    step = (mosaic.size[0] + 4) / 4
    for view in range(4):
        shift = np.array([view % 2, view // 2]) * step
        shift = shift + (tile - np.array([width, height])) / 2
        for point, color in enumerate(STYLE.point_colors):
            found = places_of(drawn, color) - shift
            away = np.linalg.norm(found - pixels[view, point], axis=1)
            assert away.min() < 1.5


def test_the_window_stays_in_the_picture():
    cameras = ring(4)
    size = cameras.sizes[0].astype(float)
    corner, side = animal_window(cameras, 0, np.zeros(3), 30., size)
    pixel = cameras.project(np.zeros(3))[0][0]
    np.testing.assert_allclose(corner + (side - 1) / 2, pixel, atol=1e-9)
    for far in (np.array([300., 0, 0]), np.array([0, -300., 0])):
        corner, side = animal_window(cameras, 0, far, 30., size)
        assert (corner >= 0).all() and (corner + side <= size + 1e-9).all()


def test_a_place_behind_a_camera_shows_the_whole_picture():
    cameras = ring(4)
    behind = 3 * cameras.positions[0]
    size = cameras.sizes[0].astype(float)
    corner, side = animal_window(cameras, 0, behind, 30., size)
    assert (corner == 0).all() and (side == size).all()


def test_the_error_is_of_labelled_points_alone():
    truth = POSE + [3., 4, 0]
    truth[0, 1] = np.nan
    assert mean_error(POSE, truth) == pytest.approx(5.)
    assert math.isnan(mean_error(POSE, np.full_like(POSE, np.nan)))


@pytest.mark.parametrize('azimuth', [0., 1., 2.5, 5.])
def test_in_space_up_is_up_and_the_middle_is_in_the_middle(azimuth):
    panel = SpacePanel(201, 60., -20.)
    style = PoseStyle.from_names(('low', 'EarL', 'EarR'), [])
    points = np.array([[[0., 0, 0], [0, 0, 30], [0, 0, -30]]])
    drawn = panel.draw(np.zeros(3), azimuth, points, None, style)
    low, up, down = (places_of(drawn, color).mean(0)
                     for color in style.point_colors)
    np.testing.assert_allclose(low, [100, 100], atol=1.)
    assert up[1] < low[1] - 30 and down[1] > low[1] + 30
    np.testing.assert_allclose([up[0], down[0]], 100, atol=1.)


def test_in_space_left_is_left_seen_from_behind():
    """The camera stands at -x and looks along x: y points to the left."""
    panel = SpacePanel(201, 60., -20.)
    points = np.array([[[0., 0, 0], [0, 30, 0], [0, -30, 0]]])
    drawn = panel.draw(np.zeros(3), math.pi, points, None, STYLE)
    left, right = (places_of(drawn, color).mean(0)[0]
                   for color in STYLE.point_colors[1:])
    assert left < 80 and right > 120


@pytest.mark.parametrize('length, step', [
    (1., 1.), (1.99, 1.), (2., 2.), (49., 20.), (50., 50.), (.3, .2)])
def test_the_floors_step_is_a_round_number(length, step):
    assert round_step(length) == pytest.approx(step)


def test_what_is_seen_encloses_the_known_points():
    points = np.array([[0., 0, 0], [10, 0, 0], [np.nan, 0, 0]])
    middle, reach = place_of_interest([points])
    np.testing.assert_allclose(middle, [5, 0, 0])
    assert reach == pytest.approx(5)
    with pytest.raises(ValueError, match='no known point'):
        place_of_interest([np.full((2, 3), np.nan)])
