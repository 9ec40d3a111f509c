from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.com_frames import FrameReduction, image_sample


def camera(width: int = 90, height: int = 61) -> Cameras:
    return Cameras(
        ('one', ), np.array([[[100., 1, 44], [0, 110, 30], [0, 0, 1]]]),
        np.eye(3)[None], np.zeros((1, 3)),
        np.array([[-.1, .05, 1e-3, 2e-3, 0]]), np.array([[width, height]]))


@pytest.mark.parametrize('crop', [None, (5, 3, 70, 50)])
@pytest.mark.parametrize('factor', [1, 2, 8])
def test_points_stay_where_they_are_in_the_picture(
        crop: tuple | None, factor: int) -> None:
    """The centroid of a bright square is where its middle projects."""
    reduction = FrameReduction(factor, crop)
    cameras = reduction.reduce_cameras(camera())
    u, v = 37 + (factor - 1) / 2, 27 + (factor - 1) / 2
    ray = camera().undistort(np.array([[u, v]]))[0]
    frame = np.zeros((61, 90, 3), np.uint8)
    frame[27:27 + factor, 37:37 + factor] = 255
    reduced = reduction.reduce_frame(frame)
    assert reduced.shape[1::-1] == tuple(cameras.sizes[0])
    rows, columns = np.indices(reduced.shape[:2])
    weights = reduced[..., 0] / reduced[..., 0].sum()
    seen = [(columns * weights).sum(), (rows * weights).sum()]
    there, _ = cameras.project(np.array([*ray, 1.]))
    np.testing.assert_allclose(there[0], seen, atol=.01)


def test_a_pixel_is_the_mean_of_its_square() -> None:
    frame = np.random.default_rng(0).integers(
        0, 256, (33, 50, 3), np.uint8)
    reduced = FrameReduction(4).reduce_frame(frame)
    means = frame[:32, :48].reshape(8, 4, 12, 4, 3).mean((1, 3))
    assert np.abs(reduced - means).max() <= .5
    np.testing.assert_array_equal(
        FrameReduction().reduce_frame(frame), frame)
    assert FrameReduction(4).reduce_frame(frame[..., 0]).shape == (8, 12)


def test_a_part_outside_the_frame_is_refused() -> None:
    with pytest.raises(DataError, match='90 x 61 px, found'):
        FrameReduction(1, (80, 0, 20, 20)).reduce_cameras(camera())
    with pytest.raises(ValueError, match='factor'):
        FrameReduction(0)
    with pytest.raises(ValueError, match='crop'):
        FrameReduction(1, (1, 2, 3))


def test_the_box_reaches_from_first_to_last_pixel() -> None:
    sample = image_sample(np.zeros((30, 40, 3), np.uint8))
    assert sample['bbox'].tolist() == [[0, 0, 39, 29]]
    assert sample['img_shape'] == (30, 40)
