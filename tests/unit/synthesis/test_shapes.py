"""Shapes against areas and distances in closed form."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from mmpose_ext.synthesis.shapes import Canvas


def canvas(side: float | None = None, pixels: int = 40) -> Canvas:
    return Canvas(np.zeros((2, pixels, pixels), np.float32), side)


def test_painted_disc_covers_its_area_about_its_centre() -> None:
    paper = canvas()
    centre = np.array([[19.3, 17.8], [12.25, 21.5]])
    radius = np.array([6.2, 9.5])
    paper.paint(paper.discs(centre[:, None], radius[:, None]), np.ones(2))
    area = paper.grey.sum((1, 2))
    np.testing.assert_allclose(area, np.pi * radius**2, rtol=.01)
    for i in range(2):
        moments = cv2.moments(paper.grey[i])
        found = [moments[key] / moments['m00'] for key in ('m10', 'm01')]
        np.testing.assert_allclose(found, centre[i], atol=.02)


def test_capsule_is_a_rectangle_with_round_ends() -> None:
    paper = canvas()
    start, end = np.array([[8., 9.]] * 2), np.array([[27., 25.], [30., 9.]])
    paper.paint(paper.capsule(start, end, np.full(2, 3.)), np.ones(2))
    length = np.linalg.norm(end - start, axis=-1)
    np.testing.assert_allclose(
        paper.grey.sum((1, 2)), 6 * length + np.pi * 9, rtol=.01)


def test_tapering_capsule_has_both_radii() -> None:
    paper = canvas()
    start, end = np.array([[10., 20.]] * 2), np.array([[30., 20.]] * 2)
    distance = paper.capsule(start, end, np.full(2, 4.), np.full(2, 1.))
    np.testing.assert_allclose(distance[:, 24, 10], 0, atol=1e-5)
    np.testing.assert_allclose(distance[:, 21, 30], 0, atol=1e-5)


def test_plane_is_a_signed_distance() -> None:
    value = canvas().plane(np.array([[.6, .8], [1., 0.]]), np.array([-10., 2]))
    assert value[0, 5, 10] == pytest.approx(0, abs=1e-5)
    assert value[1, 5, 10] == pytest.approx(12)


def test_unit_of_length_scales_the_picture_and_keeps_its_middle() -> None:
    paper = canvas(side=20., pixels=40)  # two pixels a unit
    centre, radius = np.full((2, 1, 2), 9.5), np.full((2, 1), 4.)
    paper.paint(paper.discs(centre, radius), np.ones(2))
    np.testing.assert_allclose(
        paper.grey.sum((1, 2)), np.pi * 8**2, rtol=.01)
    np.testing.assert_allclose(paper.grey, paper.grey[:, ::-1, ::-1],
                               atol=1e-5)


def test_opacity_mixes_with_what_is_below() -> None:
    paper = canvas()
    paper.grey[:] = .2
    inside = np.full_like(paper.grey, -5)
    paper.paint(inside, np.ones(2), np.array([.5, 0.]))
    np.testing.assert_allclose(paper.grey[0], .6, rtol=1e-5)
    np.testing.assert_allclose(paper.grey[1], .2, rtol=1e-5)
