"""Samples of several views through MMPose's hook and visualizer."""
from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_ext.registry import HOOKS, VISUALIZERS
from mmpose_ext.volumetric.pose_drawing import PoseStyle
from mmpose_ext.volumetric.visualizer import draw_com_sample, draw_sample
from tests.unit.geometry.camera_rigs import ring

NAMES, LINKS = ('Snout', 'EarL', 'EarR'), [(0, 1), (0, 2)]
CAMERAS = ring(4).resize(.25)


def views() -> list[np.ndarray]:
    return [np.full((height, width, 3), (200, 0, 0), np.uint8)
            for width, height in CAMERAS.sizes]


def sample(labelled: bool = True) -> PoseDataSample:
    made = PoseDataSample(metainfo=dict(
        cameras=CAMERAS, com=np.zeros((1, 3)), turn=np.pi / 2, img_id=7,
        recording='day', sample_id=31, keypoint_names=NAMES,
        skeleton_links=LINKS))
    points = np.array([[[0., 0, 20], [-30, 0, 10], [30, 0, 10]]], np.float32)
    made.gt_instances = InstanceData(
        keypoints=points if labelled else np.full_like(points, np.nan))
    made.pred_instances = InstanceData(
        keypoints=torch.from_numpy(points + np.float32(4)))
    return made


def test_labels_are_drawn_only_where_there_are_any():
    with_labels = draw_sample(views(), sample())
    without = draw_sample(views(), sample(labelled=False))
    assert (with_labels != without).any()
    asked = draw_sample(views(), sample(), draw_gt=False)
    assert (asked == without).all()


def test_labels_alone_are_drawn_as_poses():
    drawn = draw_sample(views(), sample(), draw_pred=False)
    style = PoseStyle.from_names(NAMES, LINKS)
    for color in style.point_colors:
        assert (drawn == color).all(-1).any()


def test_pictures_are_rgb_for_mmpose_and_files_of_opencv(tmp_path):
    visualizer = VISUALIZERS.build(dict(
        type='mmpose_ext.VolumetricPoseVisualizer', name=str(tmp_path)))
    out = tmp_path / 'new' / 'a.png'
    drawn = visualizer.add_datasample('a', views(), sample(),
                                      out_file=str(out))
    # red views in both
    corner = drawn[300, 20]
    assert corner[0] > 150 and corner[2] < 50
    assert (cv2.imread(str(out)) == drawn[..., ::-1]).all()


def test_the_hook_hands_over_all_views_of_a_batch(tmp_path):
    """As ``--show-dir`` sets it up: V lists of B tensors."""
    VISUALIZERS.build(dict(
        type='mmpose_ext.VolumetricPoseVisualizer', name=str(tmp_path)))
    hook = HOOKS.build(dict(
        type='mmpose_ext.VolumetricVisualizationHook', enable=True,
        out_dir='shown'))
    inputs = [[torch.from_numpy(view).permute(2, 0, 1)] * 2
              for view in views()]
    second = sample()
    second.set_metainfo(dict(img_id=8))
    runner = SimpleNamespace(
        work_dir=str(tmp_path), timestamp='now',
        test_evaluator=SimpleNamespace(dataset_meta={}))
    hook.after_test_iter(runner, 0, dict(inputs=inputs), [sample(), second])
    folder = Path(tmp_path, 'now', 'shown')
    assert sorted(path.name for path in folder.iterdir()) == [
        '000007.png', '000008.png']
    expected = draw_sample(views(), second)
    assert (cv2.imread(str(folder / '000008.png')) == expected).all()


def com_sample() -> PoseDataSample:
    """A frame of 80 x 64 px of which the network gets the right half."""
    made = PoseDataSample(metainfo=dict(
        input_center=np.array([60., 32.]), input_scale=np.array([40., 64.]),
        img_path='day/Camera1/3', img_id=3))
    made.gt_instances = InstanceData(
        keypoints=np.array([[[50., 20.]]]), keypoints_visible=np.ones((1, 1)))
    made.pred_instances = InstanceData(
        keypoints=np.array([[[70., 50.]]]), keypoint_scores=np.ones((1, 1)))
    return made


def test_centres_of_mass_are_drawn_where_the_network_saw_them():
    """At a quarter and three quarters of the picture's width."""
    image = np.zeros((64, 40, 3), np.uint8)
    drawn = draw_com_sample(image, com_sample())
    size = drawn.shape[:2]
    assert max(size) >= 400
    for left_out, expected in ((dict(draw_gt=False), (20 / 64, .25)),
                               (dict(draw_pred=False), (50 / 64, .75))):
        other = draw_com_sample(image, com_sample(), **left_out)
        changed = (drawn != other).any(-1)
        changed[:30] = False  # the caption
        np.testing.assert_allclose(
            np.argwhere(changed).mean(0) / size, expected, atol=.02)


def test_centres_of_mass_are_exact_to_the_last_pixel():
    """Input and frame are the same, from pixel centre to pixel centre."""
    image, whole = np.zeros((64, 40, 3), np.uint8), com_sample()
    whole.set_metainfo(dict(input_center=np.array([19.5, 31.5]),
                            input_scale=np.array([39., 63.])))
    whole.gt_instances.keypoints = np.array([[[38., 60.]]])
    drawn, other = (draw_com_sample(image, whole, draw_gt, False)
                    for draw_gt in (True, False))
    factor = len(drawn) / len(image)
    ring = np.argwhere((drawn != other).any(-1)).mean(0)
    np.testing.assert_allclose(ring, np.array([60.5, 38.5]) * factor - .5,
                               atol=.6)


def test_a_centre_outside_the_picture_is_not_drawn():
    lost = com_sample()
    lost.gt_instances.keypoints_visible[:] = 0
    image = np.zeros((64, 40, 3), np.uint8)
    assert (draw_com_sample(image, lost)
            == draw_com_sample(image, lost, draw_gt=False)).all()
