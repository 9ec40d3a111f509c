from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.optimize

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.geometry.triangulation import triangulate, triangulate_robust

from .camera_rigs import cloud, label3d, ring


def noisy(cameras: Cameras, points: np.ndarray, sigma: float,
          seed: int = 3) -> np.ndarray:
    pixels, _ = cameras.project(points)
    return pixels + np.random.default_rng(seed).normal(0, sigma, pixels.shape)


@pytest.mark.parametrize('views', [2, 3, 8])
def test_clean_points_come_back(views: int) -> None:
    cameras, points = ring(views, skew=-3.), cloud()
    pixels, _ = cameras.project(points)
    np.testing.assert_allclose(
        triangulate(cameras, pixels), points, atol=1e-9)
    found = triangulate_robust(cameras, pixels)
    np.testing.assert_allclose(found.points, points, atol=1e-9)
    assert found.used.all() and found.errors_px.max() < 1e-9


def test_published_points_come_back(real_data: Path) -> None:
    file = label3d(real_data / 'label3d/mouse_label3d_demo.mat')
    cameras = Cameras.from_matlab(list('abcdef'), **file.matlab)
    found = triangulate(cameras, file.pixels - 1)
    assert np.linalg.norm(found - file.points, axis=1).max() < .01


def test_two_views_agree_with_opencv() -> None:
    """OpenCV has the linear solution of pixels undistorted before."""
    cameras, points = ring(4).select([0, 1]), cloud()
    pixels = noisy(cameras, points, .05)
    rays = cameras.undistort(pixels)
    matrices = np.concatenate(
        [cameras.rotations, cameras.translations[..., None]], -1)
    theirs = cv2.triangulatePoints(
        matrices[0], matrices[1], rays[0].T, rays[1].T)
    theirs = (theirs[:3] / theirs[3]).T
    np.testing.assert_allclose(
        triangulate(cameras, pixels), theirs, atol=.01)


def test_noisy_points_are_those_of_least_squares() -> None:
    cameras, points = ring(4, skew=-3.), cloud(8)
    pixels = noisy(cameras, points, 3.)
    weights = np.random.default_rng(0).uniform(.2, 1, pixels.shape[:2])

    def residuals(point: np.ndarray, i: int) -> np.ndarray:
        there = cameras.project(point)[0] - pixels[:, i]
        return (np.sqrt(weights[:, i, None]) * there).ravel()

    best = np.stack([
        scipy.optimize.least_squares(residuals, point, args=(i, ),
                                     xtol=1e-14, ftol=1e-14, gtol=1e-14).x
        for i, point in enumerate(points)])
    np.testing.assert_allclose(
        triangulate(cameras, pixels, weights), best, atol=1e-4)


def test_views_without_a_say_are_left_out() -> None:
    cameras, points = ring(4), cloud(6)
    pixels, _ = cameras.project(points)
    pixels[0, 0] = np.nan
    pixels[:3, 1] = np.nan  # one view is none
    pixels[:, 2] = np.nan
    pixels[3, 3] += 300
    weights = np.ones((4, 6))
    weights[3, 3] = 0
    found = triangulate(cameras, pixels, weights)
    good = [0, 3, 4, 5]
    np.testing.assert_allclose(found[good], points[good], atol=1e-9)
    assert np.isnan(found[1:3]).all()
    robust = triangulate_robust(cameras, pixels, weights)
    np.testing.assert_allclose(robust.points[good], points[good], atol=1e-9)
    assert np.isnan(robust.points[1:3]).all()
    assert np.isnan(robust.errors_px[1:3]).all()
    assert robust.used.sum(0).tolist() == [3, 0, 0, 3, 4, 4]


@pytest.mark.parametrize('views', [3, 4, 6, 8])
def test_a_wild_view_is_rejected(views: int) -> None:
    cameras, points = ring(views), cloud()
    pixels = noisy(cameras, points, .3)
    wild = np.arange(50) % views
    pixels[wild, np.arange(50)] = np.random.default_rng(2).uniform(
        0, 500, (50, 2))
    plain = np.linalg.norm(triangulate(cameras, pixels) - points, axis=1)
    found = triangulate_robust(cameras, pixels, threshold_px=3.)
    errors = np.linalg.norm(found.points - points, axis=1)
    assert np.median(plain) > 10
    # three views cannot tell two that agree by chance from the right two
    assert (errors < 2).mean() > (.9 if views == 3 else .999)
    rejected = ~found.used[wild, np.arange(50)]
    assert rejected.mean() > .9


def test_scores_decide_between_two_opinions() -> None:
    """Two pairs of views with a point each."""
    cameras, points = ring(4), cloud(20)
    pixels, _ = cameras.project(points)
    pixels[2:] = cameras.project(points + 60)[0][2:]
    scores = np.ones((4, 20))
    scores[2:] = .4
    found = triangulate_robust(cameras, pixels, scores, threshold_px=2.)
    np.testing.assert_allclose(found.points, points, atol=1e-6)
    other = triangulate_robust(cameras, pixels, 1.4 - scores, threshold_px=2.)
    np.testing.assert_allclose(other.points, points + 60, atol=1e-6)
    assert np.isnan(triangulate_robust(
        cameras, pixels, scores, threshold_px=2., min_views=3).points).all()


def test_views_that_disagree_have_no_point() -> None:
    cameras, points = ring(2), cloud(20)
    pixels, _ = cameras.project(points)
    pixels[0] += [40, 0]  # across the epipolar lines
    found = triangulate_robust(cameras, pixels, threshold_px=5.)
    assert np.isnan(found.points).all() and not found.used.any()


def test_what_lies_behind_the_cameras_is_no_point() -> None:
    """Rays that meet behind both cameras."""
    cameras = ring(2)
    opposite = cameras.to_camera(np.array([0., 0, 3000]))
    assert (opposite[:, 2] < 0).any()
    rays = opposite[:, :2] / opposite[:, 2:]
    # without the lens: it does not bend what it does not see
    straight = Cameras(
        cameras.names, cameras.intrinsics, cameras.rotations,
        cameras.translations, np.zeros((2, 5)))
    pixels = np.einsum('vij,vj->vi', straight.intrinsics[:, :2, :2],
                       rays) + straight.intrinsics[:, :2, 2]
    assert np.isnan(triangulate(straight, pixels)).all()
    assert np.isnan(triangulate_robust(straight, pixels).points).all()


def test_parallel_rays_and_a_single_camera_have_no_point() -> None:
    cameras = ring(1)
    twice = cameras.select([0, 0])
    pixels, _ = twice.project(cloud(5))
    assert np.isnan(triangulate(twice, pixels)).all()
    assert np.isnan(triangulate(cameras, pixels[:1])).all()
    assert np.isnan(triangulate_robust(cameras, pixels[:1]).points).all()


def test_shapes_are_kept() -> None:
    cameras, points = ring(3), cloud(6).reshape(2, 3, 3)
    pixels, _ = cameras.project(points)
    found = triangulate_robust(cameras, pixels)
    assert found.points.shape == (2, 3, 3)
    assert found.errors_px.shape == (2, 3)
    assert found.used.shape == (3, 2, 3)
    single = triangulate_robust(cameras, pixels[:, 0, 0])
    assert single.points.shape == (3, ) and single.errors_px.shape == ()
    with pytest.raises(ValueError, match='min_views'):
        triangulate_robust(cameras, pixels, min_views=1)


def test_ten_thousand_points_take_seconds_at_most() -> None:
    cameras, points = ring(6), cloud(10_000)
    pixels = noisy(cameras, points, .5)
    start = time.process_time()
    triangulate_robust(cameras, pixels)
    assert time.process_time() - start < 10
