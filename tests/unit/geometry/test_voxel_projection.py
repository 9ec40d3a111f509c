"""Voxels project as single points do, and rounding stays in its bound."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mmpose_ext.geometry.voxel_projection import project_voxels
from mmpose_ext.geometry.voxels import VoxelGrid, turned_axes

from .camera_rigs import ring

CPU = torch.device('cpu')
GRID = VoxelGrid(-120., 120., 24)
CENTRE, AXES = np.array([13., -21., 8.]), 1.1 * turned_axes(.6)
ALL = slice(0, 24)


@pytest.mark.parametrize('distance', [400., 800., 3000.])
@pytest.mark.parametrize('skew', [0., -6.])
def test_float32_errors_stay_within_a_bound_that_is_not_wide(distance, skew):
    cameras = ring(6, skew, seed=int(distance), distance=distance)
    pixels, _ = cameras.project(GRID.points(CENTRE, AXES))
    for seen, expected in zip(
            project_voxels(cameras, GRID, CENTRE, AXES, CPU), pixels,
            strict=True):
        assert seen.kind == torch.float32
        u, v, visible = seen.rows(ALL)
        assert visible is None
        error = max(abs(u.numpy() - expected[..., 0]).max(),
                    abs(v.numpy() - expected[..., 1]).max())
        assert error < seen.bound < 30 * error


def test_float64_agrees_with_single_points():
    cameras = ring(3, skew=4.)
    pixels, _ = cameras.project(GRID.points(CENTRE, AXES))
    for seen, expected in zip(
            project_voxels(cameras, GRID, CENTRE, AXES, CPU), pixels,
            strict=True):
        u, v, _ = replace(seen, kind=torch.float64).rows(slice(5, 9))
        np.testing.assert_allclose(u, expected[5:9, ..., 0], atol=1e-9)
        np.testing.assert_allclose(v, expected[5:9, ..., 1], atol=1e-9)


def test_volume_about_the_camera_is_told_from_what_it_sees():
    cameras = ring(2, distance=800.)
    centre = cameras.positions[0]
    near, far = project_voxels(cameras, GRID, centre, AXES, CPU)
    assert near.bound == np.inf
    assert near.kind == torch.float64
    _, _, visible = near.rows(ALL)
    pixels, depth = cameras.project(GRID.points(centre, AXES))
    np.testing.assert_array_equal(visible, np.isfinite(pixels[0, ..., 0]))
    assert (~visible.numpy() & (depth[0] > 0)).any(), 'no lens folds'
    assert far.rows(ALL)[2] is None


def test_only_voxels_near_a_border_are_done_again():
    cameras = ring(1)
    seen, = project_voxels(cameras, GRID, CENTRE, AXES, CPU)
    distances = torch.zeros(4, 24, 24)
    assert seen.uncertain(distances, slice(8, 12)) is None
    distances[2, 3, 5] = .5 - seen.bound / 2
    distances[1, 1, 1] = .5 - seen.bound * 2
    chosen, u, v = seen.uncertain(distances, slice(8, 12))
    assert chosen.tolist() == [(2 * 24 + 3) * 24 + 5]
    expected, _ = cameras.project(GRID.points(CENTRE, AXES)[10, 3, 5])
    np.testing.assert_allclose([u[0], v[0]], expected[0], atol=1e-10)
