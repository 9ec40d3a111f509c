"""Predictions come back to the photograph."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mmpose_ext.geometry.crop_views import make_view
from mmpose_ext.geometry.rotations import rotation_from_6d
from mmpose_ext.handobject.records import (
    HandObjectPrediction,
    HandPose,
    ObjectPose,
)
from mmpose_ext.handobject.views import to_instances

CAMERA = np.array([[610., 0, 300], [0, 590, 250], [0, 0, 1]])


@pytest.mark.parametrize('mirrored', [False, True])
@pytest.mark.parametrize('virtual', [False, True])
def test_a_true_prediction_is_the_label(mirrored: bool,
                                        virtual: bool) -> None:
    rng = np.random.default_rng(0)
    joints = rng.normal(0, .05, (21, 3)) + [.15, .08, .6]
    view = make_view(CAMERA, 640, np.array([430., 320.]), 200., 128,
                     rotation_deg=20., mirrored=mirrored,
                     virtual_camera=virtual)
    turn = np.asarray(view.rotation, np.float64)
    seen = joints @ turn.T
    pixels = seen @ np.asarray(view.camera, np.float64).T
    rotations = rotation_from_6d(
        torch.from_numpy(rng.normal(size=(21, 6)))).numpy()
    translations = joints + .01
    mesh = np.diag([-1., 1, 1]) if mirrored else np.eye(3)
    hand = HandPose(torch.from_numpy(pixels[None, :, :2] / seen[None, :, 2:]),
                    torch.zeros(1, 21), torch.zeros(1),
                    torch.from_numpy(seen[None]))
    objects = ObjectPose(
        torch.zeros(1, 21, 2), torch.zeros(1, 21),
        torch.from_numpy((turn @ rotations @ mesh)[None]),
        torch.from_numpy((translations @ turn.T)[None]),
        torch.zeros(1, 21), torch.zeros(1, 21), torch.zeros(1, 21, 4, 4))
    prediction = HandObjectPrediction(
        [hand], torch.zeros(1, 21, 4, 4), torch.full((1, 21), -3.), objects,
        torch.zeros(1, 21),
        torch.from_numpy((seen - seen[0])[None]))
    found = to_instances(prediction, [dict(
        view_rotation=view.rotation, pixel_map=view.pixel_map,
        mirrored=mirrored)])[0]
    np.testing.assert_allclose(found.keypoints_cam[0], joints, atol=1e-5)
    np.testing.assert_allclose(found.keypoints_cam_mano[0], joints, atol=1e-5)
    projected = joints @ CAMERA.T
    np.testing.assert_allclose(found.keypoints[0],
                               projected[:, :2] / projected[:, 2:], atol=2e-3)
    np.testing.assert_allclose(found.object_rotations[0], rotations,
                               atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(found.object_rotations[0]), 1,
                               atol=1e-5)
    np.testing.assert_allclose(found.object_translations[0], translations,
                               atol=1e-5)
    np.testing.assert_allclose(found.contact_scores, .5)
    assert (found.keypoint_scores > .5).all()
