"""Grids of voxels lie where their formulas say."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.geometry.voxels import (
    MIRRORED,
    VoxelGrid,
    fitting_size,
    turned_axes,
)


def test_voxel_middles_are_published_ones():
    """The middle of voxel i is vmin + s / 2 + i s, s = 3 mm at 80 of 240."""
    grid = VoxelGrid(-120., 120., 80)
    assert grid.spacing == 3.
    np.testing.assert_array_equal(grid.offsets,
                                  [-118.5 + 3 * i for i in range(80)])
    assert VoxelGrid.from_size(240., 80) == grid


def test_points_are_indexed_y_x_z():
    grid = VoxelGrid(-2., 6., 4)
    points = grid.points(np.array([10., 20., 30.]))
    assert points.shape == (4, 4, 4, 3)
    np.testing.assert_allclose(points[1, 2, 3], [10 + 3, 20 + 1, 30 + 5])


def test_axes_turn_from_x_to_y_and_stretch():
    grid = VoxelGrid(-3., 3., 3)
    axes = 2 * turned_axes(np.pi / 2)
    along_x = grid.points(np.zeros(3), axes)[1, 2, 1]
    np.testing.assert_array_equal(along_x, [0., 4., 0.])


def test_quarter_turns_are_exact():
    for quarter in range(-4, 9):
        axes = turned_axes(quarter * np.pi / 2)
        np.testing.assert_array_equal(axes, axes.round())
        assert np.linalg.det(axes) == 1


def test_mirroring_turns_y_of_the_grid_around():
    grid = VoxelGrid(-4., 4., 8)
    axes = turned_axes(.4)
    np.testing.assert_allclose(
        grid.points(np.ones(3), axes @ MIRRORED),
        grid.points(np.ones(3), axes)[::-1], atol=1e-12)


def test_fitting_cube_holds_the_points_however_turned():
    centres = np.array([[5., 5, 5], [0, 0, 0]])
    points = np.array([[[5., 5, 9], [8, 9, 5], [np.nan] * 3],
                       [[1, 1, 1], [np.nan, 900, 900], [0, 0, 0]]])
    assert fitting_size(points, centres) == pytest.approx(5 * 2 * 1.2)
    with pytest.raises(ValueError, match='no labelled point'):
        fitting_size(np.full((1, 2, 3), np.nan), np.zeros((1, 3)))


@pytest.mark.parametrize('arguments', [(5., 5., 8), (5., -5., 8), (0, 1, 0)])
def test_impossible_grid_is_refused(arguments):
    with pytest.raises(ValueError, match='expected'):
        VoxelGrid(*arguments)
