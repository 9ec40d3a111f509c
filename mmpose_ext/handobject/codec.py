"""Joints and objects as what a crop shows of them, and back into space.

A joint is its pixel and how far it lies behind the wrist; the wrist's own
depth is a number that does not change when a crop is zoomed: rho, the log of
the depth times the crop's side over the focal length. That is the size in
metres of what the crop shows at this depth.
"""
from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import torch
from mmpose.codecs.base import BaseKeypointCodec
from torch import Tensor

from mmpose_ext.handobject.hand import WRIST, root_relative
from mmpose_ext.handobject.records import HandObjectTargets
from mmpose_ext.registry import KEYPOINT_CODECS

NEAR_M = .1  # nothing is looked at from nearer
MARGIN = .5  # an object further outside, in crops, is not to be seen in one

Array = np.ndarray


def encode_depth(depth: Tensor, camera: Tensor, size: int) -> Tensor:
    """Depths as rho.

    Args:
        depth (Tensor): (B, ...) m, above 0.
        camera (Tensor): (B, 3, 3) intrinsics of the crops.
        size (int): Side of the crops, px.
    """
    return (depth.clamp(min=NEAR_M) * _per_metre(camera, size, depth)).log()


def decode_depth(rho: Tensor, camera: Tensor, size: int) -> Tensor:
    """Depths in metres; the inverse of :func:`encode_depth`.

    Crops are taken to show no more than e ** 5 m, lest the depth overflow.
    """
    return rho.clamp(max=5.).exp() / _per_metre(camera, size, rho)


def back_project(pixels: Tensor, depth: Tensor, camera: Tensor) -> Tensor:
    """Points at given depths.

    Args:
        pixels (Tensor): (B, N, 2).
        depth (Tensor): (B, N) m.
        camera (Tensor): (B, 3, 3).

    Returns:
        Tensor: (B, N, 3) m.
    """
    return rays(pixels, camera) * depth[..., None]


def rays(pixels: Tensor, camera: Tensor) -> Tensor:
    """Viewing rays with z = 1, (B, N, 3), of pixels (B, N, 2)."""
    y = (pixels[..., 1] - camera[:, None, 1, 2]) / camera[:, None, 1, 1]
    x = (pixels[..., 0] - camera[:, None, 0, 2]
         - camera[:, None, 0, 1] * y) / camera[:, None, 0, 0]
    return torch.stack([x, y, torch.ones_like(x)], -1)


def project(points: Tensor, camera: Tensor) -> Tensor:
    """Pixels (B, N, 2) of points (B, N, 3); those behind are taken as near."""
    x, y, z = points.unbind(-1)
    z = z.clamp(min=NEAR_M)
    x, y = x / z, y / z
    return torch.stack([
        x * camera[:, None, 0, 0] + y * camera[:, None, 0, 1]
        + camera[:, None, 0, 2],
        y * camera[:, None, 1, 1] + camera[:, None, 1, 2]
    ], -1)


def decode_joints(pixels: Tensor, depth_offsets: Tensor, root_rho: Tensor,
                  camera: Tensor, size: int) -> Tensor:
    """Joints in space.

    Args:
        pixels (Tensor): (B, K, 2) px of the crop.
        depth_offsets (Tensor): (B, K) m behind the wrist.
        root_rho (Tensor): (B,)
        camera (Tensor): (B, 3, 3).
        size (int): Side of the crops, px.

    Returns:
        Tensor: (B, K, 3) m, in the frame of the crop's camera.
    """
    root = decode_depth(root_rho, camera, size)
    return back_project(pixels, root[:, None] + depth_offsets, camera)


@KEYPOINT_CODECS.register_module()
class HandObjectLabel(BaseKeypointCodec):
    """Labels of a crop, for the stock ``GenerateTarget``.

    Everything it encodes is in the frame of the view, which
    ``HandObjectTopdownView`` has set.

    Args:
        input_size (tuple[int, int]): Width and height of the crops, equal.
        other_weight (float): Weight of objects that are not held. Defaults
            to 0.25.

    Raises:
        ValueError: If the crops are not square.
    """

    auxiliary_encode_keys = {
        'view_joints', 'view_camera', 'hand_valid', 'view_object_rotations',
        'view_object_translations', 'object_valid', 'grasped_class',
        'contact', 'contact_valid', 'mirrored', 'side'
    }
    instance_mapping_table = dict(
        bbox='bboxes',
        bbox_score='bbox_scores',
        keypoints='keypoints',
        keypoints_visible='keypoints_visible',
        joints_cam='joints_cam',
        hand_valid='hand_valid',
        object_rotations='object_rotations',
        object_translations='object_translations',
        object_valid='object_valid',
        contact='contact',
        contact_valid='contact_valid')
    # labels under names of their own: the results hold the photograph's
    label_mapping_table = {
        f'label_{field.name}': field.name
        for field in fields(HandObjectTargets) if field.name != 'crop_size'
    }

    def __init__(self, input_size: tuple[int, int],
                 other_weight: float = .25) -> None:
        super().__init__()
        if input_size[0] != input_size[1]:
            raise ValueError('input_size: expected a square, found '
                             f'{tuple(input_size)}')
        self.input_size = input_size
        self.size = int(input_size[0])
        self.other_weight = other_weight

    def encode(self, keypoints: Array, keypoints_visible: Array | None = None,
               **view: Any) -> dict[str, Array]:
        """Labels of one sample.

        Args:
            keypoints (ndarray): (1, K, 2) px of the crop.
            keypoints_visible (ndarray, optional): Not used: a joint that is
                hidden or outside is labelled in space all the same.
            **view: ``auxiliary_encode_keys``.

        Returns:
            dict[str, ndarray]: ``label_`` and the names of
            :class:`~mmpose_ext.handobject.records.HandObjectTargets`, float32
            but for the class.
        """
        camera = np.asarray(view['view_camera'], np.float32)
        joints = np.asarray(view['view_joints'], np.float32)
        valid = np.asarray(view['hand_valid'], np.float32).reshape(1)
        depth = max(float(joints[0, WRIST, 2]), NEAR_M) if valid[0] else 1.
        focal = float(np.sqrt(camera[0, 0] * camera[1, 1]))
        pixels = np.where(valid[:, None, None] > 0, keypoints, 0.)
        weights = valid[:, None] * (joints[..., 2] > NEAR_M)
        labels = dict(
            joints=joints,
            pixels=pixels,
            joint_weights=weights,
            hand_valid=valid,
            root_rho=np.array([np.log(depth * self.size / focal)]),
            view_camera=camera[None],
            mirrored=np.array([view['mirrored']]),
            chirality=np.array(
                [-1 if view['side'] == 1 and not view['mirrored'] else 1]),
            object_rotations=view['view_object_rotations'],
            object_translations=view['view_object_translations'],
            object_weights=self._object_weights(view, camera),
            contact=view['contact'],
            contact_weights=np.broadcast_to(
                np.asarray(view['contact_valid']).reshape(1, 1),
                weights.shape))
        encoded = {f'label_{name}': np.ascontiguousarray(value, np.float32)
                   for name, value in labels.items()}
        encoded['label_grasped_class'] = np.array(
            [view['grasped_class']], np.int64)
        return encoded

    def decode(self, encoded: dict[str, Array]) -> tuple[Array, Array]:
        """Pixels and joints in space of what :meth:`encode` gave.

        Args:
            encoded (dict[str, ndarray]): Its labels.

        Returns:
            tuple[ndarray, ndarray]: (1, K, 2) px of the crop and (1, K, 3)
            m in the view's frame.
        """
        labels = {name: torch.from_numpy(np.asarray(value))
                  for name, value in encoded.items()}
        joints, pixels = labels['label_joints'], labels['label_pixels']
        decoded = decode_joints(
            pixels, root_relative(joints)[..., 2], labels['label_root_rho'],
            labels['label_view_camera'], self.size)
        return pixels.numpy(), decoded.numpy()

    def _object_weights(self, view: dict[str, Any], camera: Array) -> Array:
        """(1, O): 1 for the one held, 0 for what the crop cannot show."""
        centres = np.asarray(view['view_object_translations'], np.float32)
        depth = np.maximum(centres[..., 2:], NEAR_M)
        pixels = (centres / depth @ camera.T)[..., :2]
        share = pixels / self.size
        inside = np.all((share > -MARGIN) & (share < 1 + MARGIN), -1)
        shown = (np.asarray(view['object_valid'], bool) & inside
                 & (centres[..., 2] > NEAR_M))
        weights = np.full(shown.shape, self.other_weight)
        if view['grasped_class'] >= 0:
            weights[:, view['grasped_class']] = 1
        return weights * shown


def _per_metre(camera: Tensor, size: int, like: Tensor) -> Tensor:
    """Metres that crops show per metre of depth, shaped as `like`."""
    focal = (camera[:, 0, 0] * camera[:, 1, 1]).sqrt()
    return (size / focal).reshape(-1, *[1] * (like.dim() - 1))
