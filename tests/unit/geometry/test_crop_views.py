from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpose.structures.bbox import get_warp_matrix
from scipy.spatial.transform import Rotation

from mmpose_ext.geometry.crop_views import (
    MIRROR,
    apply_homography,
    intrinsic_matrix,
    make_view,
    project,
    rotation_about_axis,
    rotation_towards,
)

K = np.array([[613., 0, 313], [0, 612, 245], [0, 0, 1]])
WIDTH = 640


def numbers(low: float, high: float) -> Any:
    return st.floats(low, high, allow_nan=False)


@settings(max_examples=80, deadline=None)
@given(
    focal=st.tuples(numbers(300, 1200), numbers(300, 1200)),
    middle=st.tuples(numbers(250, 390), numbers(180, 300)),
    centre=st.tuples(numbers(0, 640), numbers(0, 480)),
    side=numbers(40, 500), size=st.sampled_from([64, 224]),
    rotation=numbers(-180, 180), mirrored=st.booleans(),
    virtual=st.booleans(), seed=st.integers(0, 10**6))
def test_what_is_predicted_lies_where_it_is_seen(
        focal: tuple[float, float], middle: tuple[float, float],
        centre: tuple[float, float], side: float, size: int, rotation: float,
        mirrored: bool, virtual: bool, seed: int) -> None:
    camera = intrinsic_matrix(np.array([*focal, *middle]))
    view = make_view(camera, WIDTH, np.array(centre), side, size, rotation,
                     mirrored, virtual)
    pixels = np.random.default_rng(seed).uniform(
        np.array(centre) - side / 2, np.array(centre) + side / 2, (21, 2))
    depth = np.random.default_rng(seed).uniform(.2, 2, (21, 1))
    points = np.c_[pixels, np.ones(21)] @ np.linalg.inv(camera).T * depth
    found = project(points @ view.rotation.T, view.camera)
    expected = apply_homography(pixels, view.pixel_map)
    assert np.abs(found - expected).max() < 1e-6
    # in the precision in which it is stored
    stored = project(
        (points @ view.rotation.T).astype(np.float32),
        view.camera.astype(np.float32))
    assert np.abs(stored - expected).max() < 1e-3
    # the box's middle is that of the crop, and the turn is a turn
    np.testing.assert_allclose(
        apply_homography(np.array(centre), view.pixel_map), (size - 1) / 2,
        atol=1e-6)
    np.testing.assert_allclose(view.rotation @ view.rotation.T, np.eye(3),
                               atol=1e-12)
    assert np.linalg.det(view.rotation) == pytest.approx(
        -1 if mirrored else 1)


@pytest.mark.parametrize('rotation', [0., 30., -70.])
def test_plain_crop_is_that_of_mmpose(rotation: float) -> None:
    camera = np.diag([600., 600, 1])
    camera[:2, 2] = 320, 240
    centre = np.array([320., 240])  # about the axis both turn alike
    view = make_view(camera, WIDTH, centre, 200., 224, rotation,
                     virtual_camera=False)
    stock = get_warp_matrix(centre, np.full(2, 200.), rotation, (224, 224))
    # MMPose counts from the corner of the first pixel
    np.testing.assert_allclose(view.pixel_map[:2, :2], stock[:, :2],
                               atol=1e-5)
    np.testing.assert_allclose(view.pixel_map[:2, 2], stock[:, 2] - .5,
                               atol=1e-4)
    assert view.is_affine


def test_side_of_the_box_is_that_of_the_crop() -> None:
    centre, side = np.array([500., 100]), 90.
    edges = centre + np.array([[-45, 0], [45, 0], [0, -45], [0, 45]])
    plain = make_view(K, WIDTH, centre, side, 224, virtual_camera=False)
    np.testing.assert_allclose(
        apply_homography(edges, plain.pixel_map) - 111.5,
        [[-112, 0], [112, 0], [0, -112], [0, 112]], atol=1e-9)
    turned = make_view(K, WIDTH, centre, side, 224)
    step = 1e-3
    around = centre + step * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    right, left, below, above = apply_homography(around, turned.pixel_map)
    area = np.linalg.det([right - left, below - above]) / (2 * step)**2
    assert area == pytest.approx((224 / side)**2, rel=1e-6)


def test_virtual_camera_looks_at_the_box_with_square_pixels() -> None:
    view = make_view(K, WIDTH, np.array([550., 60]), 120., 224, 25., True)
    assert view.camera[0, 0] == view.camera[1, 1]
    np.testing.assert_array_equal(view.camera[:2, 2], 111.5)
    ray = np.linalg.inv(K) @ [550, 60, 1]
    np.testing.assert_allclose(
        (view.rotation @ ray)[:2], 0, atol=1e-12)
    assert not view.is_affine


def test_mirror_comes_first() -> None:
    """A mirrored photograph with a mirrored camera gives the same view."""
    other = K.copy()
    other[0, 2] = WIDTH - 1 - K[0, 2]
    for virtual in (True, False):
        view = make_view(K, WIDTH, np.array([200., 300]), 150., 64, 20.,
                         True, virtual)
        plain = make_view(other, WIDTH, np.array([439., 300]), 150., 64, 20.,
                          False, virtual)
        np.testing.assert_allclose(view.camera, plain.camera, atol=1e-9)
        np.testing.assert_allclose(view.rotation, plain.rotation @ MIRROR,
                                   atol=1e-12)
        flip = np.array([[-1., 0, WIDTH - 1], [0, 1, 0], [0, 0, 1]])
        np.testing.assert_allclose(view.pixel_map, plain.pixel_map @ flip,
                                   atol=1e-9)


@given(st.tuples(numbers(-2, 2), numbers(-2, 2), numbers(.1, 2)))
def test_least_rotation_is_about_the_normal(ray: tuple[float, ...]) -> None:
    rotation = rotation_towards(np.array(ray))
    length = np.linalg.norm(ray)
    np.testing.assert_allclose(rotation @ ray, [0, 0, length], atol=1e-9)
    angle = Rotation.from_matrix(rotation).magnitude()
    assert angle == pytest.approx(np.arccos(ray[2] / length), abs=1e-6)


def test_turn_of_the_camera_is_clockwise() -> None:
    seen = rotation_about_axis(90) @ [0, 1, 5]  # what was below
    np.testing.assert_allclose(seen, [1, 0, 5], atol=1e-12)  # is right


def test_projection_is_that_of_opencv() -> None:
    points = np.random.default_rng(0).uniform(-.3, .3, (9, 3)) + [0, 0, 1]
    expected = cv2.projectPoints(points, np.zeros(3), np.zeros(3), K,
                                 None)[0][:, 0]
    np.testing.assert_allclose(project(points, K), expected, atol=1e-9)
    assert np.isnan(project(np.array([[0, 0, -1.], [0, 0, 0]]), K)).all()
    many = np.stack([K, 2 * np.eye(3)])[:, None]
    assert project(np.stack([points, points]), many).shape == (2, 9, 2)


def test_homography_is_that_of_opencv() -> None:
    draw = np.random.default_rng(1)
    homography = np.eye(3) + draw.normal(0, .01, (3, 3)) * [1, 1, .1]
    pixels = draw.uniform(0, 100, (7, 2))
    expected = cv2.perspectiveTransform(pixels[None], homography)[0]
    np.testing.assert_allclose(apply_homography(pixels, homography),
                               expected, rtol=1e-9)


@pytest.mark.parametrize(('side', 'size'), [(0., 64), (-3., 64), (9., 0),
                                            (float('nan'), 64)])
def test_nothing_to_see_is_refused(side: float, size: int) -> None:
    with pytest.raises(ValueError, match='a view needs'):
        make_view(K, WIDTH, np.zeros(2), side, size)
