from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from mmpose_ext.equine.checks_images import OpenedImage
from mmpose_ext.equine.source_pictures import (
    clip_box,
    fit_to_size,
    tight_box,
    turn_points,
)
from mmpose_ext.storage import DataError, LabelledInstance


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


def fit(box: list[float], points: list[list[float]], stated: tuple[int, int],
        found: OpenedImage) -> LabelledInstance:
    return fit_to_size(LabelledInstance(
        'x', np.array(points), np.full(len(points), 2), np.array(box)),
        stated, found, Path('x'))


def test_scaling_keeps_the_edges_of_the_picture() -> None:
    """A pixel becomes a block of four; its middle lies between them."""
    fitted = fit([0, 0, 8, 6], [[0, 0], [7, 5]], (8, 6),
                 OpenedImage('', (16, 12), 1))
    assert fitted.points.tolist() == [[.5, .5], [14.5, 10.5]]
    assert fitted.box.tolist() == [0, 0, 16, 12]


def test_the_box_of_the_whole_picture_stays_it_when_turned() -> None:
    for orientation in (5, 6, 7, 8):
        fitted = fit([0, 0, 8, 6], [[0, 0]], (8, 6),
                     OpenedImage('', (6, 8), orientation))
        assert fitted.box.tolist() == [0, 0, 6, 8]
