from __future__ import annotations

import numpy as np

from mmpose_ext.handobject.convert_boxes import (
    hand_boxes,
    mask_box,
    object_boxes,
    union_boxes,
    widened,
)


def test_boxes_of_hands():
    pixels = np.zeros((4, 21, 2))
    pixels[0] = np.linspace([10, 20], [50, 40], 21)
    pixels[1] = np.linspace([-40, 20], [50, 40], 21)  # half outside
    pixels[2] = [700, 240]  # outside
    pixels[3, :20], pixels[3, 20] = [-30, -20], [60, 50]  # one joint inside
    boxes = hand_boxes(pixels, 640, 480)
    np.testing.assert_allclose(boxes[0], [10, 20, 40, 20])
    inside = pixels[1][pixels[1, :, 0] >= 0]
    np.testing.assert_allclose(
        boxes[1], [*inside[0], *(inside[-1] - inside[0])], rtol=1e-6)
    np.testing.assert_allclose(boxes[2], [639, 240, 0, 0])
    np.testing.assert_allclose(boxes[3], [0, 0, 60, 50])
    np.testing.assert_allclose(widened(boxes[2:3], 640, 480),
                               [[638, 240, 1, 1]])


def test_boxes_of_masks():
    mask = np.zeros((30, 40), bool)
    assert mask_box(mask) is None
    mask[5, 7], mask[20, 31] = True, True
    np.testing.assert_array_equal(mask_box(mask), [7, 5, 24, 15])


def test_boxes_of_objects():
    poses = np.tile(np.eye(3, 4), (3, 1, 1))
    poses[0, :, 3] = [0, 0, 1]
    poses[1, :, 3] = [0, 0, -1]  # behind
    poses[2, :, 3] = [9, 0, 1]  # outside
    bounds = np.array([[-.1, -.2, -.5], [.1, .2, .5]])
    boxes, seen = object_boxes(poses, bounds, (100, 100, 320, 240),
                               (640, 480))
    # the near face is half a metre from the camera
    np.testing.assert_allclose(boxes[0], [300, 200, 40, 80])
    assert seen.tolist() == [True, False, False]
    np.testing.assert_allclose(
        union_boxes(boxes[:1], np.array([[0, 250, 10, 100]])),
        [[0, 200, 340, 150]])
