from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from mmpose_ext.equine.source_pictures import (
    clip_box,
    tight_box,
    turn_points,
)
from mmpose_ext.storage import DataError


@pytest.mark.parametrize('orientation', [5, 6, 7, 8])
def test_points_turn_as_the_picture_does(orientation: int) -> None:
    """Pillow's own turning is the oracle."""
    rng = np.random.default_rng(orientation)
    points = np.stack([rng.integers(0, 7, 5), rng.integers(0, 4, 5)], -1)
    for x, y in points:
        stored = np.zeros((4, 7), np.uint8)
        stored[y, x] = 255
        image = Image.fromarray(stored)
        image.getexif()[0x0112] = orientation
        shown = np.asarray(ImageOps.exif_transpose(image))
        [[column, row]] = turn_points(np.array([[x, y]]), (7, 4), orientation)
        assert shown.shape == (7, 4) and shown[row, column] == 255


def test_the_margin_of_a_box_is_a_share_of_its_longer_side() -> None:
    points = np.array([[10., 20.], [50., 30.], [30., 25.]])
    assert tight_box(points, .1).tolist() == [6, 16, 48, 18]
    assert tight_box(points, 0.).tolist() == [10, 20, 40, 10]


def test_boxes_end_at_the_picture() -> None:
    box = clip_box(np.array([-5., 10., 20., 500.]), (100, 80), Path('x'), 'y')
    assert box.tolist() == [0, 10, 15, 70]
    for off in ([200., 0, 5, 5], [-9., 0, 9, 9]):
        with pytest.raises(DataError, match='100x80'):
            clip_box(np.array(off), (100, 80), Path('x'), 'y')
