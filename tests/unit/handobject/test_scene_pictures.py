"""Photograph, space and words in one picture of a known size."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmpose_ext.geometry.crop_views import project
from mmpose_ext.handobject.drawing import TOUCHING, HandObjectPose
from mmpose_ext.handobject.pose_errors import (
    describe_errors,
    joint_errors_mm,
    object_errors,
)
from mmpose_ext.handobject.scene_pictures import Scene, cut_out, draw_scene
from tests.unit.handobject.drawn_scenes import (
    BOUNDS,
    MATRIX,
    near,
    photograph,
    sample_pose,
)


@pytest.mark.parametrize(('window', 'side'), [
    ((280, 190, 340, 220), 360), ((100, 50, 500, 400), 97),
    ((0, 0, 640, 480), 400)])
def test_the_camera_of_a_part_sees_the_part(
        window: tuple[float, ...], side: int) -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    image[194:211, 294:311] = 255  # about (302, 202)
    tile, matrix = cut_out(image, MATRIX, np.array(window, float), side)
    ray = np.linalg.solve(MATRIX, [302, 202, 1.])
    levels = tile[..., 0].astype(float)
    rows, columns = np.indices(levels.shape)
    middle = [(levels * place).sum() / levels[levels > 40].sum()
              for place in (columns * (levels > 40), rows * (levels > 40))]
    np.testing.assert_allclose(middle, project(ray, matrix), atol=.15)
    assert tile.shape == (side, side, 3)


def test_what_is_outside_of_the_photograph_is_grey() -> None:
    tile, _ = cut_out(photograph(), MATRIX, np.array([-40., 0, 60, 100]),
                      200)
    assert (tile[:, :78] == 32).all() and (tile[2:, 82:] > 80).all()


def test_a_scene_shows_pose_and_truth_where_they_are() -> None:
    pose = sample_pose()
    scene = Scene(photograph(), MATRIX, pose, sample_pose(1), 'frame 7',
                  {4: BOUNDS})
    picture = draw_scene(scene, 300, whole=True)
    assert picture.shape == (600 + 3 * 18 + 8, 600, 3)
    matrix = cut_out(scene.image, MATRIX, np.array([0, 0, 640., 480]),
                     300)[1]
    for joint in (12, 16, 20):
        place = project(pose.joints[joint], matrix) + (300, 0)
        assert near(picture, place, TOUCHING)
    assert picture[600:].max() > 200  # words


@pytest.mark.parametrize(('pose', 'truth', 'shape'), [
    (True, True, (208 + 54, 200, 3)), (True, False, (108 + 36, 300, 3)),
    (False, True, (108 + 36, 300, 3))])
def test_size_depends_on_what_there_is_alone(
        pose: bool, truth: bool, shape: tuple[int, ...]) -> None:
    for number, note in ((0, ''), (1, 'a note')):
        away = replace(sample_pose(number), joints=np.full((21, 3), np.nan))
        for one in (sample_pose(number), away):
            scene = Scene(photograph(320, 480), MATRIX,
                          one if pose else None, one if truth else None,
                          note=note)
            assert draw_scene(scene, 100).shape == shape


def test_poses_that_are_far_off_are_drawn_all_the_same() -> None:
    truth = sample_pose()
    for shift in ((0, 0, -2), (50, 0, 0), (0, 0, 1e6)):
        pose = replace(truth, joints=truth.joints + shift,
                       translations=truth.translations + shift)
        draw_scene(Scene(photograph(), MATRIX, pose, truth, '',
                         {4: BOUNDS}), 100)


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match='neither'):
        draw_scene(Scene(photograph(), MATRIX, None, None))


def test_errors_of_joints_are_about_the_wrist_or_not() -> None:
    truth = sample_pose()
    pose = replace(truth, joints=truth.joints + (.003, 0, .004))
    np.testing.assert_allclose(joint_errors_mm(pose, truth), 0, atol=1e-9)
    np.testing.assert_allclose(joint_errors_mm(pose, truth, False), 5)


@pytest.mark.parametrize('angle', [1e-4, .3, 3.1])
def test_errors_of_an_object_are_angle_and_distance(angle: float) -> None:
    truth = sample_pose()
    axis = np.array([.6, -.48, .64])
    turn = Rotation.from_rotvec(angle * axis).as_matrix()
    pose = replace(truth, rotations=truth.rotations @ turn,
                   translations=truth.translations + (0, .006, .008))
    assert object_errors(pose, truth, 4) == pytest.approx(
        (np.degrees(angle), 10))
    assert np.isnan(object_errors(pose, truth, 3)).all()


def test_a_turned_bowl_looks_the_same() -> None:
    truth = replace(sample_pose(grasped=12))
    bowl = np.array([[-.08, -.08, -.03], [.08, .08, .03]]) + .02
    turn = Rotation.from_rotvec((0, 0, np.pi / 2)).as_matrix()
    centre = bowl.mean(0)
    # about its own middle, which is not the mesh's origin
    rotation = truth.rotations[0] @ turn
    place = truth.translations[0] + truth.rotations[0] @ (
        centre - turn @ centre)
    pose = HandObjectPose(truth.joints, None, truth.classes[:1],
                          rotation[None], place[None], 12)
    assert object_errors(pose, truth, 12)[0] == pytest.approx(90)
    assert object_errors(pose, truth, 12, bowl) == pytest.approx(
        (0, 0), abs=1e-5)


def test_errors_are_told_in_words() -> None:
    truth = sample_pose()
    contact = truth.contact.copy()
    contact[:3], contact[20] = 1, 0
    pose = replace(truth, joints=truth.joints + (.003, 0, .004),
                   contact=contact, grasped=11)
    hand, other = describe_errors(pose, truth, {})
    assert hand == ('hand: MPJPE 0.0 mm root-relative, 5.0 mm absolute, '
                    'wrist 5.0 mm off')
    assert other == ('object 005: rotation 0.0 deg, place 0.0 mm off; taken '
                     'for 012; contact: 9 of 10 joints found, 3 wrongly')
