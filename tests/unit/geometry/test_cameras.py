from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmpose_ext.geometry.cameras import Cameras

from .camera_rigs import cloud, label3d, ring

LABEL3D = ('mouse_label3d_demo.mat', 'rat_social_dannce.mat')


def lens(k1: float, k2: float = 0.) -> Cameras:
    """One camera at the origin, of 700 px focal length."""
    return Cameras(
        ('lens', ), np.array([[[700., 0, 640], [0, 700, 512], [0, 0, 1]]]),
        np.eye(3)[None], np.zeros((1, 3)), np.array([[k1, k2, 0, 0, 0]]))


def by_opencv(cameras: Cameras, points: np.ndarray) -> np.ndarray:
    """Pixels (V, N, 2) by OpenCV, which knows no skew."""
    return np.stack([
        cv2.projectPoints(
            points, cv2.Rodrigues(cameras.rotations[v])[0],
            cameras.translations[v], cameras.intrinsics[v],
            cameras.distortions[v])[0][:, 0] for v in range(len(cameras))])


def by_the_book(matlab: dict, points: np.ndarray) -> np.ndarray:
    """Pixels (V, N, 2), counted from 1, by MATLAB's formula row by row."""
    views = []
    for K, r, t, radial, (p1, p2) in zip(  # noqa: N806
            *(matlab[key] for key in ('intrinsics', 'rotations',
                                      'translations', 'radial',
                                      'tangential')), strict=True):
        homogeneous = np.c_[points, np.ones(len(points))]
        a, b, w = (homogeneous @ np.vstack([r, t]) @ K).T
        u, v = a / w, b / w
        yn = (v - K[2, 1]) / K[1, 1]
        xn = ((u - K[2, 0]) - K[1, 0] * yn) / K[0, 0]
        r2 = xn**2 + yn**2
        alpha = sum(k * r2**(i + 1) for i, k in enumerate(radial))
        xd = xn * (1 + alpha) + 2 * p1 * xn * yn + p2 * (r2 + 2 * xn**2)
        yd = yn * (1 + alpha) + p1 * (r2 + 2 * yn**2) + 2 * p2 * xn * yn
        views.append(np.stack([K[0, 0] * xd + K[2, 0] + K[1, 0] * yd,
                               K[1, 1] * yd + K[2, 1]], 1))
    return np.stack(views)


def test_projection_is_that_of_opencv() -> None:
    cameras, points = ring(), cloud()
    pixels, depths = cameras.project(points)
    np.testing.assert_allclose(pixels, by_opencv(cameras, points), atol=1e-9)
    np.testing.assert_allclose(
        depths, (points @ cameras.rotations.transpose(0, 2, 1)
                 + cameras.translations[:, None])[..., 2])
    grid, _ = cameras.project(points.reshape(5, 10, 3))
    np.testing.assert_array_equal(grid.reshape(pixels.shape), pixels)


def test_undistortion_is_that_of_opencv() -> None:
    cameras = ring()
    pixels, _ = cameras.project(cloud())
    theirs = np.stack([
        cv2.undistortPoints(
            pixels[v], cameras.intrinsics[v], cameras.distortions[v],
            criteria=(3, 200, 1e-14))[:, 0] for v in range(len(cameras))])
    np.testing.assert_allclose(cameras.undistort(pixels), theirs, atol=1e-9)


@pytest.mark.parametrize('name', LABEL3D)
def test_published_calibrations_follow_matlabs_formula(
        real_data: Path, name: str) -> None:
    """And explain the published labels, which are reprojections."""
    file = label3d(real_data / 'label3d' / name)
    cameras = Cameras.from_matlab(list('abcdef'), **file.matlab)
    pixels, _ = cameras.project(file.points)
    np.testing.assert_allclose(
        pixels + 1, by_the_book(file.matlab, file.points), atol=1e-9)
    residuals = np.linalg.norm(pixels + 1 - file.pixels, axis=-1)
    assert residuals.max() < .01
    from_zero = Cameras.from_matlab(
        list('abcdef'), **file.matlab, pixel_origin=0)
    np.testing.assert_allclose(
        from_zero.project(file.points)[0], pixels + 1, atol=1e-9)


@pytest.mark.parametrize('name', LABEL3D)
def test_undistortion_inverts_published_lenses(real_data: Path,
                                               name: str) -> None:
    file = label3d(real_data / 'label3d' / name)
    cameras = Cameras.from_matlab(list('abcdef'), **file.matlab)
    in_camera = cameras.to_camera(file.points)
    rays = cameras.undistort(cameras.project(file.points)[0])
    np.testing.assert_allclose(
        rays, in_camera[..., :2] / in_camera[..., 2:], atol=1e-12)


@pytest.mark.parametrize('skew', [0., -6., 40.])
def test_projected_points_undistort_to_their_rays(skew: float) -> None:
    cameras, points = ring(6, skew), cloud()
    in_camera = cameras.to_camera(points)
    np.testing.assert_allclose(
        cameras.undistort(cameras.project(points)[0]),
        in_camera[..., :2] / in_camera[..., 2:], atol=1e-12)


def test_what_lies_behind_a_camera_has_no_pixel() -> None:
    cameras = ring()
    behind = cameras.positions * 1.2
    pixels, depths = cameras.project(behind)
    own = np.arange(4)
    assert np.isnan(pixels[own, own]).all()
    assert (depths[own, own] < 0).all()
    missing, _ = cameras.project(np.full((2, 3), np.nan))
    assert np.isnan(missing).all()


def test_what_the_lens_does_not_see_is_not_folded_into_the_image() -> None:
    """1 - .87 r^2 is level at r = 1.07; r = 1.9 would come out at 0.09."""
    cameras = lens(k1=-.29)
    np.testing.assert_allclose(cameras.folds, np.sqrt(1 / .87))
    radii = np.array([0., .5, 1., 1.1, 1.9, 50.])
    points = np.stack([radii, np.zeros(6), np.ones(6)], 1) * 300
    pixels, _ = cameras.project(points)
    assert np.isfinite(pixels[0]).all(-1).tolist() == [True] * 3 + [False] * 3
    assert np.isinf(lens(k1=.1).folds).all()
    assert np.isinf(lens(k1=-.1, k2=.2).folds).all()


def test_pixels_reach_half_a_pixel_beyond_the_outermost_centres() -> None:
    cameras = ring().crop(np.zeros((4, 2)), [[64, 48]] * 3 + [[48, 64]])
    pixels = np.array([[-.5, 0], [63.4, 47.4], [63.5, 0], [0, 48], [-.6, 0],
                       [np.nan, 3]])
    inside = cameras.inside(np.tile(pixels, (4, 1, 1)))
    assert inside[0].tolist() == [True, True, False, False, False, False]
    assert inside[3].tolist() == [True, False, False, True, False, False]
    with pytest.raises(ValueError, match='sizes'):
        ring().crop(np.zeros((4, 2))).inside(pixels)


def test_pixels_of_no_ray_undistort_to_nothing() -> None:
    """Out to where the lens' image ends every pixel has its ray."""
    cameras = lens(k1=-.29)
    end = 700 * np.sqrt(1 / .87) * 2 / 3
    radii = np.array([0., .5, .9, .999, 1.001, 1.5, 20.]) * end
    rays = cameras.undistort(
        np.stack([640 + radii * .6, 512 + radii * .8], 1)[None])[0]
    assert np.isfinite(rays).all(-1).tolist() == [True] * 4 + [False] * 3
    lengths = np.linalg.norm(rays[:4], axis=1)
    np.testing.assert_allclose(lengths * (1 - .29 * lengths**2) * 700,
                               radii[:4], atol=1e-6)


def test_undistortion_keeps_its_ray_far_outside_the_image() -> None:
    cameras = lens(k1=.3, k2=.1)
    radii = np.linspace(0, 5, 200)  # 79 degrees off the axis
    points = np.stack([radii, -radii / 2, np.ones(200)], 1)
    rays = cameras.undistort(cameras.project(points)[0])[0]
    np.testing.assert_allclose(rays, points[:, :2], rtol=1e-9, atol=1e-12)


def test_crop_and_resize_are_those_of_the_image() -> None:
    """A pixel keeps its content; halving averages pixels 2i and 2i + 1."""
    cameras, points = ring(3, skew=2.), cloud()
    pixels, _ = cameras.project(points)
    corners = np.array([[10, 20], [0, 5], [100, -7]])
    sizes = np.full((3, 2), 64)
    part = cameras.crop(corners, sizes)
    np.testing.assert_allclose(
        part.project(points)[0], pixels - corners[:, None], atol=1e-9)
    assert part.sizes is not None and (part.sizes == 64).all()
    half = cameras.resize(.5)
    np.testing.assert_allclose(
        half.project(points)[0], (pixels - .5) / 2, atol=1e-9)
    assert half.sizes is not None and half.sizes.tolist() == [[320, 256]] * 3
    back = half.resize(2.)
    np.testing.assert_allclose(back.intrinsics, cameras.intrinsics)


def test_select_repeats_and_pickles() -> None:
    cameras = ring(3)
    chosen = pickle.loads(pickle.dumps(cameras)).select([2, 0, 2])
    assert chosen.names == ('cam2', 'cam0', 'cam2')
    points = cloud()
    np.testing.assert_array_equal(
        chosen.project(points)[0], cameras.project(points)[0][[2, 0, 2]])
    np.testing.assert_allclose(
        np.linalg.norm(cameras.positions, axis=1),
        800 * np.sqrt(1.36))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match='translations'):
        replace(ring(3), translations=np.zeros((2, 3)))
    with pytest.raises(ValueError, match='sizes'):
        replace(ring(3), sizes=np.zeros((3, 3)))
