"""What is drawn stands where the camera sees it."""
from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmpose_ext.drawing.lettering import write_line
from mmpose_ext.geometry.crop_views import project
from mmpose_ext.handobject.drawing import (
    APART,
    AXES,
    BOX_EDGES,
    GRASPED,
    TOUCHING,
    TRUTH,
    HandObjectPose,
    axes_of,
    bgr,
    box_corners,
    contact_color,
    draw_hand,
    draw_object,
    project_segments,
)
from mmpose_ext.handobject.hand import BONES, joint_color
from tests.unit.handobject.drawn_scenes import (
    BOUNDS,
    MATRIX,
    near,
    photograph,
    sample_pose,
)


def test_a_line_that_is_seen_whole_keeps_its_ends() -> None:
    ends = np.array([[[-.1, 0, .5], [.1, .05, .7]]])
    lines = project_segments(ends[:, 0], ends[:, 1], MATRIX, (640, 480))
    np.testing.assert_allclose(lines, project(ends, MATRIX), atol=1e-9)


def test_a_line_past_the_camera_is_cut_and_stays_on_itself() -> None:
    start, end = np.array([[.02, .01, .5]]), np.array([[.3, -.2, -.4]])
    line = project_segments(start, end, MATRIX, (640, 480))[0]
    assert np.isfinite(line).all()
    np.testing.assert_allclose(line[0], project(start, MATRIX)[0], atol=1e-9)
    assert (np.abs(line) < 2000).all()
    # the rest of it leads to where the line passes the camera's plane
    share = np.linspace(0, .5, 50)[:, None]
    seen = project(start + share * (end - start), MATRIX)
    along, offsets = line[1] - line[0], seen - line[0]
    across = along[0] * offsets[:, 1] - along[1] * offsets[:, 0]
    np.testing.assert_allclose(across / np.linalg.norm(along), 0, atol=1e-6)


@pytest.mark.parametrize('ends', [
    ((0, 0, -.5), (.1, 0, -.1)), ((5, 0, .5), (6, 0, .5)),
    ((np.nan, 0, .5), (0, 0, .5))])
def test_a_line_that_is_not_seen_is_nothing(ends: tuple) -> None:
    start, end = np.array(ends, np.float64)[:, None]
    assert np.isnan(project_segments(start, end, MATRIX, (640, 480))).any()


def test_a_box_has_twelve_edges_along_the_axes() -> None:
    corners = box_corners(BOUNDS)
    np.testing.assert_array_equal(corners.min(0), BOUNDS[0])
    np.testing.assert_array_equal(corners.max(0), BOUNDS[1])
    assert len(BOX_EDGES) == 12
    for first, second in BOX_EDGES:
        assert (corners[first] != corners[second]).sum() == 1


def test_bones_and_joints_stand_on_their_pixels() -> None:
    canvas, pose = photograph(), sample_pose()
    draw_hand(canvas, pose, MATRIX, 4)
    pixels = project(pose.joints, MATRIX)
    for joint in range(21):
        color = TOUCHING if joint > 10 else APART
        assert near(canvas, pixels[joint], color), joint
    # halfway along each finger's first bone, as seen with perspective
    for first, second in BONES[::4]:
        middle = project((pose.joints[first] + pose.joints[second]) / 2,
                         MATRIX)
        assert near(canvas, middle, bgr(joint_color(second))), second
    changed = (canvas != photograph()).any(-1)
    away = np.linalg.norm(np.argwhere(changed)[:, None, ::-1]
                          - pixels[None], axis=-1).min(1)
    assert away.max() < 60


def test_the_truth_is_thin_and_in_one_colour() -> None:
    canvas, pose = photograph(), sample_pose()
    draw_hand(canvas, pose, MATRIX, 4, TRUTH)
    assert (canvas.reshape(-1, 3).max(0) > 240).all()
    assert np.ptp(canvas.astype(int), axis=-1).max() == 0  # all of it grey
    assert 0 < (canvas != photograph()).any(-1).mean() < .02


def test_a_joint_behind_the_camera_breaks_nothing() -> None:
    canvas, pose = photograph(), sample_pose()
    joints = pose.joints.copy()
    joints[4] = (0, 0, -1)
    joints[8] = np.nan
    draw_hand(canvas, replace(pose, joints=joints), MATRIX, 4)
    assert near(canvas, project(joints[12], MATRIX), TOUCHING)


def test_box_and_axes_stand_on_their_pixels() -> None:
    canvas = photograph()
    turn = Rotation.from_rotvec((.4, -.7, .2)).as_matrix()
    place = np.array([.03, -.02, .5])
    draw_object(canvas, BOUNDS, turn, place, MATRIX, GRASPED, 2)
    rotvec = cv2.Rodrigues(turn)[0]
    corners = cv2.projectPoints(box_corners(BOUNDS), rotvec, place, MATRIX,
                                None)[0][:, 0]
    for corner in corners:
        assert near(canvas, corner, GRASPED)
    _, ends = axes_of(BOUNDS)
    tips = cv2.projectPoints(ends, rotvec, place, MATRIX, None)[0][:, 0]
    for tip, color in zip(tips, AXES, strict=True):
        assert near(canvas, tip, color)


def test_without_a_mesh_only_axes_are_drawn() -> None:
    canvas = photograph()
    draw_object(canvas, None, np.eye(3), np.array([0, 0, .5]), MATRIX,
                GRASPED)
    assert not near(canvas, np.array([320, 240]), GRASPED, 300)
    assert near(canvas, project(np.array([.05, 0, .5]), MATRIX), AXES[0])


def test_contact_goes_from_grey_to_yellow() -> None:
    assert contact_color(0.) == APART and contact_color(1.) == TOUCHING
    assert contact_color(-3.) == APART and contact_color(3.) == TOUCHING
    assert contact_color(.5) == (35, 162, 162)


def test_objects_are_found_by_class() -> None:
    pose = sample_pose()
    assert pose.row_of(4) == 0 and pose.row_of(11) == 1
    assert pose.row_of(3) is None and pose.row_of(-1) is None
    assert HandObjectPose(pose.joints).row_of(4) is None


def test_text_ends_where_it_is_said_to() -> None:
    canvas = np.zeros((30, 200, 3), np.uint8)
    end = write_line(canvas, 'hand 12.3 mm', 5, 20)
    columns = np.flatnonzero((canvas > 100).any((0, 2)))
    assert 5 <= columns.min() < 10 and end - 4 < columns.max() <= end + 1
