"""Predictions of a view, brought back to the photograph and its camera."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.structures import InstanceData
from torch import Tensor

from mmpose_ext.geometry.crop_views import MIRROR, apply_homography
from mmpose_ext.handobject.records import HandObjectPrediction

Array = np.ndarray


def to_instances(prediction: HandObjectPrediction,
                 views: Sequence[Mapping[str, Any]]) -> list[InstanceData]:
    """Split a batch, each sample in its photograph's own frame.

    Args:
        prediction (HandObjectPrediction): Of a batch of crops.
        views (Sequence[Mapping]): Metainfo of each: ``pixel_map`` (3, 3)
            photograph to crop, ``view_rotation`` (3, 3) camera to view, and
            ``mirrored``.

    Returns:
        list[InstanceData]: One instance each, NumPy arrays of float32:
        ``keypoints`` (1, K, 2) px of the photograph, ``keypoint_scores``
        (1, K), ``keypoints_cam`` and ``keypoints_cam_coarse`` (1, K, 3) m;
        with a parametric hand ``keypoints_cam_mano`` (1, K, 3) m, its wrist
        that of ``keypoints_cam``, which is nothing for a left hand that was
        not mirrored; with objects ``object_rotations`` (1, O, 3, 3),
        ``object_translations`` (1, O, 3) m, ``object_scores`` and
        ``grasped_scores`` (1, O); with contact ``contact_scores`` (1, K).
    """
    fine, coarse = prediction.hands[-1], prediction.hands[0]
    columns: dict[str, Array] = dict(
        pixels=_array(fine.pixels),
        joints=_array(fine.joints),
        coarse=_array(coarse.joints),
        keypoint_scores=_array(prediction.scores))
    if prediction.objects is not None:
        objects = prediction.objects
        columns |= dict(
            rotations=_array(objects.rotations),
            translations=_array(objects.translations),
            object_scores=_array(objects.presence.sigmoid()),
            grasped_scores=_array(objects.grasped.softmax(-1)))
    if prediction.mano_joints is not None:
        columns['mano'] = (columns['joints'][:, :1]
                           + _array(prediction.mano_joints))
    if prediction.contact is not None:
        columns['contact_scores'] = _array(prediction.contact.sigmoid())
    return [_restore({name: column[row] for name, column in columns.items()},
                     view) for row, view in enumerate(views)]


def _restore(part: dict[str, Array], view: Mapping[str, Any]) -> InstanceData:
    """One sample in the photograph's frame."""
    back = np.asarray(view['view_rotation'], np.float64).T
    found = {name: part[name] for name in part if name.endswith('_scores')}
    found['keypoints'] = apply_homography(
        part['pixels'],
        np.linalg.inv(np.asarray(view['pixel_map'], np.float64)))
    for name, points in (('keypoints_cam', 'joints'),
                         ('keypoints_cam_coarse', 'coarse'),
                         ('keypoints_cam_mano', 'mano')):
        if points in part:
            found[name] = part[points] @ back.T
    if 'rotations' in part:
        # the network sees a mirrored mesh where the picture is mirrored
        mesh = MIRROR if view['mirrored'] else np.eye(3)
        found['object_rotations'] = back @ part['rotations'] @ mesh
        found['object_translations'] = part['translations'] @ back.T
    return InstanceData(**{name: value[None].astype(np.float32)
                           for name, value in found.items()})


def _array(tensor: Tensor) -> Array:
    return tensor.detach().double().cpu().numpy()
