"""MMPose's stock hook draws hands and objects with their true cameras."""
from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.engine.hooks import PoseVisualizationHook
from mmpose.structures import PoseDataSample

from mmpose_ext.geometry.crop_views import project
from mmpose_ext.handobject import visualizer as module
from mmpose_ext.handobject.drawing import TOUCHING, HandObjectPose
from mmpose_ext.handobject.hand import METAINFO
from mmpose_ext.handobject.scene_pictures import cut_out
from mmpose_ext.handobject.scene_sources import ObjectBounds
from mmpose_ext.handobject.visualizer import (
    HandObjectVisualizer,
    scene_of_sample,
)
from mmpose_ext.storage import DataError
from tests.unit.handobject.drawn_scenes import (
    MATRIX,
    near,
    photograph,
    sample_pose,
)


def fields_of(pose: HandObjectPose) -> dict[str, Any]:
    """By class, with one instance in front."""
    rotations = np.zeros((1, 21, 3, 3))
    rotations[:] = np.eye(3)
    translations, there = np.zeros((1, 21, 3)), np.zeros((1, 21))
    rotations[0, pose.classes] = pose.rotations
    translations[0, pose.classes] = pose.translations
    there[0, pose.classes] = 1
    return dict(rotations=rotations, translations=translations, there=there)


def data_sample(valid: bool = True, pred: bool = True) -> PoseDataSample:
    truth, pose = sample_pose(0), sample_pose(1)
    sample = PoseDataSample(metainfo=dict(
        camera_matrix=MATRIX.astype(np.float32), grasped_class=4, id=12,
        sequence='s/1', serial='8', frame=3, side=1, img_path='a.jpg'))
    there = fields_of(truth)
    sample.gt_instances = InstanceData(
        joints_cam=truth.joints[None], hand_valid=np.array([valid]),
        object_rotations=there['rotations'],
        object_translations=there['translations'],
        object_valid=there['there'] > 0, contact=truth.contact[None],
        contact_valid=np.ones(1, np.float32))
    if pred:
        found = fields_of(pose)
        sample.pred_instances = InstanceData(
            keypoints=np.full((1, 21, 2), 1e4), keypoint_scores=np.ones(
                (1, 21)), keypoints_cam=pose.joints[None],
            object_rotations=found['rotations'],
            object_translations=found['translations'],
            object_scores=.9 * found['there'],
            grasped_scores=np.eye(21)[4:5], contact_scores=pose.contact[None])
    return sample


def test_a_sample_becomes_what_it_was_made_of() -> None:
    scene = scene_of_sample(photograph(), data_sample(), ObjectBounds())
    for pose, wanted in ((scene.truth, sample_pose(0)),
                         (scene.pose, sample_pose(1))):
        assert pose is not None and pose.contact is not None
        np.testing.assert_allclose(pose.joints, wanted.joints)
        np.testing.assert_array_equal(pose.classes, [4, 11])
        np.testing.assert_allclose(pose.rotations, wanted.rotations)
        np.testing.assert_allclose(pose.translations, wanted.translations)
        np.testing.assert_array_equal(pose.contact, wanted.contact)
        assert pose.grasped == 4
    assert scene.caption == 's/1   8   frame 3   id 12   left'


def test_a_frame_without_a_hand_has_no_truth() -> None:
    sample = data_sample(valid=False, pred=False)
    scene = scene_of_sample(photograph(), sample, ObjectBounds())
    assert scene.truth is None and scene.pose is None
    drawn = HandObjectVisualizer(vis_backends=[]).draw_picture(
        photograph(), sample, True, True, .3)
    assert drawn.shape == (300, 400, 3)


def test_tensors_of_any_type_are_drawn() -> None:
    sample = data_sample()
    joints = torch.tensor(sample_pose(1).joints[None]).to(torch.bfloat16)
    sample.pred_instances.keypoints_cam = joints
    scene = scene_of_sample(photograph(), sample, ObjectBounds())
    assert scene.pose is not None
    np.testing.assert_allclose(scene.pose.joints, sample_pose(1).joints,
                               atol=.004)


def test_pixels_of_the_network_are_not_what_is_drawn() -> None:
    """They are far outside here; the joints in space are in the picture."""
    visualizer = HandObjectVisualizer(vis_backends=[], whole=True, tile=300)
    picture = visualizer.draw_picture(photograph(), data_sample(), True, True,
                                      .3)
    matrix = cut_out(photograph(), MATRIX, np.array([0, 0, 640., 480]),
                     300)[1]
    place = project(sample_pose(1).joints[20], matrix)
    assert near(picture, place + (300, 0), TOUCHING)


def test_the_stock_hook_writes_labels_and_prediction(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    visualizer = HandObjectVisualizer(vis_backends=[], tile=120)
    monkeypatch.setattr(
        'mmpose.engine.hooks.visualization_hook.Visualizer.'
        'get_current_instance', lambda: visualizer)
    hook = PoseVisualizationHook(enable=True, out_dir='show')
    path = tmp_path / 'color_000003.jpg'
    cv2.imwrite(str(path), photograph())
    sample = data_sample()
    sample.set_metainfo(dict(img_path=str(path)))
    runner: Any = SimpleNamespace(
        work_dir=str(tmp_path), timestamp='now', iter=0,
        test_evaluator=SimpleNamespace(dataset_meta=_meta()))
    hook.after_test_iter(runner, 0, {}, [sample, sample])
    names = sorted((tmp_path / 'now/show').iterdir())
    assert [name.name for name in names] == ['color_000003_0.jpg',
                                             'color_000003_1.jpg']
    drawn = cv2.imread(str(names[0]))
    assert drawn.shape == (240 + 3 * 18 + 8, 240, 3)  # four parts: both


def test_labels_can_be_left_out() -> None:
    visualizer = HandObjectVisualizer(vis_backends=[], tile=120,
                                      labels=False)
    picture = visualizer.draw_picture(photograph(), data_sample(), False,
                                      True, .3)
    assert picture.shape == (120 + 2 * 18 + 8, 360, 3)


def test_meshes_are_where_the_meta_information_says(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(folder: Any, number: int) -> np.ndarray:
        asked.append((str(folder), number))
        return np.array([[-.1] * 3, [.1] * 3])

    monkeypatch.setattr('mmpose_ext.handobject.scene_sources'
                        '.load_mesh_bounds', load)
    mesh = tmp_path / '006_mustard_bottle/textured_simple.obj'
    mesh.parent.mkdir()
    mesh.write_text('v 0 0 0')
    visualizer = HandObjectVisualizer(vis_backends=[], tile=120,
                                      models_dir='nowhere')
    visualizer.set_dataset_meta(_meta() | dict(models_dir=str(tmp_path)))
    visualizer.draw_picture(photograph(), data_sample(), True, True, .3)
    assert asked == [(str(tmp_path), 5)]  # and 12 has no mesh
    visualizer.set_dataset_meta(_meta())
    assert visualizer._bounds.models_dir == 'nowhere'


def test_a_damaged_mesh_is_an_error(tmp_path: Path) -> None:
    mesh = tmp_path / '002_master_chef_can/textured_simple.obj'
    mesh.parent.mkdir()
    mesh.write_text('v 0 0 0\n')
    with pytest.raises(DataError) as caught:
        ObjectBounds(tmp_path)[0]
    assert caught.value.file == str(mesh)
    assert 1 not in ObjectBounds(tmp_path)
    assert module.ObjectBounds().get(0) is None


def _meta() -> dict[str, Any]:
    from mmpose.datasets.datasets.utils import parse_pose_metainfo
    return parse_pose_metainfo(dict(METAINFO))
