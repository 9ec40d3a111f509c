"""The eight symmetries move pixels and points alike."""
import numpy as np
import pytest
import torch

from mmpose_ext.geometry.symmetries import (
    SYMMETRIES,
    restore_points,
    transform_image,
    transform_points,
)

SIZE = 7


@pytest.mark.parametrize('symmetry', SYMMETRIES)
@pytest.mark.parametrize('kind', [np.asarray, torch.as_tensor])
def test_a_dot_stays_under_its_point(symmetry, kind):
    for x, y in ((0, 0), (2, 5), (6, 1), (3, 3)):
        image = np.zeros((SIZE, SIZE))
        image[y, x] = 1
        moved = np.asarray(transform_image(kind(image), symmetry))
        point = kind(np.array([x, y], float))
        found = np.asarray(transform_points(point, symmetry, SIZE))
        row, column = np.argwhere(moved)[0]
        np.testing.assert_array_equal(found, [column, row])
        back = restore_points(
            transform_points(point, symmetry, SIZE), symmetry, SIZE)
        np.testing.assert_array_equal(np.asarray(back), [x, y])


def test_published_formulas():
    """Quarter turn (x, y) -> (y, S-1-x); flip (x, y) -> (x, S-1-y)."""
    point = np.array([1., 2.])
    np.testing.assert_array_equal(
        transform_points(point, 1, 50), [2., 48.])
    np.testing.assert_array_equal(
        transform_points(point, 4, 50), [1., 47.])


def test_all_eight_differ():
    image = np.arange(SIZE**2).reshape(SIZE, SIZE)
    seen = {transform_image(image, g).tobytes() for g in SYMMETRIES}
    assert len(seen) == 8
