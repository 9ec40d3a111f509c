"""From the side depth is seen, from above too."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mmpose_ext.handobject.drawing import GRASPED, TOUCHING, TRUTH, box_corners
from mmpose_ext.handobject.space_panel import (
    ABOVE,
    SIDE,
    Direction,
    SpacePanel,
    _round_step,
)
from tests.unit.handobject.drawn_scenes import BOUNDS, near, sample_pose


@pytest.mark.parametrize(('direction', 'right', 'down'), [
    (SIDE, 2, 1), (ABOVE, 0, 2)])
def test_places_are_true_to_scale(direction: Direction, right: int,
                                  down: int) -> None:
    panel = SpacePanel(300, np.array([.1, .2, .6]), .1)
    middle = panel.place(np.array([.1, .2, .6]), direction)
    np.testing.assert_allclose(middle, (149.5, 149.5, 0), atol=1e-9)
    scale = 300 / (2 * 1.15 * .1)
    for axis in range(3):
        moved = panel.place(np.array([.1, .2, .6]) + .01 * np.eye(3)[axis],
                            direction) - middle
        assert moved[0] == pytest.approx(.01 * scale * (axis == right))
        sign = -1 if direction is ABOVE else 1
        assert moved[1] == pytest.approx(sign * .01 * scale * (axis == down))


def test_axes_are_right_handed() -> None:
    for direction in (SIDE, ABOVE):
        assert np.linalg.det(direction.axes) == pytest.approx(1)


def test_an_error_of_depth_is_seen_from_the_side_only_along() -> None:
    truth = sample_pose()
    pose = replace(truth, joints=truth.joints + (0, 0, .05))
    panel = SpacePanel.about([truth, pose], 400, {4: BOUNDS})
    for direction, axis in ((SIDE, 0), (ABOVE, 1)):
        shift = (panel.place(pose.joints, direction)
                 - panel.place(truth.joints, direction))[:, :2]
        assert (np.abs(shift[:, axis]) > 5).all()
        np.testing.assert_allclose(shift[:, 1 - axis], 0, atol=1e-9)


def test_what_is_drawn_stands_in_its_place() -> None:
    truth = sample_pose()
    pose = replace(truth, joints=truth.joints + (0, 0, .05))
    panel = SpacePanel.about([truth, pose], 400, {4: BOUNDS})
    picture = panel.draw(SIDE, pose, truth, {4: BOUNDS})
    assert picture.shape == (400, 400, 3)
    assert near(picture, panel.place(pose.joints[20], SIDE)[:2], TOUCHING)
    middle = (truth.joints[17] + truth.joints[18]) / 2
    assert near(picture, panel.place(middle, SIDE)[:2], TRUTH)
    corners = box_corners(BOUNDS) @ pose.rotations[0].T + pose.translations[0]
    drawn = panel.place(corners, SIDE)[:, :2]
    inside = ((drawn > 5) & (drawn < 395)).all(1)
    assert inside.sum() >= 4
    assert all(near(picture, place, GRASPED, 4, 90)
               for place in drawn[inside])


def test_a_panel_reaches_what_is_there_but_no_further_than_a_metre() -> None:
    truth = sample_pose()
    alone = SpacePanel.about([truth], 400, {})
    away = replace(truth, joints=truth.joints + (0, 0, 80.))
    assert alone.reach_m < .3
    far = SpacePanel.about([truth, away], 400, {})
    assert far.reach_m == 1
    np.testing.assert_array_equal(far.middle, alone.middle)
    far.draw(SIDE, away, truth, {})


def test_other_objects_do_not_make_the_hand_small() -> None:
    pose = sample_pose()
    far = replace(pose, translations=pose.translations + [[0, 0, 0],
                                                          [.5, 0, 0]])
    assert (SpacePanel.about([far], 400, {}).reach_m
            == SpacePanel.about([pose], 400, {}).reach_m)


def test_nothing_known_is_an_empty_panel() -> None:
    empty = replace(sample_pose(), joints=np.full((21, 3), np.nan),
                    classes=np.empty(0, int), rotations=np.empty((0, 3, 3)),
                    translations=np.empty((0, 3)))
    panel = SpacePanel.about([empty], 100, {})
    assert panel.draw(ABOVE, empty, None, {}).shape == (100, 100, 3)


@pytest.mark.parametrize(('length', 'step'), [
    (.1, .1), (.099, .05), (.03, .02), (.5, .5), (.02, .02)])
def test_steps_are_round(length: float, step: float) -> None:
    assert _round_step(length) == pytest.approx(step)
